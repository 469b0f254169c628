import { expect, test } from 'vitest';
import { createBatch } from '#base/batch.ts';

/** A batch whose calls end when the test says so. */
function gated(most: number) {
  const calls: { readonly items: readonly string[]; readonly end: PromiseWithResolvers<void> }[] = [];
  const add = createBatch<string>(most, (items) => {
    const end = Promise.withResolvers<void>();
    calls.push({ items, end });
    return end.promise;
  });
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
  await Promise.all(all);
  expect(calls.map(({ items }) => items)).toEqual([['a'], ['b', 'c'], ['d']]);
});

test('one bad item fails alone', async () => {
  const tried: string[] = [];
  const add = createBatch<string>(10, async (items) => {
    tried.push(items.join(' '));
    await turn();
    if (items.includes('bad')) throw new Error('bad');
  });
  const results = await Promise.allSettled(['first', 'good', 'bad'].map(add));
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
  expect(tried).toEqual(['first', 'good bad', 'good', 'bad']);
  await expect(add('later')).resolves.toBeUndefined();
});
