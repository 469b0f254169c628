import type { Clock } from '#base/clock.ts';

/** Why a run is asked for: what a person or a foreign hand did goes before what a large push brought. */
export type Lane = 'heal' | 'bulk';

export type Outcome =
  /** Nothing left to do until the next trigger. */
  | { readonly kind: 'settled' }
  /** Try again after a pause that grows with full jitter. */
  | { readonly kind: 'retry' }
  /** Try again at this pause, for things that only time or a person mends. */
  | { readonly kind: 'later'; readonly afterMs: number };

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
  /** Resolves when nothing waits or runs (pauses before a retry do not count). */
  idle(): Promise<void>;
  stop(): Promise<void>;
}

const firstPauseMs = 200;
const mostPauseMs = 60_000;

/**
 * The level-triggered queue of one environment. An item is dirty or not, never twice; dirt is cleared at the start of
 * a run, so what arrives during the run is seen by the next one. Items run side by side, one run an item.
 */
export function createQueue({ clock, concurrency, run }: QueueOptions): Queue {
  const dirty = { heal: new Set<string>(), bulk: new Set<string>() };
  const running = new Set<string>();
  const failures = new Map<string, number>();
  const pauses = new Map<string, AbortController>();
  const stopping = new AbortController();
  let settle: (() => void)[] = [];

  const take = (): string | undefined => {
    for (const lane of [dirty.heal, dirty.bulk]) {
      for (const item of lane) {
        if (running.has(item)) continue;
        lane.delete(item);
        dirty.bulk.delete(item);
        return item;
      }
    }
    return undefined;
  };

  const pump = () => {
    while (running.size < concurrency && !stopping.signal.aborted) {
      const item = take();
      if (item === undefined) break;
      running.add(item);
      void work(item);
    }
    if (running.size > 0 || (dirty.heal.size + dirty.bulk.size > 0 && !stopping.signal.aborted)) return;
    const waiting = settle;
    settle = [];
    for (const resolve of waiting) resolve();
  };

  const work = async (item: string) => {
    pauses.get(item)?.abort();
    pauses.delete(item);
    const outcome = await run(item, stopping.signal).catch((): Outcome => ({ kind: 'retry' }));
    running.delete(item);
    if (outcome.kind === 'settled') failures.delete(item);
    else comeBack(item, outcome);
    pump();
  };

  const comeBack = (item: string, outcome: Exclude<Outcome, { kind: 'settled' }>) => {
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
    if (stopping.signal.aborted) return;
    dirty[lane].add(item);
    pump();
  };

  return {
    mark,
    size: () => new Set([...dirty.heal, ...dirty.bulk, ...running]).size,
    idle: () =>
      new Promise((resolve) => {
        settle.push(resolve);
        pump();
      }),
    stop: async () => {
      stopping.abort();
      if (running.size > 0) await new Promise<void>((resolve) => settle.push(resolve));
    },
  };
}
