import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { type Branch, createBranch } from './branch.ts';
import type { CommitInfo } from './commit-info.ts';
import { createObjectReader, type ObjectReader } from './objects.ts';
import { prepare } from './prepare.ts';
import { createGit, type Git } from './process.ts';
import { createReads, type Reads } from './reads.ts';
import { diffTrees, listTree, type TreeChange, type TreeEntry } from './trees.ts';

export interface TreeFile {
  readonly path: string;
  readonly mode: string;
  /** Blob id. */
  readonly blob: string;
  /** Bytes. */
  readonly size: number;
}

/**
 * The state repository: one bare repository with one branch, read from its objects and never checked out. A revision
 * is a full SHA; one that does not exist is a Fault REVISION_UNKNOWN, so that nothing takes a lost revision for an
 * empty one. All methods may throw REPOSITORY_UNAVAILABLE, also when an object is missing that should be there.
 */
export interface Repository {
  readonly directory: string;
  readonly branch: string;
  /** What commit, serve and housekeeping work with; nothing for other rooms. */
  readonly git: Git;
  readonly objects: ObjectReader;
  readonly head: Branch;
  /** The revision of the branch; undefined while there is no commit. */
  tip(): Promise<string | undefined>;
  /** Every file below a folder ('' for all), in path order. */
  list(revision: string, folder: string): Promise<TreeFile[]>;
  /** The entries directly in a folder; none when there is no such folder. */
  children(revision: string, folder: string): Promise<TreeEntry[]>;
  /** A file's content (at most 8 MiB), or undefined when there is no such file. */
  read(revision: string, path: string): Promise<Uint8Array | undefined>;
  readMany(revision: string, paths: readonly string[]): Promise<(Uint8Array | undefined)[]>;
  /** The id of a file's blob: equal ids are equal bytes. */
  blobId(revision: string, path: string): Promise<string | undefined>;
  /** What differs below a folder; `from` undefined: everything that is there. Renames are a removal and an addition. */
  changed(from: string | undefined, to: string, folder: string): Promise<TreeChange[]>;
  /** Commits of the branch that changed `path` (file or folder), newest first; `before`: only older ones than that. */
  history(path: string, options: { limit: number; before?: string }): Promise<CommitInfo[]>;
  /** True when `older` is `newer` or one of its ancestors. */
  isAncestor(older: string, newer: string): Promise<boolean>;
  describe(revision: string): Promise<CommitInfo>;
  close(): Promise<void>;
}

/** Opens the bare repository at `directory`, making it when it is absent. Only one process may have it open. */
export async function openRepository(options: {
  directory: string;
  branch: 'main';
  log: Log;
  /** Where git is found, as PATH; the usual places by default. */
  searchPath?: string;
}): Promise<Repository> {
  const { directory, branch, log, searchPath } = options;
  const git = createGit({ directory, searchPath });
  await prepare(git, branch, log);
  const objects = createObjectReader(git);
  const head = createBranch(git, branch);
  const reads = createReads(objects);
  const tip = async () => (await objects.info(`refs/heads/${branch}`))?.id;
  return {
    directory,
    branch,
    git,
    objects,
    head,
    tip,
    describe: reads.commit,
    children: reads.children,
    read: reads.blob,
    blobId: reads.blobId,
    list: async (revision, folder) => {
      const files = await listTree(objects, await reads.tree(revision, folder), folder);
      return await Promise.all(files.map((file) => withSize(objects, file)));
    },
    readMany: (revision, paths) => Promise.all(paths.map((path) => reads.blob(revision, path))),
    changed: async (from, to, folder) => {
      const [before, after] = await Promise.all([
        from === undefined ? undefined : reads.tree(from, folder),
        reads.tree(to, folder),
      ]);
      return (await diffTrees(objects, { before, after }, folder)).changes;
    },
    history: async (path, { limit, before }) => {
      const start = before ?? (await tip());
      if (start === undefined) return [];
      await reads.commit(start);
      const range = before === undefined ? [start] : [`${before}^@`];
      const paths = path === '' ? [] : [path];
      const args = ['--literal-pathspecs', 'rev-list', `--max-count=${limit}`, ...range, '--', ...paths];
      const { stdout } = await git.run(args);
      return await Promise.all(stdout.toString('latin1').split('\n').filter(Boolean).map(reads.commit));
    },
    isAncestor: async (older, newer) => {
      await Promise.all([reads.commit(older), reads.commit(newer)]);
      if (await isNear(reads, older, newer)) return true;
      return (await git.run(['merge-base', '--is-ancestor', older, newer], { accept: [0, 1] })).code === 0;
    },
    close: async () => {
      await Promise.all([objects.close(), head.close()]);
    },
  };
}

async function withSize(objects: ObjectReader, file: { path: string; mode: string; id: string }): Promise<TreeFile> {
  const { path, mode, id } = file;
  const size = (await objects.info(id))?.size;
  if (size === undefined) throw new Fault('REPOSITORY_UNAVAILABLE', { why: `object ${id} of ${path} is missing` });
  return { path, mode, blob: id, size };
}

/** So many commits back a revision is looked for without starting a process. */
const nearCommits = 50;

/** True when `older` is found a short way back from `newer`; false says nothing. */
async function isNear(reads: Reads, older: string, newer: string): Promise<boolean> {
  let revision: string | undefined = newer;
  for (let steps = 0; steps < nearCommits && revision !== undefined; steps++) {
    if (revision === older) return true;
    revision = (await reads.commit(revision)).parents[0];
  }
  return false;
}
