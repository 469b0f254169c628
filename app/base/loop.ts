import type { Clock } from './clock.ts';
import { Fault } from './errors.ts';
import type { Log } from './log.ts';

export interface LoopOptions {
  readonly name: string;
  readonly log: Log;
  readonly clock: Clock;
  /** The longest pause between two runs, a fifth of it jittered; `wake` ends a pause at once. */
  readonly everyMs: number;
  /** One run; `again` asks for the next one without a pause, `afterMs` for one at the latest then. */
  run(signal: AbortSignal): Promise<'again' | 'idle' | { readonly afterMs: number }>;
}

export interface Loop {
  /** Asks for a run. Asking while one is under way brings one more after it, so that no wish is lost. */
  wake(): void;
  /** Ends the pauses, aborts the signal given to `run`, and waits for the run under way. */
  stop(): Promise<void>;
}

const firstBackoffMs = 100;
const mostBackoffMs = 5_000;

/** The only way to do something over and over: runs never overlap, errors back off with full jitter and are logged. */
export function startLoop(options: LoopOptions): Loop {
  const { name, log, clock, everyMs, run } = options;
  const stopping = new AbortController();
  let wanted = true;
  let interrupt = new AbortController();
  let failures = 0;

  const pause = async (ms: number, signals: readonly AbortSignal[]) => {
    await clock.sleep(ms, AbortSignal.any([stopping.signal, ...signals])).catch(() => {});
  };

  const cycle = async () => {
    while (!stopping.signal.aborted) {
      wanted = false;
      let restMs = everyMs * (0.8 + Math.random() * 0.2);
      try {
        const outcome = await run(stopping.signal);
        failures = 0;
        if (outcome === 'again') wanted = true;
        else if (outcome !== 'idle') restMs = Math.min(restMs, Math.max(0, outcome.afterMs));
      } catch (error) {
        if (stopping.signal.aborted) return;
        failures += 1;
        report(log, name, error, failures);
        // Only a stop ends this pause: whoever wakes a failing loop again and again must not make it spin.
        await pause(Math.random() * Math.min(mostBackoffMs, firstBackoffMs * 2 ** failures), []);
        continue;
      }
      if (wanted || stopping.signal.aborted) continue;
      interrupt = new AbortController();
      await pause(restMs, [interrupt.signal]);
    }
  };

  const done = cycle();
  return {
    wake: () => {
      wanted = true;
      interrupt.abort();
    },
    stop: async () => {
      stopping.abort(new Fault('STOPPING'));
      await done;
    },
  };
}

function report(log: Log, loop: string, error: unknown, failures: number): void {
  const level = Fault.is(error) && error.retry ? 'warn' : 'error';
  log[level]({ loop, err: error, failures }, 'loop run failed');
}
