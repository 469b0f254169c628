import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Policies } from '#environments/policies.ts';
import {
  freeRemovals,
  isEmpty,
  isHeal,
  leftBehind,
  type PlanInput,
  planRun,
  removalText,
} from '#reconcile/decide/plan.ts';
import { replacementText } from '#reconcile/decide/replace.ts';
import { type LiveObject, type ObjectKey, objectText } from '#runtime/runtime.ts';

const namespace = 'local--shop--web';
const groups: Readonly<Record<string, string>> = { Deployment: 'apps/v1', StatefulSet: 'apps/v1' };
const keyOf = (kind: string, name: string): ObjectKey => ({
  apiVersion: groups[kind] ?? 'v1',
  kind,
  namespace: kind === 'Namespace' ? '' : namespace,
  name: kind === 'Namespace' ? namespace : name,
});

const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
const kinds = ['ConfigMap', 'PersistentVolumeClaim', 'Deployment', 'StatefulSet'];
const keys = [keyOf('Namespace', ''), ...kinds.flatMap((kind) => names.map((name) => keyOf(kind, name)))];
const texts = keys.map(objectText);

/** Mostly the first: what agrees is as common as what does not. */
const mostly = <T>(first: T, ...others: readonly T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 5, arbitrary: fc.constant(first) }, { weight: 1, arbitrary: fc.constantFrom(first, ...others) });
const uid = mostly('u1', 'u2');
const policies: fc.Arbitrary<Policies | undefined> = fc.option(
  fc.record({ keep: mostly(false, true), adopt: fc.boolean(), replace: fc.boolean() }),
  { nil: undefined, freq: 1 },
);
const rarely = mostly<true | undefined>(undefined, true);

/** Everything that there may be about one name. */
const thing = fc.record({
  wanted: fc.option(
    fc.record({
      digest: fc.constantFrom('d1', 'd2'),
      policies,
      claims: fc.option(fc.subarray(names, { minLength: 1, maxLength: 2 }), { nil: undefined }),
    }),
    { freq: 2 },
  ),
  made: fc.option(
    fc.record({
      uid,
      desiredDigest: fc.constantFrom('d1', 'd2', ''),
      ownedDigest: mostly('o1', 'o2'),
      keep: rarely,
    }),
    { freq: 3 },
  ),
  live: fc.option(
    fc.record({
      uid,
      ownedDigest: mostly('o1', 'o2', ''),
      deleting: mostly(false, true),
      keep: rarely,
      epoch: fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined, freq: 1 }),
    }),
    { freq: 3 },
  ),
  refused: fc.option(
    fc.record({
      digest: fc.constantFrom('d1', 'd2'),
      uid: mostly<string | undefined>('u1', 'u2', undefined),
      immutable: mostly(true, false),
      fields: fc.constantFrom<readonly string[]>([], ['spec.selector'], ['spec']),
    }),
    { freq: 1 },
  ),
  yes: fc.boolean(),
});

/** Every state of things; confirmations are to some of what may be asked. */
const anyInput: fc.Arbitrary<PlanInput> = fc
  .record({
    things: fc.array(thing, { minLength: keys.length, maxLength: keys.length }),
    few: fc.boolean(),
    complete: mostly(true, false),
    permits: fc.record({ apply: mostly(true, false), heal: mostly(true, false), prune: mostly(true, false) }),
    resting: fc.uniqueArray(fc.constantFrom(...texts), { maxLength: 6 }).map((some) => new Set(some)),
    unseen: fc.uniqueArray(fc.constantFrom(...texts), { maxLength: 6 }),
    empty: rarely,
    epoch: fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined }),
    removalConfirmed: mostly(false, true),
    cautious: mostly(false, true),
  })
  .map(({ things, few, unseen, empty, ...input }) => {
    // Small projects and large ones: what is many depends on the size.
    const all = keys.map((key, i) => ({ key, ...things[i]! })).filter((_, i) => !few || i % 4 === 0);
    const inventory = all.flatMap(({ key, made }) => (made === null ? [] : [{ key, ...made }]));
    const yes = all.flatMap((one) => (one.yes && one.made !== null ? [{ key: one.key, uid: one.made.uid }] : []));
    return {
      ...input,
      desired: all.flatMap(({ key, wanted }) => (wanted === null ? [] : [{ key, dependsOn: [], ...wanted }])),
      inventory,
      live: all.flatMap(({ key, live }) =>
        live === null || empty || unseen.includes(objectText(key)) ? [] : [{ ...liveOf(key, live.uid), ...live }],
      ),
      unseen: new Map(unseen.map((text) => [text, 'why'])),
      refusals: new Map(all.flatMap(({ key, refused }) => (refused === null ? [] : [[objectText(key), refused]]))),
      confirmed: new Set(yes.flatMap((one) => [removalText(one), replacementText(one)])),
    };
  });

