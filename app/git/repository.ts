import { type Clock, systemClock } from '#base/clock.ts';
import type { StateRemote } from '#base/config.ts';
import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import { type Branch, createBranch } from './branch.ts';
import type { CommitInfo } from './commit-info.ts';
import { beginMirror, type MirrorOptions, mustBeNoMirror } from './mirror.ts';
import { createObjectReader, type ObjectReader } from './objects.ts';
import { prepare } from './prepare.ts';
import { createGit, type Git } from './process.ts';
import { createReads, type Reads } from './reads.ts';
import { createRemote, type Remote, type RemoteBranch, type RemoteOptions } from './remote.ts';
import type { Signer } from './signature.ts';
import { type Step, stepsBetween } from './steps.ts';
import { diffTrees, listTree, type TreeChange, type TreeEntry } from './trees.ts';

export type { Step } from './steps.ts';

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
  /** The remote whose mirror this is; undefined: this is the state repository itself. */
  readonly remote: Remote | undefined;
  /** Signs every commit that Plinth writes. */
  readonly signer: Signer | undefined;
  /** The revision of the branch; undefined while there is no commit. */
  tip(): Promise<string | undefined>;
  /** Every file below a folder ('' for all), in path order. */
  list(revision: string, folder: string): Promise<TreeFile[]>;
  /** The entries directly in a folder; none when there is no such folder. */
  children(revision: string, folder: string): Promise<TreeEntry[]>;
  /** What stands at a path, whatever it is; size in bytes, 0 for what is no file. */
  entry(revision: string, path: string): Promise<(TreeEntry & { readonly size: number }) | undefined>;
  /** A file's content (at most 8 MiB), or undefined when there is no such file. */
  read(revision: string, path: string): Promise<Uint8Array | undefined>;
  readMany(revision: string, paths: readonly string[]): Promise<(Uint8Array | undefined)[]>;
  /** The id of a file's blob: equal ids are equal bytes. */
  blobId(revision: string, path: string): Promise<string | undefined>;
  /** What differs below a folder; `from` undefined: everything that is there. Renames are a removal and an addition. */
  changed(from: string | undefined, to: string, folder: string): Promise<TreeChange[]>;
  /**
   * Commits of the branch that changed `path` (file or folder), newest first; `before`: only older ones than that;
   * `upTo`: from this one back, by first parents, as the branch moved: a merge is there for all that it brought.
   */
  history(path: string, options: { limit: number; before?: string; upTo?: string }): Promise<CommitInfo[]>;
  /** True when `older` is `newer` or one of its ancestors. */
  isAncestor(older: string, newer: string): Promise<boolean>;
  describe(revision: string): Promise<CommitInfo>;
  /**
   * The steps by which the branch came from `from` to `to`, oldest first; undefined where `to` does not descend from
   * `from`, or by more than `most` commits. A merge is one step: it answers for all that it brings.
   */
  steps(from: string, to: string, most: number): Promise<readonly Step[] | undefined>;
  /** A commit as Git keeps it, with its signature. */
  rawCommit(revision: string): Promise<Buffer>;
  close(): Promise<void>;
}

/**
 * Opens the bare repository at `directory`, making it when it is absent. Only one process may have it open. With a
 * remote it is that one's mirror: a branch moves there first, and here when it has.
 * @throws Fault REMOTE_MIXED when the directory is another remote's mirror; REMOTE_… when a first start cannot fetch
 */
export async function openRepository(options: {
  directory: string;
  branch: 'main';
  log: Log;
  /** Where git is found, as PATH; the usual places by default. */
  searchPath?: string;
  /** Absent: commits are not signed. */
  signer?: Signer | undefined;
  /** Absent: this is the state repository itself. */
  remote?: StateRemote | undefined;
  clock?: Clock;
  /** Absent: nothing is measured. */
  metrics?: Pick<Metrics, 'gitSeconds'> | undefined;
}): Promise<Repository> {
  const { directory, branch, log, searchPath, signer, clock = systemClock } = options;
  const git = createGit({ directory, searchPath });
  await prepare(git, branch, log);
  const objects = createObjectReader(git);
  const local = createBranch(git, branch);
  const reads = createReads(objects);
  const tip = async () => (await objects.info(`refs/heads/${branch}`))?.id;
  const remote = await openRemote({ ...options, git, objects, local, clock, tip }, options.remote);
  const head = remote?.head ?? local;
  return {
    directory,
    branch,
    git,
    objects,
    head,
    remote,
    signer,
    tip,
    describe: reads.commit,
    rawCommit: reads.rawCommit,
    steps: (from, to, most) => stepsBetween(git, reads, { from, to, most }),
    children: reads.children,
    read: reads.blob,
    blobId: reads.blobId,
    entry: async (revision, path) => {
      const slash = path.lastIndexOf('/');
      const siblings = await reads.children(revision, slash < 0 ? '' : path.slice(0, slash));
      const entry = siblings.find(({ name }) => name === path.slice(slash + 1));
      if (entry === undefined) return undefined;
      const object = await objects.info(entry.id);
      return { ...entry, size: object?.type === 'blob' ? object.size : 0 };
    },
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
    history: async (path, { limit, before, upTo }) => {
      const start = upTo ?? before ?? (await tip());
      if (start === undefined) return [];
      await reads.commit(start);
      const line = upTo === undefined ? [start] : ['--first-parent', upTo];
      const range = before === undefined ? line : [`${before}^@`];
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

/** The remote, with the mirror brought up to date; undefined where there is none and none is meant. */
async function openRemote(
  options: Omit<RemoteOptions, 'remote'> & MirrorOptions,
  settings: StateRemote | undefined,
): Promise<RemoteBranch | undefined> {
  try {
    if (settings === undefined) {
      await mustBeNoMirror(options);
      return undefined;
    }
    const remote = await createRemote({ ...options, remote: settings });
    await beginMirror(options, remote).catch(async (error: unknown) => {
      await remote.head.close();
      throw error;
    });
    return remote;
  } catch (error) {
    await Promise.all([options.objects.close(), options.local.close()]);
    throw error;
  }
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
