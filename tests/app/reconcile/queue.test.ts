import { expect, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { createQueue, type Outcome } from '#reconcile/queue.ts';

const settled: Outcome = { kind: 'settled' };

test('an item marked during its run runs once more, and never twice at a time', async () => {
  let running = 0;
  let runs = 0;
  let atOnce = 0;
  const queue = createQueue({
    clock: systemClock,
    concurrency: 8,
    run: async () => {
      runs += 1;
      running += 1;
      atOnce = Math.max(atOnce, running);
      if (runs === 1) for (let i = 0; i < 5; i++) queue.mark('a', 'bulk');
      await systemClock.sleep(5);
      running -= 1;
      return settled;
    },
  });
  queue.mark('a', 'heal');
  await queue.idle();
  expect({ runs, atOnce }).toEqual({ runs: 2, atOnce: 1 });
});

test('what a person did goes before what a large push brought', async () => {
  const order: string[] = [];
  const queue = createQueue({
    clock: systemClock,
    concurrency: 1,
    run: async (item) => {
      order.push(item);
      await systemClock.sleep(1);
      return settled;
    },
  });
  for (const item of ['b1', 'b2', 'b3']) queue.mark(item, 'bulk');
  queue.mark('h', 'heal');
  await queue.idle();
  expect(order).toEqual(['b1', 'h', 'b2', 'b3']);
});

test('a failed item comes back by itself until it is settled', async () => {
  let runs = 0;
  const queue = createQueue({
    clock: { ...systemClock, sleep: async () => {} },
    concurrency: 1,
    run: async () => {
      runs += 1;
      return runs < 4 ? { kind: 'retry' } : settled;
    },
  });
  queue.mark('a', 'bulk');
  while (runs < 4) await systemClock.sleep(2);
  await queue.idle();
  expect(runs).toBe(4);
});

test('stop with a grace lets the run under way end unharmed; past it the run is aborted', async () => {
  const endOf = async (graceMs: number) => {
    const under = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    let aborted: boolean | undefined;
    const queue = createQueue({
      clock: systemClock,
      concurrency: 1,
      run: async (_, signal) => {
        begun.resolve();
        signal.addEventListener('abort', () => under.resolve());
        await under.promise;
        aborted = signal.aborted;
        return { kind: 'settled' };
      },
    });
    queue.mark('a', 'bulk');
    await begun.promise;
    const stopped = queue.stop(graceMs);
    queue.mark('b', 'heal');
    if (graceMs > 1_000) under.resolve();
    await stopped;
    return { aborted, size: queue.size() };
  };
  expect(await endOf(5)).toEqual({ aborted: true, size: 0 });
  expect(await endOf(60_000)).toEqual({ aborted: false, size: 0 });
});

test('stop waits for the run under way and begins no other', async () => {
  const done: string[] = [];
  const queue = createQueue({
    clock: systemClock,
    concurrency: 1,
    run: async (item) => {
      await systemClock.sleep(20);
      done.push(item);
      return settled;
    },
  });
  queue.mark('a', 'bulk');
  queue.mark('b', 'bulk');
  await queue.stop();
  queue.mark('c', 'bulk');
  expect(done).toEqual(['a']);
});

test('a fight without end starves nobody', async () => {
  let heals = 0;
  const bulk = Promise.withResolvers<number>();
  const queue = createQueue({
    clock: systemClock,
    concurrency: 1,
    run: async (item) => {
      if (item === 'b') bulk.resolve(heals);
      else {
        heals += 1;
        if (heals < 100) queue.mark(`h${heals}`, 'heal');
      }
      return settled;
    },
  });
  queue.mark('h0', 'heal');
  queue.mark('b', 'bulk');
  expect(await bulk.promise).toBeLessThan(10);
  await queue.stop();
});

test('knows how many wait or run, and for how long the oldest waits, whichever lane it is in', async () => {
  let nowMs = 0;
  const begun = Promise.withResolvers<void>();
  const open = Promise.withResolvers<void>();
  const queue = createQueue({
    clock: { ...systemClock, monotonicMs: () => nowMs },
    concurrency: 1,
    run: async () => {
      begun.resolve();
      await open.promise;
      return settled;
    },
  });
  expect([queue.size(), queue.oldestMs()]).toEqual([0, 0]);
  queue.mark('a', 'bulk');
  await begun.promise;
  nowMs = 10;
  queue.mark('b', 'bulk');
  nowMs = 30;
  queue.mark('a', 'heal');
  queue.mark('b', 'heal');
  queue.mark('b', 'bulk');
  queue.mark('c', 'heal');
  nowMs = 50;
  expect([queue.size(), queue.oldestMs()]).toEqual([3, 40]);
  open.resolve();
  await queue.idle();
  expect([queue.size(), queue.oldestMs()]).toEqual([0, 0]);
});
