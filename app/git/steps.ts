import { Fault } from '#base/errors.ts';
import type { Git, RunOptions } from './process.ts';
import type { Reads } from './reads.ts';

/** One move of the branch by one commit: from where it was to that commit. */
export interface Step {
  readonly before: string;
  readonly revision: string;
}

interface Range {
  readonly from: string;
  readonly to: string;
  readonly most: number;
}

/**
 * The line of first parents from `to` back to where it meets `from`. A commit that was made beside `from` and merged
 * with it is no step of its own: the merge is, compared with `from`.
 */
export async function stepsBetween(
  git: Git,
  reads: Pick<Reads, 'commit'>,
  { from, to, most }: Range,
  options: Pick<RunOptions, 'environment'> = {},
): Promise<readonly Step[] | undefined> {
  if (from === to) return [];
  const after = await descendants(git, { from, to, most }, options);
  if (!after.has(to) || after.size > most) return undefined;
  const steps: Step[] = [];
  for (let revision = to; revision !== from; ) {
    const [parent] = (await reads.commit(revision)).parents;
    const before = parent !== undefined && after.has(parent) ? parent : from;
    steps.push({ before, revision });
    revision = before;
  }
  return steps.reverse();
}

/** Everything between the two that descends from the older one. */
async function descendants(git: Git, { from, to, most }: Range, options: Pick<RunOptions, 'environment'>) {
  if (![from, to].every((id) => /^[0-9a-f]{40}$/.test(id))) throw new Fault('REVISION_UNKNOWN', { revision: from });
  const args = ['rev-list', `--max-count=${most + 1}`, '--ancestry-path', `${from}..${to}`];
  const { code, stdout, stderr } = await git.run(args, { ...options, accept: [0, 128] });
  // A revision that was collected, or never was here, leads nowhere.
  if (code !== 0 && !/bad object|Invalid revision|unknown revision/i.test(stderr))
    throw new Fault('REPOSITORY_UNAVAILABLE', { why: stderr.trim().split('\n')[0] ?? '' });
  return new Set(stdout.toString('latin1').split('\n').filter(Boolean));
}
