import { expect, test } from 'vitest';
import { createBatch } from '#base/batch.ts';

/** A batch whose calls end when the test says so. */
function gated(most: number, atOnce?: number) {
  const calls: { readonly items: readonly string[]; readonly end: PromiseWithResolvers<void> }[] = [];
  const add = createBatch(
    most,
    async (items: readonly string[]) => {
      const end = Promise.withResolvers<void>();
      calls.push({ items, end });
      await end.promise;
      return items.map((item) => item.toUpperCase());
    },
    atOnce,
  );
  return { add, calls };
}
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('the first goes at once, what comes meanwhile goes together, never more than the most', async () => {
  const { add, calls } = gated(2);
  const all = ['a', 'b', 'c', 'd'].map(add);
  expect(calls.map(({ items }) => items)).toEqual([['a']]);
  for (let call = 0; call < 3; call++) {
    calls[call]?.end.resolve();
    await turn();
  }
  expect(await Promise.all(all)).toEqual(['A', 'B', 'C', 'D']);
  expect(calls.map(({ items }) => items)).toEqual([['a'], ['b', 'c'], ['d']]);
});

test('calls go side by side, as many as are wanted: one that takes long holds up only what it holds', async () => {
  const { add, calls } = gated(2, 2);
  const [slow, ...others] = ['slow', 'a', 'b', 'c', 'd'].map(add);
  expect(calls.map(({ items }) => items)).toEqual([['slow'], ['a']]);
  for (let call = 1; call < 4; call++) {
    calls[call]?.end.resolve();
    await turn();
  }
  expect(await Promise.all(others)).toEqual(['A', 'B', 'C', 'D']);
  expect(calls.map(({ items }) => items)).toEqual([['slow'], ['a'], ['b', 'c'], ['d']]);
  calls[0]?.end.resolve();
  expect(await slow).toBe('SLOW');
});

test('one bad item fails alone', async () => {
  const tried: string[] = [];
  const add = createBatch(10, async (items: readonly string[]) => {
    tried.push(items.join(' '));
    await turn();
    if (items.includes('bad')) throw new Error('bad');
    return items;
  });
  const results = await Promise.allSettled(['first', 'good', 'bad'].map(add));
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
  expect(tried).toEqual(['first', 'good bad', 'good', 'bad']);
  await expect(add('later')).resolves.toBe('later');
});
