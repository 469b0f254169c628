import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { TraceWalk } from '#base/tracing.ts';
import type { Walk } from '#base/walk.ts';
import type { ProjectKey } from '#environments/layout.ts';
import type { AppliedObject, Conflict, Fence, ObjectKey } from '#runtime/runtime.ts';
import type { Allowed, AllowedInput } from './allowed.ts';
import type { Blockers } from './decide/dependencies.ts';
import type { Fight } from './decide/fight.ts';
import type { DesiredObject, InventoryEntry, Plan } from './decide/plan.ts';
import type { Refusal } from './decide/replace.ts';
import type { Report } from './reports.ts';
import { readSource, type Source, type SourceDoors } from './source.ts';
import type { Orders, Origin, Record, Status } from './store.ts';

/** What a run works with. */
export interface Doors extends SourceDoors {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Absent where tracing is off. */
  readonly traceWalk?: TraceWalk | undefined;
  /** True when every deletion waits for a person. */
  cautious(): boolean;
  /** @throws Fault REVISION_UNSIGNED where the project came by a commit that does not count */
  assertSigned(key: ProjectKey): void;
  /** Reads what people said about a project. */
  ordersFor(key: ProjectKey): Promise<Orders>;
  /** What may be done to the project at this moment, by environment.yaml at `revision`. */
  allowedFor(revision: string, asked: Omit<AllowedInput, 'environment' | 'now'>): Promise<Allowed>;
  /** The projects that this one waits for now. */
  blockersOf(key: ProjectKey): Blockers;
  /** Projects that depend on this one and have to leave before it. */
  leavesAfter(key: ProjectKey): readonly string[];
  /** The right to write for this project; undefined: another replica has it. */
  fenceOf(key: ProjectKey): Fence | undefined;
  /** Writes what a run changed: all of it or nothing. */
  write(record: Record): Promise<unknown>;
}

/** An API server's no to one object. */
export interface Refused extends Refusal {
  readonly fault: Fault;
  /** Not sent again before this monotonic time, and the same as a date. */
  readonly untilMs: number;
  readonly retryAt: string | undefined;
}

/** A foreign edit that is not healed, as somebody looked at it once. */
export interface Drift {
  /** What tells it from the next edit. */
  readonly seen: string;
  readonly conflicts: readonly Conflict[];
}

/** What this process keeps of a project between runs: digests and keys, never bodies or values. */
export interface ProjectState {
  readonly key: ProjectKey;
  /** The blobs of the project's folder at the newest revision; undefined when Git has no such project. */
  blobs: { readonly spec: string | undefined; readonly manifests: string | undefined } | undefined;
  /** What should exist, as of `loaded`. */
  wanted: readonly DesiredObject[];
  /** The manifests blob that `wanted` was read from; undefined forces a fresh read. */
  loaded: string | undefined;
  loadedDigest: string | undefined;
  /** What `wanted` was made of. */
  origin: Origin | undefined;
  /** True when `wanted` is the inventory of a project at rest: enough to see that nothing is to be done, no more. */
  recalled: boolean;
  inventory: ReadonlyMap<string, InventoryEntry>;
  status: Status | undefined;
  /** True when it is not known whether the last record was written: the next one is, whatever it says. */
  unsure: boolean;
  /** True when hold, confirmation, switches or secrets may have changed: they are read again. */
  stale: boolean;
  orders: Orders;
  /** By `objectText`, as the two below: what the API server refused … */
  refusals: ReadonlyMap<string, Refused>;
  /** … which objects were healed lately … */
  fights: ReadonlyMap<string, Fight>;
  /** … and which foreign edits stand. */
  drifts: ReadonlyMap<string, Drift>;
  /** Tries that failed one after the other. */
  attempts: number;
  /** The epoch of the lease under which all of this was read; undefined: it has to be read again. */
  epoch: number | undefined;
}

const noOrders: Orders = { hold: undefined, confirmation: undefined, switches: [], asked: undefined };
/** One empty map for all projects: most have nothing to remember. */
export const nothing: ReadonlyMap<string, never> = new Map<string, never>();

export const newState = (key: ProjectKey): ProjectState => ({
  key,
  blobs: undefined,
  wanted: [],
  loaded: undefined,
  loadedDigest: undefined,
  origin: undefined,
  recalled: false,
  inventory: nothing,
  status: undefined,
  unsure: false,
  stale: true,
  orders: noOrders,
  refusals: nothing,
  fights: nothing,
  drifts: nothing,
  attempts: 0,
  epoch: undefined,
});

/** A map with one entry more, or without it where the value is undefined. */
export function withEntry<Value>(
  map: ReadonlyMap<string, Value>,
  key: string,
  value: Value | undefined,
): ReadonlyMap<string, Value> {
  const next = new Map(map);
  if (value === undefined) next.delete(key);
  else next.set(key, value);
  return next.size === 0 ? nothing : next;
}

/** One run: what it is about, fixed at its start, and what it has done so far. */
export interface Run {
  readonly doors: Doors;
  readonly state: ProjectState;
  readonly revision: string;
  /** The project's blobs at the start: what comes in meanwhile is for the next run. */
  readonly blobs: ProjectState['blobs'];
  readonly signal: AbortSignal;
  /** This run as a trace shows it. */
  readonly walk: Walk;
  readonly fence: Fence;
  readonly applied: AppliedObject[];
  readonly removed: ObjectKey[];
  /** Objects that were deleted to be made anew. */
  readonly replaced: InventoryEntry[];
  readonly faults: Fault[];
  readonly reports: Report[];
  /** What was read for this run; undefined while what the last one read still holds. */
  source: Source | undefined;
  allowed: Allowed | undefined;
  blockers: Blockers;
  /** Projects that have to leave before this one. */
  leavesAfter: readonly string[];
  plan: Plan | undefined;
  /** Faults of earlier runs that still stand: nothing was tried. */
  readonly old: Fault[];
  /** When the next try is due, ISO 8601. */
  retryAt: string | undefined;
  /** True when what failed must stand before anything else may be applied. */
  blocked: boolean;
}

/** What went wrong, as a fault; what nobody foresaw is logged whole. */
export function toFault(log: Log, error: unknown, object?: string): Fault {
  if (Fault.is(error)) return error;
  log.error({ err: error, object }, 'reconcile failed in an unforeseen way');
  return new Fault('INTERNAL', { request: 'reconcile' }, { cause: error });
}

/** The source of this run, read now if nothing had to be read before. */
export async function sourceOf(run: Run): Promise<Source> {
  run.source ??= await readSource(run.doors, run.state.key, run.revision);
  return run.source;
}
