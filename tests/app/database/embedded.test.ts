import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { createLog } from '#base/log.ts';
import { type Embedded, type EmbeddedOptions, startEmbedded } from '#database/embedded.ts';
import { createDatabase, type Database } from '#database/pool.ts';
import { captureLog } from '#support/captured-log.ts';
import { startProcess } from '#support/child-process.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';

const temporary = useTemporaryDirectory();
// As root the server runs as another user, which must be able to enter; embedded-as-root.test.ts has the other case.
beforeAll(() => chmodSync(temporary, 0o711));
let count = 0;
/** Where nothing is yet. */
const newFolder = () => join(temporary, `postgres-${count++}`);
const log = createLog({ level: 'silent' });
const soon = { interval: 5, timeout: 20_000 };
const writer = new URL('./embedded.process.ts', import.meta.url);

async function start(directory: string, options: Partial<EmbeddedOptions> = {}): Promise<Embedded> {
  const embedded = await startEmbedded({ directory, log, clock: systemClock, ...options });
  onTestFinished(() => embedded.stop());
  return embedded;
}

function open({ connection }: Embedded): Database {
  const database = createDatabase({ connection, log });
  onTestFinished(() => database.close());
  return database;
}

let template: Promise<string> | undefined;

/** A folder as a server leaves it that was started once and stopped: initdb is most of the time of a first start. */
async function usedFolder(): Promise<string> {
  template ??= (async () => {
    const directory = newFolder();
    await (await startEmbedded({ directory, log, clock: systemClock })).stop();
    return directory;
  })();
  const directory = newFolder();
  execFileSync('cp', ['-a', await template, directory]);
  return directory;
}

const numbers = async (database: Database) =>
  (await database.query<{ n: number }>('select n from written order by n')).rows.map(({ n }) => n);
const upTo = (most: number) => Array.from({ length: most }, (_, index) => index + 1);

test('it starts from nothing, ends without a trace, and goes on with the same data', async () => {
  const directory = newFolder();
  const first = await start(directory);
  const database = open(first);
  await database.query('create table kept as select 42 as n');
  expect((await database.query('show server_version')).rows).toEqual([{ server_version: '18.4' }]);
  await database.close();
  await first.stop();
  expect(runs(first.pid)).toBe(false);
  expect(readdirSync(directory).sort()).toEqual(['data', 'password', 'run', 'server.log']);
  expect(readdirSync(join(directory, 'run'))).toEqual([]);
  expect(statSync(join(directory, 'password')).mode & 0o777).toBe(0o600);

  const second = await start(directory);
  expect((await open(second).query('select n from kept')).rows).toEqual([{ n: 42 }]);
  expect(second.connection.password.reveal()).toBe(first.connection.password.reveal());
});

test('it is durable, small, in UTF-8 with a collation that never changes, and on no network', async () => {
  const database = open(await start(await usedFolder()));
  const { rows } = await database.query<{ name: string; setting: string }>(
    `select name, setting from pg_settings where name in ('fsync', 'full_page_writes', 'synchronous_commit',
       'listen_addresses', 'max_connections', 'TimeZone', 'server_encoding', 'data_checksums', 'password_encryption')`,
  );
  expect(Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))).toEqual({
    fsync: 'on',
    full_page_writes: 'on',
    synchronous_commit: 'on',
    listen_addresses: '',
    max_connections: '50',
    TimeZone: 'UTC',
    server_encoding: 'UTF8',
    data_checksums: 'on',
    password_encryption: 'scram-sha-256',
  });
  const { rows: locale } = await database.query(
    `select datlocprovider as provider, datlocale as locale from pg_database where datname = current_database()`,
  );
  expect(locale).toEqual([{ provider: 'b', locale: 'C.UTF-8' }]);
  const { rows: rules } = await database.query('select distinct auth_method from pg_hba_file_rules');
  expect(rules).toEqual([{ auth_method: 'scram-sha-256' }]);
});

