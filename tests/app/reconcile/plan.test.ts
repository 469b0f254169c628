import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { freeRemovals, isEmpty, type PlanInput, planRun, removalText } from '#reconcile/decide/plan.ts';
import { replacementText } from '#reconcile/decide/replace.ts';
import { type ObjectKey, objectText } from '#runtime/runtime.ts';

import { config, db, entry, input, live, object, reasons, space, volume, wanted, web } from './plan-objects.ts';

describe('what is applied', () => {
  test('an object that was never made', () => {
    expect(reasons({ desired: [wanted(config)] })).toEqual(['a new']);
  });
  test('nothing when what was sent, what is there and what is wanted agree', () => {
    expect(
      isEmpty(planRun(input({ desired: [wanted(config)], inventory: [entry(config)], live: [live(config)] }))),
    ).toBe(true);
  });
  test('an object whose wanted form changed', () => {
    expect(reasons({ desired: [wanted(config, 'd2')], inventory: [entry(config)], live: [live(config)] })).toEqual([
      'a changed',
    ]);
  });
  test('an object that a foreign hand edited', () => {
    const edited = live(config, { ownedDigest: 'o2' });
    expect(reasons({ desired: [wanted(config)], inventory: [entry(config)], live: [edited] })).toEqual(['a edited']);
  });
  test('an object that is gone, but only in a complete listing', () => {
    const gone = { desired: [wanted(config)], inventory: [entry(config)] };
    expect(reasons(gone)).toEqual(['a missing']);
    expect(reasons({ ...gone, complete: false })).toEqual([]);
  });
  test('nothing on top of an object that is being deleted', () => {
    const deleting = live(config, { deleting: true });
    expect(reasons({ desired: [wanted(config)], inventory: [entry(config)], live: [deleting] })).toEqual([]);
  });
  test('stage by stage', () => {
    const plan = planRun(input({ desired: [wanted(web), wanted(space), wanted(config)] }));
    expect(plan.apply.map((stage) => stage.map(({ key }) => key.kind))).toEqual([
      ['Namespace'],
      ['ConfigMap'],
      ['Deployment'],
    ]);
  });
});

describe('what waits for others', () => {
  const desired = [wanted(db), wanted(web, 'd1', ['db'])];
  test('a workload waits until the one that it depends on is applied and healthy', () => {
    expect(planRun(input({ desired })).waiting).toEqual([{ key: web, for: ['db'] }]);
    const starting = live(db, { health: { state: 'progressing', reason: 'starting' } });
    expect(planRun(input({ desired, inventory: [entry(db)], live: [starting] })).waiting).toEqual([
      { key: web, for: ['db'] },
    ]);
    expect(reasons({ desired, inventory: [entry(db)], live: [live(db)] })).toEqual(['web new']);
  });
  test('health of an old form does not count', () => {
    const plan = planRun(
      input({
        desired: [wanted(db, 'd2'), wanted(web, 'd2', ['db'])],
        inventory: [entry(db), entry(web)],
        live: [live(db), live(web)],
      }),
    );
    expect(plan.waiting).toEqual([{ key: web, for: ['db'] }]);
  });
});

