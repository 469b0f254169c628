import { beforeAll, expect, test } from 'vitest';
import { digestOf } from '#audit/canonical.ts';
import { admin } from '#support/control-plane.ts';
import type { StateClone } from '#support/state-clone.ts';
import { describeWalk, endOf, eventually, projectPath, put, run } from '#support/walk.ts';

const environmentFile = 'environments/local/environment.yaml';
const switchesPath = '/api/v1/environments/local/switches';
/** Nothing that takes time to start: it is healthy as soon as the cluster has seen it. */
const spec = (image: string, more = '') => `apiVersion: plinth.dev/v1
kind: Project
${more}containers:
  web: { image: "${image}", port: 8080, replicas: 0 }
`;
const dependsOn = (...names: string[]) => `dependsOn: [${names.join(', ')}]\n`;

describeWalk('what people order', (walk) => {
  const request = (...given: Parameters<typeof walk.plinth.request>) => walk.plinth.request(...given);
  const get = async (name: string) => (await request('GET', projectPath(name))).body;
  const deployment = (name: string) => `/apis/apps/v1/namespaces/local--${name.replace('/', '--')}/deployments/web`;
  const imageOf = async (name: string) =>
    (await walk.cluster.api('GET', deployment(name))).body.spec?.template.spec.containers[0].image;
  const until = (name: string, test: (body: Awaited<ReturnType<typeof get>>) => boolean) =>
    walk.plinth.until(projectPath(name), test);
  const applied = (name: string, image: string) =>
    eventually(
      () => imageOf(name),
      (now) => now === image,
    );
  const switchOf = (name: string, action: string) => `${projectPath(name)}/switches/${action}`;

  test('a switch holds what Git brings until it is taken back, and says who, why and since when', async () => {
    await run(walk.plinth, 'orders/web', spec('nginx:1'));
    const set = await request('PUT', switchOf('orders/web', 'apply'), { reason: 'an incident' });
    expect(set).toMatchObject({ status: 200, body: { action: 'apply', team: 'orders', project: 'web' } });
    expect(set.headers.get('etag')).toBe(`"${set.body.etag}"`);
    await put(walk.plinth, 'orders/web', spec('nginx:2'));
    const held = await until('orders/web', ({ phase }) => phase === 'held');
    expect(held.problem).toEqual({
      code: 'NOT_ALLOWED_NOW',
      detail: `This is not allowed at the moment: ${admin.email} switched it off: an incident.`,
    });
    expect(held.allowed).toEqual({
      mode: 'heal',
      apply: `${admin.email} switched it off: an incident`,
      heal: null,
      prune: null,
      promote: null,
      until: null,
    });
    expect(await imageOf('orders/web')).toBe('nginx:1');
    expect((await request('DELETE', switchOf('orders/web', 'apply'))).status).toBe(204);
    await applied('orders/web', 'nginx:2');
    expect((await until('orders/web', ({ phase }) => phase === 'applied')).allowed.apply).toBeNull();
  });

  test('foreign edits stay while heal is off, and go when it is on again; nothing else is held', async () => {
    await run(walk.plinth, 'orders/heals', spec('nginx:1'));
    await request('PUT', switchOf('orders/heals', 'heal'), { reason: 'I debug' });
    const edit = { spec: { template: { spec: { containers: [{ name: 'web', image: 'nginx:edited' }] } } } };
    await walk.cluster.api('PATCH', deployment('orders/heals'), edit, 'application/strategic-merge-patch+json');
    await until('orders/heals', ({ reasons }) => reasons.length > 0);
    expect(await imageOf('orders/heals')).toBe('nginx:edited');
    await request('DELETE', switchOf('orders/heals', 'heal'));
    await applied('orders/heals', 'nginx:1');
  });

  test('one with an end ends by itself', async () => {
    await run(walk.plinth, 'orders/ends', spec('nginx:1'));
    const end = new Date(Date.now() + 1_500).toISOString();
    await request('PUT', switchOf('orders/ends', 'apply'), { reason: 'for a moment', until: end });
    const change = await put(walk.plinth, 'orders/ends', spec('nginx:2'));
    await applied('orders/ends', 'nginx:2');
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(end));
    const body = await until('orders/ends', ({ appliedRevision }) => appliedRevision === change.revision);
    expect(body.allowed.apply).toBeNull();
    expect((await request('GET', `${projectPath('orders/ends')}/switches`)).body.items).toEqual([]);
  });

  test('for a team, and for the whole environment, each by itself', async () => {
    for (const name of ['ordered/web', 'others/web']) await run(walk.plinth, name, spec('nginx:1'));
    await request('PUT', `${switchesPath}/teams/ordered/apply`, { reason: 'the team moves' });
    for (const name of ['ordered/web', 'others/web']) await put(walk.plinth, name, spec('nginx:2'));
    await applied('others/web', 'nginx:2');
    const held = await until('ordered/web', ({ phase }) => phase === 'held');
    expect(held.allowed.apply).toBe(`${admin.email} switched it off for the whole team: the team moves`);
    const all = await request('PUT', `${switchesPath}/apply`, { reason: 'a freeze' });
    expect(all.body).toMatchObject({ team: null, project: null });
    expect((await get('others/web')).allowed.apply).toBe(
      `${admin.email} switched it off for the whole environment: a freeze`,
    );
    const listed = (await request('GET', switchesPath)).body.items as { team: string; reason: string }[];
    expect(listed.map(({ team, reason }) => [team, reason])).toEqual([
      [null, 'a freeze'],
      ['ordered', 'the team moves'],
    ]);
    expect((await request('DELETE', `${switchesPath}/teams/ordered/apply`)).status).toBe(204);
    await until('ordered/web', ({ problem }) => problem?.detail.includes('a freeze'));
    expect((await request('DELETE', `${switchesPath}/apply`)).status).toBe(204);
    await applied('ordered/web', 'nginx:2');
  });

  test('what is wrong with an order is said; who decides on what they did not see is refused', async () => {
    await put(walk.plinth, 'orders/asked', spec('nginx:1'));
    const path = switchOf('orders/asked', 'prune');
    expect(await request('PUT', path, { reason: 'x', until: '2020-01-01T00:00:00Z' })).toMatchObject({ status: 400 });
    expect(await request('PUT', path, { reason: ' ' })).toMatchObject({ status: 400 });
    expect(await request('PUT', switchOf('orders/asked', 'deploy'), { reason: 'x' })).toMatchObject({ status: 400 });
    expect((await request('PUT', switchOf('orders/nobody', 'prune'), { reason: 'x' })).body.code).toBe(
      'PROJECT_NOT_FOUND',
    );
    expect((await request('DELETE', path)).body).toMatchObject({
      code: 'SWITCH_NOT_FOUND',
      detail: 'prune is not switched off for local/orders/asked itself.',
    });
    const first = await request('PUT', path, { reason: 'one' }, { 'if-none-match': '*' });
    const second = await request('PUT', path, { reason: 'two' }, { 'if-match': `"${first.body.etag}"` });
    expect([first.status, second.status]).toEqual([200, 200]);
    expect((await request('DELETE', path, undefined, { 'if-match': `"${first.body.etag}"` })).body).toMatchObject({
      code: 'SWITCH_MOVED',
      status: 412,
      data: { expected: first.body.etag, actual: second.body.etag },
    });
    expect((await request('DELETE', path, undefined, { 'if-match': `"${second.body.etag}"` })).status).toBe(204);
    const [removed, changed, made] = (await request('GET', '/api/v1/audit?limit=50')).body.items.filter(
      ({ action, outcome }: { action: string; outcome: string }) => /ProjectSwitch$/.test(action) && outcome === 'done',
    );
    expect([removed.action, changed.action, made.action]).toEqual([
      'deleteProjectSwitch',
      'putProjectSwitch',
      'putProjectSwitch',
    ]);
    expect([removed.before, changed.before, changed.after]).toEqual([
      digestOf(second.body),
      digestOf(first.body),
      digestOf(second.body),
    ]);
  });

  test('a rollback is a commit; it turns promotion off until the next change', async () => {
    const good = await run(walk.plinth, 'orders/back', spec('nginx:1'));
    const bad = await run(walk.plinth, 'orders/back', spec('nginx:2'));
    const back = await request('POST', `${projectPath('orders/back')}/rollback`, { revision: good.revision });
    await applied('orders/back', 'nginx:1');
    expect((await endOf(walk.plinth, back)).state).toBe('committed');
    const reason = `rolled back from ${bad.revision.slice(0, 12)} by ${admin.email}`;
    expect((await get('orders/back')).allowed.promote).toBe(`${admin.email} switched it off: ${reason}`);
    expect((await request('GET', `${projectPath('orders/back')}/switches`)).body.items).toMatchObject([
      { action: 'promote', reason, leftRevision: bad.revision },
    ]);
    await put(walk.plinth, 'orders/back', spec('nginx:3'));
    expect((await get('orders/back')).allowed.promote).toBeNull();
  });
});

