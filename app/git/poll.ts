import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { type Loop, startLoop } from '#base/loop.ts';
import type { Remote } from './remote.ts';

export interface PollOptions {
  readonly remote: Remote;
  /** The pause between two looks, ten percent more or less. */
  readonly everyMs: number;
  readonly clock: Clock;
  readonly log: Log;
  /** The tip moved, or the remote can be used again: a hint. */
  moved(): void;
}

/** However often it is woken, the remote is asked once in so long at the most. */
const leastMs = 1000;
/** `startLoop` takes up to a fifth off its pause; of this much more it leaves 0.9 to 1.1. */
const most = 1.1;

/**
 * Asks the remote for new commits, over and over: the truth, of which webhooks are only hints. `wake` asks for a look
 * soon; ten thousand wakes cost one look a second. A remote that is away is asked again soon, one that refuses Plinth
 * with the next poll, so that nobody is locked out by trying.
 */
export function startPoll({ remote, everyMs, clock, log, moved }: PollOptions): Loop {
  let lastMs = Number.NEGATIVE_INFINITY;
  return startLoop({
    name: 'poll of the state repository',
    log,
    clock,
    everyMs: everyMs * most,
    run: async (signal) => {
      const earliestMs = lastMs + leastMs;
      const waitMs = earliestMs - clock.monotonicMs();
      if (waitMs > 0) await clock.sleep(waitMs, signal);
      lastMs = clock.monotonicMs();
      const wasOut = remote.problem() !== undefined;
      try {
        const tipMoved = await remote.fetch(signal);
        if (tipMoved || wasOut) moved();
      } catch (error) {
        // Told already, once; only what may pass by itself is worth another look before the next poll.
        if (!Fault.is(error) || error.code === 'REMOTE_UNAVAILABLE') throw error;
      }
      return 'idle';
    },
  });
}
