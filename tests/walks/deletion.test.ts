import { expect, test } from 'vitest';
import { describeWalk, endOf, eventually, projectPath, put, run, smallest } from '#support/walk.ts';

const withVolumes = (...names: string[]) => ({
  apiVersion: 'plinth.dev/v1',
  kind: 'Project',
  volumes: Object.fromEntries(names.map((name) => [name, '1Gi'])),
  containers: {
    web: {
      image: 'nginx:1',
      port: 8080,
      mounts: Object.fromEntries(names.map((name) => [`/${name}`, name])),
    },
  },
});

describeWalk('deleting needs proof and a person', (walk) => {
  const get = (path: string) => walk.plinth.request('GET', path);
  const confirm = (name: string, digest: string) =>
    walk.plinth.request('POST', `${projectPath(name)}/confirm`, { digest });
  const uidOf = async (path: string): Promise<string | undefined> =>
    (await walk.cluster.api('GET', path)).body.metadata?.uid;
  const namespace = (name: string) => `/api/v1/namespaces/local--${name.replace('/', '--')}`;
  /** Removes a project's folder by a push; others push at the same time, so it may take several tries. */
  const pushAway = async (name: string) => {
    const clone = await walk.clone();
    for (;;) {
      const { code } = await clone.push({ [`environments/local/${name}`]: null });
      if (code === 0) return;
      await clone.reset();
    }
  };
  const waiting = async (name: string) =>
    await walk.plinth.until(
      projectPath(name),
      ({ phase, waiting: asked }) => phase === 'needs-confirmation' && asked !== null,
    );
  const gone = (name: string) =>
    eventually(
      () => get(projectPath(name)),
      ({ status }) => status === 404,
    );
  const deletions = async (name: string) =>
    ((await walk.cluster.auditLog?.entries()) ?? []).filter(
      ({ verb, namespace: space, name: object, userAgent }) =>
        verb === 'delete' &&
        [space, object].includes(namespace(name).slice(19)) &&
        /plinth|node|undici/i.test(userAgent),
    );

  test.concurrent('a folder that a push removed waits with its list, and goes with the right digest only', async () => {
    const name = 'leaving/by-push';
    await run(walk.plinth, name, smallest);
    await pushAway(name);
    const view = await waiting(name);
    expect(view.spec).toBe(null);
    const { objects } =
      (await get(`${projectPath(name)}/objects`)).body.items.length > 0 ? view.waiting : { objects: [] };
    expect(objects.map(({ kind, name: object }: { kind: string; name: string }) => `${kind} ${object}`)).toEqual(
      expect.arrayContaining(['Namespace local--leaving--by-push', 'Deployment web', 'Service web', 'Ingress web']),
    );
    expect(await confirm(name, 'sha256:0000')).toMatchObject({
      status: 409,
      body: { code: 'CONFIRMATION_WRONG', data: { wanted: view.waiting.digest } },
    });
    await walk.plinth.request('POST', `${projectPath(name)}/reconcile`);
    expect(await uidOf(namespace(name))).toBeDefined();
    expect((await confirm(name, view.waiting.digest)).status).toBe(202);
    await gone(name);
    expect(await uidOf(namespace(name))).toBeUndefined();
    expect((await confirm(name, view.waiting.digest)).status).toBe(404);
    // The namespace took everything with it.
    expect((await deletions(name)).map(({ resource }) => resource)).toEqual(['namespaces']);
  });

  test.concurrent('a renamed folder is a new project beside the old one, which waits', async () => {
    await run(walk.plinth, 'leaving/old-name', smallest);
    const clone = await walk.clone();
    const folder = 'environments/local/leaving';
    for (let code = 1; code !== 0; ) {
      await clone.reset();
      await clone.git('mv', `${folder}/old-name`, `${folder}/new-name`);
      code = (await clone.push({})).code;
    }
    await walk.plinth.until(
      projectPath('leaving/new-name'),
      ({ phase, health }) => phase === 'applied' && health === 'healthy',
    );
    const old = await waiting('leaving/old-name');
    expect(await uidOf(namespace('leaving/old-name'))).toBeDefined();
    await confirm('leaving/old-name', old.waiting.digest);
    await gone('leaving/old-name');
    expect(await uidOf(namespace('leaving/new-name'))).toBeDefined();
  });

  test.concurrent('a volume that left the spec waits alone; the rest is applied at once', async () => {
    const name = 'leaving/volumes';
    await run(walk.plinth, name, withVolumes('keep', 'lose'));
    const claim = `${namespace(name)}/persistentvolumeclaims`;
    const { revision } = await put(walk.plinth, name, withVolumes('keep'));
    const view = await waiting(name);
    expect(view).toMatchObject({ appliedRevision: revision });
    expect(view.waiting.objects).toEqual([
      {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        namespace: 'local--leaving--volumes',
        name: 'lose',
        action: 'delete',
      },
    ]);
    expect(await uidOf(`${claim}/lose`)).toBeDefined();
    await confirm(name, view.waiting.digest);
    await eventually(
      () => uidOf(`${claim}/lose`),
      (uid) => uid === undefined,
    );
    expect(await uidOf(`${claim}/keep`)).toBeDefined();
    const after = await walk.plinth.until(
      projectPath(name),
      ({ phase, waiting: asked }) => phase === 'applied' && asked === null,
    );
    expect(after.health).toBe('healthy');
  });

  test.concurrent('a volume that comes back before the yes is never touched, and an old yes does not count later', async () => {
    const name = 'leaving/undecided';
    await run(walk.plinth, name, withVolumes('data', 'more'));
    const claim = `${namespace(name)}/persistentvolumeclaims/more`;
    const uid = await uidOf(claim);
    await put(walk.plinth, name, withVolumes('data'));
    const { waiting: asked } = await waiting(name);
    await run(walk.plinth, name, withVolumes('data', 'more'));
    expect((await get(projectPath(name))).body.waiting).toBe(null);
    expect((await confirm(name, asked.digest)).body.code).toBe('NOTHING_TO_CONFIRM');
    expect(await uidOf(claim)).toBe(uid);
  });

  test.concurrent('a spec that is removed and put back before the yes keeps everything', async () => {
    const name = 'leaving/back-again';
    await run(walk.plinth, name, withVolumes('data'));
    const uids = () => Promise.all([namespace(name), `${namespace(name)}/persistentvolumeclaims/data`].map(uidOf));
    const before = await uids();
    await pushAway(name);
    const { waiting: asked } = await waiting(name);
    await run(walk.plinth, name, withVolumes('data'));
    expect((await confirm(name, asked.digest)).body.code).toBe('NOTHING_TO_CONFIRM');
    expect(await uids()).toEqual(before);
    expect(await deletions(name)).toEqual([]);
  });

  test.concurrent('DELETE wants the name as confirmation', async () => {
    const name = 'leaving/by-api';
    await run(walk.plinth, name, smallest);
    const remove = (query: string, headers?: Record<string, string>) =>
      walk.plinth.request('DELETE', `${projectPath(name)}${query}`, undefined, headers);
    expect(await remove('')).toMatchObject({
      status: 409,
      body: { code: 'CONFIRMATION_NEEDED', data: { wanted: name } },
    });
    expect(await remove('?confirm=leaving/other')).toMatchObject({ status: 409, body: { code: 'CONFIRMATION_WRONG' } });
    expect((await remove(`?confirm=${name}`, { 'if-match': '"0000"' })).status).toBe(412);
    expect(await uidOf(namespace(name))).toBeDefined();
    expect((await endOf(walk.plinth, await remove(`?confirm=${name}`))).state).toBe('committed');
    await gone(name);
    expect((await deletions(name)).map(({ resource }) => resource)).toEqual(['namespaces']);
    expect((await remove(`?confirm=${name}`)).status).toBe(404);
  });

  test.concurrent('PUT right after DELETE, while the namespace is on its way out, comes up anew', async () => {
    const name = 'leaving/phoenix';
    await run(walk.plinth, name, withVolumes('data'));
    const before = await uidOf(namespace(name));
    await endOf(walk.plinth, await walk.plinth.request('DELETE', `${projectPath(name)}?confirm=${name}`));
    await eventually(
      async () => (await walk.cluster.api('GET', namespace(name))).body.metadata?.deletionTimestamp,
      (time) => time !== undefined,
    );
    const { revision } = await put(walk.plinth, name, withVolumes('data'));
    await eventually(
      () => uidOf(namespace(name)),
      (uid) => uid !== undefined && uid !== before,
      30_000,
    );
    await walk.plinth.until(
      projectPath(name),
      (body) => body.appliedRevision === revision && body.phase === 'applied' && body.health === 'healthy',
    );
    expect((await get(projectPath(name))).body.waiting).toBe(null);
  });

  test.concurrent('a held project is not deleted before its hold ends', async () => {
    const name = 'leaving/held';
    await run(walk.plinth, name, smallest);
    await walk.plinth.request('POST', `${projectPath(name)}/suspend`, { reason: 'audit' });
    await endOf(walk.plinth, await walk.plinth.request('DELETE', `${projectPath(name)}?confirm=${name}`));
    await walk.plinth.until(projectPath(name), ({ phase, spec }) => phase === 'held' && spec === null);
    expect(await uidOf(namespace(name))).toBeDefined();
    expect((await walk.plinth.request('POST', `${projectPath(name)}/resume`)).status).toBe(200);
    await gone(name);
    // A project of that name later is another one: nothing of the old one holds it.
    expect((await run(walk.plinth, name, smallest)).hold).toBe(null);
  });
});
