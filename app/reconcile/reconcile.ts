import { Fault } from '#base/errors.ts';
import { beginWalk } from '#base/walk.ts';
import { namespaceOf, projectName } from '#environments/layout.ts';
import { type AppliedObject, type ApplyOptions, objectText } from '#runtime/runtime.ts';
import { adoptableBy, adoptionOf } from './adoption.ts';
import { isAsked } from './allowed.ts';
import { type Desired, withValue } from './decide/desired.ts';
import { type ApplyReason, isEmpty, isHeal, type PlanInput, planRun, replanReplacements } from './decide/plan.ts';
import { paceOf, pauseMs } from './decide/retries.ts';
import { isFoundation } from './decide/stages.ts';
import { lookAtDrift, noteHeal, restingNow } from './drift.ts';
import { keptOf, recalledOf } from './kept.ts';
import type { Outcome } from './queue.ts';
import { record } from './record.ts';
import { removeOne } from './removal.ts';
import {
  type Doors,
  newState,
  nothing,
  type ProjectState,
  type Refused,
  type Run,
  sourceOf,
  toFault,
  withEntry,
} from './run.ts';
import { isSameOrigin, readSource, type Source } from './source.ts';
import { wholeProject } from './store.ts';

export { type Doors, newState, type ProjectState };

/**
 * One run for one project: what should be → what is and what is allowed → the difference → apply by stages → make anew
 * what cannot be changed → remove what left → look at what is left to others → one write. Failure takes the same door.
 * A run that finds nothing to do makes no request and writes nothing.
 */
export async function reconcileProject(
  doors: Doors,
  state: ProjectState,
  revision: string,
  signal: AbortSignal,
): Promise<Outcome> {
  const fence = doors.fenceOf(state.key);
  if (fence === undefined) return { kind: 'settled' };
  const { environment } = state.key;
  const walk = beginWalk(doors, 'reconcile', {
    'plinth.environment': environment,
    'plinth.project': projectName(state.key),
    'plinth.revision': revision,
  });
  const run = newRun({ doors, state, revision, signal, fence, walk });
  const outcome = await runOnce(run);
  walk.set({ 'plinth.applied': run.applied.length, 'plinth.removed': run.removed.length });
  walk.end(run.faults.length > 0 ? 'failed' : 'ok');
  return outcome;
}

async function runOnce(run: Run): Promise<Outcome> {
  const { doors, state, signal } = run;
  try {
    await refresh(run);
    await load(run);
    await decide(run);
    if (state.recalled && isBusy(run)) {
      await read(run);
      await decide(run);
    }
    if (state.orders.hold === undefined) {
      await applyStages(run);
      await replaceRefused(run);
      if (run.faults.length === 0) await removeWhatLeft(run);
      await lookAtDrift(run);
    }
  } catch (error) {
    run.faults.push(toFault(doors.log, error));
  }
  if (signal.aborted) return { kind: 'settled' }; // The next process does it again; what was applied is found by its labels.
  if (run.faults.some(({ code }) => code === 'LEASE_LOST')) return { kind: 'settled' }; // As does the next replica.
  return await record(run);
}

const newRun = (given: Pick<Run, 'doors' | 'state' | 'revision' | 'signal' | 'fence' | 'walk'>): Run => ({
  ...given,
  blobs: given.state.blobs,
  applied: [],
  removed: [],
  replaced: [],
  faults: [],
  old: [],
  retryAt: undefined,
  reports: [],
  source: undefined,
  allowed: undefined,
  blockers: { waitsFor: [], circle: [] },
  leavesAfter: [],
  plan: undefined,
  blocked: false,
});

