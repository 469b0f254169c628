import { type DesiredObject, type InventoryEntry, type PlanInput, planRun } from '#reconcile/decide/plan.ts';
import type { LiveObject, ObjectKey } from '#runtime/runtime.ts';

export const namespace = 'local--shop--web';
export const object = (kind: string, name: string): ObjectKey => ({
  apiVersion: kind === 'Deployment' ? 'apps/v1' : 'v1',
  kind,
  namespace: kind === 'Namespace' ? '' : namespace,
  name,
});
export const wanted = (key: ObjectKey, digest = 'd1', dependsOn: string[] = []): DesiredObject => ({
  key,
  digest,
  dependsOn,
});
export const entry = (key: ObjectKey, more: Partial<InventoryEntry> = {}): InventoryEntry => ({
  key,
  uid: `uid-${key.name}`,
  desiredDigest: 'd1',
  ownedDigest: 'o1',
  ...more,
});
export const live = (key: ObjectKey, more: Partial<LiveObject> = {}): LiveObject => ({
  key,
  uid: `uid-${key.name}`,
  resourceVersion: '1',
  ownedDigest: 'o1',
  health: { state: 'healthy', reason: '' },
  deleting: false,
  installation: 'ins_1',
  ...more,
});
export const input = (more: Partial<PlanInput>): PlanInput => ({
  desired: [],
  inventory: [],
  live: [],
  complete: true,
  permits: { apply: true, heal: true, prune: true },
  resting: new Set(),
  unseen: new Map(),
  refusals: new Map(),
  epoch: undefined,
  cautious: false,
  removalConfirmed: false,
  confirmed: new Set(),
  ...more,
});
export const reasons = (more: Partial<PlanInput>) =>
  planRun(input(more))
    .apply.flat()
    .map(({ key, reason }) => `${key.name} ${reason}`);

export const config = object('ConfigMap', 'a');
export const certificate: ObjectKey = { apiVersion: 'acme.example/v1', kind: 'Certificate', namespace, name: 'a' };
export const volume = object('PersistentVolumeClaim', 'data');
export const space = object('Namespace', namespace);
export const web = object('Deployment', 'web');
export const db = object('Deployment', 'db');
