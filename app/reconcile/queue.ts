import type { Clock } from '#base/clock.ts';
import { createAlarm } from './alarm.ts';

/** Why a run is asked for: what a person or a foreign hand did goes before what a large push brought. */
export type Lane = 'heal' | 'bulk';

export type Outcome =
  /** Nothing left to do until the next trigger. */
  | { readonly kind: 'settled' }
  /** Try again after a pause that grows with full jitter. */
  | { readonly kind: 'retry' }
  /** Try again at this pause, for things that only time or a person mends; before, once the wall clock shows `at`. */
  | { readonly kind: 'later'; readonly afterMs: number; readonly at?: Date | undefined }
  /** Nothing to do before the wall clock shows this: a window opens, an order ends. */
  | { readonly kind: 'at'; readonly at: Date };

export interface QueueOptions {
  readonly clock: Clock;
  /** How many runs may be under way at once. */
  readonly concurrency: number;
  /** One run of one item. It should not reject; if it does, the item is tried again. */
  run(item: string, signal: AbortSignal): Promise<Outcome>;
}

export interface Queue {
  /** Asks for a run. Asking while one is under way brings another after it, so that no trigger is lost. */
  mark(item: string, lane: Lane): void;
  /** Items that wait or run. */
  size(): number;
  /** For how long the oldest item waits, in milliseconds; 0 when none does. */
  oldestMs(): number;
  /** Resolves when nothing waits or runs (pauses before a retry do not count). */
  idle(): Promise<void>;
  /** Begins no run any more, lets those under way end for as long as `graceMs`, then aborts them, and waits for all. */
  stop(graceMs?: number): Promise<void>;
}

const firstPauseMs = 200;
const mostPauseMs = 60_000;
/** After so many urgent items in a row one of the others has its turn: a fight without end starves nobody. */
const urgentInARow = 8;

/**
 * The level-triggered queue of one environment. An item is dirty or not, never twice; dirt is cleared at the start of
 * a run, so what arrives during the run is seen by the next one. Items run side by side, one run an item. No call
 * costs more because many items wait.
 */
export function createQueue({ clock, concurrency, run }: QueueOptions): Queue {
  // An item waits in one lane only; `since` holds all of them in the order in which they came, with the time.
  const dirty = { heal: new Set<string>(), bulk: new Set<string>() };
  const since = new Map<string, number>();
  const running = new Set<string>();
  const failures = new Map<string, number>();
  const pauses = new Map<string, AbortController>();
  const stopping = new AbortController();
  const alarm = createAlarm({ clock, ring: (item) => mark(item, 'bulk') });
  let closed = false;
  let settle: (() => void)[] = [];
  let urgent = 0;

  const takeFrom = (lane: Lane): string | undefined => {
    for (const item of dirty[lane]) {
      if (running.has(item)) continue;
      dirty[lane].delete(item);
      since.delete(item);
      urgent = lane === 'heal' ? urgent + 1 : 0;
      return item;
    }
    return undefined;
  };

  const take = (): string | undefined =>
    urgent < urgentInARow ? (takeFrom('heal') ?? takeFrom('bulk')) : (takeFrom('bulk') ?? takeFrom('heal'));

  const pump = () => {
    while (running.size < concurrency && !closed) {
      const item = take();
      if (item === undefined) break;
      running.add(item);
      void work(item);
    }
    if (running.size > 0 || (since.size > 0 && !closed)) return;
    const waiting = settle;
    settle = [];
    for (const resolve of waiting) resolve();
  };

  const work = async (item: string) => {
    pauses.get(item)?.abort();
    pauses.delete(item);
    alarm.clear(item);
    const outcome = await run(item, stopping.signal).catch((): Outcome => ({ kind: 'retry' }));
    running.delete(item);
    if (outcome.kind === 'retry' || outcome.kind === 'later') comeBack(item, outcome);
    else failures.delete(item);
    if ('at' in outcome && outcome.at !== undefined) alarm.set(item, outcome.at);
    pump();
  };

  const comeBack = (item: string, outcome: Extract<Outcome, { kind: 'retry' | 'later' }>) => {
    const count = (failures.get(item) ?? 0) + 1;
    failures.set(item, count);
    const growing = Math.random() * Math.min(mostPauseMs, firstPauseMs * 2 ** count);
    const pause = new AbortController();
    pauses.set(item, pause);
    const signal = AbortSignal.any([pause.signal, stopping.signal]);
    clock.sleep(outcome.kind === 'later' ? outcome.afterMs : growing, signal).then(
      () => mark(item, 'bulk'),
      () => {},
    );
  };

  const mark = (item: string, lane: Lane) => {
    if (closed) return;
    if (lane === 'heal') dirty.bulk.delete(item);
    if (lane === 'heal' || !dirty.heal.has(item)) dirty[lane].add(item);
    if (!since.has(item)) since.set(item, clock.monotonicMs());
    pump();
  };

  const runningOnly = () => {
    let count = 0;
    for (const item of running) if (!since.has(item)) count += 1;
    return count;
  };

  return {
    mark,
    size: () => since.size + runningOnly(),
    oldestMs: () => {
      for (const ms of since.values()) return clock.monotonicMs() - ms;
      return 0;
    },
    idle: () =>
      new Promise((resolve) => {
        settle.push(resolve);
        pump();
      }),
    stop: async (graceMs = 0) => {
      closed = true;
      alarm.stop();
      const ended = running.size === 0 ? undefined : new Promise<void>((resolve) => settle.push(resolve));
      const enough = new AbortController();
      if (ended !== undefined && graceMs > 0)
        await Promise.race([ended, clock.sleep(graceMs, enough.signal).catch(() => {})]);
      enough.abort();
      stopping.abort();
      await ended;
    },
  };
}
