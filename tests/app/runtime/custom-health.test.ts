import { expect, test } from 'vitest';
import { parseExpression } from '#environments/expression.ts';
import { customHealth } from '#runtime/kubernetes/custom-health.ts';

const rule = {
  healthy: parseExpression("self.status.phase == 'Ready'"),
  degraded: parseExpression("self.status.phase == 'Failed'"),
  suspended: parseExpression('has(self.spec.suspend) && self.spec.suspend'),
  reason: parseExpression('self.status.message'),
};
const object = (status?: object, spec: object = {}, metadata: object = {}) => ({
  metadata: { generation: 1, ...metadata },
  spec,
  ...(status && { status }),
});

test('its rule decides: degraded before suspended before healthy', () => {
  expect(customHealth(object({ phase: 'Ready' }), rule)).toEqual({ state: 'healthy', reason: '' });
  expect(customHealth(object({ phase: 'Failed', message: 'disk is full' }, { suspend: true }), rule)).toEqual({
    state: 'degraded',
    reason: 'disk is full',
  });
  expect(customHealth(object({ phase: 'Ready' }, { suspend: true }), rule).state).toBe('suspended');
  expect(customHealth(object({ phase: 'Making', message: 'makes the disk' }), rule)).toEqual({
    state: 'progressing',
    reason: 'makes the disk',
  });
});

test('what cannot be told yet is progressing, and says why', () => {
  expect(customHealth(object(), rule)).toEqual({
    state: 'progressing',
    reason: 'its health cannot be told yet: No such key: status',
  });
});

test('a newer version that its operator has not seen, and a deletion, come first', () => {
  const seen = { phase: 'Ready', observedGeneration: 1 };
  expect(customHealth(object(seen, {}, { generation: 2 }), rule).state).toBe('progressing');
  expect(customHealth(object(seen, {}, { deletionTimestamp: '2026-01-01T00:00:00Z' }), rule)).toEqual({
    state: 'progressing',
    reason: 'is being deleted',
  });
});

test('without a rule for healthy the conditions decide', () => {
  const conditions = (status: string) => [{ type: 'Ready', status, reason: 'Waiting', message: 'for the issuer' }];
  expect(customHealth(object({ conditions: conditions('True') }), {}).state).toBe('healthy');
  expect(customHealth(object({ conditions: conditions('False') }), {})).toEqual({
    state: 'progressing',
    reason: 'for the issuer',
  });
});
