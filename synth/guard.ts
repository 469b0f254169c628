import { isDeepStrictEqual } from 'node:util';
import type { Finding } from '#environments/finding.ts';
import { manifestsFile, namespaceOf, type ProjectKey } from '#environments/layout.ts';
import type { Environment } from '#environments/schema.ts';
import { dig, digList, digMap } from './dig.ts';
import { guardHttpRoute, guardIngress, guardNetworkPolicy, guardService } from './guards/network.ts';
import { guardPod } from './guards/pod.ts';
import type { Watch } from './guards/watch.ts';
import type { Manifest } from './manifests.ts';
import { quotaOf } from './parts/namespace.ts';
import { serviceAccountName } from './parts/scope.ts';
import { secretAnnotation, secretKeyAnnotation } from './parts/secrets.ts';

type Guard = (object: Manifest, watch: Watch) => void;

/** The closed list: an object of any other kind never leaves synthesis. */
const guards: Readonly<Record<string, Guard>> = {
  'v1 Namespace': guardNamespace,
  'v1 ResourceQuota': guardQuota,
  'v1 LimitRange': () => {},
  'v1 ServiceAccount': guardAccount,
  'v1 Secret': guardSecret,
  'v1 ConfigMap': () => {},
  'v1 PersistentVolumeClaim': guardClaim,
  'v1 Service': guardService,
  'apps/v1 Deployment': (object, watch) => guardWorkload(object, 'spec.template', watch),
  'apps/v1 StatefulSet': (object, watch) => guardWorkload(object, 'spec.template', watch),
  'batch/v1 Job': (object, watch) => guardPod(object, 'spec.template', watch),
  'batch/v1 CronJob': (object, watch) => guardPod(object, 'spec.jobTemplate.spec.template', watch),
  'autoscaling/v2 HorizontalPodAutoscaler': guardAutoscaler,
  'policy/v1 PodDisruptionBudget': () => {},
  'networking.k8s.io/v1 NetworkPolicy': guardNetworkPolicy,
  'networking.k8s.io/v1 Ingress': guardIngress,
  'gateway.networking.k8s.io/v1 HTTPRoute': guardHttpRoute,
};

/**
 * What final objects may not do, whoever wrote them: only kinds of the closed list, only in the project's namespace,
 * nothing that weakens what separates a project from its node and its neighbours. Empty when all is well.
 */
export function guardFindings(objects: readonly Manifest[], environment: Environment, key: ProjectKey): Finding[] {
  const file = manifestsFile(key);
  const findings: Finding[] = [];
  const refuse = ({ kind, metadata }: Manifest, message: string) =>
    findings.push({ file, path: `${kind} ${metadata.name}`, message });
  const namespace = objects.find(({ kind }) => kind === 'Namespace');
  const level = dig(namespace, 'metadata.labels')
    ? digMap(namespace, 'metadata.labels')['pod-security.kubernetes.io/enforce']
    : undefined;
  const watch: Watch = {
    environment,
    key,
    level: level === 'baseline' ? 'baseline' : 'restricted',
    known: (kind) => new Set(objects.filter((object) => object.kind === kind).map(({ metadata }) => metadata.name)),
    singleClaims: new Set(objects.filter(isSingleClaim).map(({ metadata }) => metadata.name)),
    refuse,
  };
  for (const object of objects) {
    const guard = guards[`${object.apiVersion} ${object.kind}`];
    const isListed = environment.kinds.some((one) => one.apiVersion === object.apiVersion && one.kind === object.kind);
    if (guard === undefined && !isListed)
      refuse(object, `${object.apiVersion} ${object.kind} is no kind that a project may hold`);
    guardMetadata(object, watch);
    guard?.(object, watch);
  }
  findings.push(...missing(objects, watch).map((message) => ({ file, path: '', message })));
  return findings;
}

const isSingleClaim = (object: Manifest) =>
  object.kind === 'PersistentVolumeClaim' && !digList(object, 'spec.accessModes').includes('ReadWriteMany');

/** The guards themselves must be there, each once. */
function missing(objects: readonly Manifest[], { environment }: Watch): string[] {
  const wanted = ['Namespace', 'ResourceQuota', 'LimitRange', 'ServiceAccount'];
  const faults = wanted
    .filter((kind) => objects.filter((object) => object.kind === kind).length !== 1)
    .map((kind) => `there must be exactly one ${kind}`);
  if (environment.network.policies && !objects.some(isDeny))
    faults.push('there must be a NetworkPolicy that denies everything by default, both ways');
  const names = objects.map(({ apiVersion, kind, metadata }) => `${apiVersion} ${kind} ${metadata.name}`);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) faults.push(`${twice} stands twice`);
  return faults;
}

const isDeny = ({ kind, spec }: Manifest) =>
  kind === 'NetworkPolicy' && isDeepStrictEqual(spec, { podSelector: {}, policyTypes: ['Egress', 'Ingress'] });

