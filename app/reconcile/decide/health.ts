import { type HealthState, type LiveObject, type ObjectKey, objectText } from '#runtime/runtime.ts';
import type { Reason } from '../store.ts';
import type { DesiredObject, Plan } from './plan.ts';

/** From best to worst; a project is as healthy as its worst object. */
const order: readonly HealthState[] = ['healthy', 'suspended', 'progressing', 'missing', 'degraded', 'unknown'];

export interface HealthInput {
  /** What should exist; of a project that leaves, what still stands. */
  readonly desired: readonly Pick<DesiredObject, 'key'>[];
  readonly live: readonly LiveObject[];
  /** Objects of this run, which the watch may not have seen yet. */
  readonly applied: readonly LiveObject[];
  readonly waiting: Plan['waiting'];
  readonly connected: boolean;
}

export interface ProjectHealth {
  readonly health: HealthState;
  /** Every object that is not healthy, worst first. */
  readonly reasons: readonly Reason[];
}

/** The health of a project from its objects: the worst one wins and each unhealthy one says why. */
export function healthOf(input: HealthInput): ProjectHealth {
  // Of a project that was never read, nothing is known.
  if (!input.connected || input.desired.length === 0) return { health: 'unknown', reasons: [] };
  const live = new Map(input.applied.map((object) => [objectText(object.key), object]));
  for (const object of input.live) {
    const text = objectText(object.key);
    const applied = live.get(text);
    if (applied === undefined || Number(object.resourceVersion) >= Number(applied.resourceVersion))
      live.set(text, object);
  }
  const waiting = new Map(input.waiting.map(({ key, for: names }) => [objectText(key), names]));
  const reasons = input.desired
    .map(({ key }) => reasonOf(key, live.get(objectText(key)), waiting.get(objectText(key))))
    .filter((reason) => reason !== undefined)
    .sort((a, b) => rank(b.state) - rank(a.state) || (a.object < b.object ? -1 : 1));
  const worst = reasons[0]?.state as HealthState | undefined;
  return { health: worst ?? 'healthy', reasons };
}

function reasonOf(
  key: ObjectKey,
  live: LiveObject | undefined,
  waitsFor: readonly string[] | undefined,
): Reason | undefined {
  const object = `${key.kind}/${key.name}`;
  if (waitsFor !== undefined) return { object, state: 'progressing', reason: waitText(waitsFor) };
  if (live === undefined) return { object, state: 'missing', reason: 'is not in the cluster yet' };
  if (live.health.state === 'healthy') return undefined;
  return { object, state: live.health.state, reason: live.health.reason };
}

const waitText = (names: readonly string[]): string =>
  names.length === 0 ? 'is made anew when its old form is gone' : `waits until ${names.join(', ')} is healthy`;

const rank = (state: string): number => order.indexOf(state as HealthState);
