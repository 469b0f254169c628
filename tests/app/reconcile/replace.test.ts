import { expect, test } from 'vitest';
import type { KubernetesObject } from '#runtime/runtime.ts';
import { eventually } from '#support/walk.ts';
import { configMap, deployment, podTemplate } from '../runtime/start-runtime.ts';
import { describeStand, type Stand } from './stand.ts';

const service = (namespace: string, name: string, spec: object = {}): KubernetesObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace },
  spec: { selector: { 'app.kubernetes.io/name': name }, ports: [{ port: 80 }], ...spec },
});

const claim = (namespace: string, name: string, size: string): KubernetesObject => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name, namespace },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: size } } },
});

const mounting = (name: string, claimName: string) =>
  podTemplate(name, {}, { volumes: [{ name: 'data', persistentVolumeClaim: { claimName } }] });

const set = (namespace: string, name: string, more: object): KubernetesObject => ({
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  metadata: { name, namespace },
  spec: {
    serviceName: name,
    selector: { matchLabels: { 'app.kubernetes.io/name': name } },
    template: podTemplate(name),
    ...more,
  },
});

const job = (namespace: string, name: string, image: string): KubernetesObject => {
  const { metadata, spec } = podTemplate(name);
  const containers = spec.containers.map((container) => ({ ...container, image }));
  const template = { metadata, spec: { ...spec, containers, restartPolicy: 'Never' } };
  return { apiVersion: 'batch/v1', kind: 'Job', metadata: { name, namespace }, spec: { template } };
};

const paths: Readonly<Record<string, string>> = {
  ConfigMap: '/api/v1',
  Service: '/api/v1',
  PersistentVolumeClaim: '/api/v1',
  Deployment: '/apis/apps/v1',
  StatefulSet: '/apis/apps/v1',
  Job: '/apis/batch/v1',
};

/** Live objects by kind and name. */
const reader = (stand: Stand) => {
  const get = async (namespace: string, kind: string, name: string) =>
    (await stand.cluster.api('GET', `${paths[kind]}/namespaces/${namespace}/${kind.toLowerCase()}s/${name}`)).body;
  const uidOf = async (namespace: string, kind: string, name: string): Promise<string> =>
    (await get(namespace, kind, name)).metadata?.uid;
  return { get, uidOf };
};

describeStand('what cannot be changed is made anew', (stand) => {
  const { uidOf } = reader(stand);

  test.concurrent.for<[string, string, (ns: string) => KubernetesObject, (ns: string) => KubernetesObject, string]>([
    [
      'the selector of a Deployment',
      'Deployment',
      (ns) => deployment(ns, 'web'),
      (ns) =>
        deployment(
          ns,
          'web',
          { selector: { matchLabels: { a: 'b' } } },
          { ...podTemplate('web'), metadata: { labels: { a: 'b' } } },
        ),
      'spec.selector',
    ],
    [
      'the address of a Service',
      'Service',
      (ns) => service(ns, 'web'),
      (ns) => service(ns, 'web', { clusterIP: 'None' }),
      'spec.clusterIPs[0]',
    ],
    ['a Job', 'Job', (ns) => job(ns, 'web', 'a:1'), (ns) => job(ns, 'web', 'a:2'), 'spec.template'],
    [
      'the pods’ names of a StatefulSet',
      'StatefulSet',
      (ns) => set(ns, 'web', { podManagementPolicy: 'OrderedReady' }),
      (ns) => set(ns, 'web', { podManagementPolicy: 'Parallel' }),
      'spec',
    ],
    [
      'data that was declared immutable',
      'ConfigMap',
      (ns) => ({ ...configMap(ns, 'web', { a: '1' }), immutable: true }),
      (ns) => ({ ...configMap(ns, 'web', { a: '2' }), immutable: true }),
      'data',
    ],
  ])('%s', async ([, kind, before, after, field], { expect }) => {
    const project = stand.project();
    const { namespace } = project;
    await project.write([before(namespace), configMap(namespace, 'other', { a: '1' })]);
    await project.applied();
    const first = await uidOf(namespace, kind, 'web');
    const other = await uidOf(namespace, 'ConfigMap', 'other');
    await project.write([after(namespace), configMap(namespace, 'other', { a: '2' })]);
    await project.applied();
    expect(await uidOf(namespace, kind, 'web')).not.toBe(first);
    expect(await uidOf(namespace, 'ConfigMap', 'other')).toBe(other);
    const [report] = await project.reports();
    expect(report).toMatchObject({ kind: 'replaced', message: expect.stringContaining(`${field} cannot be changed`) });
    expect(await project.history()).toContain(`made anew: ${kind}/web`);
    expect(await project.question()).toBeUndefined();
  });

  test.concurrent('a StatefulSet hands its pods and claims over', async ({ expect }) => {
    const project = stand.project();
    const { namespace } = project;
    const withClaims = (size: string) =>
      set(namespace, 'db', {
        volumeClaimTemplates: [{ ...claim(namespace, 'data', size), metadata: { name: 'data' } }],
        template: podTemplate('db'),
      });
    await project.write([withClaims('1Gi')]);
    await project.until(({ phase, health }) => phase === 'applied' && health === 'healthy');
    const [first, data] = [
      await uidOf(namespace, 'StatefulSet', 'db'),
      await uidOf(namespace, 'PersistentVolumeClaim', 'data-db-0'),
    ];
    expect(data).toBeDefined();
    await project.write([withClaims('2Gi')]);
    await project.applied();
    expect(await uidOf(namespace, 'StatefulSet', 'db')).not.toBe(first);
    expect(await uidOf(namespace, 'PersistentVolumeClaim', 'data-db-0')).toBe(data);
  });

  test.concurrent('a policy keep forbids it', async ({ expect }) => {
    const project = stand.project();
    const { namespace } = project;
    const kept = (a: string): KubernetesObject => {
      const { metadata, ...map } = configMap(namespace, 'web', { a });
      return { ...map, metadata: { ...metadata, annotations: { 'plinth.dev/policy': 'keep' } }, immutable: true };
    };
    await project.write([kept('1')]);
    await project.applied();
    const first = await uidOf(namespace, 'ConfigMap', 'web');
    await project.write([kept('2')]);
    const { problem } = await project.until(({ phase }) => phase === 'failed');
    expect(problem?.detail).toContain('its policy keep forbids to make it anew');
    expect(await uidOf(namespace, 'ConfigMap', 'web')).toBe(first);
  });
});

