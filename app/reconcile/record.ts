import { Fault } from '#base/errors.ts';
import { namespaceOf } from '#environments/layout.ts';
import { type LiveObject, objectText } from '#runtime/runtime.ts';
import { leaveText, waitText } from './decide/dependencies.ts';
import { digestOf } from './decide/desired.ts';
import { healthOf } from './decide/health.ts';
import { type DesiredObject, type InventoryEntry, leftBehind, removalText } from './decide/plan.ts';
import { replacementText } from './decide/replace.ts';
import { paceOf, pauseMs } from './decide/retries.ts';
import { driftReasons, endFights, nextLookMs, reportDrift } from './drift.ts';
import type { Outcome } from './queue.ts';
import type { ProjectState, Run } from './run.ts';
import { type Confirmation, type Phase, type Problem, type Record, type Status, wholeProject } from './store.ts';

/** The end of every run: writes down what changed, if anything did, and says when to come back. */
export async function record(run: Run): Promise<Outcome> {
  const { doors, state, plan } = run;
  endFights(run);
  const kept = plan?.kept ?? [];
  const gone = [...(plan?.forget ?? []), ...kept.map(({ key }) => key), ...run.removed];
  const left = new Set(gone.map(objectText)); // What was adopted may have been removed in the same run.
  const made = [
    ...(plan?.adopt ?? []),
    ...run.applied.map((applied) => entryOf(state, applied)),
    ...run.replaced,
  ].filter(({ key }) => !left.has(objectText(key)));
  const inventory = new Map(state.inventory);
  for (const entry of made) inventory.set(objectText(entry.key), entry);
  for (const key of gone) inventory.delete(objectText(key));

  const outcome = outcomeOf(run);
  const status = statusOf(run, inventory);
  const ended = isEnded(run, inventory);
  const known = state.status !== undefined || state.inventory.size > 0;
  let question: Question | undefined;
  try {
    question = await questionOf(run, ended);
    const changed = made.length > 0 || gone.length > 0 || question !== undefined || run.reports.length > 0;
    const silent = !changed && !(ended && known);
    if (silent && !state.unsure && (ended || sameStatus(state.status, status))) return outcome;
    const { asked, settled } = question ?? {};
    const history = historyOf(run, status);
    const { key } = state;
    const { reports } = run;
    await run.walk.step('record', () =>
      doors.write({ key, status, made, gone, asked, settled, history, ended, reports }),
    );
    if (asked !== undefined) doors.metrics.pruneRefusals.inc({ environment: key.environment }, asked.objects.length);
  } catch (error) {
    if (Fault.is(error, 'LEASE_LOST')) return { kind: 'settled' };
    // The answer may have been lost after it was written: then another status stands there than the one known here.
    state.unsure = true;
    doors.log.warn({ ...state.key, err: error }, 'the outcome of a reconcile could not be written yet');
    return { kind: 'retry' };
  }
  state.unsure = false;
  state.inventory = inventory;
  state.status = ended ? undefined : status;
  if (question !== undefined) {
    const { asked } = question;
    const confirmation = asked === undefined ? undefined : { ...asked, confirmed: false, revision: undefined };
    state.orders = { ...state.orders, confirmation };
  }
  return outcome;
}

function entryOf(state: ProjectState, { key, uid, ownedDigest, keep }: LiveObject): InventoryEntry {
  const wanted = state.wanted.find((object) => objectText(object.key) === objectText(key));
  const entry = { key: wanted?.key ?? key, uid, ownedDigest, desiredDigest: wanted?.digest ?? '' };
  return wanted?.policies?.keep === true || keep === true ? { ...entry, keep: true } : entry;
}