test('killed under a live pool it comes back; statements fail as retryable meanwhile and nothing committed is lost', async () => {
  const { log: captured, lines } = captureLog();
  const embedded = await start(await usedFolder(), { log: captured });
  const database = open(embedded);
  await database.query('create table written (n int)');
  const killed = embedded.pid;
  const done: number[] = [];
  const faults: unknown[] = [];
  for (let n = 1; faults.length === 0 || done.at(-1) !== n - 1 || done.length < 60; ) {
    if (n === 30 && faults.length === 0 && embedded.pid === killed) process.kill(killed, 'SIGKILL');
    try {
      await database.query('insert into written values ($1)', [n], 'write');
      done.push(n);
      n += 1;
    } catch (error) {
      faults.push(error);
      await systemClock.sleep(5);
    }
  }
  expect(faults.length).toBeGreaterThan(0);
  for (const fault of faults) expect(fault).toMatchObject({ code: 'DATABASE_UNAVAILABLE', retry: true });
  // A statement whose answer was lost may have been committed; then it is there twice, and never missing.
  expect([...new Set(await numbers(database))]).toEqual(done);
  expect(embedded.pid).not.toBe(killed);
  expect(lines().map(({ msg }) => msg)).toEqual([
    'embedded PostgreSQL ended unexpectedly',
    'embedded PostgreSQL runs again',
  ]);
});

test('after kill -9 of Node the server ends by itself, and the next start has everything that was acknowledged', async () => {
  const directory = await usedFolder();
  const child = startProcess(writer, [directory]);
  await child.line();
  const pid = Number(await child.line());
  while ((await child.line()) !== '50');
  await child.kill('SIGKILL');
  await expect.poll(() => runs(pid), soon).toBe(false);
  const found = await numbers(open(await start(directory)));
  expect(found.length).toBeGreaterThanOrEqual(50);
  expect(found).toEqual(upTo(found.length));
});

test('a start right after kill -9 of Node takes over, five times in a row', async () => {
  const directory = await usedFolder();
  for (let round = 1; round <= 5; round++) {
    const child = startProcess(writer, [directory]);
    await child.line();
    await child.line();
    while ((await child.line()) !== '5');
    await child.kill('SIGKILL');
  }
  const found = await numbers(open(await start(directory)));
  expect(found.filter((n) => n <= 5)).toHaveLength(25);
});

test('an orphan that nobody ends is taken over', async () => {
  const directory = await usedFolder();
  const child = startProcess(writer, [directory]);
  await child.line();
  const pid = Number(await child.line());
  while ((await child.line()) !== '5');
  // Whatever would end the server together with Node dies first.
  for (const one of childrenOf(child.pid)) if (one !== pid) process.kill(one, 'SIGKILL');
  await child.kill('SIGKILL');
  expect(runs(pid)).toBe(true);
  const embedded = await start(directory);
  expect(embedded.pid).not.toBe(pid);
  expect(runs(pid)).toBe(false);
  expect((await numbers(open(embedded))).slice(0, 5)).toEqual(upTo(5));
});

test('killed together with Node it replays its log', async () => {
  const directory = await usedFolder();
  const child = startProcess(writer, [directory]);
  await child.line();
  await child.line();
  while ((await child.line()) !== '50');
  for (const one of childrenOf(child.pid)) process.kill(one, 'SIGKILL');
  await child.kill('SIGKILL');
  const found = await numbers(open(await start(directory)));
  expect(found.length).toBeGreaterThanOrEqual(50);
  expect(found).toEqual(upTo(found.length));
});

test('SIGTERM of Node leaves no process', async () => {
  const child = startProcess(writer, [await usedFolder()]);
  await child.line();
  const pid = Number(await child.line());
  await child.line();
  const processes = childrenOf(child.pid);
  expect(processes).toContain(pid);
  // Ctrl-C goes to the whole group of the terminal, and must reach Node alone.
  for (const one of processes) expect(groupOf(one)).toBe(one);
  await child.kill('SIGTERM');
  expect(processes.filter(runs)).toEqual([]);
});

