import { afterAll, beforeAll, expect, test } from 'vitest';
import { Fault } from '#base/errors.ts';
import type { Fence, Runtime } from '#runtime/runtime.ts';
import { describeWithCluster } from '#support/cluster.ts';
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

const pathOf = (namespace: string, name: string) => `/api/v1/namespaces/${namespace}/configmaps/${name}`;

/** A lease that a test takes away. */
function lease(epoch: number): Fence & { lose(): void } {
  let lost = false;
  return {
    epoch,
    assert: () => {
      if (lost) throw new Fault('LEASE_LOST', { name: 'part' });
    },
    lose: () => {
      lost = true;
    },
  };
}

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'done',
    (error: unknown) => (Fault.is(error) ? error.code : String(error)),
  );

/**
 * The former holder's requests go through a door that keeps them on their way, as a stopped process or a slow network
 * does; the new holder goes straight to the API server.
 */
describeWithCluster('a writer that lost its lease', (cluster) => {
  let now: Watched;
  let proxy: ApiProxy;
  let before: Runtime;
  beforeAll(async () => {
    const found = await clusterOf(cluster().kubeconfig);
    now = await startRuntime(found);
    proxy = await startApiProxy(found);
    before = (await startRuntime(proxy.cluster, { installation: now.installation })).runtime;
  });
  afterAll(async () => {
    await Promise.all([now?.runtime.stop(), before?.stop()]);
    await proxy?.stop();
  });

  const emptyNamespace = async () => {
    const name = newNamespace();
    await now.runtime.apply(namespaceObject(name));
    await until(() => before.observed(name).length === 1);
    return name;
  };
  const get = async (namespace: string, name: string) => (await cluster().api('GET', pathOf(namespace, name))).body;

  /** Lets a writing request of the former holder leave, runs `meanwhile`, and lets it arrive then. */
  async function held(namespace: string, write: () => Promise<unknown>, meanwhile: () => Promise<unknown>) {
    const left = Promise.withResolvers<void>();
    const arrives = Promise.withResolvers<void>();
    proxy.hold((path, method) => {
      if (method === 'GET' || !path.includes(namespace)) return undefined;
      left.resolve();
      return arrives.promise;
    });
    const writing = codeOf(write());
    await left.promise;
    proxy.hold(() => undefined);
    await meanwhile();
    arrives.resolve();
    return await writing;
  }

  test('changes nothing with an update that was on its way', async () => {
    const namespace = await emptyNamespace();
    await now.runtime.apply(configMap(namespace, 'one', { a: '1' }));
    await until(() => before.observed(namespace).length === 2);
    const fence = lease(1);
    const said = await held(
      namespace,
      () => before.apply(configMap(namespace, 'one', { a: 'stale' }), { fence }),
      async () => {
        fence.lose();
        await now.runtime.apply(configMap(namespace, 'one', { a: 'new' }), { fence: lease(2) });
      },
    );
    expect(said).toBe('LEASE_LOST');
    expect((await get(namespace, 'one')).data).toEqual({ a: 'new' });
  });

  test('an update that another write overtook is sent again while the lease holds', async () => {
    const namespace = await emptyNamespace();
    await now.runtime.apply(configMap(namespace, 'one', { a: '1' }));
    await until(() => before.observed(namespace).length === 2);
    const said = await held(
      namespace,
      () => before.apply(configMap(namespace, 'one', { a: '2' }), { fence: lease(1) }),
      () => cluster().api('PATCH', pathOf(namespace, 'one'), { metadata: { labels: { a: 'b' } } }, mergeType),
    );
    expect(said).toBe('done');
    expect((await get(namespace, 'one')).data).toEqual({ a: '2' });
  });

  test('deletes nothing with a deletion that was on its way', async () => {
    const namespace = await emptyNamespace();
    const one = await now.runtime.apply(configMap(namespace, 'one', { a: '1' }));
    await until(() => before.observed(namespace).length === 2);
    const fence = lease(1);
    const said = await held(
      namespace,
      () => before.remove(one, { fence }),
      async () => {
        fence.lose();
        await now.runtime.apply(configMap(namespace, 'one', { a: 'wanted again' }), { fence: lease(2) });
      },
    );
    expect(said).toBe('LEASE_LOST');
    expect((await get(namespace, 'one')).metadata).toMatchObject({ uid: one.uid });
    expect((await get(namespace, 'one')).metadata.deletionTimestamp).toBeUndefined();
  });

  test('does not make anew what exists, and what it makes says under which lease', async () => {
    const namespace = await emptyNamespace();
    const fence = lease(1);
    const made = await held(
      namespace,
      () => before.apply(configMap(namespace, 'made', { a: 'stale' }), { fence }),
      async () => fence.lose(),
    );
    expect(made).toBe('done');
    expect(await until(() => now.find(namespace, 'ConfigMap', 'made'))).toMatchObject({ epoch: 1 });

    const second = lease(1);
    const refused = await held(
      namespace,
      () => before.apply(configMap(namespace, 'both', { a: 'stale' }), { fence: second }),
      async () => {
        second.lose();
        await now.runtime.apply(configMap(namespace, 'both', { a: 'new' }), { fence: lease(2) });
      },
    );
    expect(refused).toBe('LEASE_LOST');
    expect(await get(namespace, 'both')).toMatchObject({
      data: { a: 'new' },
      metadata: { annotations: { 'plinth.dev/epoch': '2' } },
    });
  });

  test('sends nothing at all any more, not even what waits for its credentials', async () => {
    const namespace = await emptyNamespace();
    const fence = lease(1);
    const credentials = {
      ...proxy.cluster.credentials,
      authorization: async () => {
        fence.lose(); // After everything was decided, before anything is written.
        return undefined;
      },
    };
    const { runtime } = createRuntime({ ...proxy.cluster, credentials }, { installation: now.installation });
    const sent = proxy.requests.length;
    expect(await codeOf(runtime.apply(namespaceObject(namespace), { fence }))).toBe('LEASE_LOST');
    expect(proxy.requests.slice(sent).filter((line) => !line.startsWith('GET') && line.includes(namespace))).toEqual(
      [],
    );
    await runtime.stop();
  });

  test('a deletion that the server puts off is asked for again each time, and sent only while it is meant', async () => {
    const namespace = await emptyNamespace();
    const one = await now.runtime.apply(configMap(namespace, 'one', { a: '1' }));
    await until(() => before.observed(namespace).length === 2);
    let meant = true;
    let looks = 0;
    const fence: Fence = {
      ...lease(1),
      look: async () => {
        looks += 1;
        if (!meant) throw new Fault('REVISION_MOVED', { branch: 'main', expected: 'before' });
      },
    };
    proxy.intercept((path, method) => {
      if (method !== 'DELETE' || !path.includes(namespace)) return undefined;
      meant = false; // Git wants it again while the server says: later.
      return { status: 429, body: '{"kind":"Status","code":429}', headers: { 'retry-after': '0.05' } };
    });
    const deletions = () => proxy.requests.filter((line) => line.startsWith('DELETE') && line.includes(namespace));
    expect(await codeOf(before.remove(one, { fence }))).toBe('REVISION_MOVED');
    proxy.intercept(() => undefined);
    expect(looks).toBe(2);
    expect(deletions()).toHaveLength(1);
    expect((await get(namespace, 'one')).metadata).toMatchObject({ uid: one.uid });
  });

  test('the epoch is noted once, stays as it is, and is no drift', async () => {
    const namespace = await emptyNamespace();
    const made = await now.runtime.apply(configMap(namespace, 'one', { a: '1' }), { fence: lease(3) });
    const again = await now.runtime.apply(configMap(namespace, 'one', { a: '1' }), { fence: lease(4) });
    expect(again).toMatchObject({ ownedDigest: made.ownedDigest, resourceVersion: made.resourceVersion, epoch: 3 });
    const changed = await now.runtime.apply(configMap(namespace, 'one', { a: '2' }), { fence: lease(4) });
    expect(changed.epoch).toBe(3);
    const shown = await until(() => {
      const live = now.find(namespace, 'ConfigMap', 'one');
      return live?.resourceVersion === changed.resourceVersion ? live : undefined;
    });
    expect(shown.ownedDigest).toBe(changed.ownedDigest);
  });
});

const mergeType = 'application/merge-patch+json';
