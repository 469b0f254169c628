import { type Clock, waitAtMost } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { startLoop } from '#base/loop.ts';
import { createDecider, type DecideDoors } from './commit-status-decide.ts';
import { createTeller, type SendDoors } from './commit-status-send.ts';
import { forgetOld } from './commit-status-store.ts';

export interface CommitStatusesOptions extends DecideDoors, SendDoors {
  readonly clock: Clock;
}

/** Tells the Git host how each commit of the branch fares. */
export interface CommitStatuses {
  /** The branch, a project's status or a change may have moved: a hint. */
  wake(): void;
  stop(): Promise<void>;
}

const pollMs = 10_000;
const tellPollMs = 30_000;
/** Between two looks: a thousand projects that change at once are one look, not a thousand. */
const leastGapMs = 250;
/** A look that took long is followed by a longer gap: looking never takes more than a fifth of the time. */
const restOfLook = 4;
const stopMs = 5000;
const keptDays = 30;
const forgetEveryMs = 3_600_000;

/**
 * Two loops. One compares what Git wants with what reconcile reports, and writes what should be told; the other tells
 * it, as fast as the host takes it. Both go by what stands in the database, so that several replicas share the work and
 * a restart loses nothing.
 */
export function startCommitStatuses(options: CommitStatusesOptions): CommitStatuses {
  const { clock, log, database } = options;
  const decider = createDecider(options);
  const teller = createTeller(options);
  const stopping = new AbortController();
  let forgetAtMs = clock.monotonicMs() + forgetEveryMs;
  let nextLookMs = Number.NEGATIVE_INFINITY;

  const tell = startLoop({
    name: 'commit statuses: tell',
    log,
    clock,
    everyMs: tellPollMs,
    run: async (signal) => {
      const ms = await teller.tell(stopping.signal);
      if (signal.aborted) return 'idle';
      if (ms === 0) return 'again';
      return ms === undefined ? 'idle' : { afterMs: ms };
    },
  });

  const decide = startLoop({
    name: 'commit statuses: decide',
    log,
    clock,
    everyMs: pollMs,
    run: async (signal) => {
      const early = nextLookMs - clock.monotonicMs();
      if (early > 0) await clock.sleep(early, signal).catch(() => {});
      if (signal.aborted) return 'idle';
      const beganMs = clock.monotonicMs();
      if (await decider.look()) tell.wake();
      const nowMs = clock.monotonicMs();
      nextLookMs = nowMs + Math.max(leastGapMs, restOfLook * (nowMs - beganMs));
      if (nowMs > forgetAtMs) {
        forgetAtMs = nowMs + forgetEveryMs;
        await forgetOld(database, keptDays);
      }
      return 'idle';
    },
  });

  return {
    wake: decide.wake,
    stop: async () => {
      const ended = Promise.all([decide.stop(), tell.stop()]);
      // What the host has taken is not written down yet: cut off, it would be told again.
      await waitAtMost(clock, stopMs, ended);
      stopping.abort(new Fault('STOPPING'));
      await ended;
    },
  };
}
