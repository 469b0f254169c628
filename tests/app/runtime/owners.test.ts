import { expect, test } from 'vitest';
import { foreignFields, managersOf } from '#runtime/kubernetes/owners.ts';
import type { KubernetesObject } from '#runtime/runtime.ts';

const wanted: KubernetesObject = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: 'n', labels: { a: '1' } },
  spec: {
    replicas: 1,
    template: {
      spec: {
        containers: [
          { name: 'web', image: 'a:1' },
          { name: 'side', image: 'b:1' },
        ],
      },
    },
  },
};
const entry = (manager: string, fieldsV1: object, more: object = {}) => ({
  manager,
  operation: 'Update',
  fieldsV1,
  ...more,
});
const container = (name: string, field: string) => ({
  'f:spec': { 'f:template': { 'f:spec': { 'f:containers': { [`k:{"name":"${name}"}`]: { [`f:${field}`]: {} } } } } },
});
const live = (managedFields: readonly object[], spec: object) => ({
  metadata: { name: 'web', labels: { a: '1', b: '2' }, managedFields },
  spec,
});
const edited = {
  replicas: 3,
  template: {
    spec: {
      containers: [
        { name: 'web', image: 'a:2' },
        { name: 'side', image: 'b:1' },
      ],
    },
  },
};

test('fields of ours that others own with another value, by manager', () => {
  const found = foreignFields(
    wanted,
    live(
      [
        entry('plinth', { 'f:metadata': { 'f:labels': { 'f:a': {} } } }, { operation: 'Apply' }),
        entry('kubectl-edit', container('web', 'image')),
        entry('kubectl-edit', { 'f:metadata': { 'f:labels': { '.': {}, 'f:b': {} } } }),
        entry('scaler', { 'f:spec': { 'f:replicas': {} } }),
        entry('same', container('side', 'image')),
        entry('controller', { 'f:spec': { 'f:replicas': {} } }, { subresource: 'status' }),
      ],
      edited,
    ),
  );
  expect(found).toEqual([
    { manager: 'kubectl-edit', fields: ['.spec.template.spec.containers[name="web"].image'] },
    { manager: 'scaler', fields: ['.spec.replicas'] },
  ]);
});

test('everybody who wrote an object, once, without its status', () => {
  const entries = [entry('helm', {}), entry('helm', {}), entry('', {}), entry('x', {}, { subresource: 'status' })];
  expect(managersOf(live(entries, edited))).toEqual(['helm', 'unknown']);
});
