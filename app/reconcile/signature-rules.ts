import { Fault } from '#base/errors.ts';
import { readCursor } from '#database/cursors.ts';
import type { Database } from '#database/pool.ts';
import { environmentFile, type ProjectKey, placeOf, specFile } from '#environments/layout.ts';
import type { Environment } from '#environments/schema.ts';
import type { Repository } from '#git/repository.ts';
import { verifyCommit } from '#git/signature.ts';
import { descends } from './caution.ts';

/** A file whose present content came by a commit that does not count. */
export interface Unsigned {
  readonly revision: string;
  /** In words that follow "commit X": `it is not signed`. */
  readonly why: string;
}

/** Where the database keeps the last revision that was in order; written by whoever accepts one, too. */
export const signatureCursor = (environment: string): string => `signatures/${environment}`;

/** Whose commits count. */
export type Rules = Pick<Environment['signatures'], 'required' | 'keys'>;

/** Who vouches for a commit; `anybody`: nobody has to. */
export type Vouched =
  | { readonly by: 'anybody' | 'person' | 'plinth' }
  | { readonly by: 'nobody'; readonly why: string };

/** Who vouches for a commit, by the rules that stood before it. */
export async function judgeCommit(
  { signer, rawCommit }: Pick<Repository, 'signer' | 'rawCommit'>,
  revision: string,
  { required, keys }: Rules,
): Promise<Vouched> {
  if (!required) return { by: 'anybody' };
  const content = await rawCommit(revision);
  if (signer !== undefined && verifyCommit(content, [signer.publicKey]).kind === 'signed') return { by: 'plinth' };
  const verdict = verifyCommit(content, keys);
  return verdict.kind === 'signed' ? { by: 'person' } : { by: 'nobody', why: verdict.why };
}

/**
 * Why a path is not in order after a commit that changed it; undefined: it is.
 * @param unsigned what is not in order, with the commit's sources already judged
 */
export function whyNot(
  path: string,
  vouched: Vouched,
  rulesFile: string,
  unsigned: ReadonlyMap<string, Unsigned>,
): string | undefined {
  if (vouched.by === 'nobody') return vouched.why;
  if (vouched.by === 'person') return undefined;
  if (path === rulesFile) return unsigned.get(path)?.why;
  const place = placeOf(path);
  if (place.kind !== 'manifests') return undefined;
  const source = [rulesFile, specFile(place.key)].find((one) => unsigned.has(one));
  return source === undefined ? undefined : `it was rendered of ${source}, which does not count`;
}

interface HistoryDoors {
  readonly repository: Repository;
  readonly database: Database;
  /** @throws Fault ENVIRONMENT_NOT_FOUND */
  environmentAt(revision: string, name: string): Promise<Environment>;
}

/** So many versions of environment.yaml are looked at, at the most; the oldest of them is taken as it is. */
const mostRules = 200;
/** Steps back to a revision that somebody returns to, at the most. */
const mostSteps = 20_000;

/**
 * Why the spec of an earlier revision is none that Plinth may write again in its own name: it came by a commit that did
 * not count then. What stood there before signatures were asked for counted. Undefined: it may.
 */
export async function whyNotAgain(
  doors: HistoryDoors,
  key: ProjectKey,
  { revision, tip }: { readonly revision: string; readonly tip: string },
): Promise<Unsigned | undefined> {
  const { repository, database } = doors;
  const cursor = await readCursor(database, signatureCursor(key.environment));
  const asked = cursor !== undefined || (await rulesAt(doors, tip, key.environment)).required;
  if (!asked) return undefined;
  if (!(await wasTip(repository, revision, tip))) return { revision, why: 'the branch never stood there' };
  const path = specFile(key);
  const [writer] = await repository.history(path, { limit: 1, upTo: revision });
  if (writer === undefined) return undefined;
  const blob = await repository.blobId(revision, path);
  if (cursor !== undefined && (await blobThen(repository, cursor, path)) === blob) return undefined;
  const [before] = writer.parents;
  if (before === undefined) return undefined; // With the first commit of all nothing was asked for yet.
  const rules = await rulesBefore(doors, key.environment, before, cursor);
  const vouched = await judgeCommit(repository, writer.revision, rules);
  return vouched.by === 'nobody' ? { revision: writer.revision, why: vouched.why } : undefined;
}

/** True when the branch had this very revision: what a merge brought beside it has rules of its own making. */
async function wasTip(repository: Repository, revision: string, tip: string): Promise<boolean> {
  const [first] = (await repository.steps(revision, tip, mostSteps)) ?? [{ revision: undefined }];
  if (first === undefined) return true;
  return first.revision !== undefined && (await repository.describe(first.revision)).parents[0] === revision;
}

/** The rules that counted at a revision: each version of environment.yaml judged by the ones before it. */
async function rulesBefore(doors: HistoryDoors, name: string, revision: string, cursor: string | undefined) {
  const { repository } = doors;
  const file = environmentFile(name);
  const fromCursor = cursor !== undefined && (await descends(repository, cursor, revision));
  const versions = (await repository.history(file, { limit: mostRules, upTo: revision })).toReversed();
  let rules: Rules = fromCursor ? await rulesAt(doors, cursor, name) : { required: false, keys: [] };
  let isMarked = false;
  for (const version of versions) {
    if (fromCursor && (await descends(repository, version.revision, cursor))) continue;
    const vouched = await judgeCommit(repository, version.revision, rules);
    isMarked = vouched.by === 'nobody' || (vouched.by === 'plinth' && isMarked);
    if (!isMarked) rules = await rulesAt(doors, version.revision, name);
  }
  return rules;
}

async function rulesAt(doors: HistoryDoors, revision: string, name: string): Promise<Rules> {
  try {
    return (await doors.environmentAt(revision, name)).signatures;
  } catch (error) {
    if (!Fault.is(error, 'ENVIRONMENT_NOT_FOUND')) throw error;
    return { required: false, keys: [] };
  }
}

const blobThen = (repository: Repository, revision: string, path: string): Promise<string | undefined> =>
  repository.blobId(revision, path).catch((error: unknown) => {
    if (!Fault.is(error, 'REVISION_UNKNOWN')) throw error;
    return undefined;
  });
