import { expect, test } from 'vitest';
import { createGate } from '#auth/sign-in/gate.ts';

/** Work that ends when it is told to. */
function openGate(options: { most: number; waiting: { known: number; stranger: number } }) {
  const gate = createGate(options);
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  return {
    gate,
    /** Names in the order in which their work began. */
    begun,
    work: (lane: 'known' | 'stranger', name: string) =>
      gate.pass(lane, async () => {
        begun.push(name);
        await new Promise<void>((resolve) => ends.push(resolve));
        return name;
      }),
    /** The work that has run longest ends, and what follows it has begun. */
    endOne: async () => {
      ends.shift()?.();
      for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    },
  };
}

test('the gate lets so many work, so many wait, and turns the others away', async () => {
  const { gate, begun, work, endOne } = openGate({ most: 2, waiting: { known: 0, stranger: 1 } });
  const all = ['a', 'b', 'c'].map((name) => work('stranger', name));
  expect(gate.isFull('stranger')).toBe(true);
  await expect(work('stranger', 'd')).rejects.toMatchObject({ code: 'TOO_MANY_REQUESTS', data: { seconds: 2 } });
  expect(begun).toEqual(['a', 'b']);
  await endOne();
  expect(begun).toEqual(['a', 'b', 'c']);
  expect(gate.isFull('stranger')).toBe(false);
  for (let i = 0; i < 3; i++) await endOne();
  expect(await Promise.all(all)).toEqual(['a', 'b', 'c']);
  expect(await gate.pass('known', async () => 'free again')).toBe('free again');
});

test('a full line of strangers turns nobody away who is known, and the lanes take turns', async () => {
  const { gate, begun, work, endOne } = openGate({ most: 1, waiting: { known: 2, stranger: 4 } });
  const strangers = ['s1', 's2', 's3', 's4', 's5'].map((name) => work('stranger', name));
  expect([gate.isFull('stranger'), gate.isFull('known')]).toEqual([true, false]);
  const known = ['k1', 'k2'].map((name) => work('known', name));
  expect(gate.isFull('known')).toBe(true);
  for (let i = 0; i < 7; i++) await endOne();
  expect(begun).toEqual(['s1', 'k1', 's2', 'k2', 's3', 's4', 's5']);
  expect(await Promise.all([...strangers, ...known])).toEqual(['s1', 's2', 's3', 's4', 's5', 'k1', 'k2']);
});

test('work that fails hands its place on', async () => {
  const { gate, begun, work, endOne } = openGate({ most: 1, waiting: { known: 1, stranger: 1 } });
  const failing = gate.pass('known', () => Promise.reject(new Error('no')));
  const next = work('stranger', 'next');
  await expect(failing).rejects.toThrow('no');
  await endOne();
  expect([begun, await next]).toEqual([['next'], 'next']);
});
