import { Fault } from '#base/errors.ts';
import type { ObjectInfo, ObjectType } from './answers.ts';
import { type CommitInfo, parseCommit } from './commit-info.ts';
import type { ObjectReader } from './objects.ts';
import { isFolder, parseTree, readTree, type TreeEntry } from './trees.ts';

/**
 * Lookups by revision and path that tell "is not there" (undefined) from "there is no such revision" (Fault
 * REVISION_UNKNOWN) and "cannot be read" (Fault REPOSITORY_UNAVAILABLE), so that nobody takes damage for a deletion.
 */
export interface Reads {
  commit(revision: string): Promise<CommitInfo>;
  rawCommit(revision: string): Promise<Buffer>;
  /** The tree of a folder ('' for the root). */
  tree(revision: string, folder: string): Promise<string | undefined>;
  /** What stands directly in a folder; nothing when there is no such folder. */
  children(revision: string, folder: string): Promise<TreeEntry[]>;
  blobId(revision: string, path: string): Promise<string | undefined>;
  blob(revision: string, path: string): Promise<Uint8Array | undefined>;
}

export function createReads(objects: ObjectReader): Reads {
  const rawCommit = async (revision: string) => {
    const object = isRevision(revision) ? await objects.contents(revision) : undefined;
    if (object?.type !== 'commit') throw unknown(revision);
    return object.content;
  };
  const commit = async (revision: string) => parseCommit(revision, await rawCommit(revision));

  /** git answers "missing" for a path that is not there and for one it cannot read: walk it to know which. */
  const mustBeAbsent = async (revision: string, path: string): Promise<undefined> => {
    let id = (await commit(revision)).tree;
    const names = path.split('/').filter((part) => part !== '');
    for (const [index, name] of names.entries()) {
      const entry = (await readTree(objects, id)).find((candidate) => candidate.name === name);
      if (entry === undefined || (!isFolder(entry) && index < names.length - 1)) return undefined;
      // A submodule: a commit of another repository, which nobody expects here.
      if (entry.mode === '160000') return undefined;
      id = entry.id;
    }
    throw new Fault('REPOSITORY_UNAVAILABLE', { why: `object ${id} of ${path} is missing` });
  };

  const find = async <T extends ObjectInfo>(
    ask: (name: string) => Promise<T | undefined>,
    type: ObjectType,
    revision: string,
    path: string,
  ): Promise<T | undefined> => {
    if (!isRevision(revision)) throw unknown(revision);
    const object = (await ask(`${revision}:${path}`)) ?? (await mustBeAbsent(revision, path));
    return object?.type === type ? object : undefined;
  };

  return {
    commit,
    rawCommit,
    tree: async (revision, folder) => (await find(objects.info, 'tree', revision, folder))?.id,
    children: async (revision, folder) => {
      const tree = await find(objects.contents, 'tree', revision, folder);
      return tree === undefined ? [] : parseTree(tree.content);
    },
    blobId: async (revision, path) => (await find(objects.info, 'blob', revision, path))?.id,
    blob: async (revision, path) => (await find(objects.contents, 'blob', revision, path))?.content,
  };
}

const isRevision = (text: string) => /^[0-9a-f]{40}$/.test(text);
const unknown = (revision: string) => new Fault('REVISION_UNKNOWN', { revision });
