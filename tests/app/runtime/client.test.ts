import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { type Client, createClient } from '#runtime/kubernetes/client.ts';
import type { Cluster } from '#runtime/kubernetes/connect.ts';
import type { Credentials } from '#runtime/kubernetes/credentials.ts';
import { describeWithCluster } from '#support/cluster.ts';
import { type ApiProxy, startApiProxy } from './api-proxy.ts';
import { clusterOf } from './start-runtime.ts';

describeWithCluster('the client', (cluster) => {
  let direct: Cluster;
  let proxy: ApiProxy;
  let client: Client;
  let seen: string[];
  beforeAll(async () => {
    direct = await clusterOf(cluster().kubeconfig);
  });
  beforeEach(async () => {
    proxy = await startApiProxy(direct);
    seen = [];
    client = clientWith(proxy.cluster.credentials);
  });
  afterEach(async () => {
    await client?.close();
    await proxy?.stop();
  });

  const clientWith = (credentials: Credentials) =>
    createClient({
      cluster: 'test',
      server: proxy.cluster.server,
      credentials,
      clock: systemClock,
      onRequest: (verb, status) => seen.push(`${verb} ${status}`),
    });

  const path = '/api/v1/namespaces/default';
  const status = (code: number, message: string) => JSON.stringify({ kind: 'Status', code, message });
  const messageOf = (promise: Promise<unknown>) => promise.then(String, (error: Error) => error.message);

  test('counts every request by verb and status', async () => {
    expect((await client.request('GET', path)).status).toBe(200);
    expect((await client.request('GET', `${path}-none`)).status).toBe(404);
    expect((await client.request('DELETE', `${path}-none`)).status).toBe(404);
    expect(seen).toEqual(['get 200', 'get 404', 'delete 404']);
  });

  test('keeps its connection, and sends again when the server closed it meanwhile', async () => {
    await client.request('GET', path);
    proxy.cut();
    expect((await client.request('GET', path)).status).toBe(200);
    expect(proxy.requests).toHaveLength(2);
  });

  test('429 is obeyed, tried again, and in the end told', async () => {
    let refusals = 2;
    proxy.intercept(() =>
      refusals-- > 0 ? { status: 429, body: status(429, 'slow down'), headers: { 'retry-after': '0.05' } } : undefined,
    );
    expect((await client.request('GET', path)).status).toBe(200);
    expect(seen).toEqual(['get 429', 'get 429', 'get 200']);

    refusals = Number.POSITIVE_INFINITY;
    const message = await messageOf(client.request('GET', path));
    expect(message).toBe('Cluster test cannot be used: it asks for fewer requests (429): slow down.');
    expect(seen).toHaveLength(3 + 4);
  });

  test('an answer that says nothing of the object is tried again a few times, then told', async () => {
    proxy.intercept(() => ({ status: 500, body: status(500, 'etcdserver: leader changed') }));
    const message = await messageOf(client.request('GET', path));
    expect(message).toBe('Cluster test cannot be used: it answers 500: etcdserver: leader changed.');
    expect(seen).toEqual(['get 500', 'get 500', 'get 500', 'get 500']);
  });

  test('an answer that is cut off, and a built-in group that is not served, say nothing of the object', async () => {
    let wrong = [
      { status: 200, body: '{"kind":"Namespace","metadata":{"na' },
      { status: 404, body: '404 page not found' },
    ];
    proxy.intercept(() => wrong.shift());
    expect(await client.request('GET', path)).toMatchObject({ status: 200, body: { kind: 'Namespace' } });
    expect(seen).toEqual(['get 200', 'get 404', 'get 200']);
    wrong = [{ status: 404, body: '404 page not found' }];
    const extension = '/apis/gateway.networking.k8s.io/v1/httproutes';
    expect(await client.request('GET', extension)).toMatchObject({ status: 404, body: '404 page not found' });
    expect(seen).toHaveLength(4);
  });

  test('a server that is not there is told after a few tries', async () => {
    await proxy.stop();
    const message = await messageOf(client.request('GET', path));
    expect(message).toBe(`Cluster test cannot be used: nothing listens at ${proxy.cluster.server}.`);
    expect(seen).toEqual(['get 0', 'get 0', 'get 0', 'get 0']);
    proxy = await startApiProxy(direct);
  });

  test('a server that accepts and never answers is given up', async () => {
    await client.request('GET', path);
    const message = await messageOf(
      client.request('GET', '/api/v1/pods?watch=1&resourceVersion=0', { timeoutMs: 300 }),
    );
    expect(message).toBe(`Cluster test cannot be used: ${proxy.cluster.server} has gone silent.`);
  });

  test('credentials that are refused are read again before giving up', async () => {
    let token = 'old';
    let reads = 0;
    proxy.intercept(() => (token === 'old' ? { status: 401, body: status(401, 'Unauthorized') } : undefined));
    const credentials: Credentials = {
      tls: () => ({}),
      authorization: () => undefined,
      refresh: async () => {
        reads += 1;
        token = 'new';
        return reads === 1;
      },
    };
    const other = clientWith(credentials);
    expect((await other.request('GET', path)).status).toBe(200);
    expect(seen).toEqual(['get 401', 'get 200']);
    token = 'old';
    reads = 5;
    proxy.intercept(() => ({ status: 401, body: status(401, 'Unauthorized') }));
    expect(await messageOf(other.request('GET', path))).toMatch(
      /^Cluster test cannot be used: it does not know our credentials \(401\)/,
    );
    await other.close();
  });

  test('an abort ends a request at once with the given reason', async () => {
    const stop = new AbortController();
    const watching = client.request('GET', '/api/v1/pods?watch=1', { signal: stop.signal });
    setTimeout(() => stop.abort(new Error('stopped')), 20);
    expect(await messageOf(watching)).toBe('stopped');
    await expect(client.request('GET', path, { signal: stop.signal })).rejects.toThrow('stopped');
  });

  test('a server below a path prefix is reached', async () => {
    await client.close();
    client = createClient({
      cluster: 'test',
      server: `${proxy.cluster.server}/api/`,
      credentials: proxy.cluster.credentials,
      clock: systemClock,
      onRequest: () => {},
    });
    expect((await client.request('GET', '/v1/namespaces/default')).status).toBe(200);
    expect(proxy.requests).toEqual(['GET /api/v1/namespaces/default']);
  });
});
