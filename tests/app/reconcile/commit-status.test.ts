import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Facts,
  isNews,
  judge,
  nextRow,
  type Outcome,
  outcomeOf,
  type Row,
  type RowState,
  type Verdict,
} from '#reconcile/tell/commit-status.ts';

const facts: Facts = {
  specBlob: 's1',
  manifestsBlob: 'm1',
  manifestsDigest: 'sha256:1',
  rendered: true,
  refusal: undefined,
  status: { phase: 'applied', health: 'healthy', manifestsDigest: 'sha256:1', reasons: [], problem: undefined },
};
const status = (change: Partial<NonNullable<Facts['status']>>): Facts => ({
  ...facts,
  status: { ...facts.status!, ...change },
});
const problem = { code: 'OBJECT_REFUSED', detail: 'no', manifests: 'm1' };
const gone: Partial<Facts> = {
  specBlob: undefined,
  manifestsBlob: undefined,
  manifestsDigest: undefined,
  rendered: false,
};

test.each<[string, Facts, string, string]>([
  ['applied and healthy', facts, 'done', 'done'],
  ['not rendered yet', { ...facts, rendered: false }, 'open: is being rendered', 'open: is being rendered'],
  ['refused', { ...facts, rendered: false, refusal: 'no port' }, 'failed: no port', 'failed: no port'],
  ['rendered after a refusal', { ...facts, refusal: 'no port' }, 'done', 'done'],
  ['never applied', { ...facts, status: undefined }, 'open: waits to be applied', 'open: waits to be applied'],
  [
    'older manifests applied',
    status({ manifestsDigest: 'sha256:0' }),
    'open: is being applied',
    'open: is being applied',
  ],
  [
    'a problem of older manifests',
    status({ phase: 'failed', manifestsDigest: 'sha256:0', problem: { ...problem, manifests: 'm0' } }),
    'open: is being applied',
    'open: is being applied',
  ],
  ['a problem of these', status({ phase: 'failed', manifestsDigest: 'sha256:0', problem }), 'failed: no', 'failed: no'],
  ['a problem that may pass', status({ phase: 'waiting', problem }), 'open: no', 'open: no'],
  ['on hold', status({ phase: 'held' }), 'open: is on hold', 'open: is on hold'],
  [
    'a deletion in question',
    status({ phase: 'needs-confirmation' }),
    'open: waits for a confirmation of what would be deleted',
    'open: waits for a confirmation of what would be deleted',
  ],
  ['on its way', status({ health: 'progressing' }), 'done', 'open: health is progressing'],
  ['nobody knows', status({ health: 'unknown' }), 'done', 'open: health is unknown'],
  [
    'broken',
    status({ health: 'degraded', reasons: [{ object: 'Deployment/web', state: 'degraded', reason: 'cannot pull' }] }),
    'done',
    'failed: Deployment/web cannot pull',
  ],
  ['gone', { ...facts, ...gone, status: undefined }, 'done', 'done'],
  ['going', { ...status({ phase: 'removing' }), ...gone }, 'open: is being removed', 'open: is being removed'],
  [
    'would go',
    { ...status({ phase: 'needs-confirmation' }), ...gone },
    'open: its removal waits for a confirmation',
    'open: its removal waits for a confirmation',
  ],
])('%s', (_, given, applied, healthy) => {
  const text = ({ state, reason }: Verdict) => (reason === '' ? state : `${state}: ${reason}`);
  const verdict = judge(given);
  expect([text(verdict.applied), text(verdict.healthy)]).toEqual([applied, healthy]);
});

const v = (state: Verdict['state']): Verdict => ({ state, reason: state === 'done' ? '' : 'why' });
test.each<[RowState, boolean, Verdict['state'], RowState]>([
  ['open', false, 'open', 'open'],
  ['open', false, 'failed', 'failed'],
  ['failed', false, 'open', 'failed'],
  ['failed', false, 'done', 'done'],
  ['done', false, 'failed', 'done'],
  ['open', true, 'done', 'done'],
  ['open', true, 'failed', 'lost'],
  ['failed', true, 'done', 'lost'],
  ['lost', true, 'done', 'lost'],
  ['done', true, 'failed', 'done'],
])('%s, superseded %s, now %s: %s', (state, superseded, verdict, after) => {
  expect(nextRow({ name: 'shop/web', state, superseded }, v(verdict))).toBe(after);
});