/** Holds, switches and confirmations change by people only; they are read when somebody said that they did. */
async function refresh({ doors, state }: Run): Promise<void> {
  const until = state.orders.hold?.until;
  const expired = until !== undefined && until <= doors.clock.now();
  if (!state.stale && !expired) return;
  state.stale = false;
  state.loaded = undefined;
  state.refusals = nothing; // What was refused is tried again: somebody may have asked because it was mended.
  try {
    state.orders = await doors.ordersFor(state.key);
  } catch (error) {
    state.stale = true;
    throw error;
  }
}

/** Reads manifests and secrets when they may be other than the ones last read. */
async function load(run: Run): Promise<void> {
  const { doors, state, blobs } = run;
  doors.assertSigned(state.key);
  if (blobs === undefined) {
    state.wanted = [];
    state.loaded = undefined;
    state.origin = undefined;
    state.recalled = false;
    return;
  }
  if (state.loaded !== undefined && state.loaded === blobs.manifests) return;
  if (!(await recall(run))) await read(run);
}

/**
 * Keeps what is wanted, without reading it, where all that it was made of is the same. Of a project that came to rest
 * before the start, what is wanted is its inventory.
 */
async function recall({ doors, state, revision, blobs }: Run): Promise<boolean> {
  const origin = state.origin ?? state.status?.origin;
  if (origin === undefined || origin.spec !== blobs?.spec || origin.manifests !== blobs.manifests) return false;
  if (!(await isSameOrigin(doors, state.key, revision, origin))) return false;
  if (state.origin === undefined) {
    state.wanted = recalledOf(state.inventory);
    state.recalled = true;
    state.origin = origin;
  }
  state.loaded = blobs.manifests;
  state.loadedDigest = state.recalled ? state.status?.manifestsDigest : state.loadedDigest;
  return true;
}

/** True when a run needs more of what is wanted than its digests. */
const isBusy = ({ plan }: Run): boolean =>
  plan !== undefined && (!isEmpty(plan) || plan.withheld.length > 0 || plan.resting.length > 0);

async function read(run: Run): Promise<void> {
  const { doors, state, revision, blobs } = run;
  run.source = await run.walk.step('load', () => readSource(doors, state.key, revision));
  const { desired, manifestsDigest, origin } = run.source;
  state.wanted = keptOf(desired, state.inventory);
  const wanted = new Map(state.wanted.map(({ key, digest }) => [objectText(key), digest]));
  for (const [text, { digest }] of state.refusals)
    if (wanted.get(text) !== digest) state.refusals = withEntry(state.refusals, text, undefined);
  state.recalled = false;
  state.loaded = blobs?.manifests;
  state.loadedDigest = manifestsDigest;
  state.origin = { spec: blobs?.spec ?? '', manifests: blobs?.manifests ?? '', ...origin };
}

async function decide(run: Run): Promise<void> {
  const { doors, state, blobs } = run;
  const { switches, asked } = state.orders;
  const manual = isAsked(asked, blobs?.manifests, doors.clock.now());
  const mode = state.origin?.mode;
  run.allowed = await doors.allowedFor(run.revision, { key: state.key, mode, switches, manual });
  run.blockers = doors.blockersOf(state.key);
  run.leavesAfter = blobs === undefined ? doors.leavesAfter(state.key) : [];
  run.plan = planRun(planInput(run));
}

function planInput({ doors, state, blobs, fence, allowed, blockers, leavesAfter }: Run): PlanInput {
  const { confirmation } = state.orders;
  const yes = confirmation?.confirmed === true ? confirmation : undefined;
  const nowMs = doors.clock.monotonicMs();
  return {
    desired: state.wanted,
    inventory: [...state.inventory.values()],
    live: doors.runtime.observed(namespaceOf(state.key)),
    complete: doors.runtime.state().complete,
    unseen: unseenIn(state.inventory, doors.runtime),
    permits: {
      apply: allowed?.apply === true && blockers.waitsFor.length === 0 && blockers.circle.length === 0,
      heal: allowed?.heal === true,
      prune: allowed?.prune === true && leavesAfter.length === 0,
    },
    resting: restingNow(state, nowMs),
    refusals: new Map([...state.refusals].filter(([, { untilMs }]) => untilMs > nowMs)),
    epoch: fence.epoch,
    removalConfirmed: blobs === undefined && yes?.digest === wholeProject,
    cautious: doors.cautious(),
    confirmed: new Set(yes?.objects),
  };
}

