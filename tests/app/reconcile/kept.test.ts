import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { readManifests, toDesired } from '#reconcile/decide/desired.ts';
import type { DesiredObject, InventoryEntry } from '#reconcile/decide/plan.ts';
import { keptOf, recalledOf } from '#reconcile/kept.ts';
import { objectText } from '#runtime/runtime.ts';

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

/** A project whose one small object stands beside a large one. */
const manifests = (project: number, padding: string) => `# Written by Plinth
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  annotations:
    plinth.dev/depends-on: "a-rather-long-name, another-long-name"
  name: an-ingress-with-a-long-name-${project}
  namespace: local--shop--a-rather-long-name-${project}
---
apiVersion: v1
data:
  text: "${padding}${project}"
kind: ConfigMap
metadata:
  name: a-map-with-a-long-name
  namespace: local--shop--a-rather-long-name-${project}
`;

test('what is kept of manifests is as large as their keys and digests, not as their text', () => {
  const padding = 'x'.repeat(100_000);
  const kept: (readonly DesiredObject[])[] = [];
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let project = 0; project < 500; project++)
    kept.push(keptOf(toDesired(readManifests(manifests(project, padding)), new Map()), new Map()));
  collect();
  const bytes = (process.memoryUsage().heapUsed - before) / (kept.length * 2);
  expect(kept[7]?.[0]).toMatchObject({
    key: { kind: 'Ingress', name: 'an-ingress-with-a-long-name-7', namespace: 'local--shop--a-rather-long-name-7' },
    dependsOn: ['a-rather-long-name', 'another-long-name'],
  });
  expect(bytes).toBeLessThan(2_000);
});

test('keys and digests are those of the inventory where both say the same', () => {
  const desired = toDesired(readManifests(manifests(1, '')), new Map());
  const inventory = new Map(
    desired.map(({ key, digest }): [string, InventoryEntry] => [
      objectText(key),
      { key: { ...key }, uid: 'u', ownedDigest: 'o', desiredDigest: key.kind === 'Ingress' ? digest : 'other' },
    ]),
  );
  const [ingress, map] = keptOf(desired, inventory);
  const entries = [...inventory.values()];
  expect(ingress?.key).toBe(entries[0]?.key);
  expect(map?.key).toBe(entries[1]?.key);
  expect(map?.digest).toBe(desired[1]?.digest);
});

test('what is wanted of a project at rest is its inventory', () => {
  const key = { apiVersion: 'v1', kind: 'ConfigMap', namespace: 'n', name: 'a' };
  const entry = { key, uid: 'u', ownedDigest: 'o', desiredDigest: 'd' };
  expect(recalledOf(new Map([[objectText(key), entry]]))).toEqual([{ key, digest: 'd', dependsOn: [] }]);
});
