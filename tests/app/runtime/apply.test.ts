import { afterAll, beforeAll, expect, test } from 'vitest';
import { Fault } from '#base/errors.ts';
import type { KubernetesObject } from '#runtime/runtime.ts';
import { describeWithCluster, type SharedCluster } from '#support/cluster.ts';
import { startApiProxy } from './api-proxy.ts';
import {
  clusterOf,
  configMap,
  createRuntime,
  deployment,
  namespaceObject,
  newNamespace,
  startRuntime,
  until,
  type Watched,
} from './start-runtime.ts';

const applyType = 'application/apply-patch+yaml';
const mapPath = (namespace: string, name: string) => `/api/v1/namespaces/${namespace}/configmaps/${name}`;

/** What a fault says, for exact comparisons. */
async function faultOf(promise: Promise<unknown>): Promise<{ code: string; message: string }> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!Fault.is(error)) throw new Error(`no fault: ${error}`);
  return { code: error.code, message: error.message };
}

describeWithCluster('apply and remove', (cluster) => {
  let ours: Watched;
  let theirs: Watched;
  beforeAll(async () => {
    const found = await clusterOf(cluster().kubeconfig);
    [ours, theirs] = await Promise.all([startRuntime(found), startRuntime(found)]);
  });
  afterAll(async () => {
    await Promise.all([ours?.runtime.stop(), theirs?.runtime.stop()]);
  });

  /** A namespace of ours with nothing in it. */
  async function emptyNamespace(): Promise<string> {
    const name = newNamespace();
    await ours.runtime.apply(namespaceObject(name));
    return name;
  }

  test('makes an object in one request, with our label and field manager', async () => {
    const namespace = await emptyNamespace();
    const before = await ours.requests();
    const applied = await ours.runtime.apply(configMap(namespace, 'one', { a: '1' }));
    expect((await ours.requests())['apply 201']).toBe((before['apply 201'] ?? 0) + 1);
    expect((await ours.requests())['get 404']).toBe(before['get 404']);
    const { body } = await cluster().api('GET', mapPath(namespace, 'one'));
    expect(body.metadata.labels).toEqual({ 'plinth.dev/installation': ours.installation });
    expect(body.metadata.managedFields).toMatchObject([{ manager: 'plinth', operation: 'Apply' }]);
    expect(applied).toEqual({
      key: { apiVersion: 'v1', kind: 'ConfigMap', namespace, name: 'one' },
      uid: body.metadata.uid,
      resourceVersion: body.metadata.resourceVersion,
      ownedDigest: expect.stringMatching(/^[\w-]{43}$/),
      health: { state: 'healthy', reason: '' },
      deleting: false,
      installation: ours.installation,
      takenOver: [],
    });
    expect(ours.find(namespace, 'ConfigMap', 'one')?.uid).toBe(applied.uid);
  });

  test('labels pod templates, so that pods are found', async () => {
    const namespace = await emptyNamespace();
    await ours.runtime.apply(deployment(namespace, 'web'));
    const { body } = await cluster().api('GET', `/apis/apps/v1/namespaces/${namespace}/deployments/web`);
    expect(body.spec.template.metadata.labels).toEqual({
      'app.kubernetes.io/name': 'web',
      'plinth.dev/installation': ours.installation,
    });
  });

  test('applying the same again changes nothing and gives the same digest', async () => {
    const namespace = await emptyNamespace();
    const first = await ours.runtime.apply(configMap(namespace, 'same', { a: '1' }));
    const second = await ours.runtime.apply(configMap(namespace, 'same', { a: '1' }));
    expect(second).toEqual(first);
  });

  test('removes fields that are no longer wanted', async () => {
    const namespace = await emptyNamespace();
    await ours.runtime.apply(configMap(namespace, 'less', { a: '1', b: '2' }));
    await ours.runtime.apply(configMap(namespace, 'less', { a: '1' }));
    const { body } = await cluster().api('GET', mapPath(namespace, 'less'));
    expect(body.data).toEqual({ a: '1' });
  });

  test('names the manager and fields of a conflict, then takes the fields over', async () => {
    const namespace = await emptyNamespace();
    await ours.runtime.apply(configMap(namespace, 'both', { a: '1', b: '1' }));
    const foreign = { ...configMap(namespace, 'both', { a: '9' }) };
    await cluster().api('PATCH', `${mapPath(namespace, 'both')}?fieldManager=kubectl&force=true`, foreign, applyType);
    // Told before anything is taken: who throws there keeps it from happening.
    const told: unknown[] = [];
    const onConflicts = (conflicts: unknown) => {
      told.push(conflicts);
      throw new Error('not yet');
    };
    const early = ours.runtime.apply(configMap(namespace, 'both', { a: '1', b: '1' }), { onConflicts });
    await expect(early).rejects.toThrow('not yet');
    expect(told).toEqual([[{ manager: 'kubectl', fields: ['.data.a'] }]]);
    expect((await cluster().api('GET', mapPath(namespace, 'both'))).body.data.a).toBe('9');
    const applied = await ours.runtime.apply(configMap(namespace, 'both', { a: '1', b: '1' }));
    expect(applied.takenOver).toEqual([{ manager: 'kubectl', fields: ['.data.a'] }]);
    const { body } = await cluster().api('GET', mapPath(namespace, 'both'));
    expect(body.data).toEqual({ a: '1', b: '1' });
    expect((await ours.runtime.apply(configMap(namespace, 'both', { a: '1', b: '1' }))).takenOver).toEqual([]);
  });

  test('a dry run stores nothing and says what it would take over', async () => {
    const namespace = await emptyNamespace();
    const dry = await ours.runtime.apply(configMap(namespace, 'dry', { a: '1' }), { dryRun: true });
    expect(dry.takenOver).toEqual([]);
    expect((await cluster().api('GET', mapPath(namespace, 'dry'))).status).toBe(404);
    expect(ours.find(namespace, 'ConfigMap', 'dry')).toBeUndefined();

    const made = await ours.runtime.apply(configMap(namespace, 'dry', { a: '1' }));
    const foreign = configMap(namespace, 'dry', { a: '9' });
    await cluster().api('PATCH', `${mapPath(namespace, 'dry')}?fieldManager=kubectl&force=true`, foreign, applyType);
    const again = await ours.runtime.apply(configMap(namespace, 'dry', { a: '1' }), { dryRun: true });
    expect(again.takenOver).toEqual([{ manager: 'kubectl', fields: ['.data.a'] }]);
    expect(again.ownedDigest).toBe(made.ownedDigest);
    expect((await cluster().api('GET', mapPath(namespace, 'dry'))).body.data).toEqual({ a: '9' });
  });

  test.each<[string, (path: string) => Promise<unknown>, () => string]>([
    ['of another installation', async () => {}, () => `installation ${theirs.installation}`],
    ['of nobody', async (path) => await unlabel(cluster(), path), () => 'nobody that Plinth knows'],
  ])('an object %s is never touched', async (_, prepare, owner) => {
    const namespace = newNamespace();
    await theirs.runtime.apply(namespaceObject(namespace));
    await theirs.runtime.apply(configMap(namespace, 'theirs', { a: 'theirs' }));
    await cluster().api('PATCH', `/api/v1/namespaces/${namespace}`, installationLabel(ours.installation), mergeType);
    const path = mapPath(namespace, 'theirs');
    await prepare(path);
    const before = (await cluster().api('GET', path)).body;
    expect(await faultOf(ours.runtime.apply(configMap(namespace, 'theirs', { b: '2' })))).toEqual({
      code: 'OBJECT_FOREIGN',
      message: `v1 ConfigMap ${namespace}/theirs exists and belongs to ${owner()}; it is neither changed nor deleted.`,
    });
    const key = { apiVersion: 'v1', kind: 'ConfigMap', namespace, name: 'theirs' };
    if (owner() !== 'nobody that Plinth knows')
      expect(await ours.runtime.remove({ key, uid: before.metadata.uid })).toBe('foreign');
    expect((await cluster().api('GET', path)).body).toEqual(before);
  });

  test.each([['of another installation'], ['of nobody']])('nothing goes into a namespace %s', async (whose) => {
    const namespace = newNamespace();
    if (whose === 'of nobody') await cluster().api('POST', '/api/v1/namespaces', namespaceObject(namespace));
    else await theirs.runtime.apply(namespaceObject(namespace));
    const before = (await cluster().api('GET', `/api/v1/namespaces/${namespace}`)).body;
    const owner = whose === 'of nobody' ? 'nobody that Plinth knows' : `installation ${theirs.installation}`;
    const message = `v1 Namespace ${namespace} exists and belongs to ${owner}; it is neither changed nor deleted.`;
    expect(await faultOf(ours.runtime.apply(namespaceObject(namespace)))).toEqual({ code: 'OBJECT_FOREIGN', message });
    const inside = faultOf(ours.runtime.apply(configMap(namespace, 'one', {})));
    expect(await inside).toEqual({ code: 'OBJECT_FOREIGN', message });
    expect((await cluster().api('GET', `/api/v1/namespaces/${namespace}`)).body).toEqual(before);
    expect((await cluster().api('GET', mapPath(namespace, 'one'))).status).toBe(404);
  });

  test('an object that was given to another installation is not taken back', async () => {
    const namespace = await emptyNamespace();
    const { uid, key } = await ours.runtime.apply(configMap(namespace, 'given', { a: '1' }));
    await cluster().api('PATCH', mapPath(namespace, 'given'), installationLabel(theirs.installation), mergeType);
    expect((await faultOf(ours.runtime.apply(configMap(namespace, 'given', { a: '1' }), { uid }))).code).toBe(
      'OBJECT_FOREIGN',
    );
    expect(await ours.runtime.remove({ key, uid })).toBe('foreign');
  });

  test('an object that lost its label is ours by the uid of the inventory, and only by it', async () => {
    const namespace = await emptyNamespace();
    const { uid } = await ours.runtime.apply(configMap(namespace, 'bare', { a: '1' }));
    await unlabel(cluster(), mapPath(namespace, 'bare'));
    await until(() => ours.find(namespace, 'ConfigMap', 'bare') === undefined);
    expect((await faultOf(ours.runtime.apply(configMap(namespace, 'bare', { a: '1' })))).code).toBe('OBJECT_FOREIGN');
    const healed = await ours.runtime.apply(configMap(namespace, 'bare', { a: '1' }), { uid });
    expect(healed).toMatchObject({ uid, installation: ours.installation, takenOver: [] });
  });

  test('an object of ours that the memory does not show yet is found by its label', async () => {
    const found = await clusterOf(cluster().kubeconfig);
    const namespace = await emptyNamespace();
    const { uid } = await ours.runtime.apply(configMap(namespace, 'early', { a: '1' }));
    const fresh = createRuntime(found, { installation: ours.installation }).runtime;
    expect(await fresh.apply(configMap(namespace, 'early', { a: '2' }))).toMatchObject({ uid, takenOver: [] });
    await fresh.stop();
  });

  test('an object that was deleted and made anew by ourselves is applied to the new one', async () => {
    const namespace = await emptyNamespace();
    const first = await ours.runtime.apply(configMap(namespace, 'again', { a: '1' }));
    expect(await ours.runtime.remove(first)).toBe('deleted');
    await until(() => ours.find(namespace, 'ConfigMap', 'again') === undefined);
    const second = await ours.runtime.apply(configMap(namespace, 'again', { a: '1' }), { uid: first.uid });
    expect(second.uid).not.toBe(first.uid);
    expect(await ours.runtime.remove({ key: second.key, uid: first.uid })).toBe('foreign');
    expect((await cluster().api('GET', mapPath(namespace, 'again'))).body.metadata.uid).toBe(second.uid);
    expect(await ours.runtime.remove(second)).toBe('deleted');
    expect(await ours.runtime.remove(second)).toBe('gone');
  });

  test.each<[string, (namespace: string) => KubernetesObject, string]>([
    [
      'a field that the schema does not have',
      (namespace) => ({ ...configMap(namespace, 'odd', {}), dat: {} }),
      'failed to create typed patch object ({namespace}/odd; /v1, Kind=ConfigMap): .dat: field not declared in schema',
    ],
    [
      'a value that is not valid',
      (namespace) => configMap(namespace, 'odd', { 'a b': '1' }),
      'ConfigMap "odd" is invalid: data[a b]: Invalid value',
    ],
    [
      'a kind whose API the cluster lacks',
      (namespace) => ({
        apiVersion: 'gateway.networking.k8s.io/v1',
        kind: 'HTTPRoute',
        metadata: { name: 'odd', namespace },
      }),
      'the cluster has no gateway.networking.k8s.io/v1 HTTPRoute',
    ],
  ])('a refusal is final and says what the API server says: %s', async (_, objectIn, why) => {
    const namespace = await emptyNamespace();
    const object = objectIn(namespace);
    const fault = await faultOf(ours.runtime.apply(object));
    expect(fault.code).toBe(why.startsWith('the cluster has no') ? 'KIND_MISSING' : 'OBJECT_REFUSED');
    const start = `The API server refuses ${object.apiVersion} ${object.kind} ${namespace}/odd: `;
    expect(fault.message.startsWith(start + why.replace('{namespace}', namespace))).toBe(true);
  });

  test('a change of an immutable field says so, so that the caller may make the object anew', async () => {
    const namespace = await emptyNamespace();
    await ours.runtime.apply(deployment(namespace, 'fixed'));
    const changed = deployment(namespace, 'fixed', {
      selector: { matchLabels: { a: 'b' } },
      template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'main', image: 'a' }] } },
    });
    const error = await ours.runtime.apply(changed).catch((reason: unknown) => reason);
    expect(Fault.is(error, 'OBJECT_REFUSED') && error.data).toMatchObject({
      immutable: true,
      fields: ['spec.selector'],
    });
  });

  test('a namespace that does not exist is a reason to come back', async () => {
    const fault = await faultOf(ours.runtime.apply(configMap(newNamespace(), 'one', {})));
    expect(fault.code).toBe('NAMESPACE_TERMINATING');
  });

  test.each([['../../secrets'], ['a/b'], ['UPPER'], ['a?x=1'], ['..']])(
    'a name that is none is not sent: %s',
    async (name) => {
      const namespace = await emptyNamespace();
      expect((await faultOf(ours.runtime.apply(configMap(namespace, name, {})))).code).toBe('OBJECT_NOT_ALLOWED');
    },
  );

  test('a removal of what is on its way out already is accepted', async () => {
    const namespace = await emptyNamespace();
    const held = configMap(namespace, 'held', {});
    const { key, uid } = await ours.runtime.apply(held);
    const path = mapPath(namespace, 'held');
    await cluster().api('PATCH', path, { metadata: { finalizers: ['example.test/held'] } }, mergeType);
    expect(await ours.runtime.remove({ key, uid })).toBe('deleted');
    const deleting = await until(() => {
      const live = ours.find(namespace, 'ConfigMap', 'held');
      return live?.deleting === true ? live : undefined;
    });
    expect(deleting.health).toEqual({ state: 'progressing', reason: 'is being deleted; waits for example.test/held' });
    expect(await ours.runtime.remove({ key, uid })).toBe('deleted');
    await cluster().api('PATCH', path, { metadata: { finalizers: null } }, mergeType);
    await until(() => ours.find(namespace, 'ConfigMap', 'held') === undefined);
  });

  test('many at once in one namespace with a quota all arrive', async () => {
    const namespace = await emptyNamespace();
    const quota = {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'q', namespace },
      spec: { hard: { 'count/configmaps': '500' } },
    };
    await ours.runtime.apply(quota);
    const names = Array.from({ length: 100 }, (_, i) => `map-${i}`);
    await Promise.all(names.map((name) => ours.runtime.apply(configMap(namespace, name, { name }))));
    const live = ours.runtime.observed(namespace).filter(({ key }) => key.kind === 'ConfigMap');
    expect(live.map(({ key }) => key.name).sort()).toEqual([...names].sort());
  });

  test('an object that somebody changes all the time is a reason to come back, after a bounded number of requests', async () => {
    const proxy = await startApiProxy(await clusterOf(cluster().kubeconfig));
    const namespace = await emptyNamespace();
    const { runtime } = createRuntime(proxy.cluster, { installation: ours.installation });
    const body = JSON.stringify({
      kind: 'Status',
      code: 409,
      reason: 'Conflict',
      message: 'the object has been modified',
    });
    proxy.intercept((_, method) => (method === 'PATCH' ? { status: 409, body } : undefined));
    expect((await faultOf(runtime.apply(configMap(namespace, 'busy', {})))).code).toBe('OBJECT_CONFLICT');
    expect(proxy.requests.filter((line) => line.startsWith('PATCH'))).toHaveLength(6);
    await runtime.stop();
    await proxy.stop();
  });

  test('reads the live object, or says that there is none', async () => {
    const namespace = await emptyNamespace();
    const { key } = await ours.runtime.apply(configMap(namespace, 'read', { a: '1' }));
    expect(await ours.runtime.read(key)).toMatchObject({ kind: 'ConfigMap', data: { a: '1' } });
    expect(await ours.runtime.read({ ...key, name: 'none' })).toBeUndefined();
  });
});

const mergeType = 'application/merge-patch+json';
const installationLabel = (value: string | null) => ({ metadata: { labels: { 'plinth.dev/installation': value } } });
const unlabel = (cluster: SharedCluster, path: string) =>
  cluster.api('PATCH', path, installationLabel(null), mergeType);