describe('what is removed', () => {
  test('an object of the inventory that is no longer wanted', () => {
    const left = input({ desired: [wanted(space)], inventory: [entry(config)], live: [live(config)] });
    expect(planRun(left).remove).toEqual([entry(config)]);
  });
  test('nothing without a complete listing', () => {
    const plan = planRun(input({ inventory: [entry(config)], live: [live(config)], complete: false }));
    expect([plan.remove, plan.forget, plan.unconfirmed]).toEqual([[], [], []]);
  });
  test('never an object that only has the name of ours', () => {
    const plan = planRun(input({ inventory: [entry(config)], live: [live(config, { uid: 'another' })] }));
    expect([plan.remove, plan.forget]).toEqual([[], [config]]);
  });
  test('never an object that only carries our labels', () => {
    const copied = live(config, { ownedDigest: '' });
    expect(planRun(input({ live: [copied] }))).toMatchObject({ remove: [], adopt: [], forget: [] });
  });
  test('an object of ours that a crash left unrecorded is taken in and removed', () => {
    const plan = planRun(input({ desired: [wanted(space)], live: [live(config)] }));
    expect(plan.adopt.map(({ key }) => key)).toEqual([config]);
    expect(plan.remove.map(({ key }) => key)).toEqual([config]);
  });
  test('a volume waits for a person; the rest goes', () => {
    const plan = planRun(
      input({
        desired: [wanted(space)],
        inventory: [entry(space), entry(volume), entry(config)],
        live: [live(space), live(volume), live(config)],
      }),
    );
    expect(plan.remove.map(({ key }) => key)).toEqual([config]);
    expect(plan.unconfirmed.map(({ key }) => key)).toEqual([volume]);
  });
  test('a namespace waits for a person, and everything in it with it', () => {
    const plan = planRun(input({ inventory: [entry(space), entry(config)], live: [live(space), live(config)] }));
    expect(plan.remove).toEqual([]);
    expect(plan.unconfirmed.map(({ key }) => key)).toEqual([space, config]);
  });
  test('where nothing is wanted any more all of it waits, also when the namespace cannot be seen', () => {
    const plan = planRun(input({ inventory: [entry(space), entry(config)], live: [live(config)] }));
    expect(plan).toMatchObject({ remove: [], unconfirmed: [entry(config)] });
  });
  test('a confirmed project goes by its namespace alone', () => {
    const plan = planRun(
      input({ removalConfirmed: true, inventory: [entry(space), entry(config)], live: [live(space), live(config)] }),
    );
    expect(plan.remove.map(({ key }) => key)).toEqual([space]);
  });
  test('a namespace on its way out takes the rest with it, without a request for each', () => {
    const leaving = { inventory: [entry(space), entry(config)], live: [live(space, { deleting: true }), live(config)] };
    expect(planRun(input({ ...leaving, removalConfirmed: true }))).toMatchObject({ remove: [], unconfirmed: [] });
  });
  test('a yes is to the very objects: one that was made anew asks again', () => {
    const confirmed = new Set([removalText(entry(volume))]);
    const there = {
      desired: [wanted(space)],
      confirmed,
      inventory: [entry(space), entry(volume)],
      live: [live(space), live(volume)],
    };
    expect(planRun(input(there)).remove.map(({ key }) => key)).toEqual([volume]);
    const anew = {
      ...there,
      inventory: [entry(space), entry(volume, { uid: 'new' })],
      live: [live(space), live(volume, { uid: 'new' })],
    };
    expect(planRun(input(anew)).unconfirmed.map(({ key }) => key)).toEqual([volume]);
  });
  test('what is on its way out still counts as leaving, so that its yes is kept', () => {
    const going = { inventory: [entry(space), entry(config)], live: [live(space, { deleting: true }), live(config)] };
    const plan = planRun(
      input({ ...going, confirmed: new Set([removalText(entry(space)), removalText(entry(config))]) }),
    );
    expect(plan).toMatchObject({ remove: [], unconfirmed: [] });
    expect([...plan.leaving]).toEqual([removalText(entry(space)), removalText(entry(config))]);
  });
  test('after a restore everything that would go waits for a person', () => {
    const plan = planRun(input({ cautious: true, inventory: [entry(config)], live: [live(config)] }));
    expect(plan).toMatchObject({ remove: [], unconfirmed: [entry(config)] });
  });
  test('many at once wait for a person', () => {
    const keys = Array.from({ length: 11 }, (_, i) => object('ConfigMap', `c${i}`));
    const many = { inventory: keys.map((key) => entry(key)), live: keys.map((key) => live(key)) };
    expect(planRun(input(many))).toMatchObject({ remove: [], unconfirmed: expect.objectContaining({ length: 11 }) });
    expect(planRun(input({ ...many, desired: [wanted(keys[0] as ObjectKey)] })).remove).toHaveLength(10);
    const more = object('ConfigMap', 'more');
    const eleven = { inventory: [...many.inventory, entry(more)], live: [...many.live, live(more)] };
    const plan = planRun(input({ ...eleven, desired: [wanted(more)] }));
    expect(plan).toMatchObject({ remove: [], unconfirmed: expect.objectContaining({ length: 11 }) });
  });
});

