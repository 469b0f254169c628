import { type Allowance, annotations, type KubernetesObject, keyOf } from '../runtime.ts';
import { at, fieldsOf, listOf, textOf } from './fields.ts';
import { podFault } from './guard-pods.ts';
import { claimFault, isOwnSecret } from './guard-scope.ts';
import { type Kinds, ownKinds } from './resources.ts';

type Check = (object: KubernetesObject, scope: Allowance) => string | undefined;

/**
 * The apply door: why an object is not applied, in words that follow "Plinth does not apply X:", or undefined. It knows
 * nothing of synth and trusts no manifest: what publish made passes, a forged one gets nowhere.
 */
export function refusedBecause(
  object: KubernetesObject,
  scope: Allowance,
  kinds: Kinds = ownKinds,
): string | undefined {
  const { apiVersion, kind } = object;
  const resource = kinds.resourceOf(object);
  if (resource === undefined || (resource.custom === true && !isListed(object, scope)))
    return `${apiVersion} ${kind} is not a kind that a project may have`;
  const { namespace, name } = keyOf(object);
  if (resource.namespaced && namespace !== scope.namespace)
    return `it is for namespace ${namespace || '(none)'}, the project's is ${scope.namespace}`;
  if (!resource.namespaced && name !== scope.namespace) return `the project's only namespace is ${scope.namespace}`;
  return metadataFault(object) ?? (resource.custom === true ? undefined : checks[kind]?.(object, scope));
}

/** Kinds of other operators are the environment's to allow; what their operators do with them is theirs. */
const isListed = ({ apiVersion, kind }: KubernetesObject, { kinds = [] }: Allowance): boolean =>
  kinds.some((one) => one.apiVersion === apiVersion && one.kind === kind);

/** Kinds without an entry are harmless in any form: they say nothing about who may do what. */
const checks: Readonly<Record<string, Check>> = {
  Namespace: namespaceFault,
  ServiceAccount: accountFault,
  Secret: secretFault,
  Service: serviceFault,
  Ingress: ingressFault,
  HTTPRoute: routeFault,
  PersistentVolumeClaim: claimFault,
  Deployment: (object, scope) => podFault(at(object, 'spec', 'template'), scope),
  StatefulSet: (object, scope) => templatesFault(object) ?? podFault(at(object, 'spec', 'template'), scope),
  Job: (object, scope) => podFault(at(object, 'spec', 'template'), scope),
  CronJob: (object, scope) => podFault(at(object, 'spec', 'jobTemplate', 'spec', 'template'), scope),
};

/** Fields by which an object would outlive its deletion, belong to another, or pretend a history. */
function metadataFault({ metadata }: KubernetesObject): string | undefined {
  const given = fieldsOf(metadata);
  const field = ['finalizers', 'ownerReferences', 'managedFields', 'uid', 'resourceVersion', 'generateName'].find(
    (name) => given[name] !== undefined,
  );
  return field === undefined ? undefined : `metadata.${field} is not for manifests`;
}

const levels = ['baseline', 'restricted'] as const;
const podSecurityLabel = 'pod-security.kubernetes.io/enforce';

function namespaceFault(object: KubernetesObject, { podSecurity }: Allowance): string | undefined {
  const level = object.metadata.labels?.[podSecurityLabel] ?? '(none)';
  const allowed = levels.slice(levels.indexOf(podSecurity));
  if (!allowed.some((name) => name === level))
    return `label ${podSecurityLabel} is ${level}, the environment allows ${allowed.join(' or ')}`;
  return at(object, 'spec') === undefined ? undefined : 'spec is not for manifests';
}

function accountFault(object: KubernetesObject, scope: Allowance): string | undefined {
  if (object.automountServiceAccountToken !== false) return 'automountServiceAccountToken must be false';
  if (object.secrets !== undefined) return 'secrets is not for manifests';
  const foreign = listOf(object.imagePullSecrets)
    .map((entry) => textOf(at(entry, 'name')))
    .find((name) => !isOwnSecret(name, scope));
  return foreign === undefined ? undefined : `image pull secret ${foreign} is not among the project's Secrets`;
}

const secretTypes = ['Opaque', 'kubernetes.io/dockerconfigjson', 'kubernetes.io/basic-auth', 'kubernetes.io/tls'];

