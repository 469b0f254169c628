import { beforeAll, expect, test } from 'vitest';
import { describeWalk, eventually, projectPath, put, run } from '#support/walk.ts';

const group = 'acme.example';
const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const bodies = `/apis/${group}/v1/namespaces/local--kinds--shop/stores`;
const mergeType = 'application/merge-patch+json';
/** The kind bears the name of one of Kubernetes' own, as others' do. */
const names = { plural: 'stores', singular: 'store', kind: 'Service' };
const definition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `stores.${group}` },
  spec: {
    group,
    scope: 'Namespaced',
    names,
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
};
const stores = `  - apiVersion: ${group}/v1
    kind: Service
    plural: stores
    health:
      healthy: self.status.phase == 'Ready' && self.status.copies >= self.spec.copies
      degraded: self.status.phase == 'Failed'
      reason: self.status.message
`;
const kinds = `kinds:
${stores}  - { apiVersion: absent.example/v1, kind: Thing, plural: things }
`;
const store = (copies: number) => ({
  apiVersion: `${group}/v1`,
  kind: 'Service',
  metadata: { name: 'web' },
  spec: { copies },
});
const spec = (...objects: object[]) => ({
  apiVersion: 'plinth.dev/v1',
  kind: 'Project',
  containers: { web: { image: 'nginx:1', port: 8080 } },
  objects,
});

describeWalk('objects of other operators’ kinds', (walk) => {
  beforeAll(async () => {
    await walk.cluster.api('POST', crds, definition);
    await eventually(
      async () => (await walk.cluster.api('GET', `/apis/${group}/v1/stores`)).status,
      (status) => status === 200,
    );
    const clone = await walk.clone();
    const file = 'environments/local/environment.yaml';
    const pushed = await clone.push({ [file]: `${await clone.read(file)}${kinds}` });
    expect(pushed.code, pushed.stderr).toBe(0);
  });
  const say = (status: object) => walk.cluster.api('PATCH', `${bodies}/web/status`, { status }, mergeType);
  const health = async () => {
    const { body } = await walk.plinth.request('GET', projectPath('kinds/shop'));
    return `${body.health}: ${body.reasons.map(({ reason }: { reason: string }) => reason).join()}`;
  };

  test('are applied, and their health is what the expressions say', async () => {
    await put(walk.plinth, 'kinds/shop', spec(store(2)));
    await eventually(health, (text) => text.includes('its health cannot be told yet: No such key: status'));
    await say({ phase: 'Making', copies: 1, message: 'one of two is there' });
    await eventually(health, (text) => text === 'progressing: one of two is there');
    await say({ phase: 'Failed', copies: 1, message: 'the disk is full' });
    await eventually(health, (text) => text === 'degraded: the disk is full');
    await say({ phase: 'Ready', copies: 2 });
    await eventually(health, (text) => text === 'healthy: ');
    // The Service of Kubernetes with the same name is another object, and is there as well.
    const core = await walk.cluster.api('GET', '/api/v1/namespaces/local--kinds--shop/services/web');
    expect(core.body.spec.ports[0].port).toBe(8080);
  });

  test('are healed, changed and removed like every other', async () => {
    await walk.cluster.api('PATCH', `${bodies}/web`, { spec: { copies: 9 } }, mergeType);
    const copies = async () => (await walk.cluster.api('GET', `${bodies}/web`)).body.spec?.copies;
    await eventually(copies, (now) => now === 2);
    await put(walk.plinth, 'kinds/shop', spec(store(1)));
    await eventually(copies, (now) => now === 1);
    await run(walk.plinth, 'kinds/shop', spec());
    await eventually(
      async () => (await walk.cluster.api('GET', `${bodies}/web`)).status,
      (status) => status === 404,
    );
    expect((await walk.cluster.api('GET', '/api/v1/namespaces/local--kinds--shop/services/web')).status).toBe(200);
  });

  test('of a kind that the cluster lacks say so, and the rest of the project runs', async () => {
    const thing = { apiVersion: 'absent.example/v1', kind: 'Thing', metadata: { name: 'one' } };
    await put(walk.plinth, 'kinds/lacking', spec(thing));
    const view = await walk.plinth.until(
      projectPath('kinds/lacking'),
      ({ problem }) => problem?.code === 'KIND_MISSING',
    );
    expect(view.problem.detail).toContain('Thing');
    const web = await walk.cluster.api('GET', '/apis/apps/v1/namespaces/local--kinds--lacking/deployments/web');
    expect(web.status).toBe(200);
  });

  test('of a kind that is listed no more are left, which is told, and go when it is listed again', async () => {
    const path = `/apis/${group}/v1/namespaces/local--kinds--unlisted/stores/web`;
    const there = async () => (await walk.cluster.api('GET', path)).status;
    await put(walk.plinth, 'kinds/unlisted', spec(store(1)));
    await eventually(there, (status) => status === 200);
    const clone = await walk.clone();
    const file = 'environments/local/environment.yaml';
    const listed = await clone.read(file);
    // Both at once: the object leaves Git, and its kind the list.
    const without = await clone.push({
      [file]: listed.replace(stores, ''),
      'environments/local/kinds/unlisted/project.yaml': JSON.stringify(spec()),
    });
    expect(without.code, without.stderr).toBe(0);
    const unseen = {
      object: 'Service/web',
      reason: 'has left Git and is not deleted, it cannot be seen: environment.yaml does not list its kind',
    };
    await walk.plinth.until(
      projectPath('kinds/unlisted'),
      ({ phase, reasons }) => phase === 'applied' && JSON.stringify(reasons) === JSON.stringify([unseen]),
    );
    expect(await there()).toBe(200);
    const again = await (await walk.clone()).push({ [file]: listed });
    expect(again.code, again.stderr).toBe(0);
    await eventually(there, (status) => status === 404);
    await walk.plinth.until(
      projectPath('kinds/unlisted'),
      ({ health, reasons }) => health === 'healthy' && reasons.length === 0,
    );
  });

  test('that the environment does not list are refused', async () => {
    const other = { ...store(1), apiVersion: `${group}/v2` };
    const refused = await walk.plinth.request('PUT', projectPath('kinds/other'), spec(other));
    expect([refused.status, refused.body.findings[0].path]).toEqual([422, 'objects[0].kind']);
  });
});
