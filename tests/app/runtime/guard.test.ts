import { describe, expect, test } from 'vitest';
import { refusedBecause } from '#runtime/kubernetes/guard.ts';
import type { KubernetesObject } from '#runtime/runtime.ts';
import { configMap, deployment, namespaceObject, podTemplate } from './start-runtime.ts';

const namespace = 'local--team--shop';
const secret = (name: string, more: object = {}): KubernetesObject => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, namespace, annotations: { 'plinth.dev/secret': 'project/one' } },
  ...more,
});
const account: KubernetesObject = {
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  metadata: { name: 'runner', namespace },
  automountServiceAccountToken: false,
};
const objects = [secret('own'), account];
const restricted = { namespace, podSecurity: 'restricted', objects } as const;
const baseline = { ...restricted, podSecurity: 'baseline' } as const;

const object = (apiVersion: string, kind: string, more: object = {}): KubernetesObject => ({
  apiVersion,
  kind,
  metadata: { name: 'web', namespace },
  ...more,
});
const pod = (spec: object) => deployment(namespace, 'web', {}, podTemplate('web', {}, spec));
const safe = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };
const container = (more: object) =>
  pod({ containers: [{ name: 'main', image: 'a:1', securityContext: safe, ...more }] });
const context = (more: object) => container({ securityContext: { ...safe, ...more } });
const volume = (more: object) => pod({ volumes: [{ name: 'v', ...more }] });
const ingress = (spec: object, annotations: Record<string, string> = {}) =>
  object('networking.k8s.io/v1', 'Ingress', { metadata: { name: 'web', namespace, annotations }, spec });
const route = (spec: object) => object('gateway.networking.k8s.io/v1', 'HTTPRoute', { spec });
const service = (spec: object) => object('v1', 'Service', { spec: { selector: { a: 'b' }, ...spec } });
const backend = { service: { name: 'web', port: { number: 80 } } };

describe('what the apply door lets through', () => {
  test.each<[string, KubernetesObject]>([
    ['the namespace', namespaceObject(namespace)],
    ['quota', object('v1', 'ResourceQuota', { spec: { hard: { pods: '1' } } })],
    ['limits', object('v1', 'LimitRange')],
    ['an account without token', account],
    ['a policy', object('networking.k8s.io/v1', 'NetworkPolicy', { spec: { podSelector: {} } })],
    ['a Secret by reference', secret('own')],
    ['a pull Secret by reference', secret('pull', { type: 'kubernetes.io/dockerconfigjson' })],
    ['a ConfigMap', configMap(namespace, 'web', { a: '1' })],
    ['a claim', object('v1', 'PersistentVolumeClaim', { spec: { accessModes: ['ReadWriteOnce'] } })],
    [
      'a claim from a snapshot',
      object('v1', 'PersistentVolumeClaim', { spec: { dataSource: { kind: 'VolumeSnapshot', name: 's' } } }),
    ],
    ['a Service', service({ ports: [{ port: 80 }] })],
    ['a headless Service', service({ clusterIP: 'None' })],
    ['a Deployment', deployment(namespace, 'web')],
    ['a StatefulSet', object('apps/v1', 'StatefulSet', { spec: { template: podTemplate('web') } })],
    ['a Job', object('batch/v1', 'Job', { spec: { template: podTemplate('web') } })],
    ['a CronJob', object('batch/v1', 'CronJob', { spec: { jobTemplate: { spec: { template: podTemplate('web') } } } })],
    [
      'an Ingress',
      ingress({
        rules: [{ host: 'a.test', http: { paths: [{ path: '/', pathType: 'Prefix', backend }] } }],
        tls: [{ hosts: ['a.test'] }],
      }),
    ],
    [
      'a route',
      route({
        hostnames: ['a.test'],
        parentRefs: [{ name: 'edge', namespace: 'edge' }],
        rules: [{ backendRefs: [{ name: 'web', port: 80 }] }],
      }),
    ],
    ['an autoscaler', object('autoscaling/v2', 'HorizontalPodAutoscaler')],
    ['a disruption budget', object('policy/v1', 'PodDisruptionBudget')],
    [
      'own Secrets as variables and files',
      pod({
        imagePullSecrets: [{ name: 'own' }],
        volumes: [{ name: 'v', secret: { secretName: 'own' } }],
        containers: [
          {
            name: 'main',
            image: 'a:1',
            securityContext: safe,
            env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'own', key: 'a' } } }],
            envFrom: [{ secretRef: { name: 'own' } }],
          },
        ],
      }),
    ],
    ['an own account', pod({ serviceAccountName: 'runner' })],
    ['a low port', context({ capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE'] } })],
    [
      'usual volumes',
      pod({
        volumes: [
          { name: 'a', emptyDir: {} },
          { name: 'b', configMap: { name: 'web' } },
          { name: 'c', persistentVolumeClaim: { claimName: 'data' } },
          { name: 'd', projected: { sources: [{ configMap: { name: 'web' } }, { secret: { name: 'own' } }] } },
        ],
      }),
    ],
  ])('%s', (_, given) => {
    expect(refusedBecause(given, restricted)).toBeUndefined();
  });
});