function secretFault(object: KubernetesObject): string | undefined {
  if (!object.metadata.annotations?.[annotations.secret]) return `it lacks annotation ${annotations.secret}`;
  const type = object.type === undefined ? 'Opaque' : textOf(object.type);
  return secretTypes.includes(type) ? undefined : `its type is ${type}; allowed are ${secretTypes.join(', ')}`;
}

function serviceFault(object: KubernetesObject): string | undefined {
  const spec = fieldsOf(object.spec);
  const type = spec.type === undefined ? 'ClusterIP' : textOf(spec.type);
  if (type !== 'ClusterIP') return `its type is ${type}; only ClusterIP is allowed`;
  const field = ['externalIPs', 'externalName', 'loadBalancerIP'].find((name) => spec[name] !== undefined);
  if (field !== undefined) return `spec.${field} would lead traffic outside of the project`;
  // Without a selector, hand-made endpoints could point anywhere.
  return Object.keys(fieldsOf(spec.selector)).length === 0 ? 'spec.selector is empty' : undefined;
}

/** Parts of ingress annotations that run configuration, take hosts of others, or read Secrets of other namespaces. */
const strongAnnotations = ['snippet', 'server-alias', 'default-backend', 'auth-secret', 'auth-tls', 'proxy-ssl'];

function ingressFault({ metadata, spec }: KubernetesObject): string | undefined {
  const annotation = Object.keys(fieldsOf(metadata.annotations)).find((name) =>
    strongAnnotations.some((part) => name.includes(part)),
  );
  if (annotation !== undefined) return `annotation ${annotation} reaches beyond the project`;
  const rules = listOf(at(spec, 'rules'));
  const paths = rules.flatMap((rule) => listOf(at(rule, 'http', 'paths')));
  const backends = [at(spec, 'defaultBackend'), ...paths.map((path) => at(path, 'backend'))];
  if (backends.some((backend) => at(backend, 'resource') !== undefined)) return 'a backend is not a Service';
  if (at(spec, 'defaultBackend') !== undefined) return 'spec.defaultBackend would serve the hosts of others';
  const hosts = [
    ...rules.map((rule) => textOf(at(rule, 'host'))),
    ...listOf(at(spec, 'tls')).flatMap((tls) => listOf(at(tls, 'hosts')).map(textOf)),
  ];
  return hostFault(hosts);
}

function routeFault({ spec }: KubernetesObject, { namespace }: Allowance): string | undefined {
  const rules = listOf(at(spec, 'rules'));
  const filters = rules.flatMap((rule) => [
    ...listOf(at(rule, 'filters')),
    ...listOf(at(rule, 'backendRefs')).flatMap((ref) => listOf(at(ref, 'filters'))),
  ]);
  const backends = [
    ...rules.flatMap((rule) => listOf(at(rule, 'backendRefs'))),
    ...filters.map((filter) => at(filter, 'requestMirror', 'backendRef')).filter((ref) => ref !== undefined),
  ];
  const foreign = backends.find((ref) => (at(ref, 'namespace') ?? namespace) !== namespace);
  if (foreign !== undefined) return `backend ${textOf(at(foreign, 'name'))} is in another namespace`;
  if (backends.some((ref) => (at(ref, 'kind') ?? 'Service') !== 'Service')) return 'a backend is not a Service';
  if (filters.some((filter) => at(filter, 'extensionRef') !== undefined))
    return 'a filter is an extension of the gateway';
  const hosts = listOf(at(spec, 'hostnames')).map(textOf);
  return hosts.length === 0 ? 'without hostnames it would serve the hosts of others' : hostFault(hosts);
}

function hostFault(hosts: readonly string[]): string | undefined {
  const host = hosts.find((name) => name === '' || name.includes('*'));
  if (host === undefined) return undefined;
  return host === '' ? 'a rule without a host would serve the hosts of others' : `host ${host} is a wildcard`;
}

function templatesFault({ spec }: KubernetesObject): string | undefined {
  for (const claim of listOf(at(spec, 'volumeClaimTemplates'))) {
    const why = claimFault(claim);
    if (why !== undefined) return why;
  }
  return undefined;
}
