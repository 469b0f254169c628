import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { liveObject } from '#runtime/kubernetes/live.ts';
import { createIndex, isNewer } from '#runtime/kubernetes/observe.ts';
import { ownKinds } from '#runtime/kubernetes/resources.ts';
import { eventsOf } from '#runtime/kubernetes/watch.ts';
import type { LiveObject } from '#runtime/runtime.ts';

const kind = { apiVersion: 'v1', kind: 'ConfigMap' };
const resource = ownKinds.resourceOf(kind)!; // ConfigMap is in the table
const namespace = 'local--team--shop';

interface Stored {
  readonly name: string;
  readonly uid: string;
  readonly version: number;
  readonly value: number;
}

/** An object as an API server would give it. */
const body = ({ name, uid, version, value }: Stored) => ({
  ...kind,
  metadata: {
    name,
    namespace,
    uid,
    resourceVersion: String(version),
    labels: { 'plinth.dev/installation': 'ins' },
    managedFields: [
      { manager: 'plinth', operation: 'Apply', apiVersion: 'v1', fieldsV1: { 'f:data': { 'f:value': {} } } },
    ],
  },
  data: { value: String(value) },
});

type Step =
  /** The store changes: `ours` by an apply whose answer arrives some steps later. */
  | { readonly do: 'write' | 'apply' | 'delete'; readonly name: string; readonly value: number; readonly late: number }
  /** The watch brings the next events. */
  | { readonly do: 'deliver'; readonly count: number }
  /** The watch was opened again a little before the place where it was. */
  | { readonly do: 'repeat'; readonly count: number }
  /** A complete listing, with some changes in its middle. */
  | { readonly do: 'list' }
  /** The store was restored: versions begin again, lower. A complete listing follows, as watch.ts sees to. */
  | { readonly do: 'restore' };

const steps = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constantFrom('write', 'apply', 'delete'),
        name: fc.constantFrom('a', 'b', 'c'),
        value: fc.nat(3),
        late: fc.nat(4),
      }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('deliver'), count: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('repeat'), count: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('list') }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('restore') }) },
  ),
  { maxLength: 60 },
) as fc.Arbitrary<Step[]>; // The records above are the variants of Step.

describe('what is known of the cluster', () => {
  test('is what the store holds, whatever the order of watch events, listings, repeats, answers and restores', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const world = play(all);
        expect(world.known()).toEqual(world.stored());
        expect(world.seenByCaller()).toEqual(world.known());
        expect(world.faults).toEqual([]);
      }),
      { numRuns: 2000 },
    );
  });

  test('versions are compared as counters of any length', () => {
    expect(isNewer('10', '9')).toBe(true);
    expect(isNewer('9', '10')).toBe(false);
    expect(isNewer('18446744073709551616', '18446744073709551615')).toBe(true);
    expect(isNewer('5', '5')).toBe(false);
  });

  test('takes little memory for each object, however large its body', () => {
    setFlagsFromString('--expose_gc');
    const collect: () => void = runInNewContext('gc');
    const index = createIndex(() => {});
    const sink = index.objects(resource);
    const count = 10_000;
    collect();
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < count; i++) {
      const object = body({
        name: `map-${i}`,
        uid: `00000000-0000-0000-0000-0000000${10_000 + i}`,
        version: i + 1,
        value: i,
      });
      sink.put(JSON.parse(JSON.stringify({ ...object, data: { value: String(i), large: 'x'.repeat(5000) } })));
    }
    collect();
    const bytes = (process.memoryUsage().heapUsed - before) / count;
    expect(index.observed(namespace)).toHaveLength(count);
    expect(bytes).toBeLessThan(1200);
  });
});