function unseenIn(inventory: ProjectState['inventory'], runtime: Doors['runtime']): PlanInput['unseen'] {
  const found = [...inventory].flatMap(([text, { key }]) => {
    const why = runtime.unseenBecause(key);
    return why === undefined ? [] : [[text, why] as const];
  });
  return found.length === 0 ? nothing : new Map(found);
}

async function applyStages(run: Run): Promise<void> {
  const { doors, state, signal, plan } = run;
  for (const key of plan?.refused ?? []) failAgain(run, state.refusals.get(objectText(key)));
  if (plan === undefined || plan.apply.every((stage) => stage.length === 0)) return;
  refuseWhileTerminating(run);
  const source = await sourceOf(run);
  const desired = new Map(source.desired.map((object) => [objectText(object.key), object]));
  for (const stage of plan.apply) {
    if (stage.length === 0) continue;
    const applyAll = () =>
      Promise.all(
        stage.map(async ({ key, reason }) => {
          const object = desired.get(objectText(key));
          if (object === undefined) return;
          await applyOne(run, object, source, reason);
          if (isHeal(reason))
            doors.metrics.drift.inc({ environment: state.key.environment, kind: key.kind, outcome: 'healed' });
        }),
      );
    await run.walk.step('apply', applyAll, { 'plinth.objects': stage.length });
    if (run.blocked || signal.aborted) return;
  }
}

/** Nothing can be made in a namespace that is on its way out; its end wakes the project again. */
function refuseWhileTerminating({ doors, state }: Run): void {
  const namespace = namespaceOf(state.key);
  const live = doors.runtime.observed(namespace).find(({ key }) => key.kind === 'Namespace' && key.name === namespace);
  if (live?.deleting) throw new Fault('NAMESPACE_TERMINATING', { namespace });
}

async function applyOne(run: Run, object: Desired, source: Source, reason: ApplyReason): Promise<void> {
  const { doors } = run;
  const { log, runtime } = doors;
  const text = objectText(object.key);
  try {
    const applied = await runtime.apply(withValue(object, source.values), {
      ...applyOptions(run, object, source, reason),
      onConflicts: (conflicts) => {
        for (const { manager, fields } of conflicts)
          log.warn({ object: text, manager, fields }, 'fields are taken over from another manager');
      },
    });
    run.applied.push(applied);
    noteApplied(run, text, applied, reason);
  } catch (error) {
    const fault = toFault(log, error, text);
    if (isHeal(reason)) noteHeal(run, text, []);
    if (remember(run, object, fault)) run.blocked ||= isFoundation(object.key.kind);
    else fail(run, fault, object);
  }
}

function applyOptions(run: Run, { key, policies }: Desired, source: Source, reason: ApplyReason): ApplyOptions {
  const { state, signal, fence } = run;
  const text = objectText(key);
  const inFight = state.fights.get(text)?.open === true;
  const adopt = adoptableBy(policies, source.adoptFrom);
  return {
    signal,
    fence,
    uid: state.inventory.get(text)?.uid,
    lane: isHeal(reason) ? 'urgent' : 'bulk',
    ...(adopt === undefined ? {} : { adopt }),
    ...(inFight ? { force: true, rounds: 2 } : {}),
  };
}

function noteApplied(run: Run, text: string, applied: AppliedObject, reason: ApplyReason): void {
  run.state.refusals = withEntry(run.state.refusals, text, undefined);
  const adoption = adoptionOf(text, applied);
  if (adoption !== undefined) run.reports.push(adoption);
  if (isHeal(reason)) noteHeal(run, text, applied.takenOver);
}

