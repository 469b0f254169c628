import { test } from 'vitest';
import { describeWalk, projectPath, put, run } from '#support/walk.ts';

const spec = (more: object = {}, containers: object = { web: { image: 'nginx:1', port: 8080 } }) => ({
  apiVersion: 'plinth.dev/v1',
  kind: 'Project',
  containers,
  ...more,
});
const policy = (kind: string, name: string, annotations: Readonly<Record<string, string>>) => ({
  target: { kind, name },
  patch: [{ op: 'add', path: '/metadata/annotations', value: annotations }],
});
const mergeType = 'application/merge-patch+json';

describeWalk('what a spec says about single objects', (walk) => {
  const live = async (path: string) => (await walk.cluster.api('GET', path)).body;

  test.concurrent('patches set policies: kept, left to others', async ({ expect }) => {
    const name = 'policies/annotated';
    const deployments = '/apis/apps/v1/namespaces/local--policies--annotated/deployments';
    const kept = policy('Deployment', 'old', { 'plinth.dev/policy': 'keep' });
    const open = policy('Deployment', 'web', { 'plinth.dev/ignore': '/spec/revisionHistoryLimit' });
    const both = { web: { image: 'nginx:1', port: 8080 }, old: { image: 'nginx:1', port: 8080 } };
    await run(walk.plinth, name, spec({ patches: [kept, open] }, both));
    await walk.cluster.api('PATCH', `${deployments}/web`, { spec: { revisionHistoryLimit: 7 } }, mergeType);
    const { uid } = (await live(`${deployments}/old`)).metadata;
    await run(walk.plinth, name, spec({ patches: [open] }));
    const view = await walk.plinth.until(projectPath(name), ({ reports }) => reports.length > 0);
    const object = 'apps/v1 Deployment local--policies--annotated/old';
    expect(view.reports).toMatchObject([
      { kind: 'kept', object, message: `${object} has left Git and stays in the cluster, because its policy is keep.` },
    ]);
    expect((await live(`${deployments}/old`)).metadata).toMatchObject({ uid });
    expect((await live(`${deployments}/web`)).spec.revisionHistoryLimit).toBe(7);
    const wrong = policy('Deployment', 'web', { 'plinth.dev/policy': 'kep' });
    const refused = await walk.plinth.request('PUT', projectPath(name), spec({ patches: [wrong] }));
    expect(refused).toMatchObject({ status: 422, body: { findings: [{ path: 'patches[0]' }] } });
  });

  test.concurrent('a project takes over what is nobody’s, where it asks for it', async ({ expect }) => {
    const name = 'policies/adopting';
    const namespace = 'local--policies--adopting';
    await walk.cluster.api('POST', '/api/v1/namespaces', { metadata: { name: namespace } });
    const service = { metadata: { name: 'web' }, spec: { ports: [{ port: 8080 }], selector: { app: 'web' } } };
    await walk.cluster.api('POST', `/api/v1/namespaces/${namespace}/services?fieldManager=helm`, service);
    await put(walk.plinth, name, spec());
    await walk.plinth.until(projectPath(name), ({ problem }) => problem?.code === 'OBJECT_FOREIGN');
    await run(walk.plinth, name, spec({ reconcile: { adopt: true } }));
    const { reports } = (await walk.plinth.request('GET', projectPath(name))).body;
    expect(reports.map(({ kind, object }: Record<string, string>) => `${kind} ${object}`).sort()).toEqual([
      `adoption v1 Namespace ${namespace}`,
      `adoption v1 Service ${namespace}/web`,
    ]);
  });

  test.concurrent('a volume that would lose its data is refused at once', async ({ expect }) => {
    const name = 'policies/shrinking';
    const sized = (data: object | string) =>
      spec({ volumes: { data } }, { web: { image: 'nginx:1', port: 8080, mounts: { '/data': 'data' } } });
    await run(walk.plinth, name, sized('2Gi'));
    const refused = await walk.plinth.request('PUT', projectPath(name), sized('1Gi'));
    expect(refused.status).toBe(422);
    expect(refused.body.findings).toMatchObject([
      {
        path: 'volumes.data',
        message: expect.stringMatching(/^it has 2Gi and cannot shrink to 1Gi; its data would be lost/),
      },
    ]);
  });
});
