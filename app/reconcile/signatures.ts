import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { readCursor, removeCursor, writeCursor } from '#database/cursors.ts';
import type { Database } from '#database/pool.ts';
import {
  environmentFile,
  environmentFolder,
  manifestsFile,
  type ProjectKey,
  placeOf,
  specFile,
} from '#environments/layout.ts';
import type { Environment } from '#environments/schema.ts';
import type { Repository, Step } from '#git/repository.ts';
import { descends, reconcileCursor } from './caution.ts';
import { judgeCommit, type Rules, signatureCursor, type Unsigned, whyNot } from './signature-rules.ts';

export { signatureCursor, type Unsigned } from './signature-rules.ts';

export interface SignatureDoors {
  readonly repository: Repository;
  readonly database: Database;
  readonly log: Log;
  /** The environment as its environment.yaml says at a revision. @throws Fault ENVIRONMENT_NOT_FOUND */
  environmentAt(revision: string, name: string): Promise<Environment>;
  /**
   * Whether the manifests at a revision are what synth makes of the spec and environment.yaml there. Absent: manifests
   * that are not in order wait until they are written anew.
   */
  isRendering?(key: ProjectKey, revision: string): Promise<boolean>;
}

/**
 * Whose commits are applied in one environment. Every commit of the branch since the last revision that was in order
 * is looked at: what a commit brings that nobody of `signatures.keys` signed is not applied, and the projects beside it
 * go on. A signed commit that writes the same files anew puts them in order. The rules that count for a commit are
 * those that stood before it, and were in order themselves: nobody can turn them off by an unsigned commit.
 *
 * Plinth's own key vouches for what a person asked Plinth to write, and for nothing that Plinth found in Git: it puts
 * no environment.yaml in order, and no manifests that it rendered of a spec or an environment.yaml that was not. Such
 * manifests are in order again, without anybody's doing, once their sources are: by being rendered anew, or because
 * they are what rendering anew would give.
 */
export interface SignatureCheck {
  /**
   * Looks at what came up to this tip of the branch. What it found counts from the call of what it gives on: at the
   * moment at which the tip counts, and not before.
   */
  follow(tip: string): Promise<() => void>;
  /** @throws Fault REVISION_UNSIGNED where the project, or its environment.yaml, came by a commit that does not count */
  assert(key: ProjectKey): void;
  /** The newest revision at which environment.yaml was in order; undefined before the first tip. */
  environmentRevision(): string | undefined;
  /** Everything that is not in order, by path. */
  unsigned(): ReadonlyMap<string, Unsigned>;
  /** A person looked at everything up to a revision and takes it as it is: looks at all that came after that anew. */
  recall(tip: string): Promise<void>;
}

const none: Rules = { required: false, keys: [] };

/** What is known at a tip: environment.yaml's rules where it was last in order, and all that is not. */
interface Seen {
  readonly tip: string;
  readonly rules: Rules;
  /** The newest revision at which environment.yaml was in order. */
  readonly inOrder: string;
  readonly unsigned: ReadonlyMap<string, Unsigned>;
}

/** Beyond so many commits a branch is not followed back: then all that differs has no proof. */
const mostSteps = 20_000;

