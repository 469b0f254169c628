import { describe, expect, test } from 'vitest';
import { ignoreFault, policyFault, withoutIgnored } from '#environments/policies.ts';
import type { KubernetesObject } from '#runtime/runtime.ts';
import { eventually } from '#support/walk.ts';
import { configMap, deployment } from '../runtime/start-runtime.ts';
import { describeStand, type Stand } from './stand.ts';

const mergeType = 'application/merge-patch+json';
const installationLabel = 'plinth.dev/installation';

function annotated(object: KubernetesObject, annotations: Record<string, string>): KubernetesObject {
  return { ...object, metadata: { ...object.metadata, annotations } };
}

const mapPath = (namespace: string, name: string) => `/api/v1/namespaces/${namespace}/configmaps/${name}`;

const reader = (stand: Stand) => async (path: string) => (await stand.cluster.api('GET', path)).body;

describe('what annotations say', () => {
  test.for([
    ['keep', undefined],
    ['keep, adopt ,replace', undefined],
    ['', undefined],
    ['Keep', '"Keep" is no policy; there are adopt, keep, replace'],
  ] as const)('policy %s', ([text, fault]) => expect(policyFault(text)).toBe(fault));

  test.for([
    ['/spec/replicas', undefined],
    ['/data/a,/metadata/annotations/example.com~1x', undefined],
    ['/spec', '"/spec" is no JSON Pointer to a field, such as /spec/replicas'],
    ['/metadata/name', '/metadata/name binds the object to its project and cannot be left to others'],
    ['/spec/selector', '/spec/selector binds the object to its project and cannot be left to others'],
    [
      '/metadata/annotations/plinth.dev~1ignore',
      '/metadata/annotations/plinth.dev~1ignore binds the object to its project and cannot be left to others',
    ],
  ] as const)('ignore %s', ([text, fault]) => expect(ignoreFault(text)).toBe(fault));

  test('ignored fields are left out, items of lists from the last to the first', () => {
    const object = {
      metadata: { annotations: { 'plinth.dev/ignore': '/spec/list/0,/spec/list/2,/spec/map/a~1b,/spec/none/x' } },
      spec: { list: [1, 2, 3, 4], map: { 'a/b': 1, c: 2 } },
    };
    expect(withoutIgnored(object).spec).toEqual({ list: [2, 4], map: { c: 2 } });
    expect(object.spec.list).toEqual([1, 2, 3, 4]);
  });
});

