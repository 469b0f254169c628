import { appendFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { identityOf } from '#scripts/cluster/certificates.ts';
import type { Api } from '#scripts/cluster/client.ts';
import { containerLogFile } from '#scripts/cluster/nodes.ts';
import { describeWithCluster, missing, startTestCluster, type TestCluster } from '#support/cluster.ts';
import { describeUnless } from '#support/missing.ts';

const soon = { interval: 20, timeout: 30_000 };
const namespace = async (api: Api, name: string) =>
  (await api('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })).status;

describeWithCluster('the shared cluster', (cluster) => {
  test('runs a Deployment until it is available, on fake nodes', async () => {
    const { api } = cluster();
    expect(await namespace(api, 'cluster-runs')).toBe(201);
    const labels = { app: 'web' };
    const path = '/apis/apps/v1/namespaces/cluster-runs/deployments';
    const pod = { metadata: { labels }, spec: { containers: [{ name: 'web', image: 'none' }] } };
    const spec = { replicas: 2, selector: { matchLabels: labels }, template: pod };
    expect((await api('POST', path, { metadata: { name: 'web' }, spec })).status).toBe(201);
    await expect.poll(async () => (await api('GET', `${path}/web`)).body.status.availableReplicas, soon).toBe(2);
  });

  test('binds a claim to a directory', async () => {
    const { api, directory } = cluster();
    expect(await namespace(api, 'cluster-binds')).toBe(201);
    const path = '/api/v1/namespaces/cluster-binds/persistentvolumeclaims';
    const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } };
    await api('POST', path, { metadata: { name: 'data' }, spec });
    await expect.poll(async () => (await api('GET', `${path}/data`)).body.status.phase, soon).toBe('Bound');
    const { volumeName } = (await api('GET', `${path}/data`)).body.spec;
    expect(existsSync(join(directory, 'data', 'volumes', volumeName))).toBe(true);
  });

  test('enforces Pod Security and refuses unknown fields, as every API server does', async () => {
    const { api } = cluster();
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    await api('POST', '/api/v1/namespaces', { metadata: { name: 'cluster-guards', labels } });
    const pods = '/api/v1/namespaces/cluster-guards/pods';
    const pod = { metadata: { name: 'root' }, spec: { containers: [{ name: 'a', image: 'none' }] } };
    const refused = await api('POST', pods, pod);
    expect(refused.status).toBe(403);
    expect(refused.body.message).toContain('violates PodSecurity "restricted:latest"');
    const odd = await api('POST', `${pods}?fieldValidation=Strict&dryRun=All`, {
      ...pod,
      spec: { ...pod.spec, odd: 1 },
    });
    expect(odd.status).toBe(400);
    expect(odd.body.message).toContain('unknown field "spec.odd"');
  });

  test('counts the requests that a test makes, and nothing that the parts do', async () => {
    const { api, auditLog } = cluster();
    const entries = await auditLog!.during(async () => {
      await api('GET', '/api/v1/namespaces/default');
      await api('GET', '/api/v1/namespaces/no-such-namespace');
    });
    const seen = entries.filter(({ name }) => ['default', 'no-such-namespace'].includes(name));
    expect(seen.map(({ verb, resource, name, code }) => [verb, resource, name, code])).toEqual([
      ['get', 'namespaces', 'default', 200],
      ['get', 'namespaces', 'no-such-namespace', 404],
    ]);
  });
});

describeUnless(missing(), 'a cluster of one’s own', () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startTestCluster({ audit: true, storage: false });
  });
  afterAll(() => cluster?.stop());

  test('an idle cluster has no entries in its audit log', async () => {
    await cluster.auditLog!.entries();
    expect(await cluster.auditLog!.during(() => sleep(0))).toEqual([]);
  });

  test('the API server can be killed and started again, at the same address and with the same objects', async () => {
    const { api, processes } = cluster;
    expect(await namespace(api, 'stays')).toBe(201);
    await processes.signal('kube-apiserver', 'SIGKILL');
    await expect(api('GET', '/api/v1/namespaces/stays')).rejects.toThrow();
    processes.restart('kube-apiserver');
    await cluster.ready();
    expect((await api('GET', '/api/v1/namespaces/stays')).status).toBe(200);
  });

  test('a silenced API server holds its connections open and answers once it may go on', async () => {
    const { api, processes } = cluster;
    await processes.signal('kube-apiserver', 'SIGSTOP');
    try {
      const answer = api('GET', '/version');
      const silence = sleep(100).then(() => 'silent');
      expect(await Promise.race([answer, silence])).toBe('silent');
      await processes.signal('kube-apiserver', 'SIGCONT');
      expect((await answer).status).toBe(200);
    } finally {
      await processes.signal('kube-apiserver', 'SIGCONT');
    }
  });

  test('gives the log of a container, and follows it', async () => {
    const { api, directory, url } = cluster;
    await namespace(api, 'cluster-logs');
    const pods = '/api/v1/namespaces/cluster-logs/pods';
    await api('POST', pods, { metadata: { name: 'web' }, spec: { containers: [{ name: 'web', image: 'none' }] } });
    await expect.poll(async () => (await api('GET', `${pods}/web`)).body.status.phase, soon).toBe('Running');
    const path = `${pods}/web/log?container=web`;
    expect(await api('GET', `${path}&tailLines=1`)).toEqual({
      status: 200,
      body: 'no container runs here: kwok plays it\n',
    });

    const { ca, cert, key } = identityOf(join(directory, 'pki'), 'admin');
    const client = new Client(url, { connect: { ca, cert, key } });
    const { body } = await client.request({ method: 'GET', path: `${path}&follow=true` });
    let seen = '';
    for await (const chunk of body) {
      seen += chunk;
      if (seen.includes('a new line')) break;
      if (seen.endsWith('plays it\n'))
        appendFileSync(join(directory, containerLogFile), '2026-11-22T12:00:00Z stdout F a new line\n');
    }
    await client.destroy();
    expect(seen).toBe('no container runs here: kwok plays it\na new line\n');
  });

  test('stop leaves neither a process nor a folder', async () => {
    const own = await startTestCluster({ storage: false });
    const pids = Object.values(own.pids);
    expect(pids).toHaveLength(5);
    await own.stop();
    expect(pids.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);
    expect(existsSync(own.directory)).toBe(false);
  });
});
