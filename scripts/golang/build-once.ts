import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

export interface BuildOptions {
  /** Where built tools are kept; standard: PLINTH_CACHE, else ~/.cache/plinth. */
  readonly cache?: string;
  /** Hears what is under way, one line a call. */
  say?(line: string): void;
}

/** The directory of what is built of these files, whether it exists or not: another one for each content of them. */
export function directoryOf(
  name: string,
  { folder, files }: { folder: string; files: readonly string[] },
  cache?: string,
): string {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}\n`);
  for (const file of files) hash.update(readFileSync(join(folder, file)));
  const kept = cache ?? (process.env.PLINTH_CACHE || join(homedir(), '.cache', 'plinth'));
  return join(kept, name, hash.digest('hex').slice(0, 16));
}

/** Makes a directory unless it is there: complete or not at all, also when two make it at the same time. */
export async function buildOnce(directory: string, make: (unfinished: string) => Promise<void>): Promise<string> {
  if (existsSync(directory)) return directory;
  forgetUnfinished(dirname(directory));
  const unfinished = `${directory}.${process.pid}`;
  const forget = () => rmSync(unfinished, { recursive: true, force: true });
  process.once('exit', forget);
  try {
    mkdirSync(unfinished, { recursive: true });
    await make(unfinished);
    publish(unfinished, directory);
  } finally {
    forget();
    process.off('exit', forget);
  }
  return directory;
}

/** What a killed build left in the cache: several hundred megabytes that nobody will use. */
function forgetUnfinished(folder: string): void {
  for (const path of existsSync(folder) ? readdirSync(folder) : []) {
    const [, pid] = /^[0-9a-f]{16}\.(\d+)$/.exec(path) ?? [];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(join(folder, path), { recursive: true, force: true });
  }
}

/** Somebody else may have built the same meanwhile; then theirs stays. */
function publish(unfinished: string, directory: string): void {
  try {
    renameSync(unfinished, directory);
  } catch (error) {
    if (!existsSync(directory)) throw error;
  }
}