function statusOf(run: Run, inventory: ProjectState['inventory']): Status {
  const { doors, state, plan } = run;
  const { health, reasons } = healthOf({
    desired: state.wanted.length > 0 ? state.wanted : [...state.inventory.values()],
    live: doors.runtime.observed(namespaceOf(state.key)),
    applied: run.applied,
    waiting: plan?.waiting ?? [],
    connected: doors.runtime.state().connected,
  });
  const others = driftReasons(run);
  reportDrift(run, others);
  const phase = phaseOf(run, inventory);
  const isComplete = phase === 'applied' || (phase === 'needs-confirmation' && !isReplacing(run));
  const fresh = isComplete && state.status?.manifestsDigest !== state.loadedDigest;
  return {
    revision: fresh ? run.revision : state.status?.revision,
    manifestsDigest: isComplete ? state.loadedDigest : state.status?.manifestsDigest,
    phase,
    health,
    reasons: [...reasons, ...others],
    problem: concerning(run, problemOf(run)),
    origin: phase === 'applied' && isInventory(state.wanted, inventory) ? state.origin : undefined,
    attempts: state.attempts === 0 ? undefined : state.attempts,
    retryAt: run.retryAt,
  };
}

/** True when what we made is exactly what is wanted: only then the one stands for the other at the next start. */
const isInventory = (wanted: readonly DesiredObject[], inventory: ProjectState['inventory']): boolean =>
  wanted.length === inventory.size &&
  wanted.every(({ key, digest }) => inventory.get(objectText(key))?.desiredDigest === digest);

/** True while something has to be made anew, now or after a yes. */
const isReplacing = ({ plan, replaced }: Run): boolean =>
  replaced.length > 0 || (plan !== undefined && plan.replacements.unconfirmed.length > 0);

/** True when something that Git brought is held back by others than time. */
const isWithheld = ({ plan }: Run): boolean =>
  plan?.withheld.some(({ reason }) => reason === 'new' || reason === 'changed') ?? false;

const isBlocked = ({ blockers }: Run): boolean => blockers.waitsFor.length > 0;

function phaseOf(run: Run, inventory: ProjectState['inventory']): Phase {
  const { doors, state, blobs, faults, plan } = run;
  if (faults.length > 0) return faults.every((fault) => fault.retry) ? 'waiting' : 'failed';
  if (state.orders.hold !== undefined) return 'held';
  if (plan !== undefined && plan.unconfirmed.length + plan.replacements.unconfirmed.length > 0)
    return 'needs-confirmation';
  if (isWithheld(run)) return isBlocked(run) && run.allowed?.apply === true ? 'waiting' : 'held';
  const objects = [...inventory.values()].filter(({ keep }) => keep !== true).length;
  if (blobs === undefined && (objects > 0 || !doors.runtime.state().complete)) return 'removing';
  if (isReplacing(run) || (plan !== undefined && plan.waiting.length > 0)) return 'applying';
  return 'applied';
}

const problemBy = ({ code, message }: Fault): Problem => ({ code, detail: message });

/** Says which manifests it is about: until the next run it stands beside newer ones. */
const concerning = ({ blobs }: Run, problem: Problem | undefined): Problem | undefined =>
  problem === undefined || blobs?.manifests === undefined ? problem : { ...problem, manifests: blobs.manifests };

function problemOf(run: Run): Problem | undefined {
  const fault = run.faults[0];
  if (fault !== undefined) return problemBy(fault);
  if (run.state.orders.hold !== undefined) return undefined;
  if (run.blobs === undefined && run.leavesAfter.length > 0)
    return problemBy(new Fault('DEPENDENCY_NOT_READY', { why: leaveText(run.leavesAfter) }));
  if (!isWithheld(run)) return undefined;
  const because = run.allowed?.because.apply;
  if (because !== undefined) return problemBy(new Fault('NOT_ALLOWED_NOW', { why: because }));
  return isBlocked(run) ? problemBy(new Fault('DEPENDENCY_NOT_READY', { why: waitText(run.blockers) })) : undefined;
}

/**
 * True when Git and the cluster hold nothing of the project any more, but for what its policy keeps. Only a complete
 * listing can say so of the cluster: a record that a crash lost leaves objects that nothing else knows.
 */
function isEnded({ doors, state, blobs, faults }: Run, inventory: ProjectState['inventory']): boolean {
  if (blobs !== undefined || faults.length > 0 || !doors.runtime.state().complete) return false;
  if ([...inventory.values()].some(({ keep }) => keep !== true)) return false;
  const live = doors.runtime.observed(namespaceOf(state.key));
  const left = leftBehind(live);
  return !live.some(({ key, ownedDigest }) => ownedDigest !== '' && !left.has(objectText(key)));
}

