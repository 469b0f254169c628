import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import { describeWalk, eventually, projectPath, put, run, smallest } from '#support/walk.ts';

const scaled = `${smallest.trimEnd().replace('route: / }', 'route: /, autoscale: { min: 1, max: 5 } }')}\n`;

describeWalk('a no-op costs nothing', (walk) => {
  const names = ['alpha', 'beta', 'gamma', 'delta', 'epsilon'].map((project) => `idle/${project}`);
  const deployment = '/apis/apps/v1/namespaces/local--scale--alpha/deployments/web';
  /** The control plane's requests below these projects; those of this test itself carry another agent. */
  const calls = async (during: () => Promise<unknown>) =>
    ((await walk.cluster.auditLog?.during(during)) ?? [])
      .filter(({ verb, namespace, name, resource }) => {
        const object = resource === 'namespaces' ? name : namespace;
        // What never is healthy may become degraded at any time, which is told once.
        if (resource === 'events' && namespace === 'local--scale--alpha') return false;
        return verb !== 'watch' && /^local--(idle|scale)--/.test(object);
      })
      .map(({ verb, requestURI }) => `${verb} ${requestURI}`);
  const rows = async () =>
    (await walk.plinth.request('GET', '/api/v1/environments/local/projects?team=idle')).body.items;
  const patch = (body: object, type = 'application/merge-patch+json', query = '') =>
    walk.cluster.api('PATCH', deployment + query, body, type);
  const live = async () => (await walk.cluster.api('GET', deployment)).body;

  beforeAll(async () => {
    await Promise.all(names.map((name) => run(walk.plinth, name, smallest)));
    // No metrics server runs here, so that its autoscaler never is healthy.
    await put(walk.plinth, 'scale/alpha', scaled);
    await walk.plinth.until(projectPath('scale/alpha'), ({ phase }) => phase === 'applied');
    await eventually(live, ({ status }) => status?.readyReplicas === 1);
  });

  test('nothing is asked and nothing is written while nothing changes, and for a reconcile on request', async () => {
    const before = await rows();
    expect(await calls(() => sleep(3_000))).toEqual([]);
    const asked = await calls(async () => {
      for (const name of names)
        expect((await walk.plinth.request('POST', `${projectPath(name)}/reconcile`)).status).toBe(202);
      await sleep(500);
    });
    expect(asked).toEqual([]);
    expect(await rows()).toEqual(before);
  });

  test('what others own is left to them: a scaled Deployment and a foreign annotation', async () => {
    const asked = await calls(async () => {
      await patch({ spec: { replicas: 3 } });
      await patch({ metadata: { annotations: { 'example.com/seen': 'yes' } } });
      await eventually(live, ({ status }) => status.readyReplicas === 3);
      await sleep(300);
    });
    expect(asked.filter((call) => call.startsWith('patch') && call.includes('plinth'))).toEqual([]);
    expect(await live()).toMatchObject({
      spec: { replicas: 3 },
      metadata: { annotations: { 'example.com/seen': 'yes' } },
    });
    expect((await walk.plinth.request('GET', `${projectPath('scale/alpha')}/diff`)).body.equal).toBe(true);
  });

  test('a field that another manager took is named in the log, and taken back', async () => {
    const patched = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web' },
      spec: { template: { spec: { containers: [{ name: 'web', image: 'other:1' }] } } },
    };
    const applied = await patch(patched, 'application/apply-patch+yaml', '?fieldManager=other-tool&force=true');
    expect(applied.status).toBe(200);
    await eventually(live, ({ spec }) => spec.template.spec.containers[0].image !== 'other:1');
    const line = await eventually(
      async () =>
        walk.plinth
          .log()
          .split('\n')
          .find((text) => text.includes('other-tool')),
      (text) => text !== undefined,
    );
    expect(JSON.parse(line ?? '')).toMatchObject({
      manager: 'other-tool',
      object: 'apps/v1 Deployment local--scale--alpha/web',
      fields: [expect.stringContaining('image')],
    });
  });

  test('a restart finds everything as it left it: it lists, and writes nothing', async () => {
    const before = await rows();
    const asked = await calls(async () => {
      await walk.plinth.stop();
      await walk.start();
      await walk.plinth.until('/ready', ({ clusters }) => clusters.local.ok);
      await sleep(500);
    });
    expect(asked.filter((call) => !call.startsWith('list'))).toEqual([]);
    expect(await rows()).toEqual(before);
  });
});
