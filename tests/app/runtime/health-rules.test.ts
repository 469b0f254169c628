import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { healthOf } from '#runtime/kubernetes/health.ts';
import { ownedDigest } from '#runtime/kubernetes/owned.ts';
import { ownKinds } from '#runtime/kubernetes/resources.ts';
import { troubleOf, withTroubles } from '#runtime/kubernetes/trouble.ts';
import type { Health } from '#runtime/runtime.ts';

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

describe('an object of any shape', () => {
  const keys = [
    'status',
    'spec',
    'metadata',
    'conditions',
    'containerStatuses',
    'state',
    'managedFields',
    'fieldsV1',
    'manager',
    'k:{',
    'f:status',
    'parents',
    'type',
  ];
  const { tree } = fc.letrec((tie) => ({
    leaf: fc.oneof(fc.constantFrom(null, 'plinth', 'Apply', 'True', 0, true), fc.string(), fc.double()),
    tree: fc.oneof(
      { maxDepth: 6 },
      tie('leaf'),
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...keys), tie('tree'), { maxKeys: 5 }),
    ),
  }));

  test('stops nothing: health, troubles and digest are always something', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...ownKinds.resources.map(({ kind }) => kind), 'Pod', 'Widget'),
        tree,
        (kind, object) => {
          const { state, reason } = healthOf(kind, object);
          expect(typeof reason).toBe('string');
          expect(['healthy', 'progressing', 'suspended', 'degraded']).toContain(state);
          expect(typeof ownedDigest(object)).toBe('string');
          troubleOf(object);
        },
      ),
      { numRuns: 3000 },
    );
  });
});
