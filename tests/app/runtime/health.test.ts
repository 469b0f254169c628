import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { healthOf } from '#runtime/kubernetes/health.ts';
import { troubleOf, withTroubles } from '#runtime/kubernetes/trouble.ts';
import type { Health, KubernetesObject } from '#runtime/runtime.ts';
import { describeWithCluster } from '#support/cluster.ts';
import {
  clusterOf,
  deployment,
  namespaceObject,
  newNamespace,
  podTemplate,
  startRuntime,
  until,
  type Watched,
} from './start-runtime.ts';

describeWithCluster('health of real objects', (cluster) => {
  let ours: Watched;
  beforeAll(async () => {
    ours = await startRuntime(await clusterOf(cluster().kubeconfig));
  });
  afterAll(async () => {
    await ours?.runtime.stop();
  });

  async function emptyNamespace(): Promise<string> {
    const name = newNamespace();
    await ours.runtime.apply(namespaceObject(name));
    return name;
  }

  /** Resolves once an object has this health; the health until then is in the message of a time-out. */
  const becomes = async (namespace: string, kind: string, name: string, state: string, reason: RegExp | string) => {
    await until(() => {
      const health = ours.find(namespace, kind, name)?.health;
      const fits = typeof reason === 'string' ? health?.reason === reason : reason.test(health?.reason ?? '');
      return health?.state === state && fits;
    });
  };

  test.concurrent('a Deployment becomes healthy, and shrinks and grows with its readiness', async () => {
    const namespace = await emptyNamespace();
    await ours.runtime.apply(
      deployment(namespace, 'web', { replicas: 2 }, podTemplate('web', { 'tier.test/ready-after': '300ms' })),
    );
    await becomes(namespace, 'Deployment', 'web', 'progressing', /^[01] of 2 replicas are available$/);
    await becomes(namespace, 'Deployment', 'web', 'healthy', '');
  });

  test.concurrent('an image that cannot be pulled is told within a moment, with what to do', async () => {
    const namespace = await emptyNamespace();
    const template = podTemplate('web', { 'tier.test/waiting': 'ImagePullBackOff' });
    await ours.runtime.apply(deployment(namespace, 'web', {}, template));
    await becomes(
      namespace,
      'Deployment',
      'web',
      'degraded',
      '0 of 1 replicas are available: container main: image example.test/app:1 cannot be pulled (ImagePullBackOff); check its name and the pull secret',
    );
    await ours.runtime.apply(deployment(namespace, 'web', {}, podTemplate('web')));
    await becomes(namespace, 'Deployment', 'web', 'healthy', '');
  });

  test.concurrent('a rollout that exceeds its deadline is degraded though the old version serves', async () => {
    const namespace = await emptyNamespace();
    await ours.runtime.apply(deployment(namespace, 'web', { progressDeadlineSeconds: 1 }));
    await becomes(namespace, 'Deployment', 'web', 'healthy', '');
    const template = podTemplate('web', { 'tier.test/ready': 'false' });
    await ours.runtime.apply(deployment(namespace, 'web', { progressDeadlineSeconds: 1 }, template));
    await becomes(namespace, 'Deployment', 'web', 'degraded', 'the new version did not become ready within 1 s');
  });

  test.concurrent('a quota and the Pod Security level that refuse pods are quoted', async () => {
    const namespace = await emptyNamespace();
    const spec = { hard: { pods: '1' } };
    await ours.runtime.apply({ apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'quota', namespace }, spec });
    const quota = () => cluster().api('GET', `/api/v1/namespaces/${namespace}/resourcequotas/quota`);
    await until(async () => (await quota()).body.status.hard?.pods === '1'); // Until then it does not bind.
    await ours.runtime.apply(deployment(namespace, 'many', { replicas: 3 }));
    await becomes(
      namespace,
      'Deployment',
      'many',
      'degraded',
      /^pods cannot be made: pods ".*" is forbidden: exceeded quota: quota/,
    );
    const open = podTemplate('root', {}, { securityContext: {} });
    await ours.runtime.apply(deployment(namespace, 'root', {}, open));
    await becomes(
      namespace,
      'Deployment',
      'root',
      'degraded',
      /^pods cannot be made: .*violates PodSecurity "restricted:latest"/,
    );
  });

  test.concurrent('a pod that no node takes is told', async () => {
    const namespace = await emptyNamespace();
    const template = podTemplate('web', {}, { nodeSelector: { nowhere: 'yes' } });
    await ours.runtime.apply(deployment(namespace, 'web', {}, template));
    await becomes(
      namespace,
      'Deployment',
      'web',
      'progressing',
      /^0 of 1 replicas are available: no node takes the pod: .*affinity\/selector/,
    );
  });

  test.concurrent('a paused Deployment is suspended', async () => {
    const namespace = await emptyNamespace();
    await ours.runtime.apply(deployment(namespace, 'web', { paused: true }));
    await becomes(namespace, 'Deployment', 'web', 'suspended', 'its rollout is paused; set spec.paused to false');
  });

  test.concurrent('a StatefulSet becomes healthy, replica by replica, also with a new version', async () => {
    const namespace = await emptyNamespace();
    const set = (annotations: Record<string, string>): KubernetesObject => ({
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: { name: 'db', namespace },
      spec: {
        replicas: 2,
        serviceName: 'db',
        selector: { matchLabels: { 'app.kubernetes.io/name': 'db' } },
        template: podTemplate('db', annotations),
      },
    });
    await ours.runtime.apply(set({}));
    await becomes(namespace, 'StatefulSet', 'db', 'healthy', '');
    await ours.runtime.apply(set({ 'tier.test/waiting': 'CrashLoopBackOff' }));
    await becomes(
      namespace,
      'StatefulSet',
      'db',
      'degraded',
      /container main: ends again and again \(CrashLoopBackOff\); see its log$/,
    );
  });

  test.concurrent('a Job is healthy when complete, degraded when failed, suspended when suspended', async () => {
    const namespace = await emptyNamespace();
    const job = (name: string, more: object, annotations: Record<string, string> = {}): KubernetesObject => ({
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name, namespace },
      spec: { backoffLimit: 0, template: podTemplate(name, annotations, { restartPolicy: 'Never' }), ...more },
    });
    await ours.runtime.apply(job('good', {}));
    await ours.runtime.apply(job('bad', {}, { 'tier.test/exit-code': '3' }));
    await ours.runtime.apply(job('held', { suspend: true }));
    await becomes(namespace, 'Job', 'good', 'healthy', '');
    await becomes(
      namespace,
      'Job',
      'bad',
      'degraded',
      /^failed: Job has reached the specified backoff limit: container main ended with exit code 3; see its log$/,
    );
    await becomes(namespace, 'Job', 'held', 'suspended', 'is suspended; set spec.suspend to false');
  });

  test.concurrent('a claim that waits for its first consumer is healthy, one without a class says what to do', async () => {
    const namespace = await emptyNamespace();
    const claim = (name: string, storageClassName: string): KubernetesObject => ({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name, namespace },
      spec: { accessModes: ['ReadWriteOnce'], storageClassName, resources: { requests: { storage: '1Gi' } } },
    });
    await ours.runtime.apply(claim('late', 'dir-wait'));
    await ours.runtime.apply(claim('soon', 'dir'));
    await ours.runtime.apply(claim('odd', 'none-such'));
    await ours.runtime.apply(claim('none', ''));
    await becomes(
      namespace,
      'PersistentVolumeClaim',
      'late',
      'healthy',
      'storage class dir-wait makes the volume when the first pod uses it',
    );
    await becomes(namespace, 'PersistentVolumeClaim', 'soon', 'healthy', '');
    await becomes(
      namespace,
      'PersistentVolumeClaim',
      'odd',
      'progressing',
      'storage class none-such does not exist in this cluster',
    );
    await becomes(namespace, 'PersistentVolumeClaim', 'none', 'progressing', /^it names no storage class/);
    const volumes = [{ name: 'data', persistentVolumeClaim: { claimName: 'late' } }];
    await ours.runtime.apply(deployment(namespace, 'user', {}, podTemplate('user', {}, { volumes })));
    await becomes(namespace, 'PersistentVolumeClaim', 'late', 'healthy', '');
  });

  test.concurrent('a claim is looked at again when its storage class appears', async () => {
    const namespace = await emptyNamespace();
    const name = `late-${namespace.slice(-10)}`;
    const spec = {
      accessModes: ['ReadWriteOnce'],
      storageClassName: name,
      resources: { requests: { storage: '1Gi' } },
    };
    await ours.runtime.apply({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'data', namespace },
      spec,
    });
    await becomes(
      namespace,
      'PersistentVolumeClaim',
      'data',
      'progressing',
      `storage class ${name} does not exist in this cluster`,
    );
    ours.changes.length = 0;
    const storageClass = {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name },
      provisioner: 'none.test',
      volumeBindingMode: 'WaitForFirstConsumer',
    };
    await cluster().api('POST', '/apis/storage.k8s.io/v1/storageclasses', storageClass);
    await becomes(
      namespace,
      'PersistentVolumeClaim',
      'data',
      'healthy',
      `storage class ${name} makes the volume when the first pod uses it`,
    );
    expect(ours.changes).toContain(namespace);
    await cluster().api('DELETE', `/apis/storage.k8s.io/v1/storageclasses/${name}`);
    await becomes(
      namespace,
      'PersistentVolumeClaim',
      'data',
      'progressing',
      `storage class ${name} does not exist in this cluster`,
    );
  });

  test.concurrent('an autoscaler without metrics says what is missing', async () => {
    const namespace = await emptyNamespace();
    const resources = { requests: { cpu: '10m' } };
    const template = podTemplate('web');
    const containers = template.spec.containers.map((container) => ({ ...container, resources }));
    await ours.runtime.apply(deployment(namespace, 'web', {}, { ...template, spec: { ...template.spec, containers } }));
    await ours.runtime.apply({
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      metadata: { name: 'web', namespace },
      spec: {
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
        minReplicas: 1,
        maxReplicas: 3,
        metrics: [
          { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } },
        ],
      },
    });
    await becomes(
      namespace,
      'HorizontalPodAutoscaler',
      'web',
      'degraded',
      /Is metrics-server installed in the cluster\?$/,
    );
  });

  test.concurrent('Service, Ingress, PodDisruptionBudget, ServiceAccount, LimitRange, NetworkPolicy and Secret are well at once', async () => {
    const namespace = await emptyNamespace();
    const metadata = { name: 'web', namespace };
    const backend = { service: { name: 'web', port: { number: 80 } } };
    const objects: readonly KubernetesObject[] = [
      { apiVersion: 'v1', kind: 'Service', metadata, spec: { selector: { a: 'b' }, ports: [{ port: 80 }] } },
      {
        apiVersion: 'networking.k8s.io/v1',
        kind: 'Ingress',
        metadata,
        spec: { rules: [{ host: `${namespace}.test`, http: { paths: [{ path: '/', pathType: 'Prefix', backend }] } }] },
      },
      {
        apiVersion: 'policy/v1',
        kind: 'PodDisruptionBudget',
        metadata,
        spec: { maxUnavailable: 1, selector: { matchLabels: { a: 'b' } } },
      },
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata, automountServiceAccountToken: false },
      {
        apiVersion: 'v1',
        kind: 'LimitRange',
        metadata,
        spec: { limits: [{ type: 'Container', default: { cpu: '1' } }] },
      },
      { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata, spec: { podSelector: {} } },
      { apiVersion: 'v1', kind: 'Secret', metadata, stringData: { a: 'b' } },
    ];
    for (const object of objects) {
      await ours.runtime.apply(object);
      await until(() => ours.find(namespace, object.kind, 'web')?.health.state === 'healthy');
    }
  });

  test.concurrent('a namespace that is being deleted says so until it is gone', async () => {
    const namespace = await emptyNamespace();
    const live = ours.find(namespace, 'Namespace', namespace);
    expect(live).toBeDefined();
    expect(live && (await ours.runtime.remove(live))).toBe('deleted');
    await until(() => ours.find(namespace, 'Namespace', namespace)?.deleting === true);
    expect(ours.find(namespace, 'Namespace', namespace)?.health.state).toBe('progressing');
    const refused = await ours.runtime
      .apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'late', namespace } })
      .catch((error) => error.code);
    expect(refused).toBe('NAMESPACE_TERMINATING');
    await until(() => ours.runtime.observed(namespace).length === 0);
  });

  test.concurrent('a CronJob is well before its first run, and suspended when suspended', async () => {
    const namespace = await emptyNamespace();
    const cron = (suspend: boolean): KubernetesObject => ({
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      metadata: { name: 'nightly', namespace },
      spec: {
        schedule: '0 3 * * *',
        suspend,
        jobTemplate: { spec: { template: podTemplate('nightly', {}, { restartPolicy: 'Never' }) } },
      },
    });
    await ours.runtime.apply(cron(false));
    await becomes(namespace, 'CronJob', 'nightly', 'healthy', '');
    await ours.runtime.apply(cron(true));
    await becomes(namespace, 'CronJob', 'nightly', 'suspended', 'is suspended; set spec.suspend to false');
    const { body } = await cluster().api('GET', `/apis/batch/v1/namespaces/${namespace}/cronjobs/nightly`);
    expect(body.spec.jobTemplate.spec.template.metadata.labels['plinth.dev/installation']).toBe(ours.installation);
  });

  test.concurrent('a Service of type LoadBalancer is well when it has an address', async () => {
    const namespace = await emptyNamespace();
    const spec = { type: 'LoadBalancer', selector: { a: 'b' }, ports: [{ port: 80 }] };
    await ours.runtime.apply({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'lb', namespace }, spec });
    await becomes(namespace, 'Service', 'lb', 'healthy', '');
  });
});

