import { Fault } from '#base/errors.ts';
import { readCursor } from '#database/cursors.ts';
import type { Queryable } from '#database/pool.ts';
import { type Finding, InvalidInput } from '#environments/finding.ts';
import { environmentFile, root } from '#environments/layout.ts';
import { loadEnvironments } from '#environments/load.ts';
import type { Environment } from '#environments/schema.ts';
import type { Repository } from '#git/repository.ts';
import { isFolder } from '#git/trees.ts';
import { guiltyOf } from './domain-owner.ts';

/** The environments as Git says at a revision. */
export interface Environments {
  /**
   * All of them by name. One whose environment.yaml cannot be read stays as its newest version that can; one that never
   * could is left out.
   */
  at(revision: string): Promise<ReadonlyMap<string, Environment>>;
  /** One of them. @throws Fault ENVIRONMENT_NOT_FOUND with the known names */
  one(revision: string, name: string): Promise<Environment>;
  /** What keeps files from being taken up, by path; nothing where all can be read. */
  faults(revision: string): Promise<ReadonlyMap<string, readonly Finding[]>>;
}

interface Read {
  readonly environments: ReadonlyMap<string, Environment>;
  readonly faults: ReadonlyMap<string, readonly Finding[]>;
}

/** Where the database keeps the last revision at which every environment.yaml could be taken up; the scan writes it. */
export const environmentsCursor = 'environments';

interface File {
  readonly path: string;
  readonly content: Uint8Array;
}

/** Bytes of an environment.yaml, at the most. */
const mostBytes = 2 ** 20;
/** So many earlier versions are tried in place of one that cannot be read. */
const mostEarlier = 20;

/**
 * Reads environment.yaml files, once for each set of blobs: revisions that change none of them cost one look. Of two
 * that do not go together the one stays that stood there before: by the database, so that it is the same one after a
 * restart and on all replicas, and where that knows neither (or is absent) by the order in Git.
 */
export function createEnvironments(repository: Repository, database?: Queryable): Environments {
  let cached: ({ readonly blobs: string } & Read) | undefined;
  let seen: ({ readonly revision: string } & Read) | undefined;

  const read = async (asked: string): Promise<Read> => {
    if (seen?.revision === asked) return seen;
    const revision = await withFolder(repository, asked);
    const folders = (await repository.children(revision, root))
      .filter((entry) => isFolder(entry) && entry.name !== 'platform')
      .map(({ name }) => name);
    const paths = folders.map(environmentFile);
    const ids = await Promise.all(paths.map((path) => repository.blobId(revision, path)));
    const blobs = paths.map((path, i) => `${path} ${ids[i]}`).join('\n');
    if (cached?.blobs !== blobs) {
      const there = await Promise.all(paths.map((path) => repository.entry(revision, path)));
      const known = paths.filter((_, i) => there[i] !== undefined);
      cached = { blobs, ...(await load(repository, revision, known, () => readGood(repository, database, paths))) };
    }
    const faults = revision === asked ? cached.faults : new Map([...cached.faults, [root, [noFolder]]]);
    seen = { revision: asked, environments: cached.environments, faults };
    return seen;
  };

  return {
    at: async (revision) => (await read(revision)).environments,
    faults: async (revision) => (await read(revision)).faults,
    one: async (revision, name) => {
      const { environments } = await read(revision);
      const environment = environments.get(name);
      if (environment === undefined)
        throw new Fault('ENVIRONMENT_NOT_FOUND', { environment: name, known: [...environments.keys()] });
      return environment;
    },
  };
}

async function load(
  repository: Repository,
  revision: string,
  paths: readonly string[],
  readBefore: () => Promise<ReadonlyMap<string, Uint8Array>>,
): Promise<Read> {
  const faults = new Map<string, readonly Finding[]>();
  const files = new Map<string, Uint8Array>();
  const earlier = new Map<string, readonly Uint8Array[]>();
  const stepBack = async (path: string, findings: readonly Finding[]) => {
    if (!faults.has(path)) faults.set(path, findings);
    const versions = earlier.get(path) ?? (await earlierVersions(repository, revision, path));
    const [next, ...rest] = versions;
    earlier.set(path, rest);
    if (next === undefined) files.delete(path);
    else files.set(path, next);
  };
  for (const path of paths) {
    const content = await readFile(repository, revision, path);
    if (typeof content === 'string') await stepBack(path, [{ file: path, path: '', message: content }]);
    else files.set(path, content);
  }
  for (;;) {
    const all: File[] = [...files].map(([path, content]) => ({ path, content }));
    try {
      return { environments: loadEnvironments(all), faults };
    } catch (error) {
      if (!(error instanceof InvalidInput)) throw error;
      // Each round takes a version away from some file, so this ends.
      const blamed = new Map<string, readonly Finding[]>();
      for (const [path, findings] of Map.groupBy(error.findings, (one) => one.file)) {
        const guilty = await guiltyOf({ repository, revision, files, good: await readBefore() }, path, findings);
        if (!blamed.has(guilty)) blamed.set(guilty, findings);
      }
      for (const [path, findings] of blamed) await stepBack(path, findings);
    }
  }
}

const noFolder: Finding = { file: root, path: '', message: 'this is no folder' };

/** The revision itself, or the newest before it at which nothing else stands in place of the folder. */
async function withFolder(repository: Repository, revision: string): Promise<string> {
  const hasFolder = async (at: string) => {
    const entry = await repository.entry(at, root);
    return entry === undefined || isFolder(entry);
  };
  if (await hasFolder(revision)) return revision;
  for (const commit of await repository.history(root, { limit: mostEarlier, upTo: revision }))
    if (await hasFolder(commit.revision)) return commit.revision;
  return revision;
}

/** The files as they stood when all of them could be taken up; none where that is not known. */
async function readGood(
  repository: Repository,
  database: Queryable | undefined,
  paths: readonly string[],
): Promise<ReadonlyMap<string, Uint8Array>> {
  const revision = database === undefined ? undefined : await readCursor(database, environmentsCursor);
  if (revision === undefined) return new Map();
  const contents = await repository.readMany(revision, paths).catch((error: unknown) => {
    if (!Fault.is(error, 'REVISION_UNKNOWN')) throw error; // The repository was replaced by another one.
    return [];
  });
  return new Map(contents.flatMap((content, i) => (content === undefined ? [] : [[paths[i] ?? '', content] as const])));
}

/** A file's content, or why it is none. */
async function readFile(repository: Repository, revision: string, path: string): Promise<Uint8Array | string> {
  const entry = await repository.entry(revision, path);
  if (entry === undefined || !/^100(644|755)$/.test(entry.mode)) return 'this is no file';
  if (entry.size > mostBytes) return `the file has ${entry.size} bytes; the most is ${mostBytes}`;
  return (await repository.read(revision, path)) ?? 'this is no file';
}

/** What the file was before, newest first. */
async function earlierVersions(repository: Repository, revision: string, path: string): Promise<readonly Uint8Array[]> {
  const commits = await repository.history(path, { limit: mostEarlier, before: revision });
  const versions: Uint8Array[] = [];
  for (const commit of commits) {
    const content = await readFile(repository, commit.revision, path);
    if (typeof content !== 'string') versions.push(content);
  }
  return versions;
}