test('a postmaster.pid whose number belongs to another process by now does no harm', async () => {
  const directory = await usedFolder();
  const first = await start(directory);
  const pidFile = join(directory, 'data', 'postmaster.pid');
  const text = readFileSync(pidFile, 'utf8');
  await first.stop();
  const bystander = spawn('sleep', ['60'], { stdio: 'ignore' });
  onTestFinished(() => void bystander.kill());
  writeFileSync(pidFile, text.replace(/^\d+/, String(bystander.pid)));
  expect((await open(await start(directory)).query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  expect(runs(bystander.pid ?? 0)).toBe(true);
});

test('a kill in the middle of making the data is made good by the next start', async () => {
  const directory = newFolder();
  for (const much of [1, 10, 20]) {
    const child = startProcess(writer, [directory]);
    await child.line();
    await expect.poll(() => unfinishedIn(directory), { interval: 2, timeout: 20_000 }).toBeGreaterThan(much);
    await child.kill('SIGKILL');
    expect(existsSync(join(directory, 'data'))).toBe(false);
  }
  expect((await open(await start(directory)).query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  await expect.poll(() => readdirSync(directory).sort(), soon).toEqual(['data', 'password', 'run', 'server.log']);
});

test('a path that is too long for a socket has its socket elsewhere, also after a kill', async () => {
  const parent = join(temporary, 'a-folder-with-a-long-name'.repeat(5));
  mkdirSync(parent);
  const directory = join(parent, 'postgres');
  const child = startProcess(writer, [directory]);
  await child.line();
  await child.line();
  await child.line();
  await child.kill('SIGKILL');
  const embedded = await start(directory);
  expect(embedded.connection.host.startsWith(directory)).toBe(false);
  expect((await numbers(open(embedded))).at(0)).toBe(1);
  await embedded.stop();
  expect(existsSync(embedded.connection.host)).toBe(false);
});

test('the server’s log is bounded', async () => {
  const directory = await usedFolder();
  await (await start(directory)).stop();
  const file = join(directory, 'server.log');
  writeFileSync(file, 'x'.repeat(5 * 1024 * 1024));
  await start(directory);
  expect(statSync(file).size).toBeLessThan(10_000);
  expect(statSync(`${file}.1`).size).toBe(5 * 1024 * 1024);
});

test('the server’s log shows no values', async () => {
  const directory = await usedFolder();
  const database = open(await start(directory));
  const canary = 'canary-value-5d2e';
  await database.query('create table secretive (v text unique)');
  await database.query('insert into secretive values ($1)', [canary]);
  await database.query('insert into secretive values ($1)', [canary]).catch(() => {});
  await database.query('select $1::int / 0, $2::text', [1, canary]).catch(() => {});
  await database.query(`select '${canary}', 1 / 0`).catch(() => {});
  const said = readFileSync(join(directory, 'server.log'), 'utf8');
  expect(said).toContain('duplicate key value');
  expect(said).toContain('division by zero');
  expect(said).not.toContain(canary);
});

test('what keeps it from starting is said', async () => {
  const directory = await usedFolder();
  await (await start(directory)).stop();
  await expect(start(directory, { settings: { shared_buffers: 'plenty' } })).rejects.toMatchObject({
    code: 'DATABASE_START_FAILED',
    message: expect.stringContaining('invalid value for parameter "shared_buffers"'),
  });
  writeFileSync(join(directory, 'data', 'PG_VERSION'), '17\n');
  await expect(start(directory)).rejects.toMatchObject({
    code: 'DATABASE_START_FAILED',
    message: expect.stringContaining('was made by PostgreSQL 17, and this is 18'),
  });
  writeFileSync(join(directory, 'data', 'PG_VERSION'), '18\n');
  rmSync(join(directory, 'password'));
  await expect(start(directory)).rejects.toMatchObject({ message: expect.stringContaining('password is missing') });
});

test('a start can be called off', async () => {
  const calledOff = new AbortController();
  const directory = newFolder();
  const starting = startEmbedded({ directory, log, clock: systemClock, signal: calledOff.signal });
  await expect.poll(() => unfinishedIn(directory), soon).toBeGreaterThan(0);
  calledOff.abort();
  await expect(starting).rejects.toThrow();
  expect((await open(await start(directory)).query('select 1 as one')).rows).toEqual([{ one: 1 }]);
});

/** How far an unfinished initdb in this folder has come, in files and folders. */
function unfinishedIn(directory: string): number {
  if (!existsSync(directory)) return 0;
  const [unfinished] = readdirSync(directory).filter((name) => name.startsWith('init-'));
  const data = join(directory, unfinished ?? '', 'data');
  return unfinished !== undefined && existsSync(data) ? readdirSync(data).length : 0;
}

/** False also for a process that has ended and that nobody has waited for yet. */
function runs(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

const groupOf = (pid: number) => Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[2]);

function childrenOf(pid: number): readonly number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
}

test.runIf(process.getuid?.() === 0)('nobody in particular can run it too', async () => {
  const folder = join(temporary, 'of-nobody');
  mkdirSync(folder);
  chmodSync(folder, 0o777);
  const child = startProcess(writer, [join(folder, 'postgres')], { uid: 65534, gid: 65534, cwd: '/' });
  expect(await child.line()).toBe('starting 65534');
  const pid = Number(await child.line());
  while ((await child.line()) !== '3');
  expect(statSync(`/proc/${pid}`).uid).toBe(65534);
  expect(statSync(join(folder, 'postgres')).mode & 0o777).toBe(0o700);
  await child.kill('SIGTERM');
  expect(runs(pid)).toBe(false);
});
