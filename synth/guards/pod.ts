import { dig, digList, digMap } from '../dig.ts';
import type { Manifest } from '../manifests.ts';
import { serviceAccountName } from '../parts/scope.ts';
import type { Watch } from './watch.ts';

type Refuse = (message: string) => void;

/** Capabilities that Pod Security `baseline` lets a container add. */
const baselineCapabilities = [
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
];

/** Settings of the kernel that belong to the pod alone. */
const safeSysctls = [
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ping_group_range',
  'net.ipv4.tcp_syncookies',
];

const volumeKinds = ['configMap', 'downwardAPI', 'emptyDir', 'persistentVolumeClaim', 'secret'];

/** A pod may not reach its node, its neighbours, the API server, or a secret that the project does not declare. */
export function guardPod(object: Manifest, path: string, watch: Watch): void {
  const refuse: Refuse = (message) => watch.refuse(object, message);
  const spec = digMap(object, `${path}.spec`);
  for (const field of ['hostNetwork', 'hostPID', 'hostIPC'])
    if (spec[field] !== undefined && spec[field] !== false) refuse(`${field} opens the node to the pod`);
  if (spec.automountServiceAccountToken !== false) refuse('automountServiceAccountToken must be false');
  for (const field of ['serviceAccountName', 'serviceAccount'])
    if (spec[field] !== undefined && spec[field] !== serviceAccountName)
      refuse(`${field} must be ${serviceAccountName}`);
  if (spec.nodeName !== undefined) refuse('nodeName passes by the scheduler');
  if (String(spec.priorityClassName ?? '').startsWith('system-')) refuse('system priorities are for the cluster');
  if (spec.resourceClaims !== undefined) refuse('resourceClaims may not be set');
  const pull = watch.environment.pullSecret;
  for (const entry of digList(spec, 'imagePullSecrets'))
    if (dig(entry, 'name') !== pull)
      refuse(`imagePullSecrets names ${String(dig(entry, 'name'))}, which is not the environment's`);
  for (const volume of digList(spec, 'volumes')) guardVolume(volume, watch, refuse);
  guardPodContext(digMap(spec, 'securityContext'), watch, refuse);
  for (const list of ['containers', 'initContainers', 'ephemeralContainers'])
    for (const container of digList(spec, list)) guardContainer(container, spec, watch, refuse);
}

function guardVolume(volume: unknown, watch: Watch, refuse: Refuse): void {
  const name = String(dig(volume, 'name'));
  for (const kind of Object.keys(digMap({ volume }, 'volume')))
    if (kind !== 'name' && !volumeKinds.includes(kind))
      refuse(`volume ${name} is a ${kind}; taken are ${volumeKinds.join(', ')}`);
  declared('Secret', dig(volume, 'secret.secretName'), watch, refuse);
  declared('ConfigMap', dig(volume, 'configMap.name'), watch, refuse);
  declared('PersistentVolumeClaim', dig(volume, 'persistentVolumeClaim.claimName'), watch, refuse);
}

function declared(kind: string, name: unknown, watch: Watch, refuse: Refuse): void {
  if (name === undefined || watch.known(kind).has(String(name))) return;
  refuse(`${kind} ${String(name)} is not declared by the spec`);
}

function guardPodContext(context: Readonly<Record<string, unknown>>, { level }: Watch, refuse: Refuse): void {
  for (const sysctl of digList(context, 'sysctls'))
    if (!safeSysctls.includes(String(dig(sysctl, 'name'))))
      refuse(`sysctl ${String(dig(sysctl, 'name'))} reaches beyond the pod`);
  guardContext(context, level, refuse);
}

/** What stands in the security context of a pod and of a container alike. */
function guardContext(context: unknown, level: Watch['level'], refuse: Refuse): void {
  if (dig(context, 'windowsOptions') !== undefined) refuse('windowsOptions may not be set');
  if (dig(context, 'seLinuxOptions') !== undefined) refuse('seLinuxOptions may not be set');
  const appArmor = dig(context, 'appArmorProfile.type');
  if (appArmor !== undefined && appArmor !== 'RuntimeDefault')
    refuse(`appArmorProfile ${String(appArmor)} weakens the pod`);
  const seccomp = dig(context, 'seccompProfile.type');
  if (seccomp !== undefined && seccomp !== 'RuntimeDefault')
    refuse(`seccompProfile ${String(seccomp)} weakens the pod`);
  if (level === 'baseline') return;
  if (dig(context, 'runAsNonRoot') === false) refuse('runAsNonRoot may not be false');
  if (dig(context, 'runAsUser') === 0) refuse('runAsUser may not be 0');
}

function guardContainer(container: unknown, spec: unknown, watch: Watch, refuse: Refuse): void {
  const name = String(dig(container, 'name'));
  const complain: Refuse = (message) => refuse(`container ${name}: ${message}`);
  const context = digMap(container, 'securityContext');
  const { level } = watch;
  guardContext(context, level, complain);
  if (context.privileged !== undefined && context.privileged !== false) complain('it may not be privileged');
  if (context.procMount !== undefined && context.procMount !== 'Default') complain('procMount must be Default');
  if (context.allowPrivilegeEscalation !== false) complain('allowPrivilegeEscalation must be false');
  const added = digList(context, 'capabilities.add').map(String);
  const may = level === 'restricted' ? ['NET_BIND_SERVICE'] : baselineCapabilities;
  const wrong = added.filter((capability) => !may.includes(capability));
  if (wrong.length > 0) complain(`it may not add the capabilities ${wrong.join(', ')}`);
  if (level === 'restricted') {
    if (!digList(context, 'capabilities.drop').includes('ALL')) complain('it must drop all capabilities');
    if ((context.runAsNonRoot ?? dig(spec, 'securityContext.runAsNonRoot')) !== true)
      complain('runAsNonRoot must be true');
  }
  if ((dig(context, 'seccompProfile.type') ?? dig(spec, 'securityContext.seccompProfile.type')) !== 'RuntimeDefault')
    complain('seccompProfile must be RuntimeDefault');
  if (dig(container, 'volumeDevices') !== undefined) complain('it may not use raw devices');
  for (const port of digList(container, 'ports'))
    if (dig(port, 'hostPort') !== undefined || dig(port, 'hostIP') !== undefined)
      complain('it may not take a port of the node');
  guardEnvironment(container, watch, complain);
  guardActions(container, complain);
}

function guardEnvironment(container: unknown, watch: Watch, complain: Refuse): void {
  for (const variable of digList(container, 'env')) {
    declared('Secret', dig(variable, 'valueFrom.secretKeyRef.name'), watch, complain);
    declared('ConfigMap', dig(variable, 'valueFrom.configMapKeyRef.name'), watch, complain);
  }
  for (const source of digList(container, 'envFrom')) {
    declared('Secret', dig(source, 'secretRef.name'), watch, complain);
    declared('ConfigMap', dig(source, 'configMapRef.name'), watch, complain);
  }
}

/** Checks and hooks are sent by the kubelet, from the node's network: a host in them would be a way around policies. */
function guardActions(container: unknown, complain: Refuse): void {
  const actions = ['livenessProbe', 'readinessProbe', 'startupProbe', 'lifecycle.postStart', 'lifecycle.preStop'];
  for (const action of actions)
    for (const kind of ['httpGet', 'tcpSocket'])
      if (dig(container, `${action}.${kind}.host`) !== undefined) complain(`${action}.${kind}.host may not be set`);
}