describe('what is made anew', () => {
  const refused = (key: ObjectKey, fields: readonly string[] = []) =>
    [objectText(key), { digest: 'd2', uid: `uid-${key.name}`, immutable: true, fields }] as const;
  const changing = (keys: readonly ObjectKey[], more: Partial<PlanInput> = {}) =>
    planRun(
      input({
        desired: [wanted(space), ...keys.map((key) => wanted(key, 'd2'))],
        inventory: [entry(space), ...keys.map((key) => entry(key))],
        live: [live(space), ...keys.map((key) => live(key))],
        refusals: new Map(keys.map((key) => refused(key))),
        ...more,
      }),
    ).replacements;
  const configs = (count: number) => Array.from({ length: count }, (_, i) => object('ConfigMap', `c${i}`));

  test('what the API server refused to change, and it is not sent again', () => {
    expect(changing([config])).toMatchObject({ replace: [{ entry: entry(config), propagation: 'background' }] });
    const plan = planRun(
      input({
        desired: [wanted(config, 'd2')],
        inventory: [entry(config)],
        live: [live(config)],
        refusals: new Map([refused(config)]),
      }),
    );
    expect(plan).toMatchObject({ apply: [], refused: [config] });
  });
  test('a Deployment after its pods, a StatefulSet without them', () => {
    const set = object('StatefulSet', 'set');
    const kinds = changing([web, set]).replace.map(({ entry: { key }, propagation }) => [key.kind, propagation]);
    expect(kinds).toEqual([
      ['Deployment', 'foreground'],
      ['StatefulSet', 'orphan'],
    ]);
    const pods = changing([set], { refusals: new Map([refused(set, ['spec.selector'])]) });
    expect(pods).toMatchObject({ replace: [], unconfirmed: [entry(set)] });
  });
  test('a volume waits for a person, then goes with what mounts it', () => {
    expect(changing([volume])).toMatchObject({ replace: [], unconfirmed: [entry(volume)] });
    const yes = {
      confirmed: new Set([replacementText(entry(volume))]),
      desired: [wanted(volume, 'd2'), { ...wanted(web), claims: ['data'] }, wanted(db)],
      inventory: [entry(volume), entry(web), entry(db)],
      live: [live(volume), live(web), live(db)],
      refusals: new Map([refused(volume)]),
    };
    const going = changing([], yes);
    expect(going.replace.map(({ entry: { key } }) => key)).toEqual([volume, web]);
    expect(going.unconfirmed).toEqual([]);
    // On its way out it holds its users back: pods that mounted it would keep it for ever.
    const leaving = planRun(input({ ...yes, live: [live(volume, { deleting: true }), live(db)] }));
    expect(leaving.waiting).toEqual([
      { key: volume, for: [] },
      { key: web, for: ['data'] },
    ]);
  });
  test('many at once wait for a person, but those whose policy says that they need not', () => {
    expect(changing(configs(10)).replace).toHaveLength(10);
    expect(changing(configs(11))).toMatchObject({ replace: [], unconfirmed: { length: 11 } });
    const policies = { keep: false, adopt: false, replace: true };
    const desired = configs(11).map((key) => ({ ...wanted(key, 'd2'), policies }));
    expect(changing(configs(11), { desired }).replace).toHaveLength(11);
  });
  test('never a namespace', () => {
    const { replace, unconfirmed, impossible } = changing([], {
      desired: [wanted(space, 'd2')],
      refusals: new Map([refused(space)]),
    });
    expect([replace, unconfirmed, impossible.map(({ key }) => key)]).toEqual([[], [], [space]]);
  });
});

