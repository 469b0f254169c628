import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Cluster } from '#runtime/kubernetes/connect.ts';
import { describeWithCluster, missing, startTestCluster, type TestCluster } from '#support/cluster.ts';
import { describeUnless } from '#support/missing.ts';
import { type ApiProxy, startApiProxy } from './api-proxy.ts';
import {
  clusterOf,
  configMap,
  createRuntime,
  namespaceObject,
  newNamespace,
  startRuntime,
  until,
  type Watched,
} from './start-runtime.ts';

const mapPath = (namespace: string, name: string) => `/api/v1/namespaces/${namespace}/configmaps/${name}`;
const merge = 'application/merge-patch+json';

describeWithCluster('a watch behind a bad network', (cluster) => {
  let direct: Cluster;
  let proxy: ApiProxy;
  let ours: Watched;
  beforeAll(async () => {
    direct = await clusterOf(cluster().kubeconfig);
  });
  afterEach(async () => {
    await ours?.runtime.stop();
    await proxy?.stop();
  });

  async function startBehindProxy(options: { readonly watchIdleMs?: number } = {}): Promise<string> {
    proxy = await startApiProxy(direct);
    ours = await startRuntime(proxy.cluster, options);
    const namespace = newNamespace();
    await ours.runtime.apply(namespaceObject(namespace));
    await ours.runtime.apply(configMap(namespace, 'one', { a: '1' }));
    await ours.runtime.apply(configMap(namespace, 'two', { a: '1' }));
    return namespace;
  }

  /** Changes one object and deletes another while the runtime may not look. */
  async function editBehindItsBack(namespace: string): Promise<void> {
    await cluster().api('PATCH', mapPath(namespace, 'one'), { data: { a: '2' } }, merge);
    await cluster().api('DELETE', mapPath(namespace, 'two'));
  }

  const seesTheEdit = (namespace: string, digest: string | undefined) =>
    until(
      () =>
        ours.find(namespace, 'ConfigMap', 'one')?.ownedDigest !== digest &&
        ours.find(namespace, 'ConfigMap', 'two') === undefined,
    );

  const listings = () =>
    proxy.requests.filter((line) => line.includes('configmaps?') && line.includes('sendInitialEvents'));

  test('resumes from the last version after every connection was cut', async () => {
    const namespace = await startBehindProxy();
    const digest = ours.find(namespace, 'ConfigMap', 'one')?.ownedDigest;
    proxy.cut();
    await editBehindItsBack(namespace);
    await seesTheEdit(namespace, digest);
    expect(listings()).toHaveLength(1);
  });

  test('notices that a connection went silent, and resumes', async () => {
    const namespace = await startBehindProxy({ watchIdleMs: 1500 });
    const digest = ours.find(namespace, 'ConfigMap', 'one')?.ownedDigest;
    proxy.silence();
    await editBehindItsBack(namespace);
    await seesTheEdit(namespace, digest);
    expect(listings()).toHaveLength(1);
  });

  test.each<[string, (status: string) => { status: number; body: string }]>([
    ['at once', (body) => ({ status: 410, body })],
    ['as an event', (body) => ({ status: 200, body: `{"type":"ERROR","object":${body}}\n` })],
  ])('lists again when its version is forgotten, said %s', async (_, answer) => {
    const namespace = await startBehindProxy();
    const digest = ours.find(namespace, 'ConfigMap', 'one')?.ownedDigest;
    const gone =
      '{"kind":"Status","apiVersion":"v1","code":410,"reason":"Expired","message":"too old resource version"}';
    let told = 0;
    proxy.intercept((path) => {
      if (!path.includes('/configmaps?watch=1') || path.includes('sendInitialEvents')) return undefined;
      told += 1;
      return answer(gone);
    });
    proxy.cut();
    await editBehindItsBack(namespace);
    await seesTheEdit(namespace, digest);
    expect(told).toBeGreaterThan(0);
    expect(listings().length).toBeGreaterThan(1);
  });

  test('lists in pages where the server streams no lists', async () => {
    proxy = await startApiProxy(direct);
    const refusal = { kind: 'Status', code: 422, reason: 'Invalid', message: 'sendInitialEvents is forbidden' };
    proxy.intercept((path) =>
      path.includes('sendInitialEvents') ? { status: 422, body: JSON.stringify(refusal) } : undefined,
    );
    ours = await startRuntime(proxy.cluster);
    const namespace = newNamespace();
    await ours.runtime.apply(namespaceObject(namespace));
    await ours.runtime.apply(configMap(namespace, 'one', { a: '1' }));
    await ours.runtime.apply(configMap(namespace, 'two', { a: '1' }));
    const digest = ours.find(namespace, 'ConfigMap', 'one')?.ownedDigest;
    await editBehindItsBack(namespace);
    await seesTheEdit(namespace, digest);
    expect(proxy.requests.some((line) => line.includes('/configmaps?limit=500'))).toBe(true);
  });

  test('reads events that arrive in pieces of any size', async () => {
    proxy = await startApiProxy(direct);
    proxy.chop(7);
    ours = await startRuntime(proxy.cluster);
    const namespace = newNamespace();
    await ours.runtime.apply(namespaceObject(namespace));
    const names = Array.from({ length: 30 }, (_, i) => `ä-${i}`);
    await Promise.all(names.map((text, i) => ours.runtime.apply(configMap(namespace, `map-${i}`, { text }))));
    await cluster().api('PATCH', mapPath(namespace, 'map-29'), { data: { text: 'ü' } }, merge);
    const digests = new Set(ours.runtime.observed(namespace).map(({ ownedDigest }) => ownedDigest));
    expect(digests.size).toBe(31);
    await until(() => ours.changes.includes(namespace));
  });

  test('a kind that the cluster refuses to show is told, and does not hurt the others', async () => {
    proxy = await startApiProxy(direct);
    const refusal = { kind: 'Status', code: 403, reason: 'Forbidden', message: 'services is forbidden' };
    proxy.intercept((path) =>
      path.includes('/services?') ? { status: 403, body: JSON.stringify(refusal) } : undefined,
    );
    const { runtime } = createRuntime(proxy.cluster);
    let changed = 0;
    runtime.start({ changed: () => (changed += 1), state: () => {} });
    try {
      const namespace = newNamespace();
      await until(() => runtime.state().reason.includes('403'));
      expect(runtime.state()).toEqual({
        connected: false,
        complete: false,
        reason: 'watching services is refused (403): services is forbidden',
      });
      await runtime.apply(namespaceObject(namespace));
      await runtime.apply(configMap(namespace, 'one', { a: '1' }));
      await cluster().api('PATCH', mapPath(namespace, 'one'), { data: { a: '2' } }, merge);
      await until(() => changed > 0);
      proxy.intercept(() => undefined);
      await until(() => runtime.state().complete && runtime.state().connected);
    } finally {
      await runtime.stop();
    }
  });

  test('an API that the cluster lacks is no fault, and is not asked for over and over', async () => {
    await startBehindProxy();
    expect(ours.runtime.state()).toEqual({ connected: true, complete: true, reason: '' });
    expect(proxy.requests.filter((line) => line.includes('httproutes'))).toHaveLength(1);
    // But nobody takes what is of this kind for gone, nor what is of a kind that is not listed.
    const why = (apiVersion: string, kind: string) => ours.runtime.unseenBecause({ apiVersion, kind });
    expect(why('gateway.networking.k8s.io/v1', 'HTTPRoute')).toBe(
      'the cluster does not serve its kind, or does not show it to us',
    );
    expect(why('acme.example/v1', 'Service')).toBe('environment.yaml does not list its kind');
    expect(why('v1', 'Service')).toBeUndefined();
  });
});

