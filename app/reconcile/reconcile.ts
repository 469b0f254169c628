import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import { namespaceOf, type ProjectKey } from '#environments/layout.ts';
import {
  type AppliedObject,
  type ApplyOptions,
  type LiveObject,
  type ObjectKey,
  objectText,
} from '#runtime/runtime.ts';
import { type Desired, digestOf, withValue } from './desired.ts';
import { healthOf } from './health.ts';
import { type DesiredObject, type InventoryEntry, type Plan, planRun, removalText } from './plan.ts';
import type { Outcome } from './queue.ts';
import { readSource, type Source, type SourceDoors } from './source.ts';
import { isFoundation } from './stages.ts';
import {
  type Confirmation,
  type Hold,
  type Orders,
  type Phase,
  type Record,
  type Status,
  wholeProject,
} from './store.ts';

export interface Doors extends SourceDoors {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** True when every deletion waits for a person. */
  cautious(): boolean;
  /** Reads what people said about a project. */
  ordersFor(key: ProjectKey): Promise<Orders>;
  /** Writes what a run changed: all of it or nothing. */
  write(record: Record): Promise<unknown>;
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
  inventory: ReadonlyMap<string, InventoryEntry>;
  status: Status | undefined;
  /** True when hold, confirmation or secrets may have changed: they are read again. */
  stale: boolean;
  hold: Hold | undefined;
  confirmation: Confirmation | undefined;
}

export const newState = (key: ProjectKey): ProjectState => ({
  key,
  blobs: undefined,
  wanted: [],
  loaded: undefined,
  loadedDigest: undefined,
  inventory: new Map(),
  status: undefined,
  stale: true,
  hold: undefined,
  confirmation: undefined,
});

/** One run: what it is about, fixed at its start, and what it has done so far. */
interface Run {
  readonly doors: Doors;
  readonly state: ProjectState;
  readonly revision: string;
  /** The project's blobs at the start: what comes in meanwhile is for the next run. */
  readonly blobs: ProjectState['blobs'];
  readonly signal: AbortSignal;
  readonly applied: AppliedObject[];
  readonly removed: ObjectKey[];
  readonly faults: Fault[];
  /** True when what failed must stand before anything else may be applied. */
  blocked: boolean;
}

const slowRetryMs = 5 * 60_000;

/**
 * One run for one project: what should be → what is → the difference → apply by stages → remove what left → health →
 * one write. Failure takes the same door. A run that finds nothing to do makes no request and writes nothing.
 */
export async function reconcileProject(
  doors: Doors,
  state: ProjectState,
  revision: string,
  signal: AbortSignal,
): Promise<Outcome> {
  const run: Run = {
    doors,
    state,
    revision,
    blobs: state.blobs,
    signal,
    applied: [],
    removed: [],
    faults: [],
    blocked: false,
  };
  let plan: Plan | undefined;
  try {
    await refresh(run);
    const source = await load(run);
    plan = decide(run);
    if (state.hold === undefined) {
      await applyStages(run, plan, source);
      if (run.faults.length === 0) await removeWhatLeft(run, plan);
    }
  } catch (error) {
    run.faults.push(toFault(doors.log, error));
  }
  if (signal.aborted) return { kind: 'settled' }; // The next process does it again; what was applied is found by its labels.
  return await record(run, plan);
}

/** Holds and confirmations change by people only; they are read when somebody said that they did. */
async function refresh({ doors, state }: Run): Promise<void> {
  const expired = state.hold?.until !== undefined && state.hold.until <= doors.clock.now();
  if (!state.stale && !expired) return;
  state.stale = false;
  state.loaded = undefined;
  try {
    ({ hold: state.hold, confirmation: state.confirmation } = await doors.ordersFor(state.key));
  } catch (error) {
    state.stale = true;
    throw error;
  }
}

/** Reads manifests and secrets when they are other than the ones last read. Returns the source if it was read. */
async function load({ doors, state, revision, blobs }: Run): Promise<Source | undefined> {
  if (blobs === undefined) {
    state.wanted = [];
    state.loaded = undefined;
    return undefined;
  }
  if (state.loaded !== undefined && state.loaded === blobs.manifests) return undefined;
  const source = await readSource(doors, state.key, revision);
  state.wanted = source.desired.map(({ key, digest, dependsOn }) => ({ key, digest, dependsOn }));
  state.loaded = blobs.manifests;
  state.loadedDigest = source.manifestsDigest;
  return source;
}

function decide({ doors, state, blobs }: Run): Plan {
  const yes = state.confirmation?.confirmed === true ? state.confirmation : undefined;
  return planRun({
    desired: state.wanted,
    inventory: [...state.inventory.values()],
    live: doors.runtime.observed(namespaceOf(state.key)),
    complete: doors.runtime.state().complete,
    removalConfirmed: blobs === undefined && yes?.digest === wholeProject,
    cautious: doors.cautious(),
    confirmed: new Set(yes?.objects),
  });
}

