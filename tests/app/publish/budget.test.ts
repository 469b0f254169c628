import { expect, test } from 'vitest';
import { createPushBudget } from '#publish/budget.ts';

function begin(perMinute: number | undefined) {
  let nowMs = 0;
  const clock = { now: () => new Date(nowMs), monotonicMs: () => nowMs, sleep: async () => {} };
  return {
    budget: createPushBudget(perMinute, clock),
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
}

test('without a limit everything is open, always', () => {
  const { budget } = begin(undefined);
  for (let i = 0; i < 1000; i++) budget.spend();
  expect([budget.isLimited, budget.open()]).toEqual([false, 'all']);
});

test('six a minute: bulk waits ten seconds after each push and leaves two, people go at once until there is none', () => {
  const { budget, pass } = begin(6);
  expect(budget.open()).toBe('all');
  budget.spend();
  expect(budget.open()).toBe('interactive');
  pass(9_999);
  expect(budget.open()).toBe('interactive');
  pass(1);
  expect(budget.open()).toBe('all');
  for (let i = 0; i < 3; i++) budget.spend();
  pass(10_000);
  // Four of six are spent: the rest is for people.
  expect(budget.open()).toBe('interactive');
  budget.spend();
  budget.spend();
  expect(budget.open()).toBe('none');
  pass(39_999);
  expect(budget.open()).toBe('none');
  pass(1);
  expect(budget.open()).toBe('interactive');
});

test('no minute has more pushes than the limit, however they are asked for', () => {
  for (const perMinute of [1, 2, 3, 6, 60]) {
    const { budget, pass } = begin(perMinute);
    const at: number[] = [];
    for (let ms = 0; ms < 300_000; ms += 250) {
      if (budget.open() !== 'none') {
        budget.spend();
        at.push(ms);
      }
      pass(250);
    }
    for (const from of at)
      expect(at.filter((ms) => ms >= from && ms < from + 60_000).length).toBeLessThanOrEqual(perMinute);
    expect(at.length).toBeGreaterThanOrEqual(perMinute * 4);
  }
});
