import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type DesiredObject,
  freeRemovals,
  type InventoryEntry,
  isEmpty,
  type PlanInput,
  planRun,
  removalText,
} from '#reconcile/plan.ts';
import { type LiveObject, type ObjectKey, objectText } from '#runtime/runtime.ts';

const namespace = 'local--shop--web';
const object = (kind: string, name: string): ObjectKey => ({
  apiVersion: kind === 'Deployment' ? 'apps/v1' : 'v1',
  kind,
  namespace: kind === 'Namespace' ? '' : namespace,
  name,
});
const wanted = (key: ObjectKey, digest = 'd1', dependsOn: string[] = []): DesiredObject => ({ key, digest, dependsOn });
const entry = (key: ObjectKey, more: Partial<InventoryEntry> = {}): InventoryEntry => ({
  key,
  uid: `uid-${key.name}`,
  desiredDigest: 'd1',
  ownedDigest: 'o1',
  ...more,
});
const live = (key: ObjectKey, more: Partial<LiveObject> = {}): LiveObject => ({
  key,
  uid: `uid-${key.name}`,
  resourceVersion: '1',
  ownedDigest: 'o1',
  health: { state: 'healthy', reason: '' },
  deleting: false,
  installation: 'ins_1',
  ...more,
});
const input = (more: Partial<PlanInput>): PlanInput => ({
  desired: [],
  inventory: [],
  live: [],
  complete: true,
  cautious: false,
  removalConfirmed: false,
  confirmed: new Set(),
  ...more,
});
const reasons = (more: Partial<PlanInput>) =>
  planRun(input(more))
    .apply.flat()
    .map(({ key, reason }) => `${key.name} ${reason}`);

const config = object('ConfigMap', 'a');
const volume = object('PersistentVolumeClaim', 'data');
const space = object('Namespace', namespace);
const web = object('Deployment', 'web');
const db = object('Deployment', 'db');

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
    expect(planRun(input({ inventory: [entry(config)], live: [live(config)] })).remove).toEqual([entry(config)]);
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
    const plan = planRun(input({ live: [live(config)] }));
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
