import { execFile } from 'node:child_process';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { verifyAudit } from '#audit/verify.ts';
import { findCredential } from '#auth/store.ts';
import { systemClock as clock } from '#base/clock.ts';
import { claimDataDirectory } from '#base/data-directory.ts';
import { createLog } from '#base/log.ts';
import { Secret } from '#base/secret.ts';
import { serverUser, startEmbedded } from '#database/embedded.ts';
import { migrate } from '#database/migrate.ts';
import { createDatabase, type Database } from '#database/pool.ts';
import { createTestAuth } from '#support/people.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';

const folder = useTemporaryDirectory();
const log = createLog({ level: 'silent' });
const email = 'ada@example.com';
let running: { database: Database; stop(): Promise<void> } | undefined;

/** An installation as it stands while Plinth runs: it holds the data directory and its server. */
async function start() {
  const dataDirectory = join(folder, 'data');
  const claimed = await claimDataDirectory(dataDirectory, { clock, group: (await serverUser())?.gid });
  const embedded = await startEmbedded({ directory: join(dataDirectory, 'postgres'), log, clock });
  const database = createDatabase({ connection: embedded.connection, log });
  await migrate({ database, log });
  return {
    database,
    stop: async () => {
      await database.close();
      await embedded.stop();
      claimed.release();
    },
  };
}

const run = (...args: string[]) =>
  new Promise<{ code: number; out: string; error: string }>((done) => {
    const env = { PATH: process.env.PATH, DATA_DIR: join(folder, 'data') };
    execFile(process.execPath, [resolve('scripts/recover.ts'), ...args], { cwd: folder, env }, (failure, out, error) =>
      done({ code: failure === null ? 0 : Number(failure.code), out, error }),
    );
  });

const passwordIn = (out: string) => new Secret(/^ {2}(\S{24})$/m.exec(out)?.[1] ?? '');

beforeAll(async () => {
  running = await start();
  const auth = await createTestAuth(running.database);
  await auth.createPerson({ email, name: 'Ada', role: 'viewer', password: new Secret('seven silent owls') });
}, 60_000);
afterAll(() => running?.stop());

/** The role, and whether this is the password now. */
async function look(password: Secret) {
  running ??= await start();
  const auth = await createTestAuth(running.database);
  const found = await findCredential(running.database, email);
  const { break: broken } = await verifyAudit(running.database);
  const { rows } = await running.database.query(
    `select count(*)::integer as count from audit where action = 'recover'`,
  );
  const opens = found?.hash === undefined || found.hash === null ? false : await auth.verify(password, found.hash);
  return { role: found?.role, opens, broken, recorded: rows[0]?.count };
}

test('recovers an administrator while Plinth runs, and while it does not', { timeout: 60_000 }, async () => {
  const live = await run('administrator', email);
  expect([live.code, live.error]).toEqual([0, '']);
  const first = passwordIn(live.out);
  expect(await look(first)).toEqual({ role: 'admin', opens: true, broken: undefined, recorded: 1 });
  await running?.stop();
  running = undefined;
  const stopped = await run('administrator', email, '--drop-second-factor');
  expect([stopped.code, stopped.error]).toEqual([0, '']);
  expect(await look(first)).toMatchObject({ opens: false });
  expect(await look(passwordIn(stopped.out))).toEqual({ role: 'admin', opens: true, broken: undefined, recorded: 2 });
});

test('says what was wrong with the call, and who there is', { timeout: 60_000 }, async () => {
  expect(await run('administrator', 'nobody@example.com')).toMatchObject({
    code: 1,
    out: '',
    error: `There is no person nobody@example.com. Administrators are: ${email}. --create makes the person.\n`,
  });
  expect((await run()).error).toContain('usage: npm run recover -- administrator');
  expect((await run('administrator', 'nobody')).error).toBe('nobody is no e-mail address\n');
  expect((await run('--help')).code).toBe(0);
});
