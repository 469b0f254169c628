import type { CommitStatus } from '#git/git-host.ts';
import type { Phase, Problem, Reason } from '../store.ts';

/** What a commit is judged by: that it is applied, and that it is healthy. */
export const aspects = ['applied', 'healthy'] as const;
export type Aspect = (typeof aspects)[number];

export type HostState = CommitStatus['state'];

/** What is known of a project at the tip of the branch: all that its part in a commit's outcome depends on. */
export interface Facts {
  /** Blobs at the tip; undefined where there is no such file. */
  readonly specBlob: string | undefined;
  readonly manifestsBlob: string | undefined;
  readonly manifestsDigest: string | undefined;
  /** Publish made these manifests of this spec. */
  readonly rendered: boolean;
  /** Why this very spec cannot be rendered. */
  readonly refusal: string | undefined;
  readonly status:
    | {
        readonly phase: Phase;
        readonly health: string;
        /** Digest of the manifests that were last applied completely. */
        readonly manifestsDigest: string | undefined;
        readonly reasons: readonly Reason[];
        readonly problem: Problem | undefined;
      }
    | undefined;
}

/** How one project stands towards one aspect. */
export interface Verdict {
  readonly state: 'open' | 'done' | 'failed';
  /** In words that follow the project's name; empty when done. */
  readonly reason: string;
}

const done: Verdict = { state: 'done', reason: '' };
const open = (reason: string): Verdict => ({ state: 'open', reason });
const failed = (reason: string): Verdict => ({ state: 'failed', reason });

/** Judges a project as it stands at the tip. Pure and total. */
export function judge(facts: Facts): Readonly<Record<Aspect, Verdict>> {
  const applied =
    facts.specBlob === undefined && facts.manifestsBlob === undefined ? judgeGone(facts) : judgeApplied(facts);
  const healthy = applied.state !== 'done' || facts.status === undefined ? applied : judgeHealth(facts.status);
  return { applied, healthy };
}

function judgeGone({ status, manifestsBlob }: Facts): Verdict {
  if (status === undefined) return done;
  if (status.phase === 'needs-confirmation') return open('its removal waits for a confirmation');
  return problemOf(status, manifestsBlob) ?? open('is being removed');
}

function judgeApplied(facts: Facts): Verdict {
  const { status, manifestsBlob, manifestsDigest } = facts;
  if (!facts.rendered) return facts.refusal === undefined ? open('is being rendered') : failed(facts.refusal);
  if (status === undefined) return open('waits to be applied');
  if (status.phase === 'applied' && status.manifestsDigest === manifestsDigest) return done;
  const problem = problemOf(status, manifestsBlob);
  if (problem !== undefined) return problem;
  if (status.phase === 'held') return open('is on hold');
  if (status.phase === 'needs-confirmation' && status.manifestsDigest === manifestsDigest)
    return open('waits for a confirmation of what would be deleted');
  return open('is being applied');
}

/** What went wrong with these manifests; a problem of older ones says nothing of them. */
function problemOf({ phase, problem }: NonNullable<Facts['status']>, manifestsBlob: string | undefined) {
  if (problem === undefined || problem.manifests !== manifestsBlob) return undefined;
  if (phase === 'failed') return failed(problem.detail);
  return phase === 'waiting' || phase === 'held' ? open(problem.detail) : undefined;
}

function judgeHealth({ health, reasons }: NonNullable<Facts['status']>): Verdict {
  if (health === 'healthy') return done;
  const [first] = reasons;
  const why = first === undefined ? `health is ${health}` : `${first.object} ${first.reason}`;
  return health === 'degraded' ? failed(why) : open(why);
}

/** What kind of failure this is, in words that follow the project's name and that nobody else had a hand in. */
export function troubleOf({ rendered, status, specBlob, manifestsBlob }: Facts): string {
  const isGone = specBlob === undefined && manifestsBlob === undefined;
  if (!rendered && !isGone) return 'cannot be rendered';
  return status?.phase === 'failed' ? 'cannot be applied' : 'is not healthy';
}

/** open: not reached; failed: not reached, and told so; done: reached once; lost: failed, and a later commit stands now. */
export type RowState = 'open' | 'failed' | 'done' | 'lost';

export interface Row {
  /** `team/project` */
  readonly name: string;
  readonly state: RowState;
  /** A later commit wrote the project's spec anew. */
  readonly superseded: boolean;
}

/**
 * How a project's part in a commit goes on. What was reached stays reached. A commit that a later one takes the place of
 * shares its end: reached with it, or lost with it; and what had failed by itself before stays so.
 */
export function nextRow({ state, superseded }: Row, verdict: Verdict): RowState {
  if (state === 'done' || state === 'lost') return state;
  if (superseded && state === 'failed') return 'lost';
  if (verdict.state === 'done') return 'done';
  if (verdict.state === 'failed') return superseded ? 'lost' : 'failed';
  return state;
}

export interface Outcome {
  readonly state: HostState;
  readonly description: string;
}

const rank: Readonly<Record<HostState, number>> = { pending: 0, failure: 1, success: 2 };
const participles: Readonly<Record<Aspect, string>> = { applied: 'applied', healthy: 'healthy' };

/** What failed, by name. */
const failuresOf = (rows: readonly Row[]): readonly Row[] =>
  rows.filter(({ state }) => state === 'failed' || state === 'lost').sort((a, b) => (a.name < b.name ? -1 : 1));

/** The project whose reason is told: of several that failed, the first by name of those that have one. */
export const toldOf = (rows: readonly Row[], reasons: ReadonlyMap<string, string>): Row | undefined =>
  failuresOf(rows).find(({ name }) => reasons.has(name));

/**
 * What a commit's status says of an aspect. It never goes back: pending, then failure, then success, each of which may
 * be left out. Of several failures the first by name is told, so that the text does not change with their order.
 */
export function outcomeOf(
  aspect: Aspect,
  rows: readonly Row[],
  reasons: ReadonlyMap<string, string>,
  before: Outcome,
): Outcome {
  const after = freshOutcome(aspect, rows, reasons, before);
  return rank[after.state] < rank[before.state] ? before : after;
}

function freshOutcome(
  aspect: Aspect,
  rows: readonly Row[],
  reasons: ReadonlyMap<string, string>,
  before: Outcome,
): Outcome {
  const bad = failuresOf(rows);
  if (bad.length > 0) {
    const told = toldOf(rows, reasons);
    // What failed by itself has no reason to give any more: what was told stands.
    if (told === undefined)
      return before.state === 'failure' ? before : { state: 'failure', description: `${bad[0]?.name} failed` };
    const more = bad.length === 1 ? '' : ` (and ${bad.length - 1} more)`;
    const replaced = told.superseded ? 'replaced by a later commit: ' : '';
    return { state: 'failure', description: `${told.name}: ${replaced}${reasons.get(told.name)}${more}` };
  }
  if (rows.every(({ state }) => state === 'done'))
    return { state: 'success', description: `${countOf(rows.length)} ${participles[aspect]}` };
  return { state: 'pending', description: `${countOf(rows.length)} to become ${participles[aspect]}` };
}

const countOf = (count: number) => (count === 1 ? '1 project' : `${count} projects`);

/** Failures of one commit and context that are told in other words; hosts take only so many statuses of one. */
const mostReasons = 20;

/** Whether the host is told: a new state always, the reason of a failure when it is another one. */
export function isNews(sent: { readonly outcome: Outcome | undefined; readonly count: number }, now: Outcome): boolean {
  if (sent.outcome?.state !== now.state) return true;
  return now.state === 'failure' && sent.outcome.description !== now.description && sent.count < mostReasons;
}
