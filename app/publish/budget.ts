import type { Clock } from '#base/clock.ts';

/** How many pushes a host takes, and who may use them. */
export interface PushBudget {
  readonly isLimited: boolean;
  /** What may be pushed now: everything, only what people wait for, or nothing. */
  open(): 'all' | 'interactive' | 'none';
  /** A push is about to be made. */
  spend(): void;
}

const windowMs = 60_000;
/** So many of a minute's pushes are kept for people, of a budget that is large enough to be shared. */
const keptForPeople = 2;

/**
 * At most `perMinute` pushes in any minute. What people wait for goes at once while there is one left; what is only
 * rendered anew waits until its share of a minute has passed since the last push, and leaves two for people.
 * Undefined: no limit.
 */
export function createPushBudget(perMinute: number | undefined, clock: Clock): PushBudget {
  if (perMinute === undefined) return { isLimited: false, open: () => 'all', spend: () => {} };
  const kept = perMinute > keptForPeople ? keptForPeople : 0;
  let pushes: number[] = [];
  return {
    isLimited: true,
    open: () => {
      const nowMs = clock.monotonicMs();
      pushes = pushes.filter((atMs) => atMs > nowMs - windowMs);
      if (pushes.length >= perMinute) return 'none';
      const lastMs = pushes.at(-1) ?? Number.NEGATIVE_INFINITY;
      const bulkIsDue = nowMs - lastMs >= windowMs / perMinute && pushes.length < perMinute - kept;
      return bulkIsDue ? 'all' : 'interactive';
    },
    spend: () => {
      pushes.push(clock.monotonicMs());
    },
  };
}