describeUnless(missing(), 'a watch over an API server that comes and goes', () => {
  let own: TestCluster;
  beforeAll(async () => {
    own = await startTestCluster({ storage: false });
  });
  afterAll(async () => {
    await own?.stop();
  });

  test('survives its death and return, with everything that happened at the end', async () => {
    const ours = await startRuntime(await clusterOf(own.kubeconfig));
    const namespace = newNamespace();
    await ours.runtime.apply(namespaceObject(namespace));
    const { ownedDigest } = await ours.runtime.apply(configMap(namespace, 'one', { a: '1' }));

    await own.processes.signal('kube-apiserver', 'SIGKILL');
    await until(() => !ours.runtime.state().connected);
    expect(ours.runtime.state().reason).toBe(`nothing listens at ${own.url}`);
    expect(ours.find(namespace, 'ConfigMap', 'one')?.ownedDigest).toBe(ownedDigest);
    const refused = await ours.runtime
      .apply(configMap(namespace, 'one', { a: '2' }))
      .catch((error: Error) => error.message);
    expect(refused).toBe(`Cluster plinth-local cannot be used: nothing listens at ${own.url}.`);

    own.processes.restart('kube-apiserver');
    await own.ready();
    await own.api('PATCH', mapPath(namespace, 'one'), { data: { a: '3' } }, merge);
    await until(() => ours.runtime.state().connected);
    await until(() => ours.find(namespace, 'ConfigMap', 'one')?.ownedDigest !== ownedDigest);
    await until(() => ours.runtime.state().complete);
    expect(ours.runtime.state()).toEqual({ connected: true, complete: true, reason: '' });
    await ours.runtime.stop();
  });

  test('starts before the API server does', async () => {
    await own.processes.signal('kube-apiserver', 'SIGKILL');
    const { runtime } = createRuntime(await clusterOf(own.kubeconfig));
    runtime.start({ changed: () => {}, state: () => {} });
    await until(() => runtime.state().reason.includes('nothing listens'));
    expect(runtime.state()).toMatchObject({ connected: false, complete: false });
    own.processes.restart('kube-apiserver');
    await until(() => runtime.state().complete);
    expect(runtime.state()).toEqual({ connected: true, complete: true, reason: '' });
    await runtime.stop();
  });

  test('an API server that hangs is noticed, and used again when it wakes', async () => {
    const ours = await startRuntime(await clusterOf(own.kubeconfig), { watchIdleMs: 1500 });
    const namespace = newNamespace();
    await ours.runtime.apply(namespaceObject(namespace));
    const { ownedDigest } = await ours.runtime.apply(configMap(namespace, 'one', { a: '1' }));
    await own.processes.signal('kube-apiserver', 'SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, 3000));
    await own.processes.signal('kube-apiserver', 'SIGCONT');
    await own.api('PATCH', mapPath(namespace, 'one'), { data: { a: '3' } }, merge);
    await until(() => ours.find(namespace, 'ConfigMap', 'one')?.ownedDigest !== ownedDigest);
    await until(() => ours.runtime.state().connected);
    await ours.runtime.stop();
  });

  test('a store that was restored, and so counts from lower again, is listed anew', async () => {
    const ours = await startRuntime(await clusterOf(own.kubeconfig));
    const namespace = newNamespace();
    await ours.runtime.apply(namespaceObject(namespace));
    await ours.runtime.apply(configMap(namespace, 'lost', { a: '1' }));
    const other = { ...namespaceObject(newNamespace()) };
    await own.processes.signal('kube-apiserver', 'SIGKILL');
    await own.processes.signal('etcd', 'SIGKILL');
    rmSync(join(own.directory, 'etcd'), { recursive: true });
    own.processes.restart('etcd');
    own.processes.restart('kube-apiserver');
    await own.ready();
    await until(() => ours.runtime.observed(namespace).length === 0);
    await until(() => ours.runtime.state().complete && ours.runtime.state().connected);
    await ours.runtime.apply(other);
    expect(ours.find(other.metadata.name, 'Namespace', other.metadata.name)?.health.state).toBe('healthy');
    await ours.runtime.stop();
  });
});
