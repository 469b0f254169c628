import { createHash } from 'node:crypto';
import { parseAllDocuments } from 'yaml';
import { writeBlockYaml } from '#environments/block-yaml.ts';

/** A Kubernetes object as it stands in manifests.yaml. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

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

/** Reads what `writeManifests` wrote. It is for our own bytes: nothing here bounds what a stranger may send. */
export function parseManifests(text: string): Manifest[] {
  const documents = parseAllDocuments(text, { schema: 'core', version: '1.2', uniqueKeys: false, logLevel: 'error' });
  // The digest says that these are the bytes that render made, so that their shape is known.
  return [...documents].map((document) => document.toJS() as Manifest | null).filter((object) => object !== null);
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
