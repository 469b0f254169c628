import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Facts, type ProjectTelling, type Reported, type Told, tellings } from '#reconcile/tell/tellings.ts';

const nothing: Facts = {
  revision: undefined,
  phase: 'applying',
  health: 'progressing',
  reasons: [],
  problem: undefined,
  question: undefined,
  reports: [],
};
const healthy = (revision: string): Facts => ({ ...nothing, revision, phase: 'applied', health: 'healthy' });
const progressing = (revision: string): Facts => ({ ...healthy(revision), health: 'progressing' });
const degraded = (revision: string): Facts => ({ ...healthy(revision), health: 'degraded' });
const failed = (detail: string, revision?: string): Facts => ({
  ...nothing,
  revision,
  phase: 'failed',
  problem: { code: 'OBJECT_REFUSED', detail },
});
const waiting = (revision: string): Facts => ({
  ...healthy(revision),
  phase: 'waiting',
  health: 'unknown',
  problem: { code: 'RUNTIME_UNAVAILABLE', detail: 'no answer' },
});
const held = (revision: string): Facts => ({ ...healthy(revision), phase: 'held' });
const asking = (digest: string): Facts => ({
  ...healthy('a'),
  phase: 'needs-confirmation',
  question: { digest, objects: ['v1 ConfigMap x/y'] },
});
const reporting = (...reports: Reported[]): Facts => ({ ...healthy('a'), reports });
const report = (number: number, kind: Reported['kind'] = 'drift'): Reported => ({
  number,
  kind,
  text: `edit ${number}`,
});

type Step = readonly [atS: number, standing: Facts];

/** `12 s recovered+healthy ×3`: what is told when these standings are looked at, and when looks fall due between. */
function walk(steps: readonly Step[], untilS = 0, first: Told = {}) {
  let told = first;
  let dueMs: number | undefined;
  let standing = nothing;
  const said: { atMs: number; telling: ProjectTelling }[] = [];
  const look = (nowMs: number) => {
    const outcome = tellings(told, standing, nowMs);
    ({ told, againMs: dueMs } = outcome);
    for (const telling of outcome.tellings) said.push({ atMs: nowMs, telling });
    // What is stored is read back; looking twice tells nothing more.
    expect(JSON.parse(JSON.stringify(told))).toEqual(told);
    expect(tellings(told, standing, nowMs).tellings).toEqual([]);
  };
  const runTo = (ms: number) => {
    while (dueMs !== undefined && dueMs <= ms) look(dueMs);
  };
  for (const [atS, next] of steps) {
    runTo(atS * 1000);
    standing = next;
    look(atS * 1000);
  }
  runTo(Math.max(untilS, steps.at(-1)?.[0] ?? 0) * 1000);
  return { told, said, dueMs };
}

const text = ({ atMs, telling }: { atMs: number; telling: ProjectTelling }) =>
  `${atMs / 1000} s ${telling.says.join('+')}${telling.changes > 1 ? ` ×${telling.changes}` : ''}`;
const toldOf = (steps: readonly Step[], untilS?: number, first?: Told) => walk(steps, untilS, first).said.map(text);

