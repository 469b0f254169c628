import {
  chmod,
  chown,
  lchown,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readlink,
  realpath,
  rename,
  rm,
  stat,
  symlink,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, sep } from 'node:path';
import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { findPrograms, type Programs } from './programs.ts';
import { canEnter, type ServerUser, serverUser } from './user.ts';

/**
 * The folder of the embedded server.
 *
 *     data/        PostgreSQL's own; belongs to the server's user
 *     run/         the unix socket
 *     password     of the only database user
 *     server.log   what the server says, bounded; server.log.1 is what went before
 *     program-…/   the programs, only where the server's user cannot reach the installed ones
 */
export interface Home {
  /** Absolute, free of symbolic links. */
  readonly path: string;
  readonly data: string;
  /** Folder of the socket. The path of a socket is short by law (about 100 bytes), so it may lie elsewhere. */
  readonly socket: string;
  readonly user: ServerUser | undefined;
  readonly programs: Programs;
}

/** With one folder for each server, the port is only part of the socket's name. */
export const port = 5432;

/** Bytes that fit `sun_path` on every system, less the file's name and the zero at the end. */
const longestSocketFolder = 103 - `/.s.PGSQL.${port}`.length;

/**
 * Makes or finds the server's folder at `directory`, in a folder that exists. As root, where the server's user cannot enter it, the folder
 * lies elsewhere, `directory` is a link to it, and the log says so.
 */
export async function openHome(directory: string, log: Log): Promise<Home> {
  const owner = await ownerOf(join(directory, 'data'));
  const user = await serverUser(owner);
  if (user === undefined) await mkdir(directory, { recursive: true, mode: 0o700 });
  else await makeEnterable(directory, user, log);
  const path = await realpath(directory);
  // A copy that root brought back belongs to root.
  if (user !== undefined && owner !== undefined && owner !== user.uid) await giveAll(join(path, 'data'), user);
  const programs = await findPrograms(path, user);
  return { path, data: join(path, 'data'), socket: await socketFolder(path, user), user, programs };
}

/** Gives a file or folder to the server's user; nothing to do when that is us. */
export async function give(path: string, user: ServerUser | undefined): Promise<void> {
  if (user !== undefined) await chown(path, user.uid, user.gid);
}

async function giveAll(folder: string, user: ServerUser): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true }))
    await lchown(join(entry.parentPath, entry.name), user.uid, user.gid);
  await give(folder, user);
  await chmod(folder, 0o700);
}

async function makeEnterable(directory: string, user: ServerUser, log: Log): Promise<void> {
  const present = await lstat(directory).catch(() => undefined);
  if (present === undefined) {
    if (await canEnter(user, dirname(directory))) {
      await mkdir(directory);
      await open(directory, user);
      return;
    }
    await symlink(await folderElsewhere(directory, user), directory);
  } else if (!(await canEnter(user, await realpath(directory)))) await moveElsewhere(directory, user);
  if ((await lstat(directory)).isSymbolicLink())
    log.info(
      { directory, folder: await readlink(directory), user: user.name },
      'the user of the embedded PostgreSQL cannot enter DATA_DIR; its folder lies elsewhere and is linked',
    );
}

/** The folder stays root's; the server's user may only pass through. */
async function open(folder: string, user: ServerUser): Promise<void> {
  await chown(folder, -1, user.gid);
  await chmod(folder, 0o710);
}

/** DATA_DIR was closed, or brought below a closed folder, after the data was made. */
async function moveElsewhere(directory: string, user: ServerUser): Promise<void> {
  try {
    const present = await realpath(directory);
    await open(present, user);
    if (await canEnter(user, present)) return;
    const folder = await folderElsewhere(directory, user);
    await rename(present, folder);
    await open(folder, user);
    await rm(directory, { force: true });
    await symlink(folder, directory);
  } catch (error) {
    const why = `user ${user.name} cannot enter ${await realpath(directory)}, and it cannot be moved`;
    throw new Fault('DATABASE_START_FAILED', { why }, { cause: error });
  }
}

/** A new folder at a place that lasts, or, for what is temporary anyway, among the temporary ones. */
async function folderElsewhere(directory: string, user: ServerUser): Promise<string> {
  const temporary = await realpath(tmpdir());
  const isTemporary = (await realpath(dirname(directory))).startsWith(temporary + sep);
  const lasting = ['/var/lib/plinth', '/var/tmp'];
  const places = isTemporary ? [temporary, ...lasting] : [...lasting, temporary];
  for (const place of places) {
    try {
      await mkdir(place, { recursive: true, mode: 0o755 });
      if (!(await canEnter(user, place))) continue;
      const folder = await mkdtemp(join(place, 'plinth-postgres-'));
      await open(folder, user);
      return folder;
    } catch {
      // A read-only or foreign place; the next one may do.
    }
  }
  throw new Fault('DATABASE_START_FAILED', { why: `user ${user.name} can enter none of ${places.join(', ')}` });
}

/** Takes away what lies outside of the server's folder and is of no use without a server. */
export async function closeHome({ path }: Pick<Home, 'path'>): Promise<void> {
  const run = join(path, 'run');
  const elsewhere = await readlink(run).catch(() => undefined);
  if (elsewhere === undefined) return;
  await rm(elsewhere, { recursive: true, force: true });
  await rm(run);
}

async function socketFolder(home: string, user: ServerUser | undefined): Promise<string> {
  await closeHome({ path: home }); // of a server that did not stop in order
  const run = join(home, 'run');
  if (Buffer.byteLength(run) <= longestSocketFolder) {
    await mkdir(run, { recursive: true, mode: 0o700 });
    await give(run, user);
    return run;
  }
  const elsewhere = await mkdtemp(join(await realpath(tmpdir()), 'plinth-'));
  await give(elsewhere, user);
  await symlink(elsewhere, run);
  return elsewhere;
}

async function ownerOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ uid }) => uid,
    () => undefined,
  );
}
