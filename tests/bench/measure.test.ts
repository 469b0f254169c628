import { expect, test } from 'vitest';
import { compare, figure, median, summarise, timeEach } from './measure.ts';

test('percentiles are values that were measured, by nearest rank', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
  expect(summarise(hundred)).toEqual({ count: 100, least: 1, p50: 50, p99: 99, most: 100 });
  expect(summarise([7])).toEqual({ count: 1, least: 7, p50: 7, p99: 7, most: 7 });
  expect(summarise([3, 1, 2])).toEqual({ count: 3, least: 1, p50: 2, p99: 3, most: 3 });
  expect(() => summarise([])).toThrow('nothing was measured');
});

test('the median of an even number of values is the mean of the middle two', () => {
  expect([median([4, 1, 3, 2]), median([9, 1, 5])]).toEqual([2.5, 5]);
});

test('warm-ups run and do not count', async () => {
  const seen: number[] = [];
  const times = await timeEach((index) => seen.push(index), { count: 3, warmUps: 2 });
  expect([seen, times.length]).toEqual([[-2, -1, 0, 1, 2], 3]);
});

test('two contenders run in turn, the other way round in every second round', async () => {
  const order: string[] = [];
  const contender = (name: string, units: number) => ({
    name,
    prepare: async () => order.push(`prepare ${name}`),
    run: async () => {
      order.push(name);
      return units;
    },
  });
  const { rates, ratios, ratio } = await compare(contender('a', 2), contender('b', 1), 2);
  expect(order).toEqual(['prepare a', 'a', 'prepare b', 'b', 'prepare b', 'b', 'prepare a', 'a']);
  expect(ratios).toEqual(rates.map(([a, b]) => a / b));
  expect(ratio).toBe((ratios[0]! + ratios[1]!) / 2);
});

test('figures keep three digits', () => {
  expect([1234.5, 99.96, 12.34, 0.126].map(figure)).toEqual(['1235', '100.0', '12.3', '0.13']);
});
