import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { clearStaleLock } from './locks.ts';
import type { Repository } from './repository.ts';

/** Each commit and push leaves a pack; reading slows down when there are many. */
const mostPacks = 50;

/**
 * Joins small packs into larger ones once there are more than 50, and lets git index the history by path. May run
 * beside reads, commits and pushes; objects are moved, never dropped. Also removes the lock of a git that was killed.
 * True when there was something to join.
 */
export async function repack({ git, branch }: Repository, signal?: AbortSignal): Promise<boolean> {
  await clearStaleLock(git.directory, branch);
  const files = await readdir(join(git.directory, 'objects/pack'));
  if (files.filter((name) => name.endsWith('.pack')).length <= mostPacks) return false;
  await git.run(['repack', '--quiet', '-d', '--geometric=2'], { timeoutMs: 600_000, signal });
  await git.run(['commit-graph', 'write', '--reachable', '--changed-paths', '--split', '--no-progress'], {
    timeoutMs: 600_000,
    signal,
  });
  return true;
}
