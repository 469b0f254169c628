import { Fault } from '#base/errors.ts';
import { type Loop, startLoop } from '#base/loop.ts';
import { underLease } from '#database/lease-store.ts';
import type { Lease, Turn } from '#database/leases.ts';
import { createPushBudget } from './budget.ts';
import { type PublishDoors, publishDue } from './publish.ts';
import { beginScan, type Scan } from './scan.ts';
import { hastenChanges } from './store.ts';

const pollMs = 5_000;

/** The lease of the one writer of the state repository. */
export const publishLease = 'publish';

export interface PublisherOptions extends Omit<PublishDoors, 'lease' | 'budget'> {
  /** Begins a turn as the one writer; undefined: another replica is that. Absent: there is one replica only. */
  readonly enter?: (() => Turn | undefined) | undefined;
}

/**
 * Starts the one writer of the state repository: what came in by others is looked at slice by slice, and between two
 * slices the changes that wait are written. It is woken by notices and polls all the same.
 */
export function startPublisher(options: PublisherOptions): Loop {
  let lease: Lease | undefined;
  let scanned: string | undefined;
  let scan: Scan | undefined;
  let wasOut = false;
  const { remote } = options.repository;
  const budget = createPushBudget(remote?.pushesPerMinute, options.clock);

  /** Asks a remote that was away whether it is back. What it refuses only a person can mend: the poll sees that. */
  const isOut = async (isNew: boolean, signal: AbortSignal): Promise<boolean> => {
    const away = remote?.isThere() === false && remote.problem()?.code === 'REMOTE_UNAVAILABLE';
    if (away || isNew)
      await remote?.fetch(signal).catch((error: unknown) => {
        if (!Fault.is(error) || signal.aborted) throw error;
      });
    const out = remote?.isThere() === false;
    if (wasOut && !out) await hastenChanges(options.database);
    wasOut = out;
    return out;
  };

  const step = async (doors: PublishDoors) => {
    scan ??= await beginScan(doors, scanned);
    if (scan !== undefined && (await scan.step())) {
      scanned = scan.tip;
      scan = undefined;
    }
    // While a scan is under way nothing counts as scanned: what is written now is looked at after it.
    const { ended, scanned: written } = await publishDue(doors, scan === undefined ? scanned : undefined);
    if (scan === undefined) scanned = written;
    return ended > 0 || scan !== undefined ? 'again' : 'idle';
  };

  return startLoop({
    name: 'publish',
    log: options.log,
    clock: options.clock,
    everyMs: pollMs,
    run: async (signal) => {
      if (options.enter === undefined)
        return (await isOut(false, signal)) ? 'idle' : await step({ ...options, budget });
      const turn = options.enter();
      if (turn === undefined) return 'idle';
      // Another replica may have written and scanned meanwhile.
      const isNew = turn.lease !== lease;
      if (isNew) [scanned, scan] = [undefined, undefined];
      lease = turn.lease;
      try {
        if (await isOut(isNew, signal)) return 'idle';
        return await step({ ...options, budget, lease, database: underLease(options.database, lease) });
      } finally {
        turn.end();
      }
    },
  });
}
