import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { admin } from '#support/control-plane.ts';
import { describeWalk, endOf, eventually, projectPath, put, run, smallest } from '#support/walk.ts';

const yaml = (image: string) => smallest.replace('nginxinc/nginx-unprivileged:1.29', image);
const json = (image: string) => parse(yaml(image));

describeWalk('the API of projects', (walk) => {
  const get = (path: string, headers?: Record<string, string>) => walk.plinth.request('GET', path, undefined, headers);
  const post = (path: string, body?: unknown) => walk.plinth.request('POST', path, body);
  const api = projectPath('apis/web-shop');
  const namespace = 'local--apis--web-shop';
  const imageOf = async (path = `/apis/apps/v1/namespaces/${namespace}/deployments/web`) =>
    (await walk.cluster.api('GET', path)).body.spec?.template.spec.containers[0].image;

  test('PUT takes JSON and YAML; the same spec again is no commit', async () => {
    const first = await walk.plinth.request('PUT', api, json('nginx:1'));
    expect(first.headers.get('location')).toBe(`/api/v1/changes/${first.body.id}`);
    expect((await endOf(walk.plinth, first)).state).toBe('committed');
    const written = await get(api, { accept: 'application/yaml' });
    expect(written.text).toBe(
      'apiVersion: plinth.dev/v1\nkind: Project\ncontainers:\n  web:\n    image: nginx:1\n    port: 8080\n    route: /\n',
    );
    expect((await endOf(walk.plinth, await walk.plinth.request('PUT', api, json('nginx:1')))).state).toBe('unchanged');
    expect((await endOf(walk.plinth, await walk.plinth.request('PUT', api, yaml('nginx:1')))).state).toBe('committed');
    expect((await get(api, { accept: 'application/yaml' })).text).toBe(yaml('nginx:1'));
  });

  test('GET gives the spec as JSON and as YAML with the same ETag, and 404 for none', async () => {
    const asJson = await get(api);
    const asYaml = await get(api, { accept: 'application/yaml' });
    expect(asJson.body.spec).toEqual(json('nginx:1'));
    expect(asJson.headers.get('etag')).toBe(`"${asJson.body.etag}"`);
    expect(asYaml.headers.get('etag')).toBe(asJson.headers.get('etag'));
    expect(await get(projectPath('apis/not-there'))).toMatchObject({
      status: 404,
      body: { code: 'PROJECT_NOT_FOUND' },
    });
    expect((await get('/api/v1/environments/nowhere/projects/apis/web-shop')).body).toMatchObject({
      code: 'ENVIRONMENT_NOT_FOUND',
      data: { known: ['dev', 'local', 'production', 'staging'] },
    });
  });

  test('If-Match and If-None-Match: * keep two writers apart', async () => {
    const { etag } = (await get(api)).body;
    const conditional = (headers: Record<string, string>, image: string) =>
      walk.plinth.request('PUT', api, yaml(image), headers);
    expect(await conditional({ 'if-none-match': '*' }, 'nginx:2')).toMatchObject({
      status: 412,
      body: { code: 'PRECONDITION_FAILED', data: { expected: 'absent', actual: etag } },
    });
    expect((await conditional({ 'if-match': '"0000"' }, 'nginx:2')).status).toBe(412);
    // Both were right when they were sent; the writer lets only one of them through.
    const both = await Promise.all(
      ['nginx:2', 'nginx:3'].map((image) => conditional({ 'if-match': `"${etag}"` }, image)),
    );
    const ends = await Promise.all(
      both.map(async (answer) =>
        answer.status === 412 ? 'PRECONDITION_FAILED' : (await endOf(walk.plinth, answer)).problem?.code,
      ),
    );
    expect(ends.sort()).toEqual(['PRECONDITION_FAILED', undefined]);
    expect(await imageSoon(['nginx:2', 'nginx:3'])).toMatch(/nginx:[23]/);
    expect((await conditional({ 'if-match': '*' }, 'nginx:4')).status).toBe(202);
    const other = projectPath('apis/made-once');
    expect((await walk.plinth.request('PUT', other, smallest, { 'if-match': '*' })).status).toBe(412);
    expect((await walk.plinth.request('PUT', other, smallest, { 'if-none-match': '*' })).status).toBe(202);
    await eventually(imageOf, (image) => image === 'nginx:4');
  });
  const imageSoon = (images: readonly string[]) => eventually(imageOf, (image) => images.includes(image));

  test('?dryRun shows what would change and commits nothing', async () => {
    await run(walk.plinth, 'apis/web-shop', yaml('nginx:5'));
    const before = (await get('/api/v1/environments/local')).body.revision;
    const preview = await walk.plinth.request('PUT', `${api}?dryRun`, yaml('nginx:6'));
    expect(preview).toMatchObject({
      status: 200,
      body: {
        unchanged: false,
        objects: [{ apiVersion: 'apps/v1', kind: 'Deployment', namespace, name: 'web', action: 'change' }],
      },
    });
    expect(preview.body.diff).toContain('-          image: nginx:5\n+          image: nginx:6');
    expect((await walk.plinth.request('PUT', `${api}?dryRun`, yaml('nginx:5'))).body).toEqual({
      unchanged: true,
      objects: [],
      diff: '',
    });
    const absent = await walk.plinth.request('PUT', `${projectPath('apis/only-dry')}?dryRun`, smallest);
    expect(absent.body.objects.every(({ action }: { action: string }) => action === 'create')).toBe(true);
    const gone = await walk.plinth.request('DELETE', `${api}?dryRun`);
    expect(gone.body.objects.map(({ kind }: { kind: string }) => kind)).toContain('Namespace');
    expect((await get('/api/v1/environments/local')).body.revision).toBe(before);
    expect((await get(projectPath('apis/only-dry'))).status).toBe(404);
  });

  test('a list has pages and filters', async () => {
    await Promise.all(['alpha', 'beta', 'gamma'].map((name) => run(walk.plinth, `lists/${name}`, smallest)));
    const list = async (query: string) => (await get(`/api/v1/environments/local/projects${query}`)).body;
    const names = (body: { items: { team: string; project: string }[] }) =>
      body.items.map(({ team, project }) => `${team}/${project}`);
    const first = await list('?team=lists&limit=2');
    expect(names(first)).toEqual(['lists/alpha', 'lists/beta']);
    const second = await list(`?team=lists&limit=2&after=${encodeURIComponent(first.next)}`);
    expect([names(second), second.next]).toEqual([['lists/gamma'], null]);
    expect(names(await list('?q=gam'))).toEqual(['lists/gamma']);
    expect(names(await list('?team=lists&health=healthy'))).toHaveLength(3);
    expect(names(await list('?team=lists&health=degraded'))).toEqual([]);
    expect(first.items[0]).toMatchObject({
      namespace: 'local--lists--alpha',
      phase: 'applied',
      health: 'healthy',
      hosts: ['https://alpha--lists.apps.localhost'],
      images: [{ container: 'web', image: 'nginxinc/nginx-unprivileged:1.29' }],
    });
    expect((await get('/api/v1/environments/local/projects?limit=0')).status).toBe(400);
    expect((await get('/api/v1/environments/local/projects?colour=red')).body.findings[0].message).toContain('colour');
  });

  test('projects that are written at once each say their own commit as applied', async () => {
    const names = ['one', 'two', 'three', 'four', 'five'].map((name) => `group/${name}`);
    const changes = await Promise.all(names.map((name) => put(walk.plinth, name, smallest)));
    expect(new Set(changes.map(({ revision }) => revision)).size).toBe(5);
    for (const [index, name] of names.entries()) {
      const view = await walk.plinth.until(projectPath(name), ({ phase }) => phase === 'applied');
      expect(view).toMatchObject({ revision: changes[index].revision, appliedRevision: changes[index].revision });
    }
    const { revision } = await put(walk.plinth, 'group/one', `# The same, said once more\n${smallest}`);
    await walk.plinth.until(projectPath('group/one'), ({ appliedRevision }) => appliedRevision === revision, 5_000);
  });

  test('manifests now and at an earlier revision', async () => {
    const earlier = (await get(api)).body.revision;
    await run(walk.plinth, 'apis/web-shop', yaml('nginx:7'));
    const now = await get(`${api}/manifests`);
    expect(now.headers.get('content-type')).toContain('yaml');
    expect(now.text).toContain('image: nginx:7');
    expect((await get(`${api}/manifests?revision=${earlier}`)).text).toContain('image: nginx:5');
    expect((await get(`${api}/manifests?revision=${'0'.repeat(40)}`)).body.code).toBe('REVISION_UNKNOWN');
    expect((await get(`${api}/manifests?revision=main`)).status).toBe(400);
    const first = (await get('/api/v1/changes?environment=local&team=lists&limit=500')).body.items.at(-1).revision;
    expect((await get(`${projectPath('apis/nobody')}/manifests?revision=${first}`)).status).toBe(404);
  });

  test('diff is Git against live, without what others own', async () => {
    expect((await get(`${api}/diff`)).body).toMatchObject({ equal: true });
    expect((await get(`${api}/diff`, { accept: 'text/plain' })).text).toBe('');
    await post(`${api}/suspend`, { reason: 'to look at drift' });
    await walk.plinth.until(api, ({ phase }) => phase === 'held');
    await walk.cluster.api(
      'PATCH',
      `/apis/apps/v1/namespaces/${namespace}/deployments/web`,
      {
        metadata: { annotations: { foreign: 'yes' } },
        spec: { template: { spec: { containers: [{ name: 'web', image: 'other:1' }] } } },
      },
      'application/strategic-merge-patch+json',
    );
    const { body } = await get(`${api}/diff`);
    const different = body.objects.filter(({ state }: { state: string }) => state !== 'equal');
    expect(body.equal).toBe(false);
    expect(different).toMatchObject([{ kind: 'Deployment', name: 'web', state: 'different' }]);
    expect(different[0].diff).toMatch(/^-.*image: nginx:7\n\+.*image: other:1$/m);
    expect(different[0].diff).not.toContain('foreign');
    expect((await get(`${api}/diff`, { accept: 'text/plain' })).text).toBe(different[0].diff);
    await post(`${api}/resume`);
    await eventually(imageOf, (image) => image === 'nginx:7');
  });

  test('objects have health and reasons; history tells what happened, by pages', async () => {
    const path = projectPath('apis/broken');
    await put(walk.plinth, 'apis/broken', {
      apiVersion: 'plinth.dev/v1',
      kind: 'Project',
      containers: { web: { image: 'nginx:1', port: 8080 } },
      patches: [
        {
          target: { kind: 'Deployment', name: 'web' },
          patch: [
            {
              op: 'add',
              path: '/spec/template/metadata/annotations',
              value: { 'tier.test/waiting': 'ImagePullBackOff' },
            },
          ],
        },
      ],
    });
    const view = await walk.plinth.until(path, ({ health }) => health === 'degraded');
    expect(view.reasons[0].reason).toContain('ImagePullBackOff');
    const { items } = (await get(`${path}/objects`)).body;
    const deployment = items.find(({ kind }: { kind: string }) => kind === 'Deployment');
    expect(deployment).toMatchObject({ name: 'web', health: 'degraded', inGit: true, deleting: false });
    expect(deployment.reason).toContain('ImagePullBackOff');
    expect(items.find(({ kind }: { kind: string }) => kind === 'Namespace')).toMatchObject({
      health: 'healthy',
      reason: '',
    });
    const history = (await get(`${path}/history`)).body.items;
    expect(history[0]).toMatchObject({ message: 'health is degraded', health: 'degraded' });
    const last = (await get(`${path}/history?limit=1`)).body;
    expect([last.items, last.next]).toEqual([[history[0]], history[0].id]);
    expect((await get(`${path}/history?limit=1&after=${last.next}`)).body.items).toEqual([history[1]]);
    expect((await get(`${path}/history?after=yesterday`)).body).toMatchObject({ status: 400, code: 'REQUEST_INVALID' });
  });

  test('logs of a container come as text, and say clearly when there are none', async () => {
    // On a busy machine a fake node may get its address only with its next heartbeat.
    const logs = await eventually(
      () => get(`${api}/logs/web?tail=10`),
      ({ status }) => status === 200,
      50_000,
    );
    expect(logs.text).toContain('no container runs here');
    expect(await get(`${api}/logs/nothing`)).toMatchObject({ status: 404, body: { code: 'CONTAINER_NOT_FOUND' } });
  });

  test('events: the state now, then each change, and what was missed after a pause', async () => {
    const stream = async (
      headers: Record<string, string>,
      until: (text: string) => boolean,
      meanwhile?: () => Promise<unknown>,
    ) => {
      const leave = new AbortController();
      const answer = await fetch(`${walk.plinth.url}${api}/events`, {
        headers: { authorization: `Basic ${btoa(`${admin.email}:${admin.password}`)}`, ...headers },
        signal: leave.signal,
      });
      let text = '';
      const decoder = new TextDecoder();
      for await (const chunk of answer.body ?? []) {
        const first = !text.includes('event: status');
        text += decoder.decode(chunk);
        if (first && text.includes('event: status')) await meanwhile?.();
        if (until(text)) break;
      }
      leave.abort();
      return { answer, text };
    };
    const { answer, text } = await stream(
      {},
      (seen) => /event: status\ndata: .*"phase":"applied".*nginx:8/.test(seen),
      () => put(walk.plinth, 'apis/web-shop', yaml('nginx:8')),
    );
    expect(answer.headers.get('content-type')).toContain('text/event-stream');
    const ids = [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
    expect(ids).toEqual([...ids].sort((a, b) => a - b));
    expect(text).toMatch(/event: history\ndata: .*objects applied/);
    const resumed = await stream({ 'last-event-id': String(ids[0]) }, (seen) => seen.includes('event: status'));
    expect(resumed.text.indexOf('event: history')).toBeLessThan(resumed.text.indexOf('event: status'));
    expect((await get(`${projectPath('apis/nobody')}/events`)).status).toBe(404);
  });

  test('reconcile on request, and rollback to an earlier revision, which goes on being reconciled', async () => {
    expect((await post(`${api}/reconcile`)).status).toBe(202);
    const [old] = (await get('/api/v1/changes?team=apis&project=web-shop&state=committed&limit=500')).body.items.slice(
      -1,
    );
    const rollback = await endOf(walk.plinth, await post(`${api}/rollback`, { revision: old.revision }));
    expect(rollback).toMatchObject({
      kind: 'rollback',
      state: 'committed',
      message: expect.stringContaining(old.revision.slice(0, 12)),
    });
    await eventually(imageOf, (image) => image === 'nginx:1');
    expect((await get(api)).body).toMatchObject({ revision: rollback.revision, hold: null });
    await walk.cluster.api('DELETE', `/apis/apps/v1/namespaces/${namespace}/deployments/web`);
    await eventually(imageOf, (image) => image === 'nginx:1');
    expect((await post(`${api}/rollback`, { revision: '0'.repeat(40) })).body.code).toBe('REVISION_NOT_FOUND');
    expect((await post(`${api}/rollback`, { revision: 'HEAD~1' })).status).toBe(400);
  });

  test('a held project records commits and applies them on resume', async () => {
    const held = await post(`${api}/suspend`, { reason: 'freeze' });
    expect(held.body.hold).toMatchObject({ hold: 'detect', reason: 'freeze', actor: admin.email, until: null });
    await walk.plinth.until(api, ({ phase }) => phase === 'held');
    const { revision } = await put(walk.plinth, 'apis/web-shop', yaml('nginx:9'));
    await post(`${api}/reconcile`);
    const view = await walk.plinth.until(api, (body) => body.revision === revision);
    expect([view.phase, view.appliedRevision === revision, await imageOf()]).toEqual(['held', false, 'nginx:1']);
    expect((await post(`${api}/resume`)).body.hold).toBe(null);
    await walk.plinth.until(api, (body) => body.appliedRevision === revision && body.phase === 'applied');
    expect(await imageOf()).toBe('nginx:9');
  });

  test('a hold ends by itself at its time, also a far one without haste', async () => {
    const suspend = (until: Date) => post(`${api}/suspend`, { reason: 'for a moment', until: until.toISOString() });
    expect((await suspend(new Date(0))).body.findings[0].message).toContain('in the past');
    await suspend(new Date(Date.now() + 90 * 86_400_000));
    await walk.plinth.until(api, ({ phase }) => phase === 'held');
    const runs = async () => {
      const metrics = await walk.plinth.metrics();
      const counts = [...metrics.matchAll(/^plinth_reconcile_seconds_count\{.*\} (\d+)$/gm)];
      return counts.reduce((sum, [, count]) => sum + Number(count), 0);
    };
    const before = await runs();
    expect(before).toBeGreaterThan(10);
    await put(walk.plinth, 'apis/web-shop', yaml('nginx:10'));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect((await runs()) - before).toBeLessThan(20);
    await suspend(new Date(Date.now() + 700));
    expect(await imageOf()).toBe('nginx:9');
    await eventually(imageOf, (image) => image === 'nginx:10', 5_000);
    expect((await walk.plinth.until(api, ({ phase }) => phase === 'applied')).hold).toBe(null);
  });

  test('changes can be listed and environments say where they run', async () => {
    const changes = (await get('/api/v1/changes?team=apis&project=web-shop&limit=2')).body;
    expect(changes.items).toMatchObject([
      { kind: 'put', state: 'committed', actor: admin.email },
      { project: 'web-shop' },
    ]);
    expect(
      (await get(`/api/v1/changes?team=apis&project=web-shop&limit=1&after=${changes.items[0].id}`)).body.items[0],
    ).toEqual(changes.items[1]);
    expect((await get('/api/v1/changes/chg_00000000000000000000000000')).body.code).toBe('CHANGE_NOT_FOUND');
    const { items } = (await get('/api/v1/environments')).body;
    expect(items.map(({ name, runtime }: { name: string; runtime: { kind: string } }) => [name, runtime.kind])).toEqual(
      [
        ['dev', 'none'],
        ['local', 'kubernetes'],
        ['production', 'none'],
        ['staging', 'none'],
      ],
    );
    const local = (await get('/api/v1/environments/local')).body;
    expect(local.runtime).toMatchObject({ connected: true, reason: '' });
    expect(local.settings.domain).toBe('apps.localhost');
    expect((await get('/api/v1/environments/local', { accept: 'application/yaml' })).text).toContain('runtime: auto');
  });

  test('a zero byte is refused wherever it comes', async () => {
    const asked = [
      await walk.plinth.request('PUT', api, `# \0\n${smallest}`),
      await walk.plinth.request('PUT', api, { ...json('nginx:1'), about: 'a\0b' }),
      await walk.plinth.request('PUT', `${api}?message=%00`, smallest),
      await post(`${api}/suspend`, { reason: 'a\0b' }),
      await get('/api/v1/environments/local/projects?q=%00'),
    ];
    expect(asked.map(({ status, body }) => `${status} ${body.code}`)).toEqual([
      '400 BODY_INVALID',
      '400 BODY_INVALID',
      '400 REQUEST_INVALID',
      '400 BODY_INVALID',
      '400 REQUEST_INVALID',
    ]);
  });

  test('a project may be deleted as soon as it was accepted', async () => {
    const name = 'apis/short-lived';
    const made = await walk.plinth.request('PUT', projectPath(name), smallest);
    const removed = await walk.plinth.request('DELETE', `${projectPath(name)}?confirm=${name}`);
    expect((await endOf(walk.plinth, made)).state).toBe('committed');
    expect((await endOf(walk.plinth, removed)).state).toBe('committed');
    await eventually(
      () => get(projectPath(name)),
      ({ status }) => status === 404,
    );
    expect((await walk.plinth.request('DELETE', `${projectPath(name)}?confirm=${name}`)).status).toBe(404);
  });

  test('where nothing runs, Git is written all the same and the project says so', async () => {
    const path = '/api/v1/environments/dev/projects/apis/only-git';
    expect((await endOf(walk.plinth, await walk.plinth.request('PUT', path, smallest))).state).toBe('committed');
    expect((await get(path)).body).toMatchObject({ health: 'unknown', problem: { code: 'RUNTIME_NONE' } });
    expect((await get(`${path}/diff`)).body).toMatchObject({ status: 409, code: 'RUNTIME_NONE' });
    expect((await endOf(walk.plinth, await walk.plinth.request('DELETE', `${path}?confirm=apis/only-git`))).state).toBe(
      'committed',
    );
    await eventually(
      () => get(path),
      ({ status }) => status === 404,
    );
  });
});
