import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Audit, createAudit } from '#audit/audit.ts';
import { systemClock } from '#base/clock.ts';
import { claimDataDirectory, type DataDirectory } from '#base/data-directory.ts';
import { type Embedded, serverUser, startEmbedded } from '#database/embedded.ts';
import { migrate } from '#database/migrate.ts';
import { createDatabase, type Database } from '#database/pool.ts';
import { captureLog } from '#support/captured-log.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';

const script = fileURLToPath(new URL('../../scripts/audit.ts', import.meta.url));
const folder = useTemporaryDirectory('plinth-audit');
const { log } = captureLog('silent');
const clock = systemClock;
const dataDirectory = () => join(folder, 'data');

interface Plinth {
  readonly claimed: DataDirectory;
  readonly embedded: Embedded;
  readonly database: Database;
  readonly audit: Audit;
}

/** The parts of a running control plane that matter here. */
async function startPlinth(): Promise<Plinth> {
  const claimed = await claimDataDirectory(dataDirectory(), { clock, group: (await serverUser())?.gid });
  const embedded = await startEmbedded({ directory: join(dataDirectory(), 'postgres'), log, clock });
  const database = createDatabase({ connection: embedded.connection, log });
  await migrate({ database, log });
  return { claimed, embedded, database, audit: createAudit({ database, clock, log }) };
}

async function stopPlinth({ claimed, embedded, database }: Plinth): Promise<void> {
  await database.close();
  await embedded.stop();
  claimed.release();
}

const run = (...args: string[]) =>
  new Promise<{ code: number; out: string; err: string }>((resolve) => {
    const env = { PATH: process.env.PATH, HOME: folder, DATA_DIR: dataDirectory() };
    execFile(process.execPath, [script, ...args], { env, cwd: folder }, (error, out, err) =>
      resolve({ code: Number(error?.code ?? 0), out, err }),
    );
  });

let plinth: Plinth | undefined;
beforeAll(async () => {
  plinth = await startPlinth();
  for (const [i, name] of ['ada', 'eve', 'ada'].entries())
    await plinth.audit.record({
      actor: { id: `usr_${name}`, name: `${name}@example.com`, kind: 'user' },
      action: 'putProject',
      target: `projects/${i}`,
      outcome: 'done',
    });
});
afterAll(async () => {
  if (plinth !== undefined) await stopPlinth(plinth);
});

test('verify and export work beside a running Plinth, and without one', async () => {
  const live = await run('verify');
  expect(live).toMatchObject({ code: 0, err: '' });
  expect(live.out).toMatch(/^The audit is whole: 3 records in [\d.]+ s\.\nIt ends with 3:[0-9a-f]{64}\n$/);
  // The server that was spoken to is as it was.
  await plinth?.database.query('select 1');
  if (plinth !== undefined) await stopPlinth(plinth);
  plinth = undefined;

  const [, anchor = ''] = /ends with (\S+)/.exec(live.out) ?? [];
  expect(await run('verify', '--anchor', anchor)).toMatchObject({ code: 0 });
  const lines = await run('export', '--actor', 'ada@example.com');
  expect(lines.code).toBe(0);
  const targets = lines.out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).target);
  expect(targets).toEqual(['projects/0', 'projects/2']);
  expect((await run('export', '--since', '2000-01-01T00:00:00Z', '--until', '2001-01-01T00:00:00Z')).out).toBe('');

  plinth = await startPlinth();
  await plinth.database.query("update audit set target = 'projects/9' where seq = 2");
  expect(await run('verify')).toMatchObject({
    code: 1,
    out: '',
    err: expect.stringMatching(
      /^The audit is broken at record 2 \(aud_\w+\), changed: row 2 is not what was written\.\n/,
    ),
  });
});

test('what was meant is said when the command is wrong', async () => {
  expect((await run()).err).toContain('usage: npm run audit');
  expect(await run('verify', '--anchor', '3')).toMatchObject({ code: 1, err: expect.stringContaining('--anchor 3') });
  expect(await run('export', '--since', 'soon')).toMatchObject({
    code: 1,
    err: 'soon is no time such as 2026-01-31T00:00:00Z\n',
  });
  expect(await run('verify', '--fast')).toMatchObject({ code: 1, err: expect.stringContaining("'--fast'") });
});

test('where there is no database, none is made', async () => {
  const { code, err } = await new Promise<{ code: number; err: string }>((resolve) => {
    const env = { PATH: process.env.PATH, HOME: folder, DATA_DIR: join(folder, 'nothing') };
    execFile(process.execPath, [script, 'verify'], { env, cwd: folder }, (error, _out, text) =>
      resolve({ code: Number(error?.code ?? 0), err: text }),
    );
  });
  expect(code).toBe(1);
  expect(err).toContain(`there is no database in DATA_DIR ${join(folder, 'nothing')}`);
});
