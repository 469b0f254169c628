import { createHash } from 'node:crypto';
import { writeBlockYaml } from '#environments/block-yaml.ts';
import type { Manifest } from '#environments/manifests.ts';

export { type Manifest, parseManifests } from '#environments/manifests.ts';

const header = '# Written by Plinth from project.yaml beside it. Change that; what is written here is overwritten.\n';

/** The order in which `kubectl apply -f` can take them: what others stand on comes first. */
const kindOrder = [
  'Namespace',
  'ResourceQuota',
  'LimitRange',
  'NetworkPolicy',
  'ServiceAccount',
  'Secret',
  'ConfigMap',
  'PersistentVolumeClaim',
  'Service',
  'StatefulSet',
  'Job',
  'Deployment',
  'CronJob',
  'HorizontalPodAutoscaler',
  'PodDisruptionBudget',
  'Ingress',
  'HTTPRoute',
];

/** Objects as block YAML, sorted by kind and name, keys by their letters: equal objects give equal bytes everywhere. */
export function writeManifests(objects: readonly Manifest[]): string {
  const rank = ({ kind }: Manifest) => kindOrder.indexOf(kind);
  const sorted = objects.toSorted((a, b) => rank(a) - rank(b) || (a.metadata.name < b.metadata.name ? -1 : 1));
  return header + sorted.map((object) => `---\n${writeBlockYaml(object)}`).join('');
}

/** `sha256:…` of bytes. */
export const digestOf = (bytes: string | Uint8Array): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** JSON with sorted keys: equal data gives equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