describe('healthOf', () => {
  const route = (status: object, generation = 1) => healthOf('HTTPRoute', { metadata: { generation }, status });
  const parent = (type: string, status: string, observedGeneration = 1) => ({
    parents: [
      { parentRef: { name: 'edge' }, conditions: [{ type, status, observedGeneration, reason: 'R', message: 'why' }] },
    ],
  });
  const condition = (type: string, status: string, reason = '', message = '') => ({
    conditions: [{ type, status, reason, message }],
  });

  test.each<[string, Health, Health]>([
    [
      'a route that no gateway took',
      route({}),
      { state: 'progressing', reason: 'no gateway has taken it yet; check ingress.gateway in environment.yaml' },
    ],
    ['a route that was accepted', route(parent('Accepted', 'True')), { state: 'healthy', reason: '' }],
    [
      'a route that was refused',
      route(parent('Accepted', 'False')),
      { state: 'degraded', reason: 'gateway edge refuses it: why' },
    ],
    [
      'a route whose backend is unknown',
      route(parent('ResolvedRefs', 'False')),
      { state: 'degraded', reason: 'gateway edge refuses it: why' },
    ],
    [
      'a route whose change was not seen',
      route(parent('Accepted', 'True', 1), 2),
      { state: 'progressing', reason: 'gateway edge has not seen the newest version yet' },
    ],
    [
      'a Deployment that was not looked at',
      healthOf('Deployment', { metadata: { generation: 2 }, status: { observedGeneration: 1 } }),
      { state: 'progressing', reason: 'its controller has not seen the newest version yet' },
    ],
    [
      'a Deployment of zero',
      healthOf('Deployment', { metadata: { generation: 1 }, spec: { replicas: 0 }, status: { observedGeneration: 1 } }),
      { state: 'healthy', reason: '' },
    ],
    [
      'old replicas that end',
      healthOf('Deployment', {
        spec: { replicas: 1 },
        status: { observedGeneration: 1, updatedReplicas: 1, replicas: 2, availableReplicas: 2 },
      }),
      { state: 'progressing', reason: '1 replicas of the old version are ending' },
    ],
    [
      'a StatefulSet without pods',
      healthOf('StatefulSet', { spec: { replicas: 1 }, status: { observedGeneration: 1, replicas: 0 } }),
      {
        state: 'progressing',
        reason: '0 of 1 replicas exist; if it stays so, look at the quota and Pod Security level',
      },
    ],
    [
      'a StatefulSet with a partition',
      healthOf('StatefulSet', {
        spec: { replicas: 3, updateStrategy: { rollingUpdate: { partition: 2 } } },
        status: {
          observedGeneration: 1,
          replicas: 3,
          readyReplicas: 3,
          updatedReplicas: 1,
          currentRevision: 'a',
          updateRevision: 'b',
        },
      }),
      { state: 'healthy', reason: '' },
    ],
    [
      'a StatefulSet updated by hand',
      healthOf('StatefulSet', {
        spec: { replicas: 1, updateStrategy: { type: 'OnDelete' } },
        status: { observedGeneration: 1, replicas: 1, readyReplicas: 1, updateRevision: 'b', currentRevision: 'a' },
      }),
      { state: 'healthy', reason: '' },
    ],
    [
      'a DaemonSet on its way',
      healthOf('DaemonSet', {
        status: { observedGeneration: 1, desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 1 },
      }),
      { state: 'progressing', reason: '1 of 2 replicas are available' },
    ],
    [
      'a lost claim',
      healthOf('PersistentVolumeClaim', { spec: { volumeName: 'pv-1' }, status: { phase: 'Lost' } }),
      { state: 'degraded', reason: 'its volume pv-1 is lost; restore it from a snapshot' },
    ],
    [
      'a claim whose consumer has a node',
      healthOf(
        'PersistentVolumeClaim',
        {
          metadata: { annotations: { 'volume.kubernetes.io/selected-node': 'n' } },
          spec: { storageClassName: 'w' },
          status: { phase: 'Pending' },
        },
        new Map([['w', 'WaitForFirstConsumer']]),
      ),
      { state: 'progressing', reason: 'storage class w is making the volume' },
    ],
    [
      'a cron job whose last run failed',
      healthOf('CronJob', {
        status: { lastScheduleTime: '2026-01-02T00:00:00Z', lastSuccessfulTime: '2026-01-01T00:00:09Z' },
      }),
      {
        state: 'degraded',
        reason: 'its last run, of 2026-01-02T00:00:00Z, did not succeed; the last that did ended 2026-01-01T00:00:09Z',
      },
    ],
    [
      'a cron job that runs',
      healthOf('CronJob', { status: { lastScheduleTime: '2026-01-02T00:00:00Z', active: [{}] } }),
      { state: 'healthy', reason: '' },
    ],
    [
      'a load balancer without address',
      healthOf('Service', { spec: { type: 'LoadBalancer' } }),
      { state: 'progressing', reason: 'waits for an address from the load balancer' },
    ],
    [
      'an Ingress without address',
      healthOf('Ingress', { spec: { ingressClassName: 'nginx' } }),
      { state: 'healthy', reason: 'ingress class nginx has reported no address' },
    ],
    [
      'an autoscaler of zero',
      healthOf('HorizontalPodAutoscaler', { status: condition('ScalingActive', 'False', 'ScalingDisabled') }),
      { state: 'suspended', reason: 'its target is scaled to zero' },
    ],
    [
      'an autoscaler that cannot scale',
      healthOf('HorizontalPodAutoscaler', { status: condition('AbleToScale', 'False', 'X', 'no target') }),
      { state: 'degraded', reason: 'cannot scale: no target' },
    ],
    [
      'a failed pod',
      healthOf('Pod', { status: { phase: 'Failed', reason: 'Evicted' } }),
      { state: 'degraded', reason: 'failed: Evicted' },
    ],
    [
      'a stalled object of an unknown kind',
      healthOf('Widget', { status: condition('Stalled', 'True', 'Broken') }),
      { state: 'degraded', reason: 'Broken' },
    ],
    [
      'an unready object of an unknown kind',
      healthOf('Widget', { status: condition('Ready', 'False', '', 'soon') }),
      { state: 'progressing', reason: 'soon' },
    ],
    ['an unknown kind without conditions', healthOf('Widget', {}), { state: 'healthy', reason: '' }],
    [
      'nonsense',
      healthOf('Deployment', { status: 'x', spec: [] }),
      { state: 'progressing', reason: 'its controller has not seen it yet' },
    ],
  ])('%s', (_, found, wanted) => {
    expect(found).toEqual(wanted);
  });
});

