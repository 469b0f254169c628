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
