import { afterEach, expect, test } from 'vitest';
import { type Clock, systemClock } from '#base/clock.ts';
import { createAlarm } from '#reconcile/alarm.ts';
import { createQueue } from '#reconcile/queue.ts';
import { eventually } from '#support/walk.ts';

/** The wall clock of a machine whose clock somebody sets. */
const shift = { ms: 0 };
const clock: Clock = { ...systemClock, now: () => new Date(Date.now() + shift.ms) };
const rung: { item: string; at: number }[] = [];
const open = () => createAlarm({ clock, ring: (item) => rung.push({ item, at: clock.now().getTime() }) });
let alarm = open();
afterEach(() => {
  alarm.stop();
  alarm = open();
  rung.length = 0;
  shift.ms = 0;
});
const inMs = (ms: number) => new Date(clock.now().getTime() + ms);

test('it rings once, not before its time', async () => {
  const at = inMs(30);
  alarm.set('web', at);
  await eventually(
    async () => rung.length,
    (count) => count === 1,
  );
  expect(rung[0]?.item).toBe('web');
  expect(rung[0]?.at).toBeGreaterThanOrEqual(at.getTime());
});

test('a clock that is set an hour on is noticed, whatever timers count', async () => {
  alarm.set('web', inMs(3_600_000));
  alarm.set('api', inMs(7_200_000));
  shift.ms = 3_600_000;
  await eventually(
    async () => rung,
    (all) => all.length === 1,
  );
  expect(rung[0]?.item).toBe('web');
});

test('a clock that is set an hour back: it rings that much later, never early', async () => {
  alarm.set('web', inMs(20));
  alarm.set('api', new Date(clock.now().getTime() - 3_600_000 + 60));
  shift.ms = -3_600_000;
  await eventually(
    async () => rung,
    (all) => all.length === 1,
  );
  expect(rung.map(({ item }) => item)).toEqual(['api']);
});

test('what is cleared, or set anew, does not ring at its old time', async () => {
  alarm.set('web', inMs(10));
  alarm.set('api', inMs(10));
  alarm.set('db', inMs(60));
  alarm.clear('web');
  alarm.set('api', inMs(3_600_000));
  await eventually(
    async () => rung,
    (all) => all.length > 0,
  );
  expect(rung.map(({ item }) => item)).toEqual(['db']);
});

test('an item of the queue that waits for a moment runs at it, and not before; what comes meanwhile is in its place', async () => {
  const runs: number[] = [];
  const at = inMs(60);
  const queue = createQueue({
    clock,
    concurrency: 1,
    run: async () => {
      runs.push(clock.now().getTime());
      return runs.length < 3 ? { kind: 'at', at } : { kind: 'settled' };
    },
  });
  queue.mark('web', 'bulk');
  await eventually(
    async () => runs.length,
    (count) => count === 1,
  );
  queue.mark('web', 'heal');
  await eventually(
    async () => runs.length,
    (count) => count === 3,
  );
  expect(runs[2]).toBeGreaterThanOrEqual(at.getTime());
  await queue.idle();
  expect(runs).toHaveLength(3);
  await queue.stop();
});
