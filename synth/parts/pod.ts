import { createHash } from 'node:crypto';
import { k8s } from 'cdk8s-plus-28';
import type { Check, Plan, PodPlan, Resources } from '../plan.ts';
import { secretsOf } from '../secrets.ts';
import { labelsOf, quantity, selectorOf, serviceAccountName } from './scope.ts';
import { secretKey } from './secrets.ts';

const usesSecretsAnnotation = 'plinth.dev/uses-secrets';
const nodeGroupLabel = 'plinth.dev/node-group';

/** The name of the ConfigMap that holds a container's files. */
export const filesName = (name: string) => `${name}-files`;

/** A pod that Pod Security `restricted` takes (or `baseline`, where the plan says so), without a token. */
export function podTemplate(plan: Plan, pod: PodPlan, restartPolicy?: 'Never'): k8s.PodTemplateSpec {
  const secrets = secretsOf(pod);
  const labels = labelsOf(plan, pod.name);
  if (pod.nodeGroup !== undefined) labels[nodeGroupLabel] = pod.nodeGroup;
  const annotations = {
    ...filesDigest(pod),
    ...(secrets.length > 0 ? { [usesSecretsAnnotation]: secrets.join(',') } : {}),
  };
  const { pullSecret } = plan.environment;
  return {
    metadata: {
      labels,
      ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
    },
    spec: {
      serviceAccountName,
      automountServiceAccountToken: false,
      // Kubernetes would else set DB_PORT=tcp://… for every Service of the namespace, over the names given here.
      enableServiceLinks: false,
      ...(pullSecret === undefined ? {} : { imagePullSecrets: [{ name: pullSecret }] }),
      securityContext: podSecurity(plan, pod),
      ...(pod.nodeGroup === undefined ? {} : { affinity: sameNode(plan, pod.nodeGroup) }),
      ...(restartPolicy === undefined ? {} : { restartPolicy }),
      ...(pod.stopSeconds === 30 ? {} : { terminationGracePeriodSeconds: pod.stopSeconds }),
      containers: [containerOf(plan, pod)],
      ...(volumesOf(pod).length > 0 ? { volumes: volumesOf(pod) } : {}),
    },
  };
}

/** A file's new text is seen by a program only after a restart, so it is part of the template. */
function filesDigest({ files }: PodPlan): Record<string, string> {
  const texts = files.filter((file) => 'text' in file);
  if (texts.length === 0) return {};
  return { 'plinth.dev/files': createHash('sha256').update(JSON.stringify(texts)).digest('hex').slice(0, 16) };
}

function podSecurity({ podSecurity: level }: Plan, { user, group, ports }: PodPlan): k8s.PodSecurityContext {
  return {
    ...(level === 'restricted' || (user !== undefined && user > 0) ? { runAsNonRoot: true } : {}),
    ...(user === undefined ? {} : { runAsUser: user }),
    ...(user === undefined || group === undefined ? {} : { runAsGroup: group }),
    // OnRootMismatch: a large volume is not walked at each start, and files keep the rights their owner gave them.
    ...(group === undefined
      ? {}
      : { fsGroup: user === undefined || group > 0 ? group : user, fsGroupChangePolicy: 'OnRootMismatch' }),
    seccompProfile: { type: 'RuntimeDefault' },
    ...(ports.some(({ port }) => port < 1024)
      ? { sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '0' }] }
      : {}),
  };
}

function sameNode(plan: Plan, group: string): k8s.Affinity {
  const labelSelector = { matchLabels: { [nodeGroupLabel]: group, 'plinth.dev/project': plan.key.project } };
  return {
    podAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: [{ labelSelector, topologyKey: 'kubernetes.io/hostname' }],
    },
  };
}

function containerOf(plan: Plan, pod: PodPlan): k8s.Container {
  const mounts = volumeMounts(pod);
  return {
    name: pod.name,
    image: pod.image,
    ...(pod.command === undefined ? {} : { command: [...pod.command] }),
    ...(pod.args === undefined ? {} : { args: [...pod.args] }),
    env: pod.variables.map((variable) =>
      'secret' in variable
        ? { name: variable.name, valueFrom: { secretKeyRef: { name: variable.secret, key: secretKey } } }
        : { name: variable.name, value: variable.value },
    ),
    ...(pod.ports.length === 0
      ? {}
      : { ports: pod.ports.map(({ name, port }) => ({ name, containerPort: port, protocol: 'TCP' })) }),
    resources: resourcesOf(pod.resources),
    securityContext: {
      allowPrivilegeEscalation: false,
      ...(plan.podSecurity === 'restricted' ? { capabilities: { drop: ['ALL'] } } : {}),
      ...(pod.readOnlyRoot ? { readOnlyRootFilesystem: true } : {}),
    },
    ...probesOf(pod.check),
    ...(mounts.length === 0 ? {} : { volumeMounts: mounts }),
  };
}