describe('for every state of things', () => {
  const names = ['a', 'b', 'c', 'd', 'e'];
  const anyKey = fc
    .record({
      kind: fc.constantFrom('Namespace', 'ConfigMap', 'PersistentVolumeClaim', 'Deployment'),
      name: fc.constantFrom(...names),
    })
    .map(({ kind, name }) => object(kind, name));
  const unique = <T extends { key: ObjectKey }>(one: fc.Arbitrary<T>) =>
    fc.uniqueArray(one, { selector: ({ key }) => objectText(key), maxLength: 12 });
  const anyInput = fc.record({
    desired: unique(
      fc.record({ key: anyKey, digest: fc.constantFrom('d1', 'd2'), dependsOn: fc.subarray(names, { maxLength: 1 }) }),
    ),
    inventory: unique(
      fc.record({
        key: anyKey,
        uid: fc.constantFrom('u1', 'u2'),
        desiredDigest: fc.constantFrom('d1', 'd2'),
        ownedDigest: fc.constantFrom('o1', 'o2'),
      }),
    ),
    live: unique(
      fc.record({
        key: anyKey,
        uid: fc.constantFrom('u1', 'u2'),
        ownedDigest: fc.constantFrom('', 'o1', 'o2'),
        deleting: fc.boolean(),
      }),
    ).map((objects) => objects.map((one) => live(one.key, one))),
    complete: fc.boolean(),
    removalConfirmed: fc.boolean(),
  });

  test('a deletion has a live object of the same uid in a complete listing, is not wanted, and precious ones were confirmed', () => {
    fc.assert(
      fc.property(anyInput, (state) => {
        const plan = planRun(input(state));
        for (const { key, uid } of plan.remove) {
          const there = state.live.find((one) => objectText(one.key) === objectText(key));
          expect(state.complete && there?.uid === uid && !there.deleting).toBe(true);
          expect(state.desired.some((one) => objectText(one.key) === objectText(key))).toBe(false);
          expect(there?.ownedDigest !== '' || state.inventory.some((one) => one.uid === uid)).toBe(true);
          if (!state.removalConfirmed) expect(['Namespace', 'PersistentVolumeClaim']).not.toContain(key.kind);
        }
        if (!state.removalConfirmed)
          expect(plan.remove.length).toBeLessThanOrEqual(freeRemovals(state.inventory.length + plan.adopt.length));
      }),
      { numRuns: 2000 },
    );
  });

  test('runs come to rest: after two of them were carried out, the next one is empty', () => {
    fc.assert(
      fc.property(anyInput, (state) => {
        const start = input({
          ...state,
          complete: true,
          removalConfirmed: true,
          live: state.live.filter((one) => !one.deleting),
          desired: state.desired.map((one) => ({ ...one, dependsOn: [] })),
        });
        expect(isEmpty(planRun(carriedOut(carriedOut(start))))).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  /** A model of cluster and record: everything that the plan says happens at once. */
  function carriedOut(state: PlanInput): PlanInput {
    const plan = planRun(state);
    const made = new Map([...state.inventory, ...plan.adopt].map((one) => [objectText(one.key), one]));
    const there = new Map(state.live.map((one) => [objectText(one.key), one]));
    for (const { key } of plan.apply.flat()) {
      const text = objectText(key);
      const digest = state.desired.find((one) => objectText(one.key) === text)?.digest ?? '';
      const uid = there.get(text)?.uid ?? 'u3';
      there.set(text, live(key, { uid, ownedDigest: 'applied' }));
      made.set(text, { key, uid, desiredDigest: digest, ownedDigest: 'applied' });
    }
    for (const { key } of plan.remove) {
      if (key.kind === 'Namespace')
        for (const [text, one] of there)
          if (!state.desired.some((w) => objectText(w.key) === text) && one.ownedDigest !== '') there.delete(text);
      there.delete(objectText(key));
    }
    for (const key of plan.forget) made.delete(objectText(key));
    const gone = [...made].filter(([text]) => !there.has(text)).map(([text]) => text);
    for (const text of gone) made.delete(text);
    return { ...state, inventory: [...made.values()], live: [...there.values()] };
  }
});
