import fc from 'fast-check';
import { expect, test } from 'vitest';
import { circleThrough } from '#environments/circle.ts';
import { createDependencies, waitText } from '#reconcile/decide/dependencies.ts';

const nobody = () => false;

test('a project waits for those that are not ready, and each of them knows who waits', () => {
  const graph = createDependencies();
  graph.set('shop/web', ['shop/api', 'data/db']);
  graph.set('shop/api', ['data/db']);
  expect(graph.blockersOf('shop/web', (name) => name === 'data/db')).toEqual({ waitsFor: ['shop/api'], circle: [] });
  expect(graph.dependantsOf('data/db')).toEqual(['shop/web', 'shop/api']);
  graph.set('shop/web', ['shop/api']);
  expect(graph.dependantsOf('data/db')).toEqual(['shop/api']);
  graph.set('shop/api', []);
  expect(graph.dependantsOf('data/db')).toEqual([]);
  expect(graph.blockersOf('shop/api', nobody)).toEqual({ waitsFor: [], circle: [] });
});

test('a circle is named by those who are in it; who only depends on one waits, and is not part of it', () => {
  const graph = createDependencies();
  graph.set('shop/a', ['shop/b']);
  graph.set('shop/b', ['shop/c', 'shop/x']);
  graph.set('shop/c', ['shop/a']);
  graph.set('shop/outside', ['shop/a']);
  expect(graph.blockersOf('shop/b', nobody).circle).toEqual(['shop/b', 'shop/c', 'shop/a', 'shop/b']);
  expect(graph.blockersOf('shop/outside', nobody)).toEqual({ waitsFor: ['shop/a'], circle: [] });
  expect(waitText(graph.blockersOf('shop/a', nobody))).toBe(
    'waits for itself: shop/a → shop/b → shop/c → shop/a; take one of these out of its dependsOn in project.yaml',
  );
  expect(waitText(graph.blockersOf('shop/outside', nobody))).toBe('waits until shop/a is applied and healthy');
});

test('ten thousand in a row, and a circle around all of them, are no trouble', () => {
  const graph = createDependencies();
  const names = Array.from({ length: 10_000 }, (_, i) => `team/p${i}`);
  for (const [i, name] of names.entries()) graph.set(name, i === 0 ? [] : [names[i - 1] ?? '']);
  expect(graph.blockersOf('team/p9999', nobody).circle).toEqual([]);
  graph.set('team/p0', ['team/p9999']);
  expect(graph.blockersOf('team/p9999', nobody).circle).toHaveLength(10_001);
});

/** Slowly: everything that can be reached from a name. */
function reached(name: string, on: (name: string) => readonly string[]): Set<string> {
  const seen = new Set<string>();
  const walk = (at: string) => {
    for (const to of on(at)) {
      if (seen.has(to)) continue;
      seen.add(to);
      walk(to);
    }
  };
  walk(name);
  return seen;
}

test('a circle is found exactly where a name can be reached from itself, and each of its steps is one of the graph', () => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f'];
  const edges = fc.dictionary(fc.constantFrom(...names), fc.uniqueArray(fc.constantFrom(...names), { maxLength: 3 }));
  fc.assert(
    fc.property(edges, fc.constantFrom(...names), (given, name) => {
      const on = (of: string) => given[of] ?? [];
      const circle = circleThrough(name, on);
      expect(circle.length > 0).toBe(reached(name, on).has(name));
      for (const [i, to] of circle.entries()) if (i > 0) expect(on(circle[i - 1] ?? '')).toContain(to);
      if (circle.length > 0) expect([circle[0], circle.at(-1)]).toEqual([name, name]);
    }),
  );
});

test('whatever is set and forgotten: who depends on a name is whoever says so now', () => {
  const names = ['a', 'b', 'c', 'd'];
  const step = fc.tuple(fc.constantFrom(...names), fc.uniqueArray(fc.constantFrom(...names)));
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const graph = createDependencies();
      const model = new Map<string, readonly string[]>();
      for (const [name, on] of steps) {
        graph.set(name, on);
        model.set(name, on);
      }
      for (const name of names)
        expect([...graph.dependantsOf(name)].sort()).toEqual(names.filter((other) => model.get(other)?.includes(name)));
    }),
  );
});
