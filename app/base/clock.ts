import { performance } from 'node:perf_hooks';
import { setTimeout as sleepFor } from 'node:timers/promises';

/** The only place that reads time. Tests hand in a clock that they move. */
export interface Clock {
  /** The wall clock, UTC. */
  now(): Date;
  /** Milliseconds that never go backwards; only differences mean something. */
  monotonicMs(): number;
  /** Resolves after `ms`, or rejects with the signal's reason. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
  sleep: async (ms, signal) => {
    await sleepFor(ms, undefined, { signal });
  },
};

/** Waits for work that goes on anyway, but no longer than `mostMs`. It must not reject. */
export async function waitAtMost(clock: Clock, mostMs: number, work: Promise<unknown>): Promise<void> {
  const enough = new AbortController();
  await Promise.race([work, clock.sleep(mostMs, enough.signal).catch(() => {})]);
  enough.abort();
}