describeStand('a crash between deleting an object and making it anew', (stand) => {
  test('the next process makes it', async () => {
    const { get } = reader(stand);
    const project = stand.project();
    const { namespace } = project;
    const fixed = (a: string) => ({ ...configMap(namespace, 'web', { a }), immutable: true });
    await project.write([fixed('1')]);
    await project.applied();
    await stand.restart(async () => {
      // What the last process did, without the record of it.
      await stand.cluster.api('DELETE', `/api/v1/namespaces/${namespace}/configmaps/web`);
      await project.write([fixed('2')]);
    });
    await project.applied();
    expect((await get(namespace, 'ConfigMap', 'web')).data).toEqual({ a: '2' });
  });
});

describeStand('what would lose data waits for a person', (stand) => {
  const { get, uidOf } = reader(stand);
  test('a claim waits for a yes, with all that uses it; then it is made anew', async () => {
    const project = stand.project();
    const { namespace } = project;
    const web = deployment(namespace, 'web', {}, mounting('web', 'data'));
    await project.write([claim(namespace, 'data', '2Gi'), web, configMap(namespace, 'other', { a: '1' })]);
    await project.until(({ phase, health }) => phase === 'applied' && health === 'healthy');
    const first = await uidOf(namespace, 'PersistentVolumeClaim', 'data');
    await project.write([claim(namespace, 'data', '1Gi'), web, configMap(namespace, 'other', { a: '2' })]);
    const asked = await project.until(({ phase }) => phase === 'needs-confirmation');
    expect(asked.problem).toBeUndefined();
    // Everything else went on, and nothing was deleted.
    await eventually(
      () => get(namespace, 'ConfigMap', 'other'),
      ({ data }) => data.a === '2',
    );
    expect(await uidOf(namespace, 'PersistentVolumeClaim', 'data')).toBe(first);
    // A restart forgets neither the question …
    await stand.restart();
    expect((await project.question())?.objects).toEqual([
      `replace v1 PersistentVolumeClaim ${namespace}/data (${first})`,
    ]);
    expect(await project.confirm()).toEqual([`replace v1 PersistentVolumeClaim ${namespace}/data (${first})`]);
    await project.applied();
    await project.until(({ phase, health }) => phase === 'applied' && health === 'healthy');
    const after = await get(namespace, 'PersistentVolumeClaim', 'data');
    expect(after.metadata.uid).not.toBe(first);
    expect(after.spec.resources.requests.storage).toBe('1Gi');
    expect(await project.question()).toBeUndefined();
  });
});
