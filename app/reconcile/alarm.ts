import type { Clock } from '#base/clock.ts';

/** Calls at moments of the wall clock: never before them, and soon after even where somebody sets the clock. */
export interface Alarm {
  /** In place of what was set for the item before. */
  set(item: string, at: Date): void;
  clear(item: string): void;
  stop(): void;
}

export interface AlarmOptions {
  readonly clock: Clock;
  ring(item: string): void;
}

/** A timer counts elapsed time; so often the wall clock is asked what it shows. */
const mostSleepMs = 500;

export function createAlarm({ clock, ring }: AlarmOptions): Alarm {
  const times = new Map<string, number>();
  const stopping = new AbortController();
  let ticking = false;

  const ringDue = () => {
    const nowMs = clock.now().getTime();
    const due = [...times].filter(([, atMs]) => atMs <= nowMs);
    for (const [item] of due) times.delete(item);
    for (const [item] of due) ring(item);
  };

  const tick = async () => {
    if (ticking) return;
    ticking = true;
    while (times.size > 0 && !stopping.signal.aborted) {
      const nextMs = [...times.values()].reduce((a, b) => Math.min(a, b)) - clock.now().getTime();
      const slept = clock.sleep(Math.max(1, Math.min(mostSleepMs, nextMs)), stopping.signal);
      await slept.then(ringDue, () => {}); // Rejects only when it is stopped.
    }
    ticking = false;
  };

  return {
    set: (item, at) => {
      times.set(item, at.getTime());
      void tick();
    },
    clear: (item) => void times.delete(item),
    stop: () => stopping.abort(),
  };
}
