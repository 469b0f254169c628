import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { missing, startTestCluster, type TestCluster } from '#support/cluster.ts';
import { type ControlPlane, startControlPlane } from '#support/control-plane.ts';
import { describeUnless } from '#support/missing.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';
import { endOf, eventually, projectPath, put, run, smallest } from '#support/walk.ts';

describeUnless(missing(), 'what goes on when a part is out', () => {
  const directory = useTemporaryDirectory('plinth-outage');
  let cluster: TestCluster;
  let plinth: ControlPlane;
  const name = 'outages/web-shop';
  const api = projectPath(name);
  const objects = '/apis/apps/v1/namespaces/local--outages--web-shop/deployments/web';
  const yaml = (image: string) => smallest.replace('nginxinc/nginx-unprivileged:1.29', image);
  const imageOf = async () => (await cluster.api('GET', objects)).body.spec?.template.spec.containers[0].image;
  const uids = async () => {
    const { items } = (await plinth.request('GET', `${api}/objects`)).body;
    return items.map(({ kind, name: object, uid }: Record<string, string>) => `${kind} ${object} ${uid}`).sort();
  };
  const edit = (image: string) =>
    cluster.api(
      'PATCH',
      objects,
      { spec: { template: { spec: { containers: [{ name: 'web', image }] } } } },
      'application/strategic-merge-patch+json',
    );
  const settled = (revision: string) =>
    plinth.until(
      api,
      (body) => body.appliedRevision === revision && body.phase === 'applied' && body.health === 'healthy',
    );

  /**
   * The API server comes back, and those that roll out with it: who found it away pauses longer after each try, up to
   * half a minute, which on a busy machine is all the time that a rollout has here.
   */
  const bringBack = async () => {
    cluster.processes.restart('kube-apiserver');
    await cluster.ready();
    for (const part of ['kube-controller-manager', 'kube-scheduler']) {
      await cluster.processes.signal(part, 'SIGKILL');
      cluster.processes.restart(part);
    }
  };

  beforeAll(async () => {
    cluster = await startTestCluster({ audit: true, storage: false });
    plinth = await startControlPlane({
      dataDirectory: join(directory, 'data'),
      environment: { KUBECONFIG: cluster.kubeconfig },
    });
    await run(plinth, name, yaml('nginx:1'));
  });
  afterAll(async () => {
    await plinth?.stop();
    await cluster?.stop();
  });

  test('the API server is down: a PUT is accepted, says what it waits for, and is applied when it is back', async () => {
    await cluster.processes.signal('kube-apiserver', 'SIGKILL');
    const { revision } = await put(plinth, name, yaml('nginx:2'));
    const waiting = await plinth.until(api, ({ phase }) => phase === 'waiting');
    expect(waiting).toMatchObject({ revision, health: 'unknown', problem: { code: 'RUNTIME_UNAVAILABLE' } });
    expect(waiting.problem.detail).toMatch(/cannot be used: .+/);
    expect(waiting.appliedRevision).not.toBe(revision);
    const environment = (await plinth.request('GET', '/api/v1/environments/local')).body;
    expect(environment.runtime).toMatchObject({ connected: false, reason: expect.stringMatching(/.+/) });
    const ready = await plinth.request('GET', '/ready');
    expect([ready.status, ready.body.clusters.local.ok]).toEqual([200, false]);
    await bringBack();
    expect((await settled(revision)).problem).toBe(null);
    expect(await imageOf()).toBe('nginx:2');
  });

  test('the API server ends and comes back while nothing is to do: nothing is lost, and drift is healed afterwards', async () => {
    const before = await uids();
    const calls = await cluster.auditLog?.entries();
    await cluster.processes.signal('kube-apiserver', 'SIGKILL');
    await plinth.until(api, ({ health }) => health === 'unknown');
    await bringBack();
    await plinth.until(api, ({ phase, health }) => phase === 'applied' && health === 'healthy');
    expect(await uids()).toEqual(before);
    const since = ((await cluster.auditLog?.entries()) ?? []).slice(calls?.length);
    expect(since.filter(({ verb }) => verb === 'patch' || verb === 'delete')).toEqual([]);
    await edit('evil:1');
    await eventually(imageOf, (image) => image === 'nginx:2');
    await cluster.api('DELETE', objects);
    await eventually(imageOf, (image) => image === 'nginx:2');
  });

  test('PostgreSQL is killed: requests fail with 503 meanwhile, then everything goes on', async () => {
    const postmaster = Number(
      readFileSync(join(directory, 'data/postgres/data/postmaster.pid'), 'utf8').split('\n')[0],
    );
    const accepted = await plinth.request('PUT', api, yaml('nginx:3'));
    process.kill(postmaster, 'SIGKILL');
    const seen = new Map<number, string>();
    await eventually(async () => {
      const answer = await plinth.request('GET', api);
      seen.set(answer.status, answer.body.code);
      return seen.has(503) && answer.status === 200;
    }, Boolean);
    expect([...seen.keys()].sort()).toEqual([200, 503]);
    expect(seen.get(503)).toBe('DATABASE_UNAVAILABLE');
    const first = await endOf(plinth, accepted);
    expect(first.state).toBe('committed');
    await settled(first.revision);
    await edit('evil:1');
    await eventually(imageOf, (image) => image === 'nginx:3');
    const { revision } = await put(plinth, name, yaml('nginx:4'));
    await settled(revision);
    expect(await imageOf()).toBe('nginx:4');
  });

  test('PostgreSQL is killed while a change is written: it is neither lost nor written twice', async () => {
    for (let round = 0; round < 4; round++) {
      const pid = Number(readFileSync(join(directory, 'data/postgres/data/postmaster.pid'), 'utf8').split('\n')[0]);
      const image = `nginx:round-${round}`;
      const accepted = await plinth.request('PUT', api, yaml(image));
      await sleep(round * 8);
      process.kill(pid, 'SIGKILL');
      await eventually(
        () => plinth.request('GET', `/api/v1/changes/${accepted.body.id}`),
        ({ body }) => body.state === 'committed',
      );
      await eventually(imageOf, (live) => live === image);
    }
    const { items } = await plinth.until('/api/v1/changes?team=outages&limit=500', () => true);
    const revisions = items
      .filter(({ state }: { state: string }) => state === 'committed')
      .map(({ revision }: { revision: string }) => revision);
    expect(new Set(revisions).size).toBe(revisions.length);
  });

  test('nothing was ever deleted', async () => {
    const deletes = ((await cluster.auditLog?.entries()) ?? []).filter(({ verb }) => verb === 'delete');
    expect(deletes.map(({ requestURI }) => requestURI)).toEqual([objects]);
  });
});