function guardMetadata(object: Manifest, { key, refuse }: Watch): void {
  const { metadata, kind } = object;
  const namespace = namespaceOf(key);
  const own = kind === 'Namespace' ? metadata.name : metadata.namespace;
  if (own !== namespace) refuse(object, `it lies in namespace ${own ?? '(none)'}, not in ${namespace}`);
  if (kind === 'Namespace' && metadata.namespace !== undefined) refuse(object, 'a Namespace lies in no namespace');
  const bound = {
    'app.kubernetes.io/managed-by': 'plinth',
    'plinth.dev/environment': key.environment,
    'plinth.dev/team': key.team,
    'plinth.dev/project': key.project,
  };
  for (const [label, wanted] of Object.entries(bound))
    if (metadata.labels?.[label] !== wanted) refuse(object, `label ${label} must be ${wanted}`);
  if (metadata.labels?.['plinth.dev/installation'] !== undefined)
    refuse(object, 'label plinth.dev/installation is put on at apply only');
  for (const field of ['ownerReferences', 'finalizers', 'generateName', 'uid', 'resourceVersion', 'managedFields'])
    if (dig(metadata, field) !== undefined) refuse(object, `metadata.${field} may not be set`);
  if (object.status !== undefined) refuse(object, 'status may not be set');
}

function guardNamespace(object: Manifest, { environment, refuse }: Watch): void {
  const labels = digMap(object, 'metadata.labels');
  const level = labels['pod-security.kubernetes.io/enforce'];
  const allowed = environment.podSecurity === 'baseline' ? ['restricted', 'baseline'] : ['restricted'];
  if (!allowed.includes(String(level)))
    refuse(object, `Pod Security ${String(level)} is weaker than ${allowed.at(-1)}`);
  if (labels['pod-security.kubernetes.io/enforce-version'] !== 'latest')
    refuse(object, 'an older version of Pod Security may be weaker; it must be latest');
}

function guardQuota(object: Manifest, { environment, refuse }: Watch): void {
  if (!isDeepStrictEqual(object.spec, { hard: quotaOf(environment) }))
    refuse(object, `it is not the quota of environment ${environment.name}`);
}

function guardAccount(object: Manifest, { refuse }: Watch): void {
  if (object.metadata.name !== serviceAccountName || object.automountServiceAccountToken !== false)
    refuse(object, 'a project has one account, without a token');
  if (object.secrets !== undefined) refuse(object, 'an account lists no secrets');
}

/** A reference, never a value, and only to what the project may read. */
function guardSecret(object: Manifest, { environment, refuse }: Watch): void {
  const { name, annotations = {} } = object.metadata;
  for (const field of ['data', 'stringData'])
    if (object[field] !== undefined) refuse(object, `${field} may not stand in manifests; set the secret with Plinth`);
  const pull = annotations[secretAnnotation]?.startsWith('organization/') ?? false;
  const wanted = pull
    ? [`organization/${environment.pullSecret}`, '.dockerconfigjson', 'kubernetes.io/dockerconfigjson']
    : [`project/${name}`, 'value', 'Opaque'];
  const is = [annotations[secretAnnotation], annotations[secretKeyAnnotation], object.type];
  if (!isDeepStrictEqual(is, wanted) || (pull && name !== environment.pullSecret))
    refuse(object, `it refers to ${is.join(' ')}; wanted is ${wanted.join(' ')}`);
}

function guardClaim(object: Manifest, { refuse }: Watch): void {
  for (const field of ['volumeName', 'dataSource', 'dataSourceRef', 'selector'])
    if (dig(object, `spec.${field}`) !== undefined) refuse(object, `spec.${field} could reach data of others`);
  if (dig(object, 'spec.volumeMode') === 'Block') refuse(object, 'raw devices are not given out');
}

function guardWorkload(object: Manifest, path: string, watch: Watch): void {
  guardPod(object, path, watch);
  if (dig(object, 'spec.volumeClaimTemplates') !== undefined)
    watch.refuse(object, 'spec.volumeClaimTemplates makes volumes that the spec does not name');
  const claims = digList(object, `${path}.spec.volumes`).map((volume) =>
    dig(volume, 'persistentVolumeClaim.claimName'),
  );
  const single = claims.find((claim) => typeof claim === 'string' && watch.singleClaims.has(claim));
  if (single === undefined) return;
  const copies = dig(object, 'spec.replicas');
  if (object.kind !== 'StatefulSet' || typeof copies !== 'number' || copies > 1)
    watch.refuse(object, `two copies could write to ${String(single)}, which is ReadWriteOnce`);
}

function guardAutoscaler(object: Manifest, { known, refuse }: Watch): void {
  const { kind, name } = digMap(object, 'spec.scaleTargetRef');
  if (kind !== 'Deployment' || !known('Deployment').has(String(name)))
    refuse(object, `it scales ${String(kind)} ${String(name)}, which is no Deployment of the project`);
}