const find = <T extends { key: ObjectKey }>(all: readonly T[], key: ObjectKey) =>
  all.find((one) => objectText(one.key) === objectText(key));

describe('in every state of things', () => {
  const forAll = (check: (input: PlanInput, plan: ReturnType<typeof planRun>) => void) =>
    fc.assert(
      fc.property(anyInput, (input) => check(input, planRun(input))),
      { numRuns: 2000 },
    );

  test('what is deleted is known, unwanted, not to be kept, and allowed to go', () =>
    forAll((input, { remove, adopt, withheld }) => {
      const made = [...input.inventory, ...adopt];
      const free = remove.filter((one) => !input.removalConfirmed && !input.confirmed.has(removalText(one)));
      for (const { key, uid, keep } of remove) {
        const there = find(input.live, key);
        expect(input.complete && input.permits.prune && there?.uid === uid && !there.deleting).toBe(true);
        expect(find(made, key)?.uid).toBe(uid);
        expect([find(input.desired, key), keep, there?.keep]).toEqual([undefined, undefined, undefined]);
        if (key.kind !== 'Namespace') continue;
        expect(input.live.some((one) => one.keep)).toBe(false);
        expect(made.some((one) => one.keep === true && find(input.live, one.key)?.uid === one.uid)).toBe(false);
      }
      if (withheld.some(({ reason }) => reason === 'new' || reason === 'changed')) expect(remove).toEqual([]);
      // Without a person: never precious ones, never many, never everything, nothing after a restore.
      expect(free.filter(({ key }) => ['Namespace', 'PersistentVolumeClaim'].includes(key.kind))).toEqual([]);
      expect(free.length).toBeLessThanOrEqual(freeRemovals(made.length));
      if (input.cautious || input.desired.length === 0) expect(free).toEqual([]);
    }));

  test('what is made anew is ours, wanted in another form, not to be kept, and loses nothing without a yes', () =>
    forAll((input, { replacements, adopt }) => {
      const { replace, unconfirmed } = replacements;
      const leaving = input.desired.filter(({ key }) => key.kind === 'PersistentVolumeClaim');
      const confirmed = leaving.filter(({ key }) => {
        const made = find(input.inventory, key);
        return made !== undefined && input.confirmed.has(replacementText(made));
      });
      for (const { entry: one, propagation } of replace) {
        const there = find(input.live, one.key);
        const wanted = find(input.desired, one.key);
        expect(input.complete && input.permits.apply && there?.uid === one.uid && !there.deleting).toBe(true);
        expect(find([...input.inventory, ...adopt], one.key)?.uid).toBe(one.uid);
        expect([wanted?.policies?.keep === true, one.keep, there?.keep]).toEqual([false, undefined, undefined]);
        if (input.confirmed.has(replacementText(one))) continue;
        expect(one.key.kind).not.toBe('PersistentVolumeClaim');
        const usesOne = wanted?.claims?.some((name) => confirmed.some(({ key }) => key.name === name)) ?? false;
        if (usesOne) continue;
        const refused = { immutable: true, digest: wanted?.digest, uid: one.uid };
        expect(input.refusals.get(objectText(one.key))).toMatchObject(refused);
        if (one.key.kind === 'StatefulSet') expect(propagation).toBe('orphan');
        if (input.cautious) expect(wanted?.policies?.replace).toBe(true);
      }
      for (const one of unconfirmed) expect(input.confirmed.has(replacementText(one))).toBe(false);
      const unasked = replace.filter(({ entry: { key, uid } }) => {
        const wanted = find(input.desired, key);
        return !input.confirmed.has(replacementText({ key, uid })) && wanted?.policies?.replace !== true;
      });
      if (confirmed.length === 0)
        expect(unasked.length).toBeLessThanOrEqual(freeRemovals(input.inventory.length + adopt.length));
    }));

  test('nothing is sent that is not allowed, rests, was refused, or has to go first', () =>
    forAll((input, { apply, withheld }) => {
      for (const { key, reason } of apply.flat()) {
        const [there, wanted] = [find(input.live, key), find(input.desired, key)];
        expect(isHeal(reason) ? input.permits.heal : input.permits.apply).toBe(true);
        expect(isHeal(reason) && input.resting.has(objectText(key))).toBe(false);
        expect(there?.deleting ?? false).toBe(false);
        const refused = input.refusals.get(objectText(key));
        expect(refused !== undefined && refused.digest === wanted?.digest && refused.uid === there?.uid).toBe(false);
      }
      const all = { apply: true, heal: true, prune: true };
      if (input.permits.apply && input.permits.heal && input.permits.prune) expect(withheld).toEqual([]);
      // What is withheld is what would be done: nothing of it is lost, and nothing is told that would not be.
      const free = planRun({ ...input, permits: all, resting: new Set(), refusals: new Map() });
      const would = new Set([
        ...[...free.apply.flat(), ...free.waiting].map(({ key }) => objectText(key)),
        ...[...free.remove, ...free.unconfirmed].map(({ key }) => objectText(key)),
      ]);
      for (const { key } of withheld) expect(would.has(objectText(key))).toBe(true);
    }));

  test('what cannot be seen is neither gone nor missing, unless nothing at all is left', () =>
    forAll((input, { forget, remove, apply }) => {
      const sent = apply.flat().filter(({ reason }) => reason === 'missing');
      const gone = input.live.length === 0 ? [] : forget;
      for (const key of [...gone, ...remove.map((one) => one.key), ...sent.map((one) => one.key)])
        expect(input.unseen.has(objectText(key))).toBe(false);
    }));

  test('where nothing may be done, nothing is', () =>
    forAll((input) => {
      const plan = planRun({ ...input, permits: { apply: false, heal: false, prune: false } });
      expect([plan.apply, plan.remove, plan.unconfirmed, plan.replacements.replace]).toEqual([[], [], [], []]);
    }));

  test('what a newer lease made is not judged, and what says that it is kept is not taken in', () =>
    forAll((input, { adopt }) => {
      const left = leftBehind(input.live);
      for (const { key } of adopt) {
        const there = find(input.live, key);
        expect(input.epoch === undefined || (there?.epoch ?? 0) <= input.epoch).toBe(true);
        expect(left.has(objectText(key))).toBe(false);
      }
    }));
});

