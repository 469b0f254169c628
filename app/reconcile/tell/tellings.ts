import { createHash } from 'node:crypto';
import type { Telling as Kind } from '#environments/operations.ts';
import type { Phase, Problem, Reason } from '../store.ts';

/** Something that happened rather than stands: an edit by others, a fight. Numbers grow. */
export interface Reported {
  readonly number: number;
  readonly kind: 'drift' | 'fight';
  /** A sentence about one object. */
  readonly text: string;
}

/** What is known of a project now. */
export interface Facts {
  readonly revision: string | undefined;
  readonly phase: Phase;
  readonly health: string;
  readonly reasons: readonly Reason[];
  readonly problem: Problem | undefined;
  /** The open question about deletions: its digest and what would go. */
  readonly question: { readonly digest: string; readonly objects: readonly string[] } | undefined;
  /** Reports that may not have been told yet, oldest first. */
  readonly reports: readonly Reported[];
}

/** What was last told of a project, and what is needed to tell nothing twice. Kept as JSON; `{}`: nothing was told. */
export interface Told {
  /** What stands at the first look is taken as told: it stood before there were tellings. */
  readonly silent?: boolean;
  /** The revision that was last told as applied, and as healthy. */
  readonly applied?: string;
  readonly healthy?: string;
  /** The condition that was last told, see `keyOf`. */
  readonly key?: string;
  /** A trouble that was told and has not ended since. */
  readonly open?: 'failed' | 'degraded';
  /** The last condition that was seen, told or not, and how often it changed since the last telling. */
  readonly seen?: string;
  readonly changes?: number;
  /** A trouble came in a quiet time and was not told; when it is over, that it was is. */
  readonly unsaid?: boolean;
  /** When a condition was last told, and how long after it nothing is told. */
  readonly lastMs?: number;
  readonly quietMs?: number;
  /** Since when it waits for something that may mend itself. */
  readonly waitsMs?: number;
  /** By kind: the last report that was told, and when. */
  readonly reports?: Readonly<Partial<Record<Reported['kind'], { readonly number: number; readonly atMs: number }>>>;
}

/** One message: what it is mainly about, everything that it says, and how many changes it stands for. */
export interface ProjectTelling {
  readonly kind: Kind;
  readonly says: readonly Kind[];
  readonly changes: number;
  readonly reports: readonly Reported[];
}

export interface Tellings {
  readonly tellings: readonly ProjectTelling[];
  readonly told: Told;
  /** When to look again although nothing changes; undefined: never. */
  readonly againMs: number | undefined;
}

const firstQuietMs = 30_000;
const mostQuietMs = 3_600_000;
/** After so long without a telling the next one counts as the first. */
const calmMs = 600_000;
/** What waits so long is told as failed: something that mends itself would have. */
const patienceMs = 600_000;
/** The least time between two messages about reports of a kind: what comes meanwhile is summed up. */
const paceMs: Readonly<Record<Reported['kind'], number>> = { drift: 300_000, fight: 3_600_000 };

/**
 * What is to be told of a project, from what was last told and what stands now: never twice the same, whatever was
 * missed or seen twice. A transition is one message. Conditions that come and go are told with growing pauses; the
 * message after a pause says how often they changed. Pure.
 */
export function tellings(before: Told, after: Facts, nowMs: number): Tellings {
  if (before.silent === true) return { tellings: [], told: adopted(after, nowMs), againMs: undefined };
  const condition = aboutCondition(before, after, nowMs);
  const drift = aboutReports(condition.told, after, 'drift', nowMs);
  const fight = aboutReports(drift.told, after, 'fight', nowMs);
  const all = [condition, drift, fight];
  const due = all.map(({ againMs }) => againMs).filter((ms) => ms !== undefined);
  return {
    tellings: all.flatMap((each) => each.tellings),
    told: fight.told,
    againMs: due.length === 0 ? undefined : Math.min(...due),
  };
}

/** As if everything that stands had been told. */
function adopted(after: Facts, nowMs: number): Told {
  const key = keyOf(after, false);
  const trouble = troubleOf(key);
  const last = (kind: Reported['kind']) => after.reports.findLast((report) => report.kind === kind);
  const reports = (['drift', 'fight'] as const).flatMap((kind) => {
    const number = last(kind)?.number;
    return number === undefined ? [] : [[kind, { number, atMs: nowMs }]];
  });
  return {
    ...(after.revision === undefined ? {} : { applied: after.revision }),
    ...(after.revision === undefined || key !== 'fine' ? {} : { healthy: after.revision }),
    ...(key === undefined ? {} : { key, seen: key }),
    ...(trouble === undefined ? {} : { open: trouble }),
    ...(reports.length === 0 ? {} : { reports: Object.fromEntries(reports) }),
  };
}