describe('what the apply door refuses', () => {
  const deny = (level: string) => ({
    ...namespaceObject(namespace),
    metadata: { name: namespace, labels: { 'pod-security.kubernetes.io/enforce': level } },
  });
  const kinds = 'configMap, downwardAPI, emptyDir, ephemeral, persistentVolumeClaim, projected, secret';

  test.each<[KubernetesObject, string]>([
    [
      object('rbac.authorization.k8s.io/v1', 'Role'),
      'rbac.authorization.k8s.io/v1 Role is not a kind that a project may have',
    ],
    [
      object('rbac.authorization.k8s.io/v1', 'ClusterRoleBinding'),
      'rbac.authorization.k8s.io/v1 ClusterRoleBinding is not a kind that a project may have',
    ],
    [object('v1', 'Pod'), 'v1 Pod is not a kind that a project may have'],
    [object('apps/v1', 'DaemonSet'), 'apps/v1 DaemonSet is not a kind that a project may have'],
    [object('v1', 'Endpoints'), 'v1 Endpoints is not a kind that a project may have'],
    [object('extensions/v1beta1', 'Deployment'), 'extensions/v1beta1 Deployment is not a kind that a project may have'],
    [configMap('kube-system', 'web', {}), `it is for namespace kube-system, the project's is ${namespace}`],
    [
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'web' } },
      `it is for namespace (none), the project's is ${namespace}`,
    ],
    [namespaceObject('kube-system'), `the project's only namespace is ${namespace}`],
    [deny('privileged'), 'label pod-security.kubernetes.io/enforce is privileged, the environment allows restricted'],
    [deny('baseline'), 'label pod-security.kubernetes.io/enforce is baseline, the environment allows restricted'],
    [
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
      'label pod-security.kubernetes.io/enforce is (none), the environment allows restricted',
    ],
    [
      { ...configMap(namespace, 'web', {}), metadata: { name: 'web', namespace, ...{ finalizers: ['a/b'] } } },
      'metadata.finalizers is not for manifests',
    ],
    [
      { ...configMap(namespace, 'web', {}), metadata: { name: 'web', namespace, ...{ ownerReferences: [{}] } } },
      'metadata.ownerReferences is not for manifests',
    ],
    [{ ...account, automountServiceAccountToken: true }, 'automountServiceAccountToken must be false'],
    [
      { ...account, imagePullSecrets: [{ name: 'foreign' }] },
      "image pull secret foreign is not among the project's Secrets",
    ],
    [object('v1', 'Secret', { data: { a: 'Yg==' } }), 'it lacks annotation plinth.dev/secret'],
    [
      secret('token', { type: 'kubernetes.io/service-account-token' }),
      'its type is kubernetes.io/service-account-token; allowed are Opaque, kubernetes.io/dockerconfigjson, kubernetes.io/basic-auth, kubernetes.io/tls',
    ],
    [service({ type: 'NodePort' }), 'its type is NodePort; only ClusterIP is allowed'],
    [service({ type: 'LoadBalancer' }), 'its type is LoadBalancer; only ClusterIP is allowed'],
    [service({ type: 'ExternalName', externalName: 'a.test' }), 'its type is ExternalName; only ClusterIP is allowed'],
    [service({ externalIPs: ['10.0.0.1'] }), 'spec.externalIPs would lead traffic outside of the project'],
    [service({ selector: {} }), 'spec.selector is empty'],
    [
      ingress({}, { 'nginx.ingress.kubernetes.io/configuration-snippet': 'x' }),
      'annotation nginx.ingress.kubernetes.io/configuration-snippet reaches beyond the project',
    ],
    [ingress({ rules: [{ http: { paths: [] } }] }), 'a rule without a host would serve the hosts of others'],
    [ingress({ rules: [{ host: '*.a.test' }] }), 'host *.a.test is a wildcard'],
    [ingress({ defaultBackend: backend }), 'spec.defaultBackend would serve the hosts of others'],
    [
      ingress({ rules: [{ host: 'a.test', http: { paths: [{ backend: { resource: { kind: 'X', name: 'x' } } }] } }] }),
      'a backend is not a Service',
    ],
    [route({ rules: [] }), 'without hostnames it would serve the hosts of others'],
    [
      route({ hostnames: ['a.test'], rules: [{ backendRefs: [{ name: 'x', namespace: 'other' }] }] }),
      'backend x is in another namespace',
    ],
    [
      route({
        hostnames: ['a.test'],
        rules: [{ filters: [{ requestMirror: { backendRef: { name: 'x', namespace: 'other' } } }] }],
      }),
      'backend x is in another namespace',
    ],
    [
      route({ hostnames: ['a.test'], rules: [{ filters: [{ extensionRef: { name: 'x' } }] }] }),
      'a filter is an extension of the gateway',
    ],
    [
      object('v1', 'PersistentVolumeClaim', { spec: { volumeName: 'pv' } }),
      'spec.volumeName would take a volume that another project may have filled',
    ],
    [
      object('v1', 'PersistentVolumeClaim', { spec: { dataSourceRef: { namespace: 'other', kind: 'X', name: 'x' } } }),
      'its data source is in another namespace',
    ],
    [
      object('apps/v1', 'StatefulSet', {
        spec: { template: podTemplate('web'), volumeClaimTemplates: [{ spec: { volumeName: 'pv' } }] },
      }),
      'spec.volumeName would take a volume that another project may have filled',
    ],
    [pod({ hostNetwork: true }), "hostNetwork shares the node's own"],
    [pod({ hostPID: true }), "hostPID shares the node's own"],
    [pod({ hostIPC: true }), "hostIPC shares the node's own"],
    [pod({ nodeName: 'control' }), 'nodeName goes around the scheduler'],
    [
      pod({ tolerations: [{ operator: 'Exists' }] }),
      'a toleration of everything reaches the nodes of the control plane',
    ],
    [pod({ priorityClassName: 'system-node-critical' }), "priority class system-node-critical is the cluster's own"],
    [pod({ automountServiceAccountToken: undefined }), 'automountServiceAccountToken must be false'],
    [pod({ serviceAccountName: 'admin' }), "service account admin is not among the project's objects"],
    [volume({ hostPath: { path: '/' } }), `volume v is a hostPath; allowed are ${kinds}`],
    [volume({ emptyDir: null, hostPath: { path: '/' } }), `volume v is a hostPath; allowed are ${kinds}`],
    [
      volume({ ephemeral: { volumeClaimTemplate: { spec: { volumeName: 'pv' } } } }),
      'spec.volumeName would take a volume that another project may have filled',
    ],
    [
      ingress({}, { 'nginx.ingress.kubernetes.io/server-alias': 'x' }),
      'annotation nginx.ingress.kubernetes.io/server-alias reaches beyond the project',
    ],
    [volume({ nfs: { server: 'a', path: '/' } }), `volume v is a nfs; allowed are ${kinds}`],
    [volume({ csi: { driver: 'a' } }), `volume v is a csi; allowed are ${kinds}`],
    [volume({ secret: { secretName: 'foreign' } }), "Secret foreign is not among the project's Secrets"],
    [
      volume({ projected: { sources: [{ serviceAccountToken: { path: 't' } }] } }),
      'volume v projects a token of the API server',
    ],
    [
      volume({ projected: { sources: [{ secret: { name: 'foreign' } }] } }),
      "Secret foreign is not among the project's Secrets",
    ],
    [pod({ imagePullSecrets: [{ name: 'foreign' }] }), "Secret foreign is not among the project's Secrets"],
    [container({ envFrom: [{ secretRef: { name: 'foreign' } }] }), "Secret foreign is not among the project's Secrets"],
    [
      container({ env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'foreign', key: 'a' } } }] }),
      "Secret foreign is not among the project's Secrets",
    ],
    [container({ ports: [{ containerPort: 80, hostPort: 80 }] }), 'container main opens hostPort 80'],
    [context({ privileged: true }), 'container main: privileged'],
    [context({ capabilities: { drop: ['ALL'], add: ['SYS_ADMIN'] } }), 'container main: it adds capability SYS_ADMIN'],
    [context({ procMount: 'Unmasked' }), 'container main: procMount is Unmasked'],
    [context({ seccompProfile: { type: 'Unconfined' } }), 'container main: seccompProfile is Unconfined'],
    [context({ allowPrivilegeEscalation: true }), 'container main: allowPrivilegeEscalation must be false'],
    [context({ runAsNonRoot: false }), 'container main: runAsNonRoot must be true'],
    [context({ runAsUser: 0 }), 'container main: runAsUser is 0, which is root'],
    [context({ capabilities: {} }), 'container main: capabilities.drop must hold ALL'],
    [pod({ securityContext: { runAsNonRoot: true } }), 'container main: seccompProfile must be RuntimeDefault'],
    [
      pod({ securityContext: { runAsNonRoot: true, sysctls: [{ name: 'a', value: '1' }] } }),
      'container main: sysctl a is not for manifests',
    ],
    [
      pod({ initContainers: [{ name: 'init', image: 'a', securityContext: { privileged: true } }] }),
      'container init: privileged',
    ],
    [
      object('batch/v1', 'Job', { spec: { template: podTemplate('web', {}, { hostNetwork: true }) } }),
      "hostNetwork shares the node's own",
    ],
    [
      object('batch/v1', 'CronJob', {
        spec: { jobTemplate: { spec: { template: podTemplate('web', {}, { hostPID: true }) } } },
      }),
      "hostPID shares the node's own",
    ],
    [object('apps/v1', 'StatefulSet', { spec: {} }), 'automountServiceAccountToken must be false'],
  ])('%#: %o', (given, why) => {
    expect(refusedBecause(given, restricted)).toBe(why);
  });

  test('where the environment allows baseline, root is let through and the host is not', () => {
    const root = pod({ containers: [{ name: 'main', image: 'a:1' }], securityContext: {} });
    expect(refusedBecause(root, baseline)).toBeUndefined();
    expect(refusedBecause(deny('baseline'), baseline)).toBeUndefined();
    expect(refusedBecause(deny('restricted'), baseline)).toBeUndefined();
    expect(refusedBecause(pod({ hostNetwork: true }), baseline)).toBe("hostNetwork shares the node's own");
    expect(refusedBecause(context({ privileged: true }), baseline)).toBe('container main: privileged');
    expect(refusedBecause(deny('privileged'), baseline)).toBe(
      'label pod-security.kubernetes.io/enforce is privileged, the environment allows baseline or restricted',
    );
  });
});
