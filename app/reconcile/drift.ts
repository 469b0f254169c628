import { namespaceOf } from '#environments/layout.ts';
import { type Conflict, type LiveObject, type ObjectKey, objectText } from '#runtime/runtime.ts';
import { afterHeal, conflictsText, healableAtMs, overAtMs } from './decide/fight.ts';
import { isHeal, type Withheld } from './decide/plan.ts';
import { type Drift, nothing, type ProjectState, type Run, sourceOf, withEntry } from './run.ts';
import type { Reason } from './store.ts';

/** The objects that others rewrite all the time and that are not healed just now, as `objectText`. */
export const restingNow = ({ fights }: ProjectState, nowMs: number): ReadonlySet<string> =>
  new Set([...fights].filter(([, fight]) => healableAtMs(fight) > nowMs).map(([text]) => text));

/** Counts a heal of an object: too many too soon are a fight, which is reported once. */
export function noteHeal(run: Run, object: string, conflicts: readonly Conflict[]): void {
  const { state, doors, reports } = run;
  const before = state.fights.get(object);
  const now = afterHeal(before, doors.clock.monotonicMs(), conflicts);
  state.fights = withEntry(state.fights, object, now);
  if (!now.open || before?.open === true) return;
  const message = `${object} is rewritten again and again by ${conflictsText(now.conflicts)}; it is healed a few times a minute until that stops.`;
  reports.push({ kind: 'fight', object, message, managers: now.conflicts });
  doors.log.warn({ object, conflicts: now.conflicts }, 'another manager rewrites an object again and again');
}

/** Forgets fights that are over. */
export function endFights({ state, doors }: Run): void {
  const nowMs = doors.clock.monotonicMs();
  for (const [object, fight] of state.fights) {
    if (overAtMs(fight) > nowMs) continue;
    state.fights = withEntry(state.fights, object, undefined);
    if (fight.open) doors.log.info({ object }, 'nobody rewrites the object any more');
  }
}

/** When a fight has to be looked at again, in monotonic milliseconds; undefined: there is none. */
export function nextLookMs({ fights }: ProjectState, nowMs: number): number | undefined {
  const times = [...fights.values()]
    .filter(({ open }) => open)
    .map((fight) => (healableAtMs(fight) > nowMs ? healableAtMs(fight) : overAtMs(fight)));
  return times.length === 0 ? undefined : Math.min(...times);
}

/**
 * Looks once at each foreign edit that is not healed: who wrote which fields. Asks only, and only when an edit is new.
 */
export async function lookAtDrift(run: Run): Promise<void> {
  const { state, doors, plan } = run;
  const edits = (plan?.withheld ?? []).filter((one) => isEdit(one));
  if (edits.length === 0 && state.drifts.size === 0) return;
  const live = new Map(
    doors.runtime.observed(namespaceOf(state.key)).map((object) => [objectText(object.key), object]),
  );
  const drifts = await Promise.all(
    edits.map(async (edit): Promise<readonly [string, Drift]> => {
      const text = objectText(edit.key);
      const seen = seenOf(live.get(text));
      const known = state.drifts.get(text);
      if (known?.seen === seen) return [text, known];
      return [text, { seen, conflicts: edit.reason === 'edited' ? await writersOf(run, edit.key) : [] }];
    }),
  );
  state.drifts = drifts.length === 0 ? nothing : new Map(drifts);
}

const isEdit = ({ reason }: Withheld): boolean => reason !== 'unwanted' && isHeal(reason);

const seenOf = (live: LiveObject | undefined): string => (live === undefined ? '' : `${live.uid} ${live.ownedDigest}`);

async function writersOf(run: Run, key: ObjectKey): Promise<readonly Conflict[]> {
  const { desired } = await sourceOf(run);
  const wanted = desired.find((object) => objectText(object.key) === objectText(key));
  if (wanted === undefined) return [];
  try {
    return await run.doors.runtime.foreignFields(wanted.object, run.signal);
  } catch (error) {
    run.doors.log.debug({ object: objectText(key), err: error }, 'who edited an object could not be seen');
    return [];
  }
}

const mostReasons = 50;

/** What is other than Git says and stays so for now, what cannot be seen, and which objects others fight over. */
export function driftReasons({ state, plan, allowed }: Run): readonly Reason[] {
  const withheld = (plan?.withheld ?? []).map(({ key, reason }) => ({
    object: `${key.kind}/${key.name}`,
    state: isEdit({ key, reason }) ? 'drift' : 'withheld',
    reason: withheldText(reason, state.drifts.get(objectText(key))?.conflicts ?? [], allowed?.because ?? {}),
  }));
  const fights = [...state.fights]
    .filter(([, { open }]) => open)
    .map(([text, { conflicts }]) => ({
      object: shortName(text),
      state: 'fight',
      reason: `is rewritten again and again by ${conflictsText(conflicts)}`,
    }));
  const unseen = (plan?.unseen ?? []).map(({ key, wanted, why }) => ({
    object: `${key.kind}/${key.name}`,
    state: 'unseen',
    reason: `${wanted ? 'is left alone' : 'has left Git and is not deleted'}, it cannot be seen: ${why}`,
  }));
  return [...fights, ...unseen, ...withheld].slice(0, mostReasons);
}

/** `apps/v1 Deployment ns/web` as `Deployment/web`. */
function shortName(text: string): string {
  const [, kind = '', path = ''] = text.split(' ');
  return `${kind}/${path.slice(path.indexOf('/') + 1)}`;
}

function withheldText(
  reason: Withheld['reason'],
  conflicts: readonly Conflict[],
  because: Readonly<Partial<Record<'apply' | 'heal' | 'prune', string>>>,
): string {
  const why = (action: 'apply' | 'heal' | 'prune') => (because[action] === undefined ? '' : `: ${because[action]}`);
  switch (reason) {
    case 'edited':
      return `was changed by ${conflictsText(conflicts)} and is left so${why('heal')}`;
    case 'missing':
      return `was deleted by others and is not made anew${why('heal')}`;
    case 'new':
      return `is not made yet${why('apply')}`;
    case 'changed':
      return `is not changed yet${why('apply')}`;
    case 'unwanted':
      return `has left Git and is not deleted yet${why('prune')}`;
  }
}

/** Reports for drift that the last status did not show. */
export function reportDrift(run: Run, reasons: readonly Reason[]): void {
  const before = new Set((run.state.status?.reasons ?? []).map(({ object, reason }) => `${object} ${reason}`));
  for (const { object, state, reason } of reasons) {
    if (state !== 'drift' || before.has(`${object} ${reason}`)) continue;
    const text = [...run.state.drifts.keys()].find((key) => shortName(key) === object) ?? object;
    const managers = run.state.drifts.get(text)?.conflicts ?? [];
    run.reports.push({ kind: 'drift', object: text, message: `${text} ${reason}.`, managers });
    const { environment } = run.state.key;
    run.doors.metrics.drift.inc({ environment, kind: object.split('/')[0] ?? '', outcome: 'found' });
  }
}