function aboutCondition(before: Told, after: Facts, nowMs: number): Tellings {
  const waitsMs = after.phase === 'waiting' ? (before.waitsMs ?? nowMs) : undefined;
  const impatient = waitsMs !== undefined && nowMs - waitsMs >= patienceMs;
  const key = keyOf(after, impatient);
  const changed = key !== undefined && key !== before.seen;
  const changes = (before.changes ?? 0) + (changed ? 1 : 0);
  const seen = { ...before, waitsMs, changes, seen: key ?? before.seen };
  const patientUntilMs = waitsMs === undefined || impatient ? undefined : waitsMs + patienceMs;

  const isApplied = after.revision !== undefined && after.revision !== before.applied;
  const isHealthy =
    key === 'fine' && after.health === 'healthy' && after.revision !== undefined && after.revision !== before.healthy;
  const news = newsOf(before, key);
  const quietUntilMs = (before.lastMs ?? Number.NEGATIVE_INFINITY) + (before.quietMs ?? 0);
  const mayTell = news !== undefined && nowMs >= quietUntilMs;
  // With a trouble to close, health is told together with its end.
  const tellsHealthy = isHealthy && (news === undefined || mayTell);

  const says: Kind[] = [
    ...(mayTell ? [news] : []),
    ...(tellsHealthy ? (['healthy'] as const) : []),
    ...(isApplied ? (['applied'] as const) : []),
  ];
  const told = withoutUndefined({
    ...seen,
    ...(mayTell ? afterNews(before, news, key, nowMs) : afterNothing(key, news)),
    ...(isApplied ? { applied: after.revision } : {}),
    ...(tellsHealthy ? { healthy: after.revision } : {}),
  });
  const [kind] = says;
  const againMs = news !== undefined && !mayTell ? earlier(quietUntilMs, patientUntilMs) : patientUntilMs;
  if (kind === undefined) return { tellings: [], told, againMs };
  return { tellings: [{ kind, says, changes: mayTell ? Math.max(1, changes) : 1, reports: [] }], told, againMs };
}

/**
 * What stands, as one text: `fine`, `degraded`, `failed: …`, `asking: …`, `held`. undefined: it is on its way from one
 * to another, or nothing is known.
 */
function keyOf({ phase, health, problem, question }: Facts, impatient: boolean): string | undefined {
  if (phase === 'held') return 'held';
  if (phase === 'failed' || (phase === 'waiting' && impatient)) return `failed: ${digest(problem)}`;
  if (phase === 'needs-confirmation') return question === undefined ? undefined : `asking: ${question.digest}`;
  if (phase !== 'applied' && phase !== 'applying') return undefined;
  if (health === 'degraded') return 'degraded';
  return phase === 'applied' && (health === 'healthy' || health === 'suspended') ? 'fine' : undefined;
}

/** A detail is others' words: it is not kept a second time. */
const digest = (problem: Facts['problem']) =>
  createHash('sha256').update(`${problem?.code}\n${problem?.detail}`).digest('hex').slice(0, 16);

function troubleOf(key: string | undefined): Told['open'] {
  if (key === 'degraded') return 'degraded';
  return key?.startsWith('failed') ? 'failed' : undefined;
}

/** What there is to tell about a condition; undefined: nothing, it was told or is none that anybody waits for. */
function newsOf({ key: toldKey, open, unsaid = false }: Told, key: string | undefined): Kind | undefined {
  if (key === undefined) return undefined;
  if (key === 'fine') return open !== undefined || unsaid ? 'recovered' : undefined;
  if (key === toldKey) return undefined;
  if (key === 'held') return 'held';
  if (key.startsWith('asking')) return 'needs-confirmation';
  return troubleOf(key);
}

function afterNews(before: Told, news: Kind, key: string | undefined, nowMs: number): Loose {
  const { lastMs, quietMs = 0 } = before;
  const isCalm = lastMs === undefined || nowMs - lastMs > Math.max(calmMs, 2 * quietMs);
  const open = news === 'recovered' ? undefined : (troubleOf(key) ?? before.open);
  return {
    key,
    open,
    changes: undefined,
    unsaid: undefined,
    lastMs: nowMs,
    quietMs: isCalm ? firstQuietMs : Math.min(mostQuietMs, 2 * quietMs),
  };
}

/** Nothing to tell, or not now. What is fine and was told so begins to count anew. */
function afterNothing(key: string | undefined, news: Kind | undefined): Loose {
  if (key !== undefined && news === undefined) return key === 'fine' ? { key, changes: undefined } : { key };
  return troubleOf(key) === undefined ? {} : { unsaid: true };
}

function aboutReports(before: Told, after: Facts, kind: Reported['kind'], nowMs: number): Tellings {
  const last = before.reports?.[kind];
  const fresh = after.reports.filter((report) => report.kind === kind && report.number > (last?.number ?? 0));
  const newest = fresh.at(-1);
  if (newest === undefined) return { tellings: [], told: before, againMs: undefined };
  const mayTellAtMs = last === undefined ? nowMs : last.atMs + paceMs[kind];
  if (nowMs < mayTellAtMs) return { tellings: [], told: before, againMs: mayTellAtMs };
  const reports = { ...before.reports, [kind]: { number: newest.number, atMs: nowMs } };
  const telling = { kind, says: [kind], changes: fresh.length, reports: fresh };
  return { tellings: [telling], told: { ...before, reports }, againMs: undefined };
}

const earlier = (a: number, b: number | undefined) => (b === undefined ? a : Math.min(a, b));

/** Undefined takes a field away. */
type Loose = { readonly [Field in keyof Told]?: Told[Field] | undefined };

/** What is stored is JSON, which knows no undefined. */
function withoutUndefined(told: Loose): Told {
  return Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined));
}
