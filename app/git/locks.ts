import { open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** git holds a lock of a ref for milliseconds; one as old as this belongs to a process that was killed. */
const staleAfterMs = 10_000;

/**
 * Removes the lock of the branch when its owner is surely dead. Ages are taken from the file system's own clock, by
 * making a file and comparing.
 */
export async function clearStaleLock(directory: string, branch: string): Promise<void> {
  const probe = join(directory, 'plinth.now');
  const handle = await open(probe, 'w');
  try {
    const now = (await handle.stat()).mtimeMs;
    for (const lock of [join(directory, 'refs/heads', `${branch}.lock`), join(directory, 'packed-refs.lock')]) {
      const made = (await stat(lock).catch(() => undefined))?.mtimeMs;
      if (made !== undefined && now - made > staleAfterMs) await rm(lock, { force: true });
    }
  } finally {
    await handle.close();
    await rm(probe, { force: true });
  }
}

/** Makes renames within a folder last: git syncs files, not the folders that name them. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
