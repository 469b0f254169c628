import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Fault } from '#base/errors.ts';
import { readIfPresent, readOrMake, syncFolder, writeDurably } from '#base/once-file.ts';
import { Secret } from '#base/secret.ts';
import { give, type Home } from './home.ts';

/** The only database user; a superuser of a server that is ours alone. */
export const databaseUser = 'plinth';

/**
 * Makes `data/` where it is absent and returns the password. It is made beside and renamed when it is complete, so a
 * kill in the middle leaves nothing that looks like data.
 *
 * @throws Fault DATABASE_START_FAILED also for data of another major version
 */
export async function initialise(home: Home, signal?: AbortSignal): Promise<Secret> {
  const version = await readText(join(home.data, 'PG_VERSION'));
  if (version !== undefined && version.trim() !== home.programs.major) {
    const why = `${home.data} was made by PostgreSQL ${version.trim()}, and this is ${home.programs.major}`;
    throw new Fault('DATABASE_START_FAILED', { why });
  }
  await removeUnfinished(home.path);
  const password = await readPassword(home.path, version !== undefined);
  if (version === undefined) await makeData(home, password, signal);
  return password;
}

async function makeData(home: Home, password: Secret, signal: AbortSignal | undefined): Promise<void> {
  const unfinished = await mkdtemp(join(home.path, 'init-'));
  await give(unfinished, home.user);
  const passwordFile = join(unfinished, 'password');
  await writeDurably(passwordFile, password.reveal());
  await give(passwordFile, home.user);
  const data = join(unfinished, 'data');
  await runInitdb(home, data, passwordFile, signal);
  await rename(data, home.data);
  await syncFolder(home.path);
  // Ours, and what an initdb wrote that outlived its killed start: by now it has ended.
  await removeUnfinished(home.path);
}

function runInitdb(home: Home, data: string, passwordFile: string, signal: AbortSignal | undefined): Promise<void> {
  const options = [
    `--pgdata=${data}`,
    `--username=${databaseUser}`,
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    // The libraries' collations change with the system; the built-in one never does, so indexes stay valid.
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--locale=C',
    '--wal-segsize=4',
    '--no-instructions',
  ];
  return new Promise((resolve, reject) => {
    const said: Buffer[] = [];
    const child = spawn(home.programs.initdb, options, {
      uid: home.user?.uid,
      gid: home.user?.gid,
      cwd: home.socket,
      env: { PATH: '/usr/bin:/bin' },
      stdio: ['ignore', 'pipe', 'pipe'],
      signal,
    });
    child.stdout.resume();
    child.stderr.on('data', (chunk: Buffer) => said.push(chunk));
    child.once('error', (error) => reject(startFailed(error.message, error)));
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(startFailed(`initdb said ${lastLines(Buffer.concat(said).toString())}`));
    });
  });
}

async function readPassword(home: string, hasData: boolean): Promise<Secret> {
  const file = join(home, 'password');
  if (hasData && (await readText(file)) === undefined)
    throw startFailed(`${file} is missing, and without it nobody can open the data beside it`);
  const password = await readOrMake(file, () => Buffer.from(randomBytes(24).toString('base64url')));
  return new Secret(password.toString().trim());
}

/** What a killed start left behind. Its initdb may still be writing for a moment, so that removing takes more than one try. */
async function removeUnfinished(home: string): Promise<void> {
  for (const name of await readdir(home))
    if (name.startsWith('init-'))
      await rm(join(home, name), { recursive: true, force: true, maxRetries: 5, retryDelay: 50 }).catch(() => {});
}

export const readText = async (path: string) => (await readIfPresent(path))?.toString();

/** The end of what a program wrote, as one line for a message. */
export function lastLines(text: string): string {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  return lines.length === 0 ? 'nothing' : lines.slice(-4).join(' / ');
}

export const startFailed = (why: string, cause?: unknown) => new Fault('DATABASE_START_FAILED', { why }, { cause });