async function applyStages(run: Run, plan: Plan, read: Source | undefined): Promise<void> {
  if (plan.apply.every((stage) => stage.length === 0)) return;
  const { doors, state, signal } = run;
  refuseWhileTerminating(run);
  const source = read ?? (await readSource(doors, state.key, run.revision));
  const desired = new Map(source.desired.map((object) => [objectText(object.key), object]));
  for (const stage of plan.apply) {
    await Promise.all(
      stage.map(async ({ key, reason }) => {
        const object = desired.get(objectText(key));
        if (object === undefined) return;
        const healing = reason === 'edited' || reason === 'missing';
        const uid = state.inventory.get(objectText(key))?.uid;
        await applyOne(run, object, source, { signal, uid, lane: healing ? 'urgent' : 'bulk' });
        if (healing) doors.metrics.drift.inc({ environment: state.key.environment, kind: key.kind });
      }),
    );
    if (run.blocked || signal.aborted) return;
  }
}

/** Nothing can be made in a namespace that is on its way out; its end wakes the project again. */
function refuseWhileTerminating({ doors, state }: Run): void {
  const namespace = namespaceOf(state.key);
  const live = doors.runtime.observed(namespace).find(({ key }) => key.kind === 'Namespace' && key.name === namespace);
  if (live?.deleting) throw new Fault('NAMESPACE_TERMINATING', { namespace });
}

async function applyOne(run: Run, object: Desired, source: Source, options: ApplyOptions): Promise<void> {
  const { log, runtime } = run.doors;
  try {
    const applied = await runtime.apply(withValue(object, source.values), {
      ...options,
      onConflicts: (conflicts) => {
        for (const { manager, fields } of conflicts)
          log.warn({ object: objectText(object.key), manager, fields }, 'fields are taken over from another manager');
      },
    });
    run.applied.push(applied);
  } catch (error) {
    const fault = toFault(log, error, objectText(object.key));
    run.faults.push(fault);
    if (fault.retry || isFoundation(object.key.kind)) run.blocked = true;
  }
}

async function removeWhatLeft({ doors, removed, faults, signal }: Run, plan: Plan): Promise<void> {
  await Promise.all(
    plan.remove.map(async (entry) => {
      try {
        const removal = await doors.runtime.remove(entry, signal);
        doors.log.info({ object: objectText(entry.key), removal }, 'object removed');
        // A deletion that was only accepted stays in the inventory until the watch says that the object is gone.
        if (removal !== 'deleted') removed.push(entry.key);
      } catch (error) {
        faults.push(toFault(doors.log, error, objectText(entry.key)));
      }
    }),
  );
}

/** Writes down what changed, if anything did, and says when to come back. */
async function record(run: Run, plan: Plan | undefined): Promise<Outcome> {
  const { doors, state } = run;
  const gone = [...(plan?.forget ?? []), ...run.removed];
  const left = new Set(gone.map(objectText)); // What was adopted may have been removed in the same run.
  const made = [...(plan?.adopt ?? []), ...run.applied.map((applied) => entryOf(state, applied))].filter(
    ({ key }) => !left.has(objectText(key)),
  );
  const inventory = new Map(state.inventory);
  for (const entry of made) inventory.set(objectText(entry.key), entry);
  for (const key of gone) inventory.delete(objectText(key));

  const status = statusOf(run, plan, inventory.size);
  const ended = isEnded(run, inventory.size);
  const known = state.status !== undefined || state.inventory.size > 0;
  let question: Question | undefined;
  try {
    question = await questionOf(run, plan, ended);
    const silent = made.length === 0 && gone.length === 0 && question === undefined && !(ended && known);
    if (silent && (ended || sameStatus(state.status, status))) return outcomeOf(run);
    const { asked, settled } = question ?? {};
    const history = historyOf(run, status);
    await doors.write({ key: state.key, status, made, gone, asked, settled, history, ended });
  } catch (error) {
    doors.log.warn({ ...state.key, err: error }, 'the outcome of a reconcile could not be written yet');
    return { kind: 'retry' };
  }
  state.inventory = inventory;
  state.status = ended ? undefined : status;
  if (question !== undefined)
    state.confirmation =
      question.asked === undefined ? undefined : { ...question.asked, confirmed: false, revision: undefined };
  return outcomeOf(run);
}

function entryOf(state: ProjectState, { key, uid, ownedDigest }: LiveObject): InventoryEntry {
  const wanted = state.wanted.find((object) => objectText(object.key) === objectText(key));
  return { key, uid, ownedDigest, desiredDigest: wanted?.digest ?? '' };
}

