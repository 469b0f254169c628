import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { Fault } from '#base/errors.ts';

/** Who the server runs as. PostgreSQL refuses root, so root drops to a user that exists and owns nothing else. */
export interface ServerUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

const likely = ['nobody', 'postgres', 'daemon'];

/**
 * The user to drop to, or undefined when this process is not root and the server runs as whoever we are.
 * It needs an entry in /etc/passwd: PostgreSQL looks its own name up.
 *
 * @param owner the uid that owns the data already: preferred, if it is a user and not root
 * @throws Fault DATABASE_START_FAILED when there is nobody to be
 */
export async function serverUser(owner?: number): Promise<ServerUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const users = (await readFile('/etc/passwd', 'utf8')).split('\n').map(parseUser);
  const usable = users.filter((user) => user !== undefined).filter((user) => user.uid !== 0);
  const found =
    usable.find((user) => user.uid === owner) ??
    likely.map((name) => usable.find((user) => user.name === name)).find((user) => user !== undefined);
  if (found === undefined) {
    const why = `it must not run as root, and /etc/passwd has none of the users ${likely.join(', ')}`;
    throw new Fault('DATABASE_START_FAILED', { why });
  }
  return found;
}

function parseUser(line: string): ServerUser | undefined {
  const [name = '', , uid = '', gid = ''] = line.split(':');
  return /^\d+$/.test(uid) && /^\d+$/.test(gid) ? { name, uid: Number(uid), gid: Number(gid) } : undefined;
}

/** What the operating system says when that user tries: mode bits, access lists and mount options alike. */
export function canEnter(user: ServerUser, folder: string): Promise<boolean> {
  return tries(user, 'cd "$0"', folder);
}

/** True when that user may run this program. */
export function canRun(user: ServerUser, program: string): Promise<boolean> {
  return tries(user, 'test -r "$0" && test -x "$0"', program);
}

function tries({ uid, gid }: ServerUser, script: string, path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const shell = spawn('/bin/sh', ['-c', script, path], { uid, gid, cwd: '/', env: {}, stdio: 'ignore' });
    shell.once('error', reject);
    shell.once('exit', (code) => resolve(code === 0));
  });
}
