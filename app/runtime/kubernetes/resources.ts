import { Fault } from '#base/errors.ts';
import type { ObjectKey } from '../runtime.ts';

/** Where the objects of a kind live in the API. */
export interface Resource {
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
  /** The kind comes with an extension: a cluster without it is still a good cluster. */
  readonly extension?: boolean;
}

/** The closed list of kinds that Plinth applies; a static table, so that nothing is ever discovered or guessed. */
export const resources: readonly Resource[] = [
  { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces', namespaced: false },
  { apiVersion: 'v1', kind: 'ResourceQuota', plural: 'resourcequotas', namespaced: true },
  { apiVersion: 'v1', kind: 'LimitRange', plural: 'limitranges', namespaced: true },
  { apiVersion: 'v1', kind: 'ServiceAccount', plural: 'serviceaccounts', namespaced: true },
  { apiVersion: 'v1', kind: 'Secret', plural: 'secrets', namespaced: true },
  { apiVersion: 'v1', kind: 'ConfigMap', plural: 'configmaps', namespaced: true },
  { apiVersion: 'v1', kind: 'PersistentVolumeClaim', plural: 'persistentvolumeclaims', namespaced: true },
  { apiVersion: 'v1', kind: 'Service', plural: 'services', namespaced: true },
  { apiVersion: 'apps/v1', kind: 'Deployment', plural: 'deployments', namespaced: true },
  { apiVersion: 'apps/v1', kind: 'StatefulSet', plural: 'statefulsets', namespaced: true },
  { apiVersion: 'batch/v1', kind: 'Job', plural: 'jobs', namespaced: true },
  { apiVersion: 'batch/v1', kind: 'CronJob', plural: 'cronjobs', namespaced: true },
  { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', plural: 'networkpolicies', namespaced: true },
  { apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', plural: 'ingresses', namespaced: true },
  {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    plural: 'httproutes',
    namespaced: true,
    extension: true,
  },
  {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    plural: 'horizontalpodautoscalers',
    namespaced: true,
  },
  { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', plural: 'poddisruptionbudgets', namespaced: true },
];

/** Never applied; watched to know why a workload is not well. */
export const podResource: Resource = { apiVersion: 'v1', kind: 'Pod', plural: 'pods', namespaced: true };

/** Never applied; watched to know which claims wait for their first consumer by design. */
export const storageClassResource: Resource = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  plural: 'storageclasses',
  namespaced: false,
};

const byKind = new Map(resources.map((resource) => [`${resource.apiVersion} ${resource.kind}`, resource]));

/** The row of an object's kind, or undefined where Plinth does not apply such objects. */
export const resourceOf = (key: Pick<ObjectKey, 'apiVersion' | 'kind'>): Resource | undefined =>
  byKind.get(`${key.apiVersion} ${key.kind}`);

/** `/api/v1/pods`, or `/apis/apps/v1/deployments`, over all namespaces or within one. */
export function collectionPath(resource: Resource, namespace = ''): string {
  const root = resource.apiVersion.includes('/') ? '/apis' : '/api';
  const scope = namespace === '' ? '' : `/namespaces/${checked(namespace)}`;
  return `${root}/${resource.apiVersion}${scope}/${resource.plural}`;
}

/**
 * The path of one object.
 * @throws Fault OBJECT_NOT_ALLOWED for a kind outside the list, a missing or unexpected namespace, or a name that is none.
 */
export function objectPath(key: ObjectKey): string {
  const resource = resourceOf(key);
  const object = `${key.kind} ${key.name}`;
  if (resource === undefined)
    throw new Fault('OBJECT_NOT_ALLOWED', { object, why: `${key.apiVersion} ${key.kind} is not one of its kinds` });
  if (resource.namespaced !== (key.namespace !== ''))
    throw new Fault('OBJECT_NOT_ALLOWED', {
      object,
      why: resource.namespaced ? 'it names no namespace' : 'its kind has no namespace',
    });
  return `${collectionPath(resource, key.namespace)}/${checked(key.name)}`;
}

/** Names go into paths: a name that Kubernetes would refuse anyway must not choose another path. */
function checked(name: string): string {
  if (!/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(name) || name.includes('..'))
    throw new Fault('OBJECT_NOT_ALLOWED', { object: JSON.stringify(name), why: 'this is no name of an object' });
  return name;
}
