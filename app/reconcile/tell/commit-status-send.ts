import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { Database } from '#database/pool.ts';
import type { GitHost, HostKind } from '#git/git-host.ts';
import { claimStatuses, type DueStatus, postpone, readPace, recordTold } from './commit-status-store.ts';

export interface SendDoors {
  readonly database: Database;
  readonly host: GitHost;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'commitStatuses'>;
  /** The page that a status leads to. */
  readonly urlOf: (status: { readonly environment: string; readonly revision: string }) => string | undefined;
}

/** Tells the host what is due. */
export interface Teller {
  /** Tells some of what is due. Milliseconds until the next look is worth it; 0: at once; undefined: nothing is due. */
  tell(signal: AbortSignal): Promise<number | undefined>;
}

const atOnce = 4;
/** Longer than one request can take. */
const leaseMs = 60_000;
const firstPauseMs = 1000;
const mostPauseMs = 300_000;
/** A day with a host that is away, and a quarter of an hour with one that says no. */
const mostTries = 300;
const mostRefusals = 10;
/**
 * Statuses a minute, over all replicas: GitHub slows down who writes more than 80 times a minute (and, over longer
 * times, says by Retry-After when to go on), Bitbucket takes 1,000 requests an hour; the others have no limit unless
 * their operators set one.
 */
const budgets: Readonly<Record<HostKind, number>> = { github: 60, gitlab: 300, gitea: 600, bitbucket: 15 };

export function createTeller(doors: SendDoors): Teller {
  const { database, host, clock } = doors;
  const budget = budgets[host.kind];
  /** Until then the host is left alone; by the monotonic clock. */
  let quietUntilMs = Number.NEGATIVE_INFINITY;
  let failures = 0;

  /** A host that is away or takes no more is asked again after its own time, or after a while by chance. */
  const leaveAlone = (fault: Fault) => {
    failures += 1;
    const after = typeof fault.data.afterMs === 'number' ? fault.data.afterMs : 0;
    quietUntilMs = clock.monotonicMs() + Math.max(after, jittered(failures));
  };

  const tellOne = async (due: DueStatus, signal: AbortSignal) => {
    try {
      await host.setStatus(statusOf(doors, due), signal);
    } catch (error) {
      if (signal.aborted) return await postpone(database, due, 0);
      if (!Fault.is(error)) throw error;
      if (error.retry || error.data.status === 401 || error.data.status === 403) leaveAlone(error);
      return await putOff(doors, due, error);
    }
    failures = 0;
    doors.metrics.commitStatuses.inc({ outcome: due.outcome.state });
    await recordTold(database, due, due.outcome);
  };

  return {
    tell: async (signal) => {
      const quietMs = quietUntilMs - clock.monotonicMs();
      if (quietMs > 0) return quietMs;
      const { lastMinute, nextMs } = await readPace(database);
      if (nextMs === undefined || nextMs > 0) return nextMs;
      if (lastMinute >= budget) return 5000;
      // After a failure one request finds out whether the host is back.
      const most = failures > 0 ? 1 : Math.min(atOnce, budget - lastMinute);
      const claimed = await claimStatuses(database, most, leaseMs);
      await Promise.all(claimed.map((due) => tellOne(due, signal)));
      return 0;
    },
  };
}

const statusOf = ({ urlOf }: SendDoors, { revision, environment, aspect, outcome }: DueStatus) => ({
  revision,
  context: `plinth/${environment}/${aspect}`,
  ...outcome,
  url: urlOf({ environment, revision }),
});

async function putOff({ database, log, metrics }: SendDoors, due: DueStatus, fault: Fault): Promise<void> {
  const { tries, revision, environment, aspect } = due;
  const about = { revision, environment, aspect, tries, reason: fault.message };
  metrics.commitStatuses.inc({ outcome: fault.retry ? 'unavailable' : 'refused' });
  if (tries >= (fault.retry ? mostTries : mostRefusals)) {
    log.error(about, 'the Git host is not told of a commit any more');
    return await postpone(database, due, undefined);
  }
  // What it says no to, a person must put right; said once, and tried again for when they have.
  const level = !fault.retry && tries === 1 ? 'error' : 'warn';
  log[level](about, 'the Git host could not be told of a commit yet');
  await postpone(database, due, jittered(tries));
}

/** Full jitter, but never nothing: 1 s, 2 s, 4 s … 5 minutes at the most. */
const jittered = (failures: number) =>
  Math.max(200, Math.random() * Math.min(mostPauseMs, firstPauseMs * 2 ** Math.min(failures, 20)));