/**
 * Keeps in mind what the API server refused, so that it is not sent again before something changes.
 * @returns true where the object may have to be made anew: that is no fault yet
 */
function remember({ doors, state }: Run, { key, digest }: Desired, fault: Fault): boolean {
  const pace = paceOf(fault);
  if (pace !== 'final' && pace !== 'slow' && pace !== 'medium') return false;
  const text = objectText(key);
  const live = doors.runtime.observed(namespaceOf(state.key)).find((object) => objectText(object.key) === text);
  const immutable = fault.code === 'OBJECT_REFUSED' && fault.data.immutable === true;
  const fields = immutable && Array.isArray(fault.data.fields) ? fault.data.fields.map(String) : [];
  const afterMs = pauseMs(pace, state.attempts, Math.random());
  state.refusals = withEntry(state.refusals, text, {
    digest,
    uid: live?.uid,
    immutable,
    fields,
    fault,
    untilMs: afterMs === undefined ? Number.POSITIVE_INFINITY : doors.clock.monotonicMs() + afterMs,
    retryAt: afterMs === undefined ? undefined : new Date(doors.clock.now().getTime() + afterMs).toISOString(),
  });
  return immutable && live !== undefined && state.inventory.get(text)?.uid === live.uid;
}

function fail(run: Run, fault: Fault, { key }: Desired): void {
  run.faults.push(fault);
  if (fault.retry || isFoundation(key.kind)) run.blocked = true;
}

/** What the API server refused before still stands, and is not asked again. */
function failAgain(run: Run, refused: Refused | undefined): void {
  if (refused === undefined || (refused.immutable && refused.uid !== undefined)) return; // See replaceRefused.
  run.faults.push(refused.fault);
  run.old.push(refused.fault);
}

/** Deletes what only a new object can be: the next run makes it. What a person has to allow waits. */
async function replaceRefused(run: Run): Promise<void> {
  const { doors, state, plan } = run;
  if (plan === undefined || run.signal.aborted) return;
  const replacements = state.refusals.size === 0 ? plan.replacements : replanReplacements(planInput(run));
  run.plan = { ...plan, refused: [], replacements };
  for (const { key, why } of replacements.impossible) {
    run.faults.push(new Fault('OBJECT_REFUSED', { object: objectText(key), why }));
  }
  if (run.faults.some(({ retry }) => retry)) return;
  await Promise.all(
    replacements.replace.map(async ({ entry, propagation }) => {
      if (!(await removeOne(run, entry, propagation))) return;
      // An empty digest: whatever is wanted is a change, that is applied and not healed.
      run.replaced.push({ ...entry, desiredDigest: '' });
      const object = objectText(entry.key);
      const fields = state.refusals.get(object)?.fields ?? [];
      const why = fields.length > 0 ? `${fields.join(', ')} cannot be changed` : 'it uses a volume that is made anew';
      run.reports.push({ kind: 'replaced', object, message: `${object} is made anew: ${why}.`, managers: [] });
      doors.log.info({ object, fields, propagation }, 'object is made anew');
    }),
  );
}

async function removeWhatLeft(run: Run): Promise<void> {
  const { plan, removed } = run;
  for (const { key } of plan?.kept ?? []) {
    const object = objectText(key);
    const message = `${object} has left Git and stays in the cluster, because its policy is keep.`;
    run.reports.push({ kind: 'kept', object, message, managers: [] });
  }
  const leaving = plan?.remove ?? [];
  if (leaving.length === 0) return;
  const removeAll = () =>
    Promise.all(
      leaving.map(async (entry) => {
        const removal = await removeOne(run, entry, 'background');
        // A deletion that was only accepted stays in the inventory until the watch says that the object is gone.
        if (removal !== undefined && removal !== 'deleted') removed.push(entry.key);
      }),
    );
  await run.walk.step('prune', removeAll, { 'plinth.objects': leaving.length });
}
