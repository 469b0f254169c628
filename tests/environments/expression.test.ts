import { describe, expect, test } from 'vitest';
import { expressionFault, parseExpression } from '#environments/expression.ts';
import { mostCost } from '#environments/expression-cost.ts';
import { loadEnvironments } from '#environments/load.ts';

const live = {
  metadata: { generation: 2 },
  spec: { replicas: 3 },
  status: {
    replicas: 3,
    ratio: 0.5,
    phase: 'Ready',
    conditions: [{ type: 'Ready', status: 'True', message: 'all is well' }],
  },
};
const value = (text: string, self: unknown = live) => parseExpression(text).evaluate(self);

test.each([
  ["self.status.phase == 'Ready'", true],
  ['self.status.replicas == 3', true],
  ['self.status.replicas * 2 >= self.spec.replicas + 1', true],
  ['self.status.ratio > 0.4', true],
  ["self.status.conditions.exists(c, c.type == 'Ready' && c.status == 'True')", true],
  ["has(self.status.error) && self.status.error != ''", false],
  ["self.status.conditions.filter(c, c.type == 'Ready')[0].message", 'all is well'],
])('%s', (text, wanted) => {
  expect(value(text)).toEqual({ value: wanted });
});

test('a field that is not there yet is an answer, never a throw', () => {
  expect(value("self.status.phase == 'Ready'", {})).toEqual({ error: 'No such key: status' });
  expect(value("self.status.phase == 'Ready'", null)).toMatchObject({ error: expect.any(String) });
});

test.each([
  ['1 +', 'is no expression of CEL'],
  ['object.status', 'Unknown variable: object'],
  ["'text'", 'gives string; wanted is bool'],
  ['process.exit(1)', 'is no expression of CEL'],
  ['(((((((((('.repeat(20), 'is no expression of CEL'],
  [Array.from({ length: 400 }, () => 'true').join(' && '), 'is no expression of CEL'],
])('refused: %.40s', (text, wanted) => {
  expect(expressionFault(text, 'bool')).toContain(wanted);
});

test('environment.yaml with a wrong expression says which and why', () => {
  const kinds = (healthy: string) =>
    `kinds:\n  - apiVersion: cert-manager.io/v1\n    kind: Certificate\n    plural: certificates\n    health: { healthy: ${JSON.stringify(healthy)} }\n`;
  const load = (more: string) =>
    loadEnvironments([
      {
        path: 'environments/dev/environment.yaml',
        content: Buffer.from(`apiVersion: plinth.dev/v1\nkind: Environment\ndomain: dev.test\n${more}`),
      },
    ]).get('dev');
  expect(load(kinds("self.status.phase == 'x'"))?.kinds[0]?.kind).toBe('Certificate');
  expect(() => load(kinds('self.status.replicas + '))).toThrow(
    /kinds\.0\.health\.healthy|kinds\[0\].*is no expression of CEL/s,
  );
  expect(() =>
    load('kinds:\n  - { apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, plural: rolebindings }\n'),
  ).toThrow('kinds of Kubernetes itself cannot be named here');
});

describe('what would hold everybody up', () => {
  const four = (macro: string) =>
    `self.l.${macro}(a, self.l.${macro}(b, self.l.${macro}(c, self.l.${macro}(d, true))))`;

  test.each([
    ["self.metadata.name.matches('^(a+)+$')", 'matches() is not taken here'],
    [four('all'), 'all stands within 2 others; more are not taken'],
    [four('exists'), 'exists stands within 2 others'],
    [four('exists_one'), 'exists_one stands within 2 others'],
    ['self.l.map(a, self.l.filter(b, self.l.map(c, 1) == [])) == []', 'map stands within 2 others'],
    ['cel.bind(a, self.l + self.l, size(a + a) > 1)', 'bind() is not taken here'],
    ["self.l.all(a, a.split('').size() > 1)", 'split() is not taken here'],
    ['(self.l + self.l).all(a, a == 1)', 'all goes over a sum'],
    ["['x'].map(a, a + a).size() > 1", 'map makes sums'],
    ['[1].map(a, self.l).map(b, self.l).map(c, self.l) == []', 'it holds more than 2 map'],
    [`self.l.all(a, self.l.all(b, ${Array(20).fill('a.x == b.x').join(' || ')}))`, 'steps; the most is 1000000'],
  ])('refused: %.60s', (text, wanted) => {
    expect(expressionFault(text, 'bool')).toContain(wanted);
  });

  const list = (count: number, of: unknown) => Array.from({ length: count }, () => structuredClone(of));
  const nested = (depth: number): unknown => (depth === 0 ? 1 : { a: nested(depth - 1) });
  const large = { error: 'the object is too large for an expression' };

  test.each<[string, unknown, unknown]>([
    ['200 elements', { l: list(200, 1) }, { value: true }],
    ['201 elements', { l: list(201, 1) }, large],
    ['a depth of 31', { l: nested(31) }, { value: true }],
    ['a depth of 32', { l: nested(32) }, large],
    ['20,000 nodes', { l: list(100, list(197, 1)) }, { value: true }],
    ['more nodes', { l: list(100, list(200, 1)) }, large],
    ['a long text beside it', { l: 1, text: 'x'.repeat(1_000_000) }, { value: true }],
    ['a text that is too long', { l: 1, text: 'x'.repeat(2_000_000) }, large],
    ['a long text', { l: 'x'.repeat(4_000) }, { value: true }],
    ['a longer text', { l: 'x'.repeat(4_001) }, large],
  ])('an object of %s', (_, self, wanted) => {
    expect(value('self.l != null', self)).toEqual(wanted);
  });

  test('a text is cut after 500 characters', () => {
    expect(value("'x' + self.text", { text: 'y'.repeat(900) })).toEqual({ value: `x${'y'.repeat(499)}` });
  });

  test('of what is accepted, the worst over the largest object takes a bounded number of steps', () => {
    const l = list(200, { x: 'x'.repeat(90), of: list(40, 1) });
    const self = { l, m: structuredClone(l) };
    const worst: [string, unknown][] = [
      ['self.l.all(a, self.l.all(b, a.x == b.x && a.x == b.x && a.x == b.x))', { value: true }],
      ['self.l.all(a, self.l.all(b, self.l == self.m))', large],
      ['self.l.map(a, self.l.map(b, self.l)) == []', { value: false }],
      ['self.l.map(a, self.l) == self.l.map(b, self.m)', large],
      [`self.l.all(a, ${Array(12).fill("(a.x + a.x).contains('y')").join(' || ')})`, { value: false }],
    ];
    for (const [text, wanted] of worst) {
      const expression = parseExpression(text);
      expect(expression.cost).toBeLessThanOrEqual(mostCost);
      expect([text, expression.evaluate(self)]).toEqual([text, wanted]);
    }
  });
});
