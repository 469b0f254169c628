import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Clock } from './clock.ts';
import { Fault } from './errors.ts';

export interface DataDirectory {
  /** The path that was given. */
  readonly path: string;
  /** Lets the next process in. Doing it twice does no harm. */
  release(): void;
}

export interface DataDirectoryOptions {
  readonly clock: Clock;
  /**
   * Id of a group whose members may pass through a directory that is made now (mode 0710, not 0700): as root, the
   * group of the user that PostgreSQL runs as. A directory that exists keeps its owner and mode.
   */
  readonly group?: number;
}

/**
 * Makes the data directory, for its owner alone, and holds it for this process.
 *
 * The lock is the kernel's: SQLite takes an exclusive `fcntl` lock on the empty file `lock`. It goes with the process,
 * also after `kill -9`; it needs no guess about dead or recycled process ids; of two simultaneous starts exactly one
 * gets it; and it holds between containers that share a volume. The file `pid` only names the holder to people.
 *
 * @throws Fault DATA_DIR_IN_USE with directory and pid, DATA_DIR_UNUSABLE
 */
export async function claimDataDirectory(path: string, options: DataDirectoryOptions): Promise<DataDirectory> {
  await makeDirectory(path, options.group);
  const pidFile = join(path, 'pid');
  const lock = takeLock(join(path, 'lock'));
  if (lock === undefined)
    throw new Fault('DATA_DIR_IN_USE', { directory: path, pid: await holder(pidFile, options.clock) });
  try {
    await writeFile(pidFile, `${process.pid}\n`, { mode: 0o600 });
  } catch (error) {
    lock.close();
    throw error;
  }
  return {
    path,
    release: () => {
      if (lock.isOpen) lock.close();
    },
  };
}

async function makeDirectory(path: string, group: number | undefined): Promise<void> {
  if (!(await makeOne(path)) || group === undefined) return;
  await chown(path, -1, group);
  await chmod(path, 0o710);
}

/** Whether it was made now. Not with `recursive`, which never ends where a parent is there and takes nothing (/proc). */
async function makeOne(path: string): Promise<boolean> {
  try {
    if (!existsSync(dirname(path))) await mkdir(dirname(path), { recursive: true });
    await mkdir(path, { mode: 0o700 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw new Fault('DATA_DIR_UNUSABLE', { directory: path, why: (error as Error).message }, { cause: error });
  }
}

/** The connection holds the lock until it is closed. undefined: another process, or this one already, holds it. */
function takeLock(file: string): DatabaseSync | undefined {
  const lock = new DatabaseSync(file, { timeout: 0 });
  try {
    // The journal stays in memory and nothing is ever written, so the file stays empty and alone.
    lock.exec('pragma journal_mode = memory; begin exclusive');
    return lock;
  } catch (error) {
    lock.close();
    const sqliteBusy = 5;
    if ((error as { errcode?: number }).errcode === sqliteBusy) return undefined;
    throw error;
  }
}

/** The holder writes its pid right after it got the lock; a moment earlier the file is missing or names a dead one. */
async function holder(pidFile: string, clock: Clock): Promise<string> {
  const deadlineMs = clock.monotonicMs() + 500;
  for (;;) {
    const pid = await readFile(pidFile, 'utf8').then(
      (text) => text.trim(),
      () => '',
    );
    if (isAlive(Number(pid))) return pid;
    if (clock.monotonicMs() > deadlineMs) return 'unknown';
    await clock.sleep(10);
  }
}

/** True when a process of this id exists, also one of another user. */
export function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