/** A model of the cluster, the record and a person: everything that a plan says happens at once. */
interface World {
  readonly input: PlanInput;
  /** What the live objects hold: the digest that was last applied to them. */
  readonly content: ReadonlyMap<string, string>;
  /** Objects that can never be changed, only made anew. */
  readonly fixed: ReadonlySet<string>;
  readonly made: number;
}

function step({ input, content: before, fixed, made: count }: World): World {
  const plan = planRun(input);
  const made = new Map([...input.inventory, ...plan.adopt].map((one) => [objectText(one.key), one]));
  const there = new Map(input.live.filter((one) => !one.deleting).map((one) => [objectText(one.key), one]));
  const content = new Map(before);
  const refusals = new Map(input.refusals);
  let next = count;
  for (const { key } of plan.apply.flat()) {
    const text = objectText(key);
    const wanted = find(input.desired, key)!;
    const known = there.get(text);
    if (known !== undefined && fixed.has(text) && content.get(text) !== wanted.digest) {
      refusals.set(text, { digest: wanted.digest, uid: known.uid, immutable: true, fields: [] });
      continue;
    }
    const uid = known?.uid ?? `n${next++}`;
    const keep = wanted.policies?.keep === true ? true : undefined;
    there.set(text, { ...liveOf(key, uid), keep });
    made.set(text, { key, uid, desiredDigest: wanted.digest, ownedDigest: 'o9', keep });
    content.set(text, wanted.digest);
  }
  for (const { entry: one } of plan.replacements.replace) {
    there.delete(objectText(one.key));
    made.set(objectText(one.key), { ...one, desiredDigest: '' });
  }
  for (const { key } of plan.remove) {
    if (key.kind === 'Namespace') there.clear();
    there.delete(objectText(key));
  }
  for (const key of [...plan.forget, ...plan.kept.map((one) => one.key)]) made.delete(objectText(key));
  const asked = [...plan.unconfirmed.map(removalText), ...plan.replacements.unconfirmed.map(replacementText)];
  return {
    input: {
      ...input,
      inventory: [...made.values()],
      live: [...there.values()],
      refusals,
      confirmed: new Set([...input.confirmed, ...asked]),
    },
    content,
    fixed,
    made: next,
  };
}