export function createSignatureCheck(doors: SignatureDoors, environment: string): SignatureCheck {
  const { repository, database, log } = doors;
  const folder = environmentFolder(environment);
  const ownRules = environmentFile(environment);
  let now: Seen | undefined;
  /** Where everything was in order, as the database has it; kept only where signatures are asked for. */
  let stored: string | undefined;

  const rulesAt = async (revision: string): Promise<Rules> => {
    try {
      return (await doors.environmentAt(revision, environment)).signatures;
    } catch (error) {
      if (!Fault.is(error, 'ENVIRONMENT_NOT_FOUND')) throw error;
      return none;
    }
  };

  const begin = async (tip: string): Promise<Seen> => {
    stored = await readCursor(database, signatureCursor(environment));
    const known = stored ?? (await readCursor(database, reconcileCursor(environment)));
    if (known === undefined) return await startAt(tip); // Nothing was ever applied here.
    const isThere = stored === undefined ? await descends(repository, known, tip) : await isKnown(known);
    // Signatures may have been asked for while nobody looked.
    if (isThere) return await startAt(known);
    log.warn({ environment, tip, known }, 'the branch does not lead back to the last revision that was in order');
    return stored === undefined && !(await rulesAt(tip)).required ? await startAt(tip) : await closed(tip, known);
  };
  const startAt = async (revision: string): Promise<Seen> => ({
    tip: revision,
    rules: await rulesAt(revision),
    inOrder: revision,
    unsigned: new Map(),
  });

  const isKnown = (revision: string): Promise<boolean> =>
    repository.describe(revision).then(
      () => true,
      (error: unknown) => {
        if (!Fault.is(error, 'REVISION_UNKNOWN')) throw error;
        return false;
      },
    );

  /** Whose keys count is written in a file that nobody vouches for: nothing counts until a person accepts it. */
  const closed = async (tip: string, known: string): Promise<Seen> => {
    const why = `the branch does not lead back to ${known}, the last that is known to be in order`;
    const all = await repository.changed(undefined, tip, folder);
    const unsigned = new Map(all.map(({ path }) => [path, { revision: tip, why }]));
    const inOrder = (await isKnown(known)) ? known : tip;
    return { tip, rules: { required: true, keys: [] }, inOrder, unsigned };
  };

  const advance = async (before: Seen, tip: string): Promise<() => void> => {
    const asked = before.rules.required || before.unsigned.size > 0 || (await rulesAt(tip)).required;
    const next = asked ? await walk(before, tip) : { ...before, tip, inOrder: tip, rules: await rulesAt(tip) };
    if (next.unsigned.size === 0 && tip !== now?.tip) await keep(next);
    return () => {
      now = next;
    };
  };
  const follow = async (tip: string) => await advance(now ?? (await begin(tip)), tip);

  const walk = async (before: Seen, tip: string): Promise<Seen> => {
    const steps = await repository.steps(before.tip, tip, mostSteps);
    let seen = before;
    for (const step of steps ?? []) seen = await look(seen, step);
    return steps === undefined ? await distrust(before, tip) : await settle({ ...seen, tip });
  };

  const look = async (before: Seen, step: Step): Promise<Seen> => {
    const { revision } = step;
    const changes = await repository.changed(step.before, revision, folder);
    if (changes.length === 0) return before;
    const verdict = await judgeCommit(repository, revision, before.rules);
    const unsigned = new Map(before.unsigned);
    // Sources first: whether manifests count depends on them.
    const isMade = (path: string) => Number(placeOf(path).kind === 'manifests');
    for (const { path } of changes.toSorted((a, b) => isMade(a.path) - isMade(b.path))) {
      const why = whyNot(path, verdict, ownRules, unsigned);
      if (why === undefined) unsigned.delete(path);
      else if (path !== ownRules || verdict.by === 'nobody') unsigned.set(path, { revision, why });
    }
    if (verdict.by === 'nobody')
      log.warn({ environment, revision, why: verdict.why, paths: changes.length }, 'a commit is not applied');
    const changesRules = changes.some(({ path }) => path === ownRules) && !unsigned.has(ownRules);
    return { ...before, tip: revision, unsigned, rules: changesRules ? await rulesAt(revision) : before.rules };
  };

  /** Manifests that are what synth makes of sources in order are so too, whoever wrote them. */
  const settle = async (seen: Seen): Promise<Seen> => {
    if (seen.unsigned.has(ownRules)) return seen;
    const unsigned = new Map(seen.unsigned);
    for (const path of seen.unsigned.keys()) {
      const place = placeOf(path);
      if (place.kind !== 'manifests' || unsigned.has(specFile(place.key))) continue;
      if ((await doors.isRendering?.(place.key, seen.tip)) === true) unsigned.delete(path);
    }
    return { ...seen, inOrder: seen.tip, unsigned };
  };

  /** The branch was rewritten: what differs from what was in order has nobody who vouches for it. */
  const distrust = async (before: Seen, tip: string): Promise<Seen> => {
    if (!before.rules.required) return { ...before, tip, inOrder: tip, rules: await rulesAt(tip) };
    const unsigned = new Map(before.unsigned);
    for (const { path } of await repository.changed(before.tip, tip, folder))
      unsigned.set(path, { revision: tip, why: `the branch no longer leads back to ${before.tip}` });
    return { ...before, tip, unsigned, inOrder: unsigned.has(ownRules) ? before.inOrder : tip };
  };

  const keep = async ({ tip, rules }: Seen) => {
    const name = signatureCursor(environment);
    if (rules.required) await writeCursor(database, name, tip);
    else if (stored !== undefined) await removeCursor(database, name);
    stored = rules.required ? tip : undefined;
  };

  return {
    follow,
    environmentRevision: () => now?.inOrder,
    unsigned: () => now?.unsigned ?? new Map(),
    assert: (key) => {
      const path = [ownRules, specFile(key), manifestsFile(key)].find((one) => now?.unsigned.has(one));
      if (path !== undefined) throw new Fault('REVISION_UNSIGNED', { path, ...now?.unsigned.get(path) });
    },
    recall: async (tip) => (await advance(await begin(tip), tip))(),
  };
}
