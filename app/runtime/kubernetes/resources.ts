import { Fault } from '#base/errors.ts';
import type { ObjectKey } from '../runtime.ts';
import type { HealthRule } from './custom-health.ts';

/** Where the objects of a kind live in the API. */
export interface Resource {
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
  /** The kind comes with an extension: a cluster without it is still a good cluster. */
  readonly extension?: boolean;
  /** Another operator's kind: the cluster may lack it, or refuse us to look at it, and the rest goes on. */
  readonly custom?: boolean;
}

/** A kind of another operator, as an environment lists it. */
export interface CustomResource extends Pick<Resource, 'apiVersion' | 'kind' | 'plural'> {
  readonly health?: HealthRule | undefined;
}

/** Every kind that is applied and watched in one cluster. */
export interface Kinds {
  readonly resources: readonly Resource[];
  /** The row of an object's kind, or undefined where Plinth does not apply such objects. */
  resourceOf(key: Pick<ObjectKey, 'apiVersion' | 'kind'>): Resource | undefined;
  /** How the health of a kind that is not Kubernetes' own is told; undefined: as for every kind. */
  ruleOf(key: Pick<ObjectKey, 'apiVersion' | 'kind'>): HealthRule | undefined;
  /**
   * The path of one object.
   * @throws Fault OBJECT_NOT_ALLOWED for a kind outside the list, a missing or unexpected namespace, or a name that is none.
   */
  objectPath(key: ObjectKey): string;
}

/** The closed list of Plinth's own kinds; a static table, so that nothing is ever discovered or guessed. */
const ownResources: readonly Resource[] = [
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

/** `apps/v1 Deployment`. */
export const kindText = ({ apiVersion, kind }: Pick<ObjectKey, 'apiVersion' | 'kind'>) => `${apiVersion} ${kind}`;

/** Plinth's own kinds and those of other operators that are listed. */
export function createKinds(custom: readonly CustomResource[] = []): Kinds {
  const rules = new Map(custom.map((kind) => [kindText(kind), kind.health ?? {}]));
  const listed = custom.map(({ apiVersion, kind, plural }): Resource => {
    return { apiVersion, kind, plural, namespaced: true, extension: true, custom: true };
  });
  const resources = [...ownResources, ...listed];
  const byKind = new Map(resources.map((resource) => [kindText(resource), resource]));
  const resourceOf: Kinds['resourceOf'] = (key) => byKind.get(kindText(key));
  return {
    resources,
    resourceOf,
    ruleOf: (key) => rules.get(kindText(key)),
    objectPath: (key) => pathOf(key, resourceOf(key)),
  };
}

/** Plinth's own kinds alone. */
export const ownKinds: Kinds = createKinds();

/** `/api/v1/pods`, or `/apis/apps/v1/deployments`, over all namespaces or within one. */
export function collectionPath(resource: Resource, namespace = ''): string {
  const root = resource.apiVersion.includes('/') ? '/apis' : '/api';
  const scope = namespace === '' ? '' : `/namespaces/${checked(namespace)}`;
  return `${root}/${resource.apiVersion}${scope}/${resource.plural}`;
}

function pathOf(key: ObjectKey, resource: Resource | undefined): string {
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
