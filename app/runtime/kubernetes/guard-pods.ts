import type { Allowance } from '../runtime.ts';
import { at, type Fields, fieldsOf, listOf, numberOf, textOf } from './fields.ts';
import { claimFault, hasObject, isOwnSecret } from './guard-scope.ts';

/** Kernel settings of the pod alone, which Pod Security restricted allows: listening below 1024 without privileges. */
const safeSysctls = new Set(['net.ipv4.ip_unprivileged_port_start']);

/**
 * What a pod template would give away: host access, privileges beyond the Pod Security level, API tokens, Secrets that
 * the project did not declare. The API server enforces the level too; this says it before anything is sent.
 */
export function podFault(template: unknown, scope: Allowance): string | undefined {
  const spec = fieldsOf(at(template, 'spec'));
  const containers = ['initContainers', 'containers', 'ephemeralContainers'].flatMap((list) => listOf(spec[list]));
  return (
    hostFault(spec) ??
    tokenFault(spec, scope) ??
    volumesFault(spec, scope) ??
    first(containers, (container) => containerFault(fieldsOf(container), spec, scope))
  );
}

function hostFault(spec: Fields): string | undefined {
  const field = ['hostNetwork', 'hostPID', 'hostIPC'].find((name) => spec[name] === true);
  if (field !== undefined) return `${field} shares the node's own`;
  if (spec.hostUsers === true) return 'hostUsers is not for manifests';
  if (spec.nodeName !== undefined) return 'nodeName goes around the scheduler';
  const toleration = listOf(spec.tolerations).find(
    (entry) => textOf(at(entry, 'key')) === '' && at(entry, 'operator') === 'Exists',
  );
  if (toleration !== undefined) return 'a toleration of everything reaches the nodes of the control plane';
  const priority = textOf(spec.priorityClassName);
  return priority.startsWith('system-') ? `priority class ${priority} is the cluster's own` : undefined;
}

function tokenFault(spec: Fields, { objects }: Allowance): string | undefined {
  if (spec.automountServiceAccountToken !== false) return 'automountServiceAccountToken must be false';
  const account = textOf(spec.serviceAccountName) || textOf(spec.serviceAccount) || 'default';
  if (account !== 'default' && !hasObject('ServiceAccount', account, objects))
    return `service account ${account} is not among the project's objects`;
  return undefined;
}

const volumeKinds = [
  'configMap',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
];

function volumesFault(spec: Fields, scope: Allowance): string | undefined {
  const pull = listOf(spec.imagePullSecrets).map((entry) => textOf(at(entry, 'name')));
  return (
    first(pull, (name) => undeclared(name, scope)) ??
    first(listOf(spec.volumes), (volume) => volumeFault(fieldsOf(volume), scope))
  );
}

/** Every field is looked at: a harmless one beside it, or one that is null, must not hide a source. */
function volumeFault(volume: Fields, scope: Allowance): string | undefined {
  const name = textOf(volume.name);
  const foreign = Object.keys(volume).find((key) => key !== 'name' && !volumeKinds.includes(key));
  if (foreign !== undefined) return `volume ${name} is a ${foreign}; allowed are ${volumeKinds.join(', ')}`;
  const secret = at(volume, 'secret', 'secretName');
  const claim = { spec: at(volume, 'ephemeral', 'volumeClaimTemplate', 'spec') };
  return (
    (secret === undefined ? undefined : undeclared(textOf(secret), scope)) ??
    claimFault(claim) ??
    first(listOf(at(volume, 'projected', 'sources')), (source) => sourceFault(name, fieldsOf(source), scope))
  );
}

function sourceFault(volume: string, source: Fields, scope: Allowance): string | undefined {
  if (source.serviceAccountToken !== undefined) return `volume ${volume} projects a token of the API server`;
  if (source.clusterTrustBundle !== undefined || source.podCertificate !== undefined)
    return `volume ${volume} projects certificates of the cluster`;
  return source.secret === undefined ? undefined : undeclared(textOf(at(source.secret, 'name')), scope);
}

function undeclared(secret: string, scope: Allowance): string | undefined {
  return isOwnSecret(secret, scope) ? undefined : `Secret ${secret} is not among the project's Secrets`;
}

function containerFault(container: Fields, spec: Fields, scope: Allowance): string | undefined {
  const name = `container ${textOf(container.name)}`;
  const own = fieldsOf(container.securityContext);
  const shared = fieldsOf(spec.securityContext);
  const port = listOf(container.ports).find((entry) => numberOf(at(entry, 'hostPort')) !== 0);
  if (port !== undefined) return `${name} opens hostPort ${numberOf(at(port, 'hostPort'))}`;
  const why =
    baselineFault(own, shared) ?? (scope.podSecurity === 'restricted' ? restrictedFault(own, shared) : undefined);
  if (why !== undefined) return `${name}: ${why}`;
  const references = [
    ...listOf(container.envFrom).map((entry) => at(entry, 'secretRef', 'name')),
    ...listOf(container.env).map((entry) => at(entry, 'valueFrom', 'secretKeyRef', 'name')),
  ];
  return first(
    references.filter((reference) => reference !== undefined),
    (reference) => undeclared(textOf(reference), scope),
  );
}

/** The capabilities that Pod Security's baseline lets a container add; restricted has only NET_BIND_SERVICE. */
const addable = ['NET_BIND_SERVICE'];

function baselineFault(own: Fields, shared: Fields): string | undefined {
  if (own.privileged === true) return 'privileged';
  const added = listOf(at(own, 'capabilities', 'add'))
    .map(textOf)
    .find((name) => !addable.includes(name));
  if (added !== undefined) return `it adds capability ${added}`;
  if ((own.procMount ?? 'Default') !== 'Default') return `procMount is ${textOf(own.procMount)}`;
  for (const context of [own, shared]) {
    const profile = textOf(at(context, 'seccompProfile', 'type'));
    if (profile === 'Unconfined') return 'seccompProfile is Unconfined';
    if (textOf(at(context, 'appArmorProfile', 'type')) === 'Unconfined') return 'appArmorProfile is Unconfined';
    if (at(context, 'windowsOptions', 'hostProcess') === true) return 'it is a host process';
    if (context.seLinuxOptions !== undefined) return 'seLinuxOptions is not for manifests';
  }
  const sysctl = listOf(shared.sysctls)
    .map((one) => textOf(fieldsOf(one).name))
    .find((name) => !safeSysctls.has(name));
  return sysctl === undefined ? undefined : `sysctl ${sysctl} is not for manifests`;
}

function restrictedFault(own: Fields, shared: Fields): string | undefined {
  if (own.allowPrivilegeEscalation !== false) return 'allowPrivilegeEscalation must be false';
  if ((own.runAsNonRoot ?? shared.runAsNonRoot) !== true) return 'runAsNonRoot must be true';
  if ((own.runAsUser ?? shared.runAsUser) === 0) return 'runAsUser is 0, which is root';
  if (!listOf(at(own, 'capabilities', 'drop')).includes('ALL')) return 'capabilities.drop must hold ALL';
  const profile = textOf(at(own, 'seccompProfile', 'type')) || textOf(at(shared, 'seccompProfile', 'type'));
  return ['RuntimeDefault', 'Localhost'].includes(profile) ? undefined : 'seccompProfile must be RuntimeDefault';
}

function first<T>(items: readonly T[], why: (item: T) => string | undefined): string | undefined {
  for (const item of items) {
    const found = why(item);
    if (found !== undefined) return found;
  }
  return undefined;
}
