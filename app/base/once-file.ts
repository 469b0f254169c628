import { randomBytes } from 'node:crypto';
import { link, open, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * The content of a file for its owner alone (0600), which is made at the first call and never again: a key, a password.
 * It is complete and on the disk before it has its name, so a kill at any moment leaves all of it or none, and of two
 * who make it at once both get the first one's.
 */
export async function readOrMake(path: string, make: () => Uint8Array): Promise<Buffer> {
  const present = await readIfPresent(path);
  if (present !== undefined) return present;
  const unfinished = `${path}.new-${randomBytes(6).toString('hex')}`;
  await writeDurably(unfinished, make());
  try {
    await link(unfinished, path);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  } finally {
    await rm(unfinished);
  }
  await syncFolder(dirname(path));
  return readFile(path);
}

/** A new file (0600), on the disk when this returns. */
export async function writeDurably(path: string, content: string | Uint8Array): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Brings the names in a folder to the disk: what was renamed or linked there survives a loss of power. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** undefined: there is no such file. */
export async function readIfPresent(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code;
