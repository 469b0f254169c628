import { afterAll, beforeAll, expect, test } from 'vitest';
import { ownedDigest } from '#runtime/kubernetes/owned.ts';
import { describeWithCluster } from '#support/cluster.ts';
import {
  clusterOf,
  configMap,
  deployment,
  namespaceObject,
  newNamespace,
  startRuntime,
  until,
  type Watched,
} from './start-runtime.ts';

const merge = 'application/merge-patch+json';
const apply = 'application/apply-patch+yaml';

describeWithCluster('drift', (cluster) => {
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

  /** Resolves once the watch has shown an object at this version or a later one. */
  const shown = (namespace: string, kind: string, name: string, version: string) =>
    until(() => {
      const live = ours.find(namespace, kind, name);
      return live !== undefined && Number(live.resourceVersion) >= Number(version) ? live : undefined;
    });

  const web = (namespace: string) => deployment(namespace, 'web', {}, undefined);

  test.each<[string, object, string]>([
    ['an edit of a field', { data: { a: '2' } }, merge],
    ['a removed field', { data: { a: null } }, merge],
    ['a label that is taken away', { metadata: { labels: { mine: null } } }, merge],
    ['an annotation that is changed', { metadata: { annotations: { mine: 'theirs' } } }, merge],
  ])('%s is drift, and applying again brings the old digest back', async (_, patch, type) => {
    const namespace = await emptyNamespace();
    const wanted = {
      ...configMap(namespace, 'one', { a: '1', b: '1' }),
      metadata: { name: 'one', namespace, labels: { mine: 'yes' }, annotations: { mine: 'yes' } },
    };
    const applied = await ours.runtime.apply(wanted);
    await cluster().api(
      'PATCH',
      `/api/v1/namespaces/${namespace}/configmaps/one?fieldManager=kubectl-edit`,
      patch,
      type,
    );
    await until(() => ours.find(namespace, 'ConfigMap', 'one')?.ownedDigest !== applied.ownedDigest);
    expect(ours.changes).toContain(namespace);
    expect((await ours.runtime.apply(wanted)).ownedDigest).toBe(applied.ownedDigest);
  });

  test('an edit that sets the same value again, and so shares a field, changes nothing for us', async () => {
    const namespace = await emptyNamespace();
    const applied = await ours.runtime.apply(configMap(namespace, 'one', { a: '1' }));
    const path = `/api/v1/namespaces/${namespace}/configmaps/one?fieldManager=other`;
    const { body } = await cluster().api('PATCH', path, configMap(namespace, 'one', { a: '1' }), apply);
    const live = await shown(namespace, 'ConfigMap', 'one', body.metadata.resourceVersion);
    expect(live.ownedDigest).toBe(applied.ownedDigest);
  });

  test('a foreign edit inside a list is drift: image, argument, port, variable', async () => {
    const namespace = await emptyNamespace();
    const applied = await ours.runtime.apply(web(namespace));
    const path = `/apis/apps/v1/namespaces/${namespace}/deployments/web`;
    const image = { spec: { template: { spec: { containers: [{ name: 'main', image: 'example.test/evil:1' }] } } } };
    await cluster().api('PATCH', path, image, 'application/strategic-merge-patch+json');
    await until(() => ours.find(namespace, 'Deployment', 'web')?.ownedDigest !== applied.ownedDigest);
  });

  test('defaulting, status, rollout and fields of others are no drift', async () => {
    const namespace = await emptyNamespace();
    const applied = await ours.runtime.apply(web(namespace));
    const path = `/apis/apps/v1/namespaces/${namespace}/deployments/web`;
    await until(() => ours.find(namespace, 'Deployment', 'web')?.health.state === 'healthy');
    const scaled = await cluster().api('PATCH', `${path}/scale`, { spec: { replicas: 3 } }, merge);
    expect(scaled.status).toBe(200);
    const more = { metadata: { annotations: { theirs: '1' }, labels: { theirs: '1' } }, spec: { minReadySeconds: 1 } };
    const { body } = await cluster().api('PATCH', path, more, merge);
    const live = await shown(namespace, 'Deployment', 'web', body.metadata.resourceVersion);
    expect(body.spec.replicas).toBe(3);
    expect(live.ownedDigest).toBe(applied.ownedDigest);
  });

  test('a scale by hand is drift where we own the replicas', async () => {
    const namespace = await emptyNamespace();
    const applied = await ours.runtime.apply(deployment(namespace, 'web', { replicas: 1 }));
    await cluster().api(
      'PATCH',
      `/apis/apps/v1/namespaces/${namespace}/deployments/web/scale`,
      { spec: { replicas: 0 } },
      merge,
    );
    await until(() => ours.find(namespace, 'Deployment', 'web')?.ownedDigest !== applied.ownedDigest);
    expect((await ours.runtime.apply(deployment(namespace, 'web', { replicas: 1 }))).ownedDigest).toBe(
      applied.ownedDigest,
    );
  });

  test('a deletion takes the record away and is told', async () => {
    const namespace = await emptyNamespace();
    const { key } = await ours.runtime.apply(configMap(namespace, 'gone', {}));
    ours.changes.length = 0;
    await cluster().api('DELETE', `/api/v1/namespaces/${namespace}/configmaps/${key.name}`);
    await until(() => ours.find(namespace, 'ConfigMap', 'gone') === undefined);
    expect(ours.changes.filter((name) => name === namespace)).toEqual([namespace]);
  });

  test('a lost installation label looks like a deletion', async () => {
    const namespace = await emptyNamespace();
    await ours.runtime.apply(configMap(namespace, 'bare', {}));
    const patch = { metadata: { labels: { 'plinth.dev/installation': null } } };
    await cluster().api('PATCH', `/api/v1/namespaces/${namespace}/configmaps/bare`, patch, merge);
    await until(() => ours.find(namespace, 'ConfigMap', 'bare') === undefined);
  });

  test('our own applies are no news, and nothing is asked while nothing changes', async () => {
    const namespace = await emptyNamespace();
    const maps = Array.from({ length: 20 }, (_, i) => configMap(namespace, `map-${i}`, { i: String(i) }));
    ours.changes.length = 0;
    await Promise.all(maps.map((object) => ours.runtime.apply(object)));
    await Promise.all(maps.map((object) => ours.runtime.apply({ ...object, data: { changed: 'yes' } })));
    // Another's object in the same namespace comes last, so its event shows that all of ours have passed.
    const { body } = await cluster().api(
      'PATCH',
      `/api/v1/namespaces/${namespace}/configmaps/map-0?fieldManager=x`,
      { data: { z: '1' } },
      merge,
    );
    await shown(namespace, 'ConfigMap', 'map-0', body.metadata.resourceVersion);
    expect(ours.changes.filter((name) => name === namespace)).toEqual([]);

    const before = await ours.requests();
    for (let i = 0; i < 50; i++) ours.runtime.observed(namespace);
    expect(await ours.requests()).toEqual(before);
  });

  test('the digest is the same for the answer to an apply, a read, and the watch', async () => {
    const namespace = await emptyNamespace();
    const applied = await ours.runtime.apply(web(namespace));
    const { body } = await cluster().api('GET', `/apis/apps/v1/namespaces/${namespace}/deployments/web`);
    expect(ownedDigest(body)).toBe(applied.ownedDigest);
    expect(ours.find(namespace, 'Deployment', 'web')?.ownedDigest).toBe(applied.ownedDigest);
    expect(ownedDigest({ ...body, metadata: { ...body.metadata, managedFields: [] } })).toBe('');
  });
});