describe('troubleOf', () => {
  const owner = (kind: string, name: string) => ({ ownerReferences: [{ kind, name, controller: true }] });
  const status = (more: object) => ({
    containerStatuses: [{ name: 'main', image: 'a:1', ready: false, restartCount: 0, ...more }],
  });
  const reason = (pod: object) => troubleOf(pod)?.reason;

  test.each<[string, object, string | undefined]>([
    ['a container that starts', { status: status({ state: { waiting: { reason: 'ContainerCreating' } } }) }, undefined],
    [
      'a missing Secret',
      {
        status: status({
          state: { waiting: { reason: 'CreateContainerConfigError', message: 'secret "x" not found' } },
        }),
      },
      'container main: secret "x" not found (CreateContainerConfigError)',
    ],
    [
      'between two crashes',
      {
        status: status({
          restartCount: 2,
          state: { running: {} },
          lastState: { terminated: { exitCode: 1, reason: 'Error' } },
        }),
      },
      'container main ended with exit code 1, restarted 2 times; see its log',
    ],
    [
      'memory',
      {
        status: status({
          restartCount: 1,
          state: { waiting: { reason: 'CrashLoopBackOff' } },
          lastState: { terminated: { exitCode: 137, reason: 'OOMKilled' } },
        }),
      },
      'container main: ends again and again with OOMKilled: it needs more memory than its limit (CrashLoopBackOff); see its log',
    ],
    [
      'a pod that recovered',
      {
        status: status({
          ready: true,
          restartCount: 2,
          state: { running: {} },
          lastState: { terminated: { exitCode: 1 } },
        }),
      },
      undefined,
    ],
    [
      'a pod on its way out',
      { metadata: { deletionTimestamp: 'x' }, status: status({ state: { waiting: { reason: 'CrashLoopBackOff' } } }) },
      undefined,
    ],
  ])('%s', (_, pod, wanted) => {
    expect(reason(pod)).toBe(wanted);
  });

  test('names the workloads that a pod tells about', () => {
    const crash = status({ state: { waiting: { reason: 'CrashLoopBackOff' } } });
    const labels = { 'pod-template-hash': '7d9f' };
    expect(troubleOf({ metadata: { ...owner('ReplicaSet', 'my-web-7d9f'), labels }, status: crash })?.owners).toEqual([
      { kind: 'Deployment', name: 'my-web' },
    ]);
    expect(troubleOf({ metadata: owner('Job', 'nightly-2987'), status: crash })?.owners).toEqual([
      { kind: 'Job', name: 'nightly-2987' },
      { kind: 'CronJob', name: 'nightly' },
    ]);
  });

  test('a healthy workload does not listen to the pods of an old version, a CronJob does', () => {
    const trouble = { owners: [], state: 'degraded' as const, reason: 'bad' };
    const healthy = { state: 'healthy' as const, reason: '' };
    expect(withTroubles('Deployment', healthy, [trouble])).toEqual(healthy);
    expect(withTroubles('CronJob', healthy, [trouble])).toEqual({ state: 'degraded', reason: 'bad' });
  });
});