describe('what is told', () => {
  const day = 86_400;
  const cases: readonly (readonly [string, readonly Step[], readonly string[]])[] = [
    [
      'nothing while it is on its way',
      [
        [0, nothing],
        [5, nothing],
      ],
      [],
    ],
    [
      'applied, then healthy',
      [
        [0, progressing('a')],
        [5, healthy('a')],
      ],
      ['0 s applied', '5 s healthy'],
    ],
    ['both in one where they come together', [[0, healthy('a')]], ['0 s healthy+applied']],
    [
      'the same again: nothing',
      [
        [0, healthy('a')],
        [9, healthy('a')],
      ],
      ['0 s healthy+applied'],
    ],
    [
      'each revision once',
      [
        [0, healthy('a')],
        [1, progressing('b')],
        [2, healthy('b')],
        [3, healthy('c')],
      ],
      ['0 s healthy+applied', '1 s applied', '2 s healthy', '3 s healthy+applied'],
    ],
    [
      'degraded and its end',
      [
        [0, healthy('a')],
        [100, degraded('a')],
        [200, progressing('a')],
        [300, healthy('a')],
      ],
      ['0 s healthy+applied', '100 s degraded', '300 s recovered'],
    ],
    [
      'a failed change that a new one mends',
      [
        [0, failed('no')],
        [50, failed('no')],
        [100, healthy('b')],
      ],
      ['0 s failed', '100 s recovered+healthy+applied'],
    ],
    [
      'another failure',
      [
        [0, failed('one')],
        [40, failed('two')],
      ],
      ['0 s failed', '40 s failed'],
    ],
    [
      'a failure that changes its words all the time',
      Array.from({ length: 100 }, (_, i): Step => [i, failed(`try ${i}`)]),
      ['0 s failed', '30 s failed ×29', '90 s failed ×60', '210 s failed ×10'],
    ],
    [
      'what mends itself in time',
      [
        [0, healthy('a')],
        [10, waiting('a')],
        [500, healthy('a')],
      ],
      ['0 s healthy+applied'],
    ],
    [
      'what does not mend itself',
      [
        [0, healthy('a')],
        [10, waiting('a')],
        [4000, healthy('a')],
      ],
      ['0 s healthy+applied', '610 s failed', '4000 s recovered'],
    ],
    [
      'a hold, and nothing at its end',
      [
        [0, healthy('a')],
        [9, held('a')],
        [99, healthy('a')],
      ],
      ['0 s healthy+applied', '9 s held'],
    ],
    [
      'a question, and another one',
      [
        [0, asking('x')],
        [10, asking('x')],
        [100, asking('y')],
        [200, healthy('a')],
      ],
      ['0 s needs-confirmation+applied', '100 s needs-confirmation', '200 s healthy'],
    ],
    [
      'a trouble that a hold hides ends after it',
      [
        [0, healthy('a')],
        [1, degraded('a')],
        [100, held('a')],
        [200, healthy('a')],
      ],
      ['0 s healthy+applied', '1 s degraded', '100 s held', '200 s recovered'],
    ],
    [
      'a recovery within the quiet time, at its end',
      [
        [0, healthy('a')],
        [1, degraded('a')],
        [5, healthy('a')],
      ],
      ['0 s healthy+applied', '1 s degraded', '31 s recovered'],
    ],
    [
      'one that comes and goes, in one at the end of the quiet time',
      [[0, healthy('a')], [1, degraded('a')], ...flapping(2, 20)],
      ['0 s healthy+applied', '1 s degraded', '31 s recovered ×19'],
    ],
    [
      'a trouble that came and went in a quiet time',
      [
        [0, healthy('a')],
        [1, degraded('a')],
        [40, healthy('a')],
        [41, degraded('a')],
        [42, healthy('a')],
      ],
      ['0 s healthy+applied', '1 s degraded', '40 s recovered', '100 s recovered ×2'],
    ],
    [
      'reports that come together, and later ones at their pace',
      [
        [0, healthy('a')],
        [10, reporting(report(1), report(2))],
        [20, reporting(report(1), report(2), report(3))],
        [30, reporting(report(3), report(4), report(5, 'fight'))],
      ],
      ['0 s healthy+applied', '10 s drift ×2', '30 s fight', '310 s drift ×2'],
    ],
  ];
  test.each(cases)('%s', (_, steps, wanted) => {
    expect(toldOf(steps, day)).toEqual(wanted);
  });

  /** Healthy at even seconds from `fromS` on, degraded at odd ones; it ends healthy. */
  function flapping(fromS: number, count: number): Step[] {
    return Array.from({ length: count }, (_, i): Step => [fromS + i, i % 2 === 0 ? healthy('a') : degraded('a')]).slice(
      0,
      count - 1,
    );
  }

  test('one that flaps for a day is told with growing pauses, at last once an hour', () => {
    const steps = Array.from({ length: day / 5 }, (_, i): Step => [i * 5, i % 2 === 0 ? healthy('a') : degraded('a')]);
    const { said } = walk(steps);
    expect(said.length).toBeLessThan(24 + 8);
    expect(said.reduce((sum, { telling }) => sum + telling.changes, 0)).toBeGreaterThan(16_000);
  });

  test('what stood before there were tellings is not told, what comes then is', () => {
    const silent = { silent: true };
    expect(
      toldOf(
        [
          [0, healthy('a')],
          [9, degraded('a')],
        ],
        0,
        silent,
      ),
    ).toEqual(['9 s degraded']);
    expect(
      toldOf(
        [
          [0, degraded('a')],
          [9, healthy('a')],
        ],
        0,
        silent,
      ),
    ).toEqual(['9 s recovered+healthy']);
    expect(
      toldOf(
        [
          [0, failed('x')],
          [9, healthy('b')],
        ],
        0,
        silent,
      ),
    ).toEqual(['9 s recovered+healthy+applied']);
    expect(
      toldOf(
        [
          [0, reporting(report(7))],
          [9, reporting(report(7))],
          [999, reporting(report(8))],
        ],
        0,
        silent,
      ),
    ).toEqual(['999 s drift']);
  });
});