describeStand('policies of objects', (stand) => {
  const get = reader(stand);
  const api: Stand['cluster']['api'] = (...asked) => stand.cluster.api(...asked);

  test.concurrent('keep: what leaves Git stays as it is, is told and is never looked at again', async ({ expect }) => {
    const project = stand.project();
    const { namespace } = project;
    const kept = annotated(configMap(namespace, 'kept', { a: '1' }), { 'plinth.dev/policy': 'keep' });
    await project.write([kept, configMap(namespace, 'one', {}), configMap(namespace, 'two', {})]);
    await project.applied();
    const before = await get(mapPath(namespace, 'kept'));
    await project.write([configMap(namespace, 'two', {})]);
    await project.applied();
    await eventually(
      () => get(mapPath(namespace, 'one')),
      ({ code }) => code === 404,
    );
    expect(await get(mapPath(namespace, 'kept'))).toEqual(before);
    expect(before.metadata.labels[installationLabel]).toBe(stand.installation);
    const reports = await project.reports();
    expect(reports).toMatchObject([
      {
        kind: 'kept',
        object: `v1 ConfigMap ${namespace}/kept`,
        message: `v1 ConfigMap ${namespace}/kept has left Git and stays in the cluster, because its policy is keep.`,
      },
    ]);
    // Git forgets the whole project: everything else goes with a yes, the namespace stays for what it holds.
    await project.write(null);
    expect(await project.confirm()).toEqual([expect.stringContaining('/two (')]);
    await eventually(project.status, (status) => status === undefined);
    expect((await get(mapPath(namespace, 'two'))).code).toBe(404);
    expect(await get(mapPath(namespace, 'kept'))).toEqual(before);
    expect((await get(`/api/v1/namespaces/${namespace}`)).metadata.deletionTimestamp).toBeUndefined();
  });

  test.concurrent('keep counts also where somebody took the annotation away', async ({ expect }) => {
    const project = stand.project();
    const { namespace } = project;
    const kept = annotated(configMap(namespace, 'kept', { a: '1' }), { 'plinth.dev/policy': 'keep' });
    await project.write([kept, configMap(namespace, 'two', {})]);
    await project.applied();
    await project.switch('heal', 'a test');
    await api(
      'PATCH',
      mapPath(namespace, 'kept'),
      { metadata: { annotations: { 'plinth.dev/policy': null } } },
      mergeType,
    );
    await project.write([configMap(namespace, 'two', { b: '1' })]);
    await project.applied();
    await project.switch('heal', null);
    await project.write([configMap(namespace, 'two', { b: '2' })]);
    await project.applied();
    expect((await get(mapPath(namespace, 'kept'))).data).toEqual({ a: '1' });
  });

  test.concurrent('adopt: an object of nobody is taken over, and from whom is told', async ({ expect }) => {
    const project = stand.project();
    const { namespace } = project;
    await project.write([configMap(namespace, 'other', {})]);
    await project.applied();
    const foreign = configMap(namespace, 'mine', { a: 'theirs', b: 'theirs' });
    await api('POST', `/api/v1/namespaces/${namespace}/configmaps?fieldManager=helm`, foreign);
    const { uid } = (await get(mapPath(namespace, 'mine'))).metadata;
    await project.write([configMap(namespace, 'mine', { a: 'ours' })]);
    const refused = await project.until(({ phase }) => phase === 'failed');
    expect(refused.problem).toMatchObject({ code: 'OBJECT_FOREIGN' });
    expect((await get(mapPath(namespace, 'mine'))).data).toEqual(foreign.data);

    await project.write([annotated(configMap(namespace, 'mine', { a: 'ours' }), { 'plinth.dev/policy': 'adopt' })]);
    await project.applied();
    const after = await get(mapPath(namespace, 'mine'));
    expect(after).toMatchObject({
      data: { a: 'ours', b: 'theirs' },
      metadata: { uid, labels: { [installationLabel]: stand.installation } },
    });
    const object = `v1 ConfigMap ${namespace}/mine`;
    expect(await project.reports()).toMatchObject([
      {
        kind: 'adoption',
        object,
        message: `${object} belonged to nobody; helm had written it, and is the project's now. Taken over from helm (.data.a).`,
        managers: [{ manager: 'helm', fields: ['.data.a'] }],
      },
    ]);
  });

  test.concurrent('adopt: a whole project with its namespace', async ({ expect }) => {
    const project = stand.project();
    const { namespace } = project;
    await api('POST', '/api/v1/namespaces', { metadata: { name: namespace } });
    await api('POST', `/api/v1/namespaces/${namespace}/configmaps`, configMap(namespace, 'mine', { a: 'theirs' }));
    const ours = [configMap(namespace, 'mine', { a: 'ours' })];
    await project.write(ours);
    await project.until(({ problem }) => problem?.code === 'OBJECT_FOREIGN');
    await project.write(ours, { 'plinth.dev/policy': 'adopt' });
    await project.applied();
    expect((await get(mapPath(namespace, 'mine'))).data).toEqual({ a: 'ours' });
    expect((await project.reports()).map(({ kind, object }) => `${kind} ${object}`).sort()).toEqual([
      `adoption v1 ConfigMap ${namespace}/mine`,
      `adoption v1 Namespace ${namespace}`,
    ]);
  });

  test.concurrent('ignore: a field is left to others from the beginning', async ({ expect }) => {
    const project = stand.project();
    const { namespace } = project;
    const path = `/apis/apps/v1/namespaces/${namespace}/deployments/web`;
    const web = annotated(deployment(namespace, 'web', { replicas: 2 }), { 'plinth.dev/ignore': '/spec/replicas' });
    await project.write([web]);
    await project.applied();
    expect((await get(path)).spec.replicas).toBe(1);
    await api('PATCH', path, { spec: { replicas: 0 } }, mergeType);
    await project.write([web, configMap(namespace, 'other', {})]);
    await project.applied();
    expect((await get(path)).spec.replicas).toBe(0);
    expect(await project.reports()).toEqual([]);
  });

  test.concurrent('a policy that is none applies nothing and says so', async ({ expect }) => {
    const project = stand.project();
    await project.write([annotated(configMap(project.namespace, 'one', {}), { 'plinth.dev/policy': 'kep' })]);
    const { problem } = await project.until(({ phase }) => phase === 'failed');
    expect(problem).toMatchObject({
      code: 'OBJECT_NOT_ALLOWED',
      detail: `Plinth does not apply v1 ConfigMap ${project.namespace}/one: "kep" is no policy; there are adopt, keep, replace.`,
    });
  });
});

describeStand('objects of another installation', (stand) => {
  const get = reader(stand);

  test('are taken over only where the environment names that installation', async () => {
    const project = stand.project();
    const { namespace } = project;
    const adopt = { 'plinth.dev/policy': 'adopt' };
    await project.write([configMap(namespace, 'other', {})]);
    await project.applied();
    const { metadata, ...map } = configMap(namespace, 'mine', { a: 'theirs' });
    const foreign = { ...map, metadata: { ...metadata, labels: { [installationLabel]: 'ins-old' } } };
    await stand.cluster.api('POST', `/api/v1/namespaces/${namespace}/configmaps`, foreign);
    await project.write([annotated(configMap(namespace, 'mine', { a: 'ours' }), adopt)]);
    const { problem } = await project.until(({ phase }) => phase === 'failed');
    expect(problem?.detail).toContain('belongs to installation ins-old');
    await stand.environment('reconcile: { adoptFrom: [ins-old] }\n');
    await project.write([annotated(configMap(namespace, 'mine', { a: 'ours', b: '1' }), adopt)]);
    await project.applied();
    expect((await get(mapPath(namespace, 'mine'))).metadata.labels[installationLabel]).toBe(stand.installation);
    const [report] = await project.reports();
    expect(report?.message).toContain('belonged to installation ins-old');
  });
});
