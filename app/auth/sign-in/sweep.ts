import type { Clock } from '#base/clock.ts';
import type { Log } from '#base/log.ts';
import { type Loop, startLoop } from '#base/loop.ts';
import type { Database } from '#database/pool.ts';
import { deleteEnded } from './store.ts';

const everyMs = 10 * 60_000;
/** An address from which nobody signed in to an account for so long is strange to it again. */
const knownMs = 90 * 86_400_000;

/** Deletes sessions, counts, links and codes that have had their day. None of them counts before that either. */
export function startSignInSweep({ database, clock, log }: { database: Database; clock: Clock; log: Log }): Loop {
  const run = async () => {
    const now = clock.now();
    await deleteEnded(database, now, new Date(now.getTime() - knownMs));
    return 'idle' as const;
  };
  return startLoop({ name: 'sign-in sweep', log, clock, everyMs, run });
}
