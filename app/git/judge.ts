import type { Repository } from './repository.ts';
import { crowdedText, entryFaults, sizeFault } from './tree-rules.ts';
import { diffTrees, isFolder, type TreeChange } from './trees.ts';

/** What came into the branch by other hands than ours, after the rules of paths, kinds and sizes were asked. */
export interface Judged {
  /** What differs and breaks no rule, in path order. */
  readonly changes: readonly TreeChange[];
  /** What breaks a rule, and why; what stands below such a path is not among the changes. */
  readonly faults: readonly { readonly path: string; readonly text: string }[];
}

/** More differences than this in one range are no change that anybody means. */
const mostChanges = 500_000;
const mostFaults = 1000;

/**
 * Judges what lies between two revisions below `folder` by the rules that a push has to keep. A push to our own
 * server is refused whole; what a remote took already can only be left out, path by path.
 */
export async function judgeRange(
  repository: Repository,
  from: string | undefined,
  to: string,
  folder: string,
): Promise<Judged> {
  const { objects } = repository;
  const entryOf = async (revision: string | undefined) =>
    revision === undefined ? undefined : await repository.entry(revision, folder);
  const [was, is] = await Promise.all([entryOf(from), entryOf(to)]);
  // A file, a link or a submodule in its place says nothing about what stood below it: all of that stays as it was.
  if (is !== undefined && !isFolder(is))
    return { changes: [], faults: [{ path: folder, text: `"${folder}": this is no folder` }] };
  const [before, after] = [was !== undefined && isFolder(was) ? was.id : undefined, is?.id];
  const faults: { path: string; text: string }[] = [];
  const add = (path: string, text: string) => {
    if (faults.length < mostFaults) faults.push({ path, text });
  };
  const { changes, complete } = await diffTrees(objects, { before, after }, folder, {
    most: mostChanges,
    visit: (path, was, is) => {
      for (const fault of entryFaults(path, was, is)) add(fault.path, fault.text);
      return true;
    },
    tooLarge: (path) => add(path, crowdedText(path)),
  });
  if (!complete) add(folder, `more than ${mostChanges} paths changed at once`);
  const sizes = await Promise.all(changes.map(async ({ after: id }) => (id ? await objects.info(id) : undefined)));
  for (const [index, { path }] of changes.entries()) {
    const fault = sizeFault(path, sizes[index]?.size ?? 0);
    if (fault !== undefined) add(path, fault);
  }
  const broken = new Set(faults.map(({ path }) => path));
  return { changes: changes.filter(({ path }) => !isWithin(path, broken)), faults };
}

/** True when the path, or a folder that it stands in, is one of these. */
export function isWithin(path: string, places: ReadonlySet<string>): boolean {
  if (places.size === 0) return false;
  for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1))
    if (places.has(path.slice(0, end))) return true;
  return false;
}