describeWalk('windows', (walk) => {
  let clone: StateClone;
  let plain = '';
  beforeAll(async () => {
    clone = await walk.clone();
    plain = clone.read(environmentFile);
  });
  const request = (...given: Parameters<typeof walk.plinth.request>) => walk.plinth.request(...given);
  const imageOf = async (project: string) =>
    (await walk.cluster.api('GET', `/apis/apps/v1/namespaces/local--panes--${project}/deployments/web`)).body.spec
      ?.template.spec.containers[0].image;
  const setWindows = async (windows: readonly object[]) => {
    await clone.reset();
    await clone.push({ [environmentFile]: `${plain}windows: ${JSON.stringify(windows)}\n` });
  };

  test('a window that denies holds; who asks in person passes where it says so; its end lets everything through', async () => {
    await run(walk.plinth, 'panes/web', spec('nginx:1'));
    await run(walk.plinth, 'panes/api', spec('nginx:1'));
    await setWindows([
      { kind: 'deny', schedule: '* * * * *', duration: '5m', projects: ['panes/*'], manual: true, reason: 'a freeze' },
    ]);
    await walk.plinth.until(projectPath('panes/web'), ({ windows }) => windows[0]?.open === true);
    for (const project of ['web', 'api']) await put(walk.plinth, `panes/${project}`, spec('nginx:2'));
    for (const project of ['web', 'api']) {
      const held = await walk.plinth.until(projectPath(`panes/${project}`), ({ phase }) => phase === 'held');
      expect(held.problem.detail).toMatch(/a window denies it until .* \(\* \* \* \* \* for 5m, UTC\): a freeze/);
      expect(held.windows).toMatchObject([{ kind: 'deny', open: true, reason: 'a freeze', manual: true }]);
    }
    expect((await request('POST', `${projectPath('panes/web')}/reconcile`)).status).toBe(202);
    await eventually(
      () => imageOf('web'),
      (image) => image === 'nginx:2',
    );
    expect(await imageOf('api')).toBe('nginx:1');
    // What is changed after that was not asked for.
    await put(walk.plinth, 'panes/web', spec('nginx:3'));
    await walk.plinth.until(projectPath('panes/web'), ({ phase }) => phase === 'held');
    await setWindows([]);
    await eventually(
      () => imageOf('web'),
      (image) => image === 'nginx:3',
    );
    await eventually(
      () => imageOf('api'),
      (image) => image === 'nginx:2',
    );
  });

  test('a schedule that is none is refused at the push, with its place', async () => {
    await clone.reset();
    const { stderr } = await clone.push({
      [environmentFile]: `${plain}windows: [{ kind: deny, schedule: "0 0 30 2 *", duration: 1h, reason: x }]\n`,
    });
    expect(stderr).toContain('windows[0].schedule: "0 0 30 2 *" is a day that never comes');
    await clone.reset();
  });
});

