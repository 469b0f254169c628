import { expect, test } from 'vitest';
import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { createLog } from '#base/log.ts';
import { startLoop } from '#base/loop.ts';

/** A clock whose sleeps last until the test ends them; it remembers how long each was asked to be. */
function handClock() {
  const asked: number[] = [];
  let wakeSleeper: (() => void) | undefined;
  let heard = Promise.withResolvers<void>();
  const clock: Clock = {
    now: () => new Date(0),
    monotonicMs: () => 0,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        asked.push(ms);
        wakeSleeper = resolve;
        heard.resolve();
        heard = Promise.withResolvers();
        const abort = () => reject(signal!.reason);
        if (signal?.aborted) abort();
        else signal?.addEventListener('abort', abort, { once: true });
      }),
  };
  return { clock, asked, nextSleep: () => heard.promise, pass: () => wakeSleeper?.() };
}

function logLines() {
  const lines: { level: string; failures: number; loop: string }[] = [];
  const log = createLog({ level: 'trace', to: { write: (line: string) => void lines.push(JSON.parse(line)) } });
  return { lines, log };
}

const { log } = logLines();

test('the first run comes at once, the next one after a pause of a little less than everyMs', async () => {
  const { clock, asked, nextSleep, pass } = handClock();
  let runs = 0;
  const sleeping = nextSleep();
  const run = async () => {
    runs += 1;
    return 'idle' as const;
  };
  const loop = startLoop({ name: 'test', log, clock, everyMs: 1000, run });
  await sleeping;
  expect(runs).toBe(1);
  const again = nextSleep();
  pass();
  await again;
  expect(runs).toBe(2);
  expect(asked.every((ms) => ms >= 800 && ms <= 1000)).toBe(true);
  await loop.stop();
});

test('again brings the next run without a pause', async () => {
  const { clock, asked, nextSleep } = handClock();
  let runs = 0;
  const sleeping = nextSleep();
  const loop = startLoop({
    name: 'test',
    log,
    clock,
    everyMs: 1000,
    run: async () => (++runs < 5 ? 'again' : 'idle'),
  });
  await sleeping;
  expect([runs, asked.length]).toEqual([5, 1]);
  await loop.stop();
});

test('wake ends a pause', async () => {
  const { clock, nextSleep } = handClock();
  let runs = 0;
  const sleeping = nextSleep();
  const run = async () => {
    runs += 1;
    return 'idle' as const;
  };
  const loop = startLoop({ name: 'test', log, clock, everyMs: 1000, run });
  await sleeping;
  const again = nextSleep();
  loop.wake();
  await again;
  expect(runs).toBe(2);
  await loop.stop();
});

test('wakes during a run bring exactly one more run after it, never beside it', async () => {
  const { clock, nextSleep } = handClock();
  const first = Promise.withResolvers<void>();
  const started = Promise.withResolvers<void>();
  let runs = 0;
  let running = 0;
  let most = 0;
  const sleeping = nextSleep();
  const loop = startLoop({
    name: 'test',
    log,
    clock,
    everyMs: 1000,
    run: async () => {
      runs += 1;
      most = Math.max(most, ++running);
      started.resolve();
      if (runs === 1) await first.promise;
      running -= 1;
      return 'idle';
    },
  });
  await started.promise;
  loop.wake();
  loop.wake();
  expect(runs).toBe(1);
  first.resolve();
  await sleeping;
  expect([runs, most]).toEqual([2, 1]);
  await loop.stop();
});

test('errors back off, at most doubling, are logged with their count, and a good run forgets them', async () => {
  const { clock, asked, nextSleep, pass } = handClock();
  const { lines, log } = logLines();
  let runs = 0;
  const run = async () => {
    runs += 1;
    if (runs === 1) throw new Fault('RUNTIME_UNAVAILABLE', { environment: 'local', why: 'refused' });
    if (runs === 2) throw new Error('a mistake of ours');
    if (runs === 4) throw new Fault('DISK_FULL', { directory: '.' });
    return 'idle' as const;
  };
  let sleeping = nextSleep();
  const loop = startLoop({ name: 'reconcile', log, clock, everyMs: 60_000, run });
  for (let pause = 0; pause < 4; pause++) {
    await sleeping;
    sleeping = nextSleep();
    if (pause < 3) pass();
  }
  expect(asked.map((ms, index) => ms <= [200, 400, 60_000, 200][index]!)).toEqual([true, true, true, true]);
  expect(asked[2]).toBeGreaterThanOrEqual(48_000);
  expect(lines.map(({ level, failures, loop }) => [level, failures, loop])).toEqual([
    ['warn', 1, 'reconcile'],
    ['error', 2, 'reconcile'],
    ['warn', 1, 'reconcile'],
  ]);
  await loop.stop();
});

test('the pause after an error is never longer than half a minute', async () => {
  const { clock, asked, nextSleep, pass } = handClock();
  let sleeping = nextSleep();
  const loop = startLoop({
    name: 'test',
    log,
    clock,
    everyMs: 1000,
    run: async () => {
      throw new Error('always');
    },
  });
  for (let pause = 0; pause < 40; pause++) {
    await sleeping;
    sleeping = nextSleep();
    pass();
  }
  expect(Math.max(...asked)).toBeLessThanOrEqual(30_000);
  await loop.stop();
});

test('stop aborts the run under way, waits for its end, and no run follows', async () => {
  const { clock } = handClock();
  const events: string[] = [];
  const started = Promise.withResolvers<void>();
  const loop = startLoop({
    name: 'test',
    log,
    clock,
    everyMs: 1000,
    run: async (signal) => {
      events.push('run');
      started.resolve();
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      await new Promise((resolve) => setImmediate(resolve));
      events.push('cleaned up');
      return 'again';
    },
  });
  await started.promise;
  loop.wake();
  await loop.stop();
  expect(events).toEqual(['run', 'cleaned up']);
  loop.wake();
  await new Promise((resolve) => setImmediate(resolve));
  expect(events).toEqual(['run', 'cleaned up']);
});

test('stop ends a pause; an error that the abort caused is not logged', async () => {
  const { clock, nextSleep } = handClock();
  const { lines, log } = logLines();
  const sleeping = nextSleep();
  const paused = startLoop({ name: 'test', log, clock, everyMs: 1e9, run: async () => 'idle' });
  await sleeping;
  await paused.stop();

  const started = Promise.withResolvers<void>();
  const running = startLoop({
    name: 'test',
    log,
    clock,
    everyMs: 1e9,
    run: (signal) =>
      new Promise((_, reject) => {
        started.resolve();
        signal.addEventListener('abort', () => reject(signal.reason));
      }),
  });
  await started.promise;
  await running.stop();
  expect(lines).toEqual([]);
});

test('a run may ask for the next one before everyMs is over, and never later than that', async () => {
  const { clock, asked, nextSleep, pass } = handClock();
  const wanted = [30, -5, 5_000];
  let sleeping = nextSleep();
  const loop = startLoop({
    name: 'test',
    log,
    clock,
    everyMs: 1_000,
    run: async () => ({ afterMs: wanted.shift() ?? 0 }),
  });
  for (let i = 0; i < 2; i++) {
    await sleeping;
    sleeping = nextSleep();
    pass();
  }
  await sleeping;
  await loop.stop();
  expect(asked.slice(0, 2)).toEqual([30, 0]);
  expect(asked[2]).toBeGreaterThanOrEqual(800);
  expect(asked[2]).toBeLessThanOrEqual(1_000);
});
