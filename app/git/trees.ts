import { isUtf8 } from 'node:buffer';
import { Fault } from '#base/errors.ts';
import type { ObjectReader } from './objects.ts';

/** One line of a tree: a file, a folder or something that Plinth refuses (symlink, submodule). */
export interface TreeEntry {
  /** As git writes it: 100644, 100755, 40000, 120000, 160000. */
  readonly mode: string;
  /** A name that is not UTF-8 holds U+FFFD, which no accepted name does. */
  readonly name: string;
  readonly id: string;
}

/** One path that differs between two trees. A change of nothing but the mode has the same id on both sides. */
export interface TreeChange {
  readonly path: string;
  /** Blob ids; undefined where the path does not exist. */
  readonly before?: string;
  readonly after?: string;
  /** Mode after the change; undefined where the path was removed. */
  readonly mode?: string;
}

export const folderMode = '40000';
export const isFolder = (entry: TreeEntry): boolean => entry.mode === folderMode;

/** The entries of a tree object's content, in git's order. */
export function parseTree(content: Buffer): TreeEntry[] {
  const entries: TreeEntry[] = [];
  for (let at = 0; at < content.length; ) {
    const space = content.indexOf(32, at);
    const end = content.indexOf(0, space);
    if (space < 0 || end < 0 || end + 21 > content.length) throw unreadable('a tree is cut off');
    const raw = content.subarray(space + 1, end);
    const name = raw.toString('utf8');
    entries.push({
      mode: content.toString('latin1', at, space).replace(/^0+/, ''),
      name: isUtf8(raw) || name.includes('\ufffd') ? name : `${name}\ufffd`,
      id: content.toString('hex', end + 1, end + 21),
    });
    at = end + 21;
  }
  return entries;
}

/** Reads a tree that must exist. @throws Fault REPOSITORY_UNAVAILABLE when it does not: absence is never guessed. */
export async function readTree(objects: ObjectReader, id: string): Promise<TreeEntry[]> {
  const object = await objects.contents(id);
  if (object?.type !== 'tree') throw unreadable(`tree ${id} is missing`);
  return parseTree(object.content);
}

/** Every path below a tree that is no folder, with its full path, in path order. */
export async function listTree(
  objects: ObjectReader,
  tree: string | undefined,
  folder: string,
): Promise<{ path: string; mode: string; id: string }[]> {
  const found: { path: string; mode: string; id: string }[] = [];
  let level = tree === undefined ? [] : [{ path: folder, id: tree }];
  while (level.length > 0) {
    const trees = await Promise.all(level.map(({ id }) => readTree(objects, id)));
    const below: typeof level = [];
    for (const [index, entries] of trees.entries())
      for (const entry of entries) {
        const path = join(level[index]!.path, entry.name);
        if (isFolder(entry)) below.push({ path, id: entry.id });
        else found.push({ path, mode: entry.mode, id: entry.id });
      }
    level = below;
  }
  return found.sort(byPath);
}

interface Pair {
  readonly path: string;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** Folders that are read at once. */
const readAtOnce = 64;

/** For trees that come from outside: where a walk stops, and a look at each folder that differs. */
export interface Guard {
  /** More changes, or folders that are sure to hold some, end the walk. */
  readonly most: number;
  /** Sees a folder that differs, before and after; false: what is below it is left out. */
  visit(folder: string, before: readonly TreeEntry[], after: readonly TreeEntry[]): boolean;
  /** Told of a folder that is too large to be read. */
  tooLarge?(folder: string): void;
}

/**
 * What differs between two trees below `folder`, in path order, without guessing renames. Only folders that differ are
 * read, so a small change costs the same in a repository of ten and of ten thousand projects; one that is too large for
 * the reader is passed by, and the guard is told. `complete` is false when the guard's limit ended the walk: then the
 * changes are only some of them.
 */
export async function diffTrees(
  objects: ObjectReader,
  trees: { before: string | undefined; after: string | undefined },
  folder: string,
  guard?: Guard,
): Promise<{ changes: TreeChange[]; complete: boolean }> {
  const changes: TreeChange[] = [];
  const most = guard?.most ?? Number.POSITIVE_INFINITY;
  const read = async (id: string | undefined): Promise<TreeEntry[] | 'too large' | undefined> => {
    if (id === undefined) return undefined;
    return await readTree(objects, id).catch(async (error: unknown) => {
      if (((await objects.info(id))?.size ?? 0) > objects.mostBytes) return 'too large' as const;
      throw error;
    });
  };
  let level: Pair[] = trees.before === trees.after ? [] : [{ path: folder, ...trees }];
  while (level.length > 0) {
    const below: Pair[] = [];
    for (let at = 0; at < level.length; at += readAtOnce) {
      const pairs = level.slice(at, at + readAtOnce);
      const entries = await Promise.all(pairs.map((pair) => Promise.all([read(pair.before), read(pair.after)])));
      for (const [index, { path }] of pairs.entries()) {
        const [was = [], after = []] = entries[index]!; // as many as pairs
        // Nothing below it is known to have changed: what stood there stays as it was for whoever reads this.
        if (after === 'too large') {
          guard?.tooLarge?.(path);
          continue;
        }
        const before = was === 'too large' ? [] : was;
        if (guard?.visit(path, before, after) !== false) compareFolders(path, before, after, { changes, below });
        if (changes.length + below.length > most) return { changes, complete: false };
      }
    }
    level = below;
  }
  return { changes: changes.sort(byPath), complete: true };
}

/** Compares two folders entry by entry: files go to `changes`, folders that differ to `below`. */
function compareFolders(
  folder: string,
  before: readonly TreeEntry[],
  after: readonly TreeEntry[],
  { changes, below }: { changes: TreeChange[]; below: Pair[] },
): void {
  const old = new Map(before.map((entry) => [entry.name, entry]));
  const compare = (name: string, was: TreeEntry | undefined, is: TreeEntry | undefined) => {
    if (was?.id === is?.id && was?.mode === is?.mode) return;
    const path = join(folder, name);
    const [wasFolder, isNowFolder] = [was, is].map((entry) => (entry && isFolder(entry) ? entry : undefined));
    if (wasFolder || isNowFolder) below.push({ path, before: wasFolder?.id, after: isNowFolder?.id });
    const [wasFile, isFile] = [was, is].map((entry) => (entry && !isFolder(entry) ? entry : undefined));
    if (wasFile || isFile) changes.push(change(path, wasFile, isFile));
  };
  for (const entry of after) {
    compare(entry.name, old.get(entry.name), entry);
    old.delete(entry.name);
  }
  for (const entry of old.values()) compare(entry.name, entry, undefined);
}

function change(path: string, was: TreeEntry | undefined, is: TreeEntry | undefined): TreeChange {
  return {
    path,
    ...(was === undefined ? {} : { before: was.id }),
    ...(is === undefined ? {} : { after: is.id, mode: is.mode }),
  };
}

const join = (folder: string, name: string) => (folder === '' ? name : `${folder}/${name}`);
const byPath = (a: { path: string }, b: { path: string }) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0);
const unreadable = (why: string) => new Fault('REPOSITORY_UNAVAILABLE', { why });