describeWalk('projects that depend on others', (walk) => {
  const request = (...given: Parameters<typeof walk.plinth.request>) => walk.plinth.request(...given);
  const until = (name: string, test: (body: { [field: string]: never }) => boolean) =>
    walk.plinth.until(projectPath(name), test as never);
  const exists = async (project: string) =>
    (await walk.cluster.api('GET', `/api/v1/namespaces/local--chain--${project}`)).status === 200;

  test('ten in a row: each comes when the one before it is ready, and nobody polls for that', async () => {
    const names = Array.from({ length: 10 }, (_, i) => `chain/link-${i}`);
    // The last one first: all of them wait for what is not there yet.
    for (const [i, name] of [...names.entries()].slice(1).reverse())
      await put(walk.plinth, name, spec('nginx:1', dependsOn(names[i - 1] ?? '')));
    for (const [i, name] of names.entries()) {
      if (i === 0) continue;
      const body = await walk.plinth.until(projectPath(name), ({ problem }) => problem !== null);
      expect(body.problem).toEqual({
        code: 'DEPENDENCY_NOT_READY',
        detail: `The project waits until ${names[i - 1]} is applied and healthy.`,
      });
      expect(await exists(`link-${i}`)).toBe(false);
    }
    await put(walk.plinth, 'chain/link-0', spec('nginx:1'));
    await walk.plinth.until(
      projectPath('chain/link-9'),
      ({ phase, health }) => phase === 'applied' && health === 'healthy',
    );
    const times = await Promise.all(
      names.map(async (name) => Date.parse((await request('GET', projectPath(name))).body.appliedAt)),
    );
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  });

  test('a circle is refused where it would be closed, with the names around it', async () => {
    await put(walk.plinth, 'circle/one', spec('nginx:1', dependsOn('circle/two')));
    const refused = await request('PUT', projectPath('circle/two'), spec('nginx:1', dependsOn('circle/one')));
    expect(refused).toMatchObject({ status: 409, body: { code: 'DEPENDENCY_CIRCLE' } });
    expect(refused.body.detail).toBe(
      'circle/two would wait for itself: circle/two → circle/one → circle/two. Take one of these out of its dependsOn.',
    );
    await put(walk.plinth, 'circle/two', spec('nginx:1'));
    await until('circle/one', ({ phase }) => phase === 'applied');
  });

  test('what others depend on leaves after them, where both leave', async () => {
    await run(walk.plinth, 'leaves/base', spec('nginx:1'));
    await run(walk.plinth, 'leaves/top', spec('nginx:1', dependsOn('leaves/base')));
    await request('PUT', `${projectPath('leaves/top')}/switches/prune`, { reason: 'let me look' });
    for (const name of ['leaves/base', 'leaves/top'])
      await endOf(walk.plinth, await request('DELETE', `${projectPath(name)}?confirm=${name}`));
    const waits = await walk.plinth.until(projectPath('leaves/base'), ({ problem }) => problem !== null);
    expect(waits.problem.detail).toBe('The project leaves after leaves/top, which depends on it and leaves too.');
    await request('DELETE', `${projectPath('leaves/top')}/switches/prune`);
    for (const name of ['leaves/top', 'leaves/base'])
      await eventually(
        () => request('GET', projectPath(name)),
        ({ status }) => status === 404,
        60_000,
      );
  });
});