type Question = Pick<Record, 'asked' | 'settled'>;

/** The question to a person that this run leaves open or settles; undefined when nothing about it changed. */
async function questionOf(run: Run, ended: boolean): Promise<Question | undefined> {
  const { plan } = run;
  const open = run.state.orders.confirmation;
  if (plan === undefined) return undefined;
  const objects = [...plan.unconfirmed.map(removalText), ...plan.replacements.unconfirmed.map(replacementText)].sort();
  if (objects.length > 0) {
    const digest = digestOf(objects.join('\n'));
    return open?.digest === digest ? undefined : { asked: { digest, objects }, settled: undefined };
  }
  if (open === undefined) return undefined;
  // A list stays answered until the last of it is gone: what is on its way out is not asked about again.
  const over =
    open.digest === wholeProject
      ? ended || (await isWantedAgain(run, open))
      : !open.objects.some((text) => plan.leaving.has(text) || plan.replacements.standing.has(text));
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

function historyOf({ state, applied, removed, replaced, plan }: Run, status: Status): string | undefined {
  const before = state.status;
  if (status.problem !== undefined && before?.problem?.detail !== status.problem.detail) return status.problem.detail;
  if (replaced.length > 0) return `made anew: ${replaced.map(({ key }) => `${key.kind}/${key.name}`).join(', ')}`;
  if (applied.length > 0 || removed.length > 0) return `${applied.length} objects applied, ${removed.length} removed`;
  if (before?.phase !== status.phase) return `${status.phase}`;
  const kept = plan?.kept ?? [];
  if (kept.length > 0) return `left in the cluster: ${kept.map(({ key }) => `${key.kind}/${key.name}`).join(', ')}`;
  return before.health === status.health ? undefined : `health is ${status.health}`;
}

const sameStatus = (before: Status | undefined, after: Status): boolean =>
  before !== undefined && JSON.stringify(before) === JSON.stringify(after);

/** When to come back: the earliest of all that may change by itself, or that may go better the next time. */
function outcomeOf(run: Run): Outcome {
  const { doors, state, allowed } = run;
  const now = doors.clock.now().getTime();
  const nowMs = doors.clock.monotonicMs();
  const retryMs = retryIn(run, nowMs);
  // What was refused before is not tried now: its time stands as it was written.
  const stands = run.old.length > 0 && run.old.length === run.faults.length;
  const retryAt = retryMs === undefined ? undefined : new Date(now + retryMs).toISOString();
  run.retryAt = stands ? state.status?.retryAt : retryAt;
  const look = nextLookMs(state, nowMs);
  const waits = [retryMs, look === undefined ? undefined : look - nowMs].filter((wait) => wait !== undefined);
  const [at] = [state.orders.hold?.until, hasWithheld(run) ? allowed?.until : undefined]
    .filter((end) => end !== undefined)
    .sort((a, b) => a.getTime() - b.getTime());
  if (waits.length > 0) return { kind: 'later', afterMs: Math.min(mostLaterMs, Math.max(0, Math.min(...waits))), at };
  return at === undefined ? { kind: 'settled' } : { kind: 'at', at };
}

/** How long until the next try; undefined: when something changes. */
function retryIn(run: Run, nowMs: number): number | undefined {
  const { state, faults, old } = run;
  if (faults.length === 0) state.attempts = 0;
  else if (faults.length > old.length) state.attempts += 1;
  const refused = new Map([...state.refusals.values()].map((refusal) => [refusal.fault, refusal.untilMs - nowMs]));
  const pauses = faults
    .map((fault) => refused.get(fault) ?? pauseMs(paceOf(fault), state.attempts, Math.random()))
    .filter((pause): pause is number => pause !== undefined && Number.isFinite(pause));
  return pauses.length === 0 ? undefined : Math.max(0, Math.min(...pauses));
}

const mostLaterMs = 6 * 60_000;

const hasWithheld = ({ plan }: Run): boolean => (plan?.withheld.length ?? 0) > 0;