const liveOf = (key: ObjectKey, uid: string): LiveObject => ({
  key,
  uid,
  resourceVersion: '1',
  ownedDigest: 'o9',
  health: { state: 'healthy', reason: '' },
  deleting: false,
  installation: 'ins',
});

describe('run after run', () => {
  const anyWorld: fc.Arbitrary<World> = fc
    .record({ input: anyInput, fixed: fc.uniqueArray(fc.constantFrom(...texts), { maxLength: 24 }) })
    .map(({ input, fixed }) => ({
      input: {
        ...input,
        complete: true,
        permits: { apply: true, heal: true, prune: true },
        unseen: new Map(),
        resting: new Set(),
        refusals: new Map(),
      },
      content: new Map(input.live.map(({ key }) => [objectText(key), 'd0'])),
      fixed: new Set(fixed),
      made: 0,
    }));

  test('everything comes to rest as it is wanted, where a person says yes; what is kept stays', () => {
    fc.assert(
      fc.property(anyWorld, (start) => {
        let world = start;
        const kept = start.input.live.filter(
          (one) => one.keep === true && !one.deleting && find(start.input.desired, one.key) === undefined,
        );
        for (let round = 0; round < 8; round++) world = step(world);
        const plan = planRun(world.input);
        expect(isEmpty(plan)).toBe(true);
        expect([plan.unconfirmed, plan.replacements.unconfirmed]).toEqual([[], []]);
        const stuck = new Set(plan.replacements.impossible.map(({ key }) => objectText(key)));
        for (const { key, digest } of world.input.desired) {
          const text = objectText(key);
          const there = find(world.input.live, key);
          if (stuck.has(text) || plan.refused.some((one) => objectText(one) === text)) continue;
          expect(there).toBeDefined();
          if (there?.ownedDigest === 'o9') expect(world.content.get(text)).toBe(digest);
        }
        for (const { key, uid } of kept) expect(find(world.input.live, key)?.uid).toBe(uid);
      }),
      { numRuns: 1000 },
    );
  });

  test('without a person a run deletes ten objects, or a fifth of the project, at the most', () => {
    fc.assert(
      fc.property(anyWorld, (start) => {
        let world: World = { ...start, input: { ...start.input, removalConfirmed: false, confirmed: new Set() } };
        for (let round = 0; round < 4; round++) {
          const most = freeRemovals(world.input.inventory.length + planRun(world.input).adopt.length);
          const before = world.input.live.filter(({ deleting }) => !deleting);
          const after = step(world);
          const gone = before.filter(({ key, uid }) => find(after.input.live, key)?.uid !== uid);
          expect(gone.length).toBeLessThanOrEqual(2 * most); // removed and made anew are bounded each by itself
          for (const { key } of gone) expect(['Namespace', 'PersistentVolumeClaim']).not.toContain(key.kind);
          world = { ...after, input: { ...after.input, confirmed: new Set() } };
        }
      }),
      { numRuns: 1000 },
    );
  });
});