const resourcesOf = ({ cpu, memory, cpuLimit, memoryLimit }: Resources): k8s.ResourceRequirements => ({
  requests: { cpu: quantity(cpu), memory: quantity(memory) },
  limits: { cpu: quantity(cpuLimit), memory: quantity(memoryLimit) },
});

/** Startup has all the time it was given; only then the others begin. */
function probesOf(check: Check | undefined): Pick<k8s.Container, 'startupProbe' | 'readinessProbe' | 'livenessProbe'> {
  if (check === undefined) return {};
  const { startSeconds, everySeconds, timeoutSeconds, restart } = check;
  const action = actionOf(check);
  const startEvery = Math.min(everySeconds, 2);
  return {
    startupProbe: {
      ...action,
      periodSeconds: startEvery,
      timeoutSeconds,
      failureThreshold: Math.max(1, Math.ceil(startSeconds / startEvery)),
    },
    readinessProbe: { ...action, periodSeconds: everySeconds, timeoutSeconds, failureThreshold: 3 },
    ...(restart
      ? { livenessProbe: { ...action, periodSeconds: everySeconds, timeoutSeconds, failureThreshold: 6 } }
      : {}),
  };
}

function actionOf({ kind, path, port, command }: Check): Pick<k8s.Probe, 'exec' | 'httpGet' | 'tcpSocket'> {
  if (kind === 'command') return { exec: { command: [...(command ?? [])] } };
  const number = k8s.IntOrString.fromNumber(port ?? 0);
  return kind === 'http' ? { httpGet: { path, port: number } } : { tcpSocket: { port: number } };
}

const scratchName = (index: number) => `scratch-${index}`;

function volumeMounts({ mounts, scratch, files, sharedMemory }: PodPlan): k8s.VolumeMount[] {
  return [
    ...scratch.map((path, index) => ({ name: scratchName(index), mountPath: path })),
    ...(sharedMemory ? [{ name: 'shared-memory', mountPath: '/dev/shm' }] : []),
    ...mounts.map(({ path, claim, subPath, readOnly }) => ({
      name: `volume-${claim}`,
      mountPath: path,
      ...(subPath === undefined ? {} : { subPath }),
      ...(readOnly ? { readOnly } : {}),
    })),
    ...files.map((file, index) => ({
      name: 'secret' in file ? `secret-${file.secret}` : 'files',
      mountPath: file.path,
      subPath: 'secret' in file ? secretKey : fileKey(index),
      readOnly: true,
    })),
  ];
}

/** Paths are no keys of a ConfigMap; their order is stable. */
export const fileKey = (index: number) => `file-${index}`;

function volumesOf({ name, mounts, scratch, files, sharedMemory }: PodPlan): k8s.Volume[] {
  const claims = [...new Set(mounts.map(({ claim }) => claim))];
  const secrets = [...new Set(files.flatMap((file) => ('secret' in file ? [file.secret] : [])))];
  return [
    ...scratch.map((_, index) => ({ name: scratchName(index), emptyDir: {} })),
    ...(sharedMemory ? [{ name: 'shared-memory', emptyDir: { medium: 'Memory' } }] : []),
    ...claims.map((claim) => ({ name: `volume-${claim}`, persistentVolumeClaim: { claimName: claim } })),
    ...(files.some((file) => 'text' in file) ? [{ name: 'files', configMap: { name: filesName(name) } }] : []),
    ...secrets.map((secret) => ({ name: `secret-${secret}`, secret: { secretName: secret } })),
  ];
}

/** Copies of one workload, apart where the cluster allows: on other nodes, in other zones. */
export function spread(plan: Plan, name: string): k8s.TopologySpreadConstraint[] {
  return ['kubernetes.io/hostname', 'topology.kubernetes.io/zone'].map((topologyKey) => ({
    maxSkew: 1,
    topologyKey,
    whenUnsatisfiable: 'ScheduleAnyway',
    labelSelector: { matchLabels: selectorOf(plan, name) },
  }));
}
