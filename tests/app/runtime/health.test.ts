import { afterAll, beforeAll, expect, test } from 'vitest';
import type { KubernetesObject } from '#runtime/runtime.ts';
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
