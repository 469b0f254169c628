import type { Clock } from '#base/clock.ts';

/** `urgent`: heals and people who wait; `bulk`: everything else. Urgent requests never queue behind bulk ones. */
export type Lane = 'urgent' | 'bulk';

export interface Lanes {
  /** Waits for a place; resolves at once (undefined) when one is free. */
  enter(lane: Lane, signal?: AbortSignal): Promise<void> | undefined;
  /** Gives the place back. `kind` joins requests that should take about the same time, such as `PATCH configmaps`. */
  leave(kind: string, tookMs: number, outcome: 'answered' | 'throttled' | 'failed'): void;
  /** Requests that may be under way at once now. */
  limit(): number;
}

const first = 16;
const least = 2;
/** Places beyond the limit that only urgent requests take, so that they start even when bulk ones hang. */
const reserve = 4;
/** Below this a request is not slow, whatever it took before. */
const patientMs = 100;
/** How much longer than usual a request may take before the server counts as crowded. */
const crowded = 8;
/** How much longer before its other clients feel us: they wait in the same queues. */
const felt = 3;
/** So many at once keep a server busy, whatever they take; what is merely felt brings no fewer. */
const calm = 12;

interface Waiter {
  start(): void;
}

/**
 * Adaptive concurrency, additive increase and multiplicative decrease: as many requests at once as the server takes
 * without slowing down, for us and for its other clients. No fixed rate, no sleep: a request waits only for a place.
 */
export function createLanes({ clock, most }: { clock: Clock; most: number }): Lanes {
  let limit = Math.min(first, most - reserve);
  let active = 0;
  let answers = 0;
  let slow = 0;
  let long = 0;
  let saturated = false;
  let restUntilMs = 0;
  const usualMs = new Map<string, number>();
  const waiting: Record<Lane, Waiter[]> = { urgent: [], bulk: [] };

  const free = (lane: Lane) => active < (lane === 'urgent' ? limit + reserve : limit);

  /** A new window of answers. */
  const begin = () => {
    answers = 0;
    slow = 0;
    long = 0;
    saturated = false;
  };

  const shrink = (factor: number) => {
    // One decrease per congestion: what was sent before it says nothing new.
    const nowMs = clock.monotonicMs();
    if (nowMs < restUntilMs) return;
    limit = Math.max(least, Math.floor(limit * factor));
    restUntilMs = nowMs + patientMs;
    begin();
  };

  const compare = (kind: string, tookMs: number): void => {
    const usual = usualMs.get(kind) ?? tookMs;
    // Falls at once and rises over thousands of answers: a change of the server is learned, congestion is not.
    usualMs.set(kind, Math.min(tookMs, usual * 1.0001));
    if (tookMs > usual * felt) long += 1;
    if (tookMs > patientMs && tookMs > usual * crowded) slow += 1;
  };

  const judge = () => {
    if (answers < limit) return;
    if (slow * 2 > answers) shrink(0.8);
    else if (long * 2 > answers) limit = Math.max(Math.min(limit, calm), Math.floor(limit * 0.9));
    else if (saturated) limit = Math.min(most - reserve, limit + 2);
    begin();
  };

  return {
    enter: (lane, signal) => {
      if (free(lane) && waiting[lane].length === 0) {
        active += 1;
        return undefined;
      }
      saturated = true;
      return wait(waiting[lane], signal);
    },
    leave: (kind, tookMs, outcome) => {
      active -= 1;
      answers += 1;
      if (outcome === 'throttled') shrink(0.5);
      if (outcome === 'answered') compare(kind, tookMs);
      judge();
      for (const lane of ['urgent', 'bulk'] as const)
        while (waiting[lane].length > 0 && free(lane)) {
          active += 1;
          waiting[lane].shift()?.start();
        }
    },
    limit: () => limit,
  };
}

function wait(queue: Waiter[], signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = () => {
      queue.splice(queue.indexOf(waiter), 1);
      reject(signal?.reason);
    };
    const waiter: Waiter = {
      start: () => {
        signal?.removeEventListener('abort', leave);
        resolve();
      },
    };
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    signal?.addEventListener('abort', leave, { once: true });
    queue.push(waiter);
  });
}
