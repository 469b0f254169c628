import { describe, expect, test } from 'vitest';
import { isEmpty, planRun, removalText } from '#reconcile/decide/plan.ts';
import { objectText } from '#runtime/runtime.ts';

import { certificate, entry, input, live, namespace, object, reasons, wanted } from './plan-objects.ts';

describe('a kind that is listed no more, or whose definition is gone from the cluster', () => {
  const around = object('Namespace', namespace);
  const unseen = new Map([[objectText(certificate), 'why']]);

  test('what left Git is neither forgotten nor deleted, also by a cautious run, and what was answered stays open', () => {
    const left = { inventory: [entry(certificate), entry(around)], desired: [wanted(around)], live: [live(around)] };
    for (const cautious of [false, true]) {
      const plan = planRun(input({ ...left, unseen, cautious }));
      expect([plan.forget, plan.remove, plan.unconfirmed]).toEqual([[], [], []]);
      expect(plan.unseen).toEqual([{ key: certificate, wanted: false, why: 'why' }]);
      expect([...plan.leaving]).toEqual([removalText(entry(certificate))]);
      expect(isEmpty(plan)).toBe(true);
    }
    // Seen again, it goes as everything else.
    const seen = planRun(input({ ...left, live: [live(around), live(certificate)] }));
    expect(seen.remove).toEqual([entry(certificate)]);
    expect(planRun(input(left)).forget).toEqual([certificate]);
  });

  test('what is wanted is not taken for missing, but what Git changes is still sent', () => {
    const made = { inventory: [entry(certificate)], live: [live(around)], unseen };
    expect(reasons({ ...made, desired: [wanted(certificate)] })).toEqual([]);
    expect(planRun(input({ ...made, desired: [wanted(certificate)] })).unseen).toMatchObject([{ wanted: true }]);
    expect(reasons({ ...made, desired: [wanted(certificate, 'd2')] })).toEqual(['a changed']);
    expect(reasons({ ...made, desired: [wanted(certificate)], unseen: new Map() })).toEqual(['a missing']);
  });

  test('a project that goes comes to its end: with its namespace, all that was in it is gone', () => {
    const gone = { inventory: [entry(around), entry(certificate)], removalConfirmed: true, unseen };
    const going = planRun(input({ ...gone, live: [live(around)] }));
    expect([going.remove, going.forget]).toEqual([[entry(around)], []]);
    const end = planRun(input({ ...gone, live: [] }));
    expect([end.forget, end.unseen]).toEqual([[around, certificate], []]);
    const blind = planRun(input({ ...gone, live: [], complete: false }));
    expect([blind.forget, blind.remove]).toEqual([[], []]);
  });
});