function statusOf(run: Run, plan: Plan | undefined, objects: number): Status {
  const { doors, state } = run;
  const { health, reasons } = healthOf({
    desired: state.wanted.length > 0 ? state.wanted : [...state.inventory.values()],
    live: doors.runtime.observed(namespaceOf(state.key)),
    applied: run.applied,
    waiting: plan?.waiting ?? [],
    connected: doors.runtime.state().connected,
  });
  const phase = phaseOf(run, plan, objects);
  const complete = phase === 'applied' || phase === 'needs-confirmation';
  const fault = run.faults[0];
  const fresh = complete && state.status?.manifestsDigest !== state.loadedDigest;
  return {
    revision: fresh ? run.revision : state.status?.revision,
    manifestsDigest: complete ? state.loadedDigest : state.status?.manifestsDigest,
    phase,
    health,
    reasons,
    problem: fault === undefined ? undefined : { code: fault.code, detail: fault.message },
  };
}

function phaseOf({ doors, state, blobs, faults }: Run, plan: Plan | undefined, objects: number): Phase {
  if (faults.length > 0) return faults.every((fault) => fault.retry) ? 'waiting' : 'failed';
  if (state.hold !== undefined) return 'held';
  if (plan !== undefined && plan.unconfirmed.length > 0) return 'needs-confirmation';
  if (blobs === undefined && (objects > 0 || !doors.runtime.state().complete)) return 'removing';
  if (plan !== undefined && plan.waiting.length > 0) return 'applying';
  return 'applied';
}

/**
 * True when Git and the cluster hold nothing of the project any more. Only a complete listing can say so of the
 * cluster: a record that a crash lost leaves objects that nothing else knows.
 */
function isEnded({ doors, state, blobs, faults }: Run, objects: number): boolean {
  if (blobs !== undefined || objects > 0 || faults.length > 0 || !doors.runtime.state().complete) return false;
  return !doors.runtime.observed(namespaceOf(state.key)).some((object) => object.ownedDigest !== '');
}

type Question = Pick<Record, 'asked' | 'settled'>;

/** The question to a person that this run leaves open or settles; undefined when nothing about it changed. */
async function questionOf(run: Run, plan: Plan | undefined, ended: boolean): Promise<Question | undefined> {
  const open = run.state.confirmation;
  if (plan === undefined) return undefined;
  if (plan.unconfirmed.length > 0) {
    const objects = plan.unconfirmed.map(removalText).sort();
    const digest = digestOf(objects.join('\n'));
    return open?.digest === digest ? undefined : { asked: { digest, objects }, settled: undefined };
  }
  if (open === undefined) return undefined;
  // A list stays answered until the last of it is gone: what is on its way out is not asked about again.
  const over =
    open.digest === wholeProject
      ? ended || (await isWantedAgain(run, open))
      : !open.objects.some((text) => plan.leaving.has(text));
  return over ? { asked: undefined, settled: open } : undefined;
}

/** A yes to the whole project is void once the project stands in Git again, after the commit that removed it. */
async function isWantedAgain({ doors, revision, blobs }: Run, { revision: removed }: Confirmation): Promise<boolean> {
  if (blobs === undefined) return false;
  try {
    return removed === undefined || (await doors.repository.isAncestor(removed, revision));
  } catch (error) {
    if (!Fault.is(error, 'REVISION_UNKNOWN')) throw error;
    return true; // The repository was put back to before that commit: the project is wanted.
  }
}

function historyOf({ state, applied, removed }: Run, status: Status): string | undefined {
  const before = state.status;
  if (status.problem !== undefined && before?.problem?.detail !== status.problem.detail) return status.problem.detail;
  if (applied.length > 0 || removed.length > 0) return `${applied.length} objects applied, ${removed.length} removed`;
  if (before?.phase !== status.phase) return `${status.phase}`;
  return before.health === status.health ? undefined : `health is ${status.health}`;
}

const sameStatus = (before: Status | undefined, after: Status): boolean =>
  before !== undefined && JSON.stringify(before) === JSON.stringify(after);

function outcomeOf({ doors, state, faults }: Run): Outcome {
  if (faults.some((fault) => fault.retry)) return { kind: 'retry' };
  if (faults.length > 0) return { kind: 'later', afterMs: slowRetryMs };
  const until = state.hold?.until;
  if (until === undefined) return { kind: 'settled' };
  // A timer holds 24 days at the most, so a far end is looked at again and again.
  const leftMs = until.getTime() - doors.clock.now().getTime();
  return { kind: 'later', afterMs: Math.min(slowRetryMs, Math.max(0, leftMs)) };
}

function toFault(log: Log, error: unknown, object?: string): Fault {
  if (Fault.is(error)) return error;
  log.error({ err: error, object }, 'reconcile failed in an unforeseen way');
  return new Fault('INTERNAL', { request: 'reconcile' }, { cause: error });
}