describe('whatever happens, and whatever of it is seen', () => {
  const standing = fc.oneof(
    fc
      .constantFrom('a', 'b', 'c')
      .chain((revision) =>
        fc.constantFrom(healthy, progressing, degraded, waiting, held).map((make) => make(revision)),
      ),
    fc.constantFrom('one', 'two').map((detail) => failed(detail, 'a')),
    fc.constantFrom('x', 'y').map(asking),
    fc.constant(nothing),
  );
  const steps = fc
    .array(fc.tuple(fc.integer({ min: 0, max: 2000 }), standing), { minLength: 1, maxLength: 40 })
    .map((pauses) => {
      let atS = 0;
      return pauses.map(([pause, next]): Step => {
        atS += pause;
        return [atS, next];
      });
    });
  const isCondition = ({ telling: { kind } }: { telling: ProjectTelling }) =>
    ['failed', 'degraded', 'recovered', 'held', 'needs-confirmation'].includes(kind);

  test('each transition is told once, and conditions never within 30 s of each other', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const { said } = walk(all, (all.at(-1)?.[0] ?? 0) + 10_000);
        const conditions = said.filter(isCondition);
        conditions.forEach(({ atMs }, i) => {
          if (i > 0) expect(atMs - (conditions[i - 1]?.atMs ?? 0)).toBeGreaterThanOrEqual(30_000);
        });
        const revisions = all.map(([, { revision }]) => revision).filter((revision) => revision !== undefined);
        const moves = revisions.filter((revision, i) => revision !== revisions[i - 1]);
        expect(said.filter(({ telling }) => telling.says.includes('applied'))).toHaveLength(moves.length);
        for (const { telling } of said) expect(new Set(telling.says).size).toBe(telling.says.length);
      }),
      { numRuns: 500 },
    );
  });

  test('in the end what was told last is what stands', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const end = (all.at(-1)?.[0] ?? 0) + 10_000;
        const { said, dueMs } = walk(all, end);
        expect(dueMs).toBeUndefined();
        const last = all.at(-1)?.[1];
        const trouble = said.findLast(({ telling: { kind } }) => ['failed', 'degraded', 'recovered'].includes(kind));
        if (last?.phase === 'failed') expect(trouble?.telling.kind).toBe('failed');
        if (last?.health === 'degraded') expect(trouble?.telling.kind).toBe('degraded');
        if (last?.phase === 'applied' && last.health === 'healthy') {
          expect(['recovered', undefined]).toContain(trouble?.telling.kind);
          expect(said.findLast(({ telling }) => telling.says.includes('healthy'))).toBeDefined();
        }
        if (last?.phase === 'held') expect(said.findLast(isCondition)?.telling.kind).toBe('held');
      }),
      { numRuns: 500 },
    );
  });

  test('a recovery has a trouble before it, told or counted', () => {
    fc.assert(
      fc.property(steps, (all) => {
        let open = false;
        for (const { telling } of walk(all, 200_000).said) {
          if (telling.kind === 'recovered') expect(open || telling.changes > 1).toBe(true);
          if (telling.kind === 'failed' || telling.kind === 'degraded') open = true;
          if (telling.kind === 'recovered') open = false;
        }
      }),
      { numRuns: 500 },
    );
  });
});