/** Plays steps against a store and an index that only hears of it. */
function play(all: readonly Step[]) {
  // What somebody knows who looks when told, and who knows the answers to own applies.
  const view = new Map<string, string>();
  const look = () => {
    view.clear();
    for (const { key, ownedDigest } of index.observed(namespace)) view.set(key.name, ownedDigest);
  };
  const index = createIndex(look);
  const faults: string[] = [];
  const find = (name: string) => index.find({ ...kind, namespace, name });
  const isCurrent = (name: string) =>
    find(name) !== undefined && find(name)?.resourceVersion === `${store.get(name)?.version}`;
  const sink = index.objects(resource);
  const store = new Map<string, Stored>();
  let events: { readonly gone: boolean; readonly object: Stored }[] = [];
  let seen = 0;
  let version = 10;
  let births = 0;
  const answers: { at: number; deliver(): void }[] = [];

  const write = (name: string, value: number): Stored => {
    version += 1;
    const uid = store.get(name)?.uid ?? `uid-${++births}`;
    const object = { name, uid, version, value };
    store.set(name, object);
    events.push({ gone: false, object });
    return object;
  };
  const remove = (name: string) => {
    const object = store.get(name);
    if (object === undefined) return;
    version += 1;
    store.delete(name);
    events.push({ gone: true, object: { ...object, version } });
  };
  const show = ({ gone, object }: { gone: boolean; object: Stored }) =>
    gone ? sink.remove(body(object)) : sink.put(body(object));
  const deliver = (count: number) => {
    for (const event of events.slice(seen, seen + count)) show(event);
    seen = Math.min(events.length, seen + count);
  };
  const list = () => {
    sink.begin();
    for (const object of [...store.values()]) sink.put(body(object));
    seen = events.length;
    sink.end();
    sink.reached(String(version));
  };
  const answer = (until: number) => {
    for (const due of answers.filter(({ at }) => at <= until)) due.deliver();
    answers.splice(0, answers.length, ...answers.filter(({ at }) => at > until));
  };

  for (const [at, step] of all.entries()) {
    const current = [...store].filter(([name]) => isCurrent(name));
    if (step.do === 'write') write(step.name, step.value);
    if (step.do === 'delete') remove(step.name);
    if (step.do === 'apply') {
      const key = { ...kind, namespace, name: step.name };
      const flight = index.flight(key);
      const object = write(step.name, step.value);
      const deliverAnswer = () => {
        const live = liveObject(kind, body(object), new Map());
        flight.answered(live, body(object));
        view.set(step.name, live.ownedDigest);
        flight.end();
        if (store.get(step.name) === object && !isCurrent(step.name))
          faults.push(`the answer about ${step.name} is not known`);
      };
      answers.push({ at: at + step.late, deliver: deliverAnswer });
    }
    if (step.do === 'deliver') deliver(step.count);
    if (step.do === 'repeat') for (const event of events.slice(Math.max(0, seen - step.count), seen)) show(event);
    if (step.do === 'list') list();
    if (step.do === 'restore') {
      answer(Number.POSITIVE_INFINITY); // No answer outlives the server that gave it.
      version = Math.max(1, Math.floor(version / 2));
      for (const [name, object] of [...store]) store.set(name, { ...object, version });
      events = [];
      seen = 0;
      list();
    }
    answer(at);
    for (const [name, object] of current)
      if (store.get(name) === object && !isCurrent(name)) faults.push(`${name} was known and is so no more`);
  }
  answer(Number.POSITIVE_INFINITY);
  deliver(events.length);
  const digest = ({ key: { name }, uid, ownedDigest }: LiveObject) => ({ name, uid, ownedDigest });
  const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
  return {
    known: () => index.observed(namespace).map(digest).sort(byName),
    stored: () => [...store.values()].map((object) => digest(liveObject(kind, body(object), new Map()))).sort(byName),
    seenByCaller: () =>
      [...view].map(([name, ownedDigest]) => ({ name, uid: find(name)?.uid, ownedDigest })).sort(byName),
    faults,
  };
}

describe('eventsOf', () => {
  async function* inPieces(bytes: Uint8Array, cuts: readonly number[]) {
    let from = 0;
    for (const cut of [...cuts, bytes.length].sort((a, b) => a - b)) {
      yield bytes.subarray(from, cut);
      from = cut;
    }
  }

  async function gather(events: AsyncIterable<unknown>): Promise<unknown[]> {
    const all: unknown[] = [];
    for await (const event of events) all.push(event);
    return all;
  }

  test('reads the same events however the network cuts them', async () => {
    const value = fc.record({
      type: fc.constantFrom('ADDED', 'BOOKMARK'),
      object: fc.dictionary(fc.string(), fc.string({ unit: 'binary' })),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(value, { maxLength: 8 }),
        fc.array(fc.nat(500), { maxLength: 20 }),
        async (events, cuts) => {
          const bytes = Buffer.from(events.map((event) => `${JSON.stringify(event)}\n`).join(''));
          const inside = cuts.map((cut) => Math.min(cut, bytes.length));
          const read = await gather(eventsOf(inPieces(bytes, inside)));
          expect(read).toEqual(JSON.parse(JSON.stringify(events)));
        },
      ),
      { numRuns: 300 },
    );
  });

  test('a document that was cut off by the end of the stream is no event', async () => {
    const bytes = Buffer.from('{"type":"ADDED"}\n{"type":"DEL');
    expect(await gather(eventsOf(inPieces(bytes, [])))).toEqual([{ type: 'ADDED' }]);
  });
});