describe('the outcome of a commit', () => {
  const row = (name: string, state: RowState, superseded = false): Row => ({ name, state, superseded });
  const pending: Outcome = { state: 'pending', description: '' };

  test('says the first failure by name and how many there are more', () => {
    const rows = [
      row('shop/web', 'failed'),
      row('blog/api', 'failed'),
      row('blog/web', 'done'),
      row('a/b', 'lost', true),
    ];
    const reasons = new Map([
      ['shop/web', 'no image'],
      ['blog/api', 'no port'],
    ]);
    expect(outcomeOf('healthy', rows, reasons, pending)).toEqual({
      state: 'failure',
      description: 'blog/api: no port (and 2 more)',
    });
  });

  test('says when it was a later commit that failed', () => {
    const rows = [row('shop/web', 'lost', true)];
    expect(outcomeOf('applied', rows, new Map([['shop/web', 'no port']]), pending).description).toBe(
      'shop/web: replaced by a later commit: no port',
    );
  });

  test('a success needs every project', () => {
    expect(outcomeOf('applied', [row('a/b', 'done'), row('c/d', 'open')], new Map(), pending)).toEqual({
      state: 'pending',
      description: '2 projects to become applied',
    });
    expect(outcomeOf('healthy', [row('a/b', 'done')], new Map(), pending)).toEqual({
      state: 'success',
      description: '1 project healthy',
    });
  });

  test('whatever happens in whatever order: it never goes back, and succeeds only when all were reached', () => {
    const names = ['a/a', 'b/b', 'c/c'];
    const verdict = fc.constantFrom<Verdict['state']>('open', 'failed', 'done');
    const step = fc.record({
      verdicts: fc.tuple(verdict, verdict, verdict),
      supersede: fc.option(fc.nat(2), { freq: 6 }),
    });
    const ranks = { pending: 0, failure: 1, success: 2 };
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
        let rows = names.map((name) => row(name, 'open'));
        let before = pending;
        const reached = new Set<string>();
        for (const { verdicts, supersede } of steps) {
          if (typeof supersede === 'number')
            rows = rows.map((each, i) =>
              i === supersede
                ? { ...each, superseded: true, state: each.state === 'failed' ? 'lost' : each.state }
                : each,
            );
          rows = rows.map((each, i) => ({ ...each, state: nextRow(each, v(verdicts[i]!)) }));
          verdicts.forEach((state, i) => {
            if (state === 'done') reached.add(names[i]!);
          });
          const reasons = new Map(names.filter((_, i) => verdicts[i] === 'failed').map((name) => [name, 'why']));
          const after = outcomeOf('applied', rows, reasons, before);
          expect(ranks[after.state]).toBeGreaterThanOrEqual(ranks[before.state]);
          if (after.state === 'success') expect(reached.size).toBe(names.length);
          if (before.state === 'success') expect(after).toEqual(before);
          before = after;
        }
      }),
      { numRuns: 2000 },
    );
  });
});

test('the host hears of states, and of reasons so often and no more', () => {
  const failure = (description: string): Outcome => ({ state: 'failure', description });
  expect(isNews({ outcome: undefined, count: 0 }, { state: 'pending', description: 'a' })).toBe(true);
  expect(
    isNews({ outcome: { state: 'pending', description: 'a' }, count: 1 }, { state: 'pending', description: 'b' }),
  ).toBe(false);
  expect(isNews({ outcome: failure('a'), count: 1 }, failure('b'))).toBe(true);
  expect(isNews({ outcome: failure('a'), count: 20 }, failure('b'))).toBe(false);
  expect(isNews({ outcome: failure('a'), count: 20 }, { state: 'success', description: 'b' })).toBe(true);
});
