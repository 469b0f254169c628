import { execFile, execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { afterAll, expect, test } from 'vitest';
import { Secret } from '#base/secret.ts';
import { clientConfig } from '#database/connection.ts';
import { admin } from '#support/control-plane.ts';
import { describeWalk, eventually, projectPath, run } from '#support/walk.ts';

const spec = (more: object = {}) => ({
  apiVersion: 'plinth.dev/v1',
  kind: 'Project',
  containers: {
    web: { image: 'nginx:1', port: 8080, secrets: ['api-key'], ...more },
    other: { image: 'nginx:1', port: 8080, env: { CERT: { secret: 'certificate' } } },
    idle: { image: 'nginx:1', port: 8080 },
  },
});
const canaries = ['canary-first-5f2a', 'canary-second-9c1d', 'canary-certificate-77e0'] as const;

describeWalk('secrets of a project', (walk) => {
  const api = projectPath('vaults/keys');
  const namespace = 'local--vaults--keys';
  const live = async (path: string, space = namespace) =>
    (await walk.cluster.api('GET', path.replace('{ns}', `namespaces/${space}`))).body;
  const secretIn = async (name: string, space = namespace) => {
    const data: Record<string, string> = (await live(`/api/v1/{ns}/secrets/${name}`, space)).data ?? {};
    return Buffer.from(Object.values(data)[0] ?? '', 'base64').toString('utf8');
  };
  const generations = async () =>
    Object.fromEntries(
      (await live('/apis/apps/v1/{ns}/deployments')).items.map(
        ({ metadata }: { metadata: { name: string; generation: number } }) => [metadata.name, metadata.generation],
      ),
    );
  const setSecret = (name: string, value: string) => walk.plinth.request('PUT', `${api}/secrets/${name}`, { value });

  /** All that the control plane ever answered here. */
  let said = '';
  const request = async (method: string, path: string, body?: unknown, headers?: Record<string, string>) => {
    const answer = await walk.plinth.request(method, path, body, headers);
    said += `${answer.text}\n`;
    return answer;
  };

  test('a spec that needs a secret which is not set is refused, and says what to do', async () => {
    const refused = await request('PUT', api, spec());
    expect(refused).toMatchObject({ status: 422, body: { code: 'SECRET_NOT_ALLOWED', data: { secret: 'api-key' } } });
    expect(refused.body.detail).toContain('PUT …/secrets/api-key');
    expect((await request('PUT', `${api}?dryRun`, spec())).status).toBe(422);
    expect((await request('GET', api)).status).toBe(404);
  });

  test('once set, the value is in the cluster, and nowhere that somebody could read it back', async () => {
    expect((await setSecret('api-key', canaries[0])).body).toMatchObject({ name: 'api-key', generated: false });
    expect((await setSecret('certificate', canaries[2])).status).toBe(200);
    await run(walk.plinth, 'vaults/keys', spec());
    expect([await secretIn('api-key'), await secretIn('certificate')]).toEqual([canaries[0], canaries[2]]);
    const list = (await request('GET', `${api}/secrets`)).body.items;
    expect(list.map(({ name }: { name: string }) => name)).toEqual(['api-key', 'certificate']);
    expect(Object.keys(list[0]).sort()).toEqual(['generated', 'name', 'updatedAt', 'updatedBy', 'vault', 'version']);
    expect((await request('GET', `${api}/secrets/none`)).body.code).toBe('SECRET_NOT_FOUND');
  });

  test('a rotation rolls only the workload that uses the secret', async () => {
    const before = await generations();
    await setSecret('api-key', canaries[1]);
    await eventually(
      () => secretIn('api-key'),
      (value) => value === canaries[1],
    );
    const after = await eventually(generations, ({ web }) => web > before.web);
    await walk.plinth.until(api, ({ phase, health }) => phase === 'applied' && health === 'healthy');
    expect(await generations()).toEqual({ ...before, web: before.web + 1 });
    expect(after.web).toBe(before.web + 1);
    // The same value once more is another version: whoever sets it wants it to be taken.
    await setSecret('api-key', canaries[1]);
    await eventually(generations, ({ web }) => web === before.web + 2);
  });

  test('a foreign hand on the value is healed', async () => {
    await walk.cluster.api(
      'PATCH',
      `/api/v1/namespaces/${namespace}/secrets/certificate`,
      {
        data: Object.fromEntries(
          Object.keys((await live('/api/v1/{ns}/secrets/certificate')).data).map((key) => [key, 'ZXZpbA==']),
        ),
      },
      'application/merge-patch+json',
    );
    await eventually(
      () => secretIn('certificate'),
      (value) => value === canaries[2],
    );
  });

  test('a secret that is taken away is named as what keeps the project from going on', async () => {
    expect((await request('DELETE', `${api}/secrets/api-key`)).status).toBeLessThan(300);
    // Its pods run on; the rollout of the test before may not have come to its end.
    const view = await walk.plinth.until(api, ({ phase, health }) => phase === 'failed' && health === 'healthy');
    expect(view.problem).toMatchObject({ code: 'SECRET_NOT_ALLOWED', detail: expect.stringContaining('api-key') });
    expect(await secretIn('api-key')).toBe(canaries[1]);
    await setSecret('api-key', canaries[1]);
    await walk.plinth.until(api, ({ phase, problem }) => phase === 'applied' && problem === null);
  });

  test('generated passwords are made once and stay', async () => {
    const withDatabase = (image: string) => ({
      apiVersion: 'plinth.dev/v1',
      kind: 'Project',
      services: { db: 'postgres' },
      containers: { web: { image, port: 8080, dependsOn: ['db'] } },
    });
    const space = 'local--vaults--with-db';
    await run(walk.plinth, 'vaults/with-db', withDatabase('nginx:1'));
    const [entry] = (await request('GET', `${projectPath('vaults/with-db')}/secrets`)).body.items;
    expect(entry).toMatchObject({ generated: true });
    const password = await secretIn(entry.name, space);
    expect(password).toMatch(/^[A-Za-z0-9]{32}$/);
    await run(walk.plinth, 'vaults/with-db', withDatabase('nginx:2'));
    await walk.cluster.api('DELETE', `/api/v1/namespaces/${space}/secrets/${entry.name}`);
    expect(
      await eventually(
        () => secretIn(entry.name, space),
        (value) => value !== '',
      ),
    ).toBe(password);
    generatedPassword = password;
  });
  let generatedPassword = '';

  test('a push that brings its own manifests gets its passwords made, too', async () => {
    const clone = await walk.clone();
    const folder = 'environments/local/vaults/pushed-db';
    const text = (name: string) => clone.read(`environments/local/vaults/${name}`);
    const renamed = (file: string) => text(`with-db/${file}`).replaceAll('with-db', 'pushed-db');
    const pushed = await clone.push({
      [`${folder}/project.yaml`]: renamed('project.yaml'),
      [`${folder}/manifests.yaml`]: renamed('manifests.yaml'),
    });
    expect(pushed.code, pushed.stderr).toBe(0);
    await walk.plinth.until(
      projectPath('vaults/pushed-db'),
      ({ phase, health }) => phase === 'applied' && health === 'healthy',
    );
  });

  test('secrets of the team and of the environment serve who is named, the nearest wins', async () => {
    const wide = projectPath('vaults/wide');
    const space = 'local--vaults--wide';
    const container = { image: 'nginx:1', port: 8080, secrets: ['shared'] };
    const wideSpec = { apiVersion: 'plinth.dev/v1', kind: 'Project', containers: { web: container } };
    const ofTeam = '/api/v1/teams/vaults/secrets';
    const ofEnvironment = '/api/v1/environments/local/secrets';
    const grants = ['local/vaults/wide'];
    expect((await request('PUT', `${ofEnvironment}/shared`, { value: 'environment' })).body).toMatchObject({
      grants: [],
    });
    expect((await request('PUT', wide, wideSpec)).body.code).toBe('SECRET_NOT_ALLOWED');
    await request('PUT', `${ofEnvironment}/shared`, { value: 'environment', grants });
    await run(walk.plinth, 'vaults/wide', wideSpec);
    expect(await secretIn('shared', space)).toBe('environment');
    const stands = (value: string) =>
      eventually(
        () => secretIn('shared', space),
        (text) => text === value,
      );
    await request('PUT', `${ofTeam}/shared`, { value: 'team', grants });
    await stands('team');
    expect((await request('GET', ofTeam)).body.items).toMatchObject([{ name: 'shared', grants, vault: null }]);
    expect((await request('DELETE', `${ofTeam}/shared`)).status).toBe(204);
    await stands('environment');
    expect((await request('DELETE', `${ofTeam}/shared`)).body.code).toBe('SECRET_NOT_FOUND');
    expect((await request('PUT', '/api/v1/environments/none/secrets/shared', { value: 'x' })).status).toBe(404);
    for (const body of [{}, { value: 'x', vault: { path: 'secret/data/x', key: 'y' } }])
      expect((await request('PUT', `${ofTeam}/shared`, body)).status).toBe(400);
    expect((await request('PUT', `${ofTeam}/x`, { vault: { path: 'secret/data/x', key: 'y' } })).body.code).toBe(
      'SECRET_IN_VAULT_ONLY',
    );
  });

  test('a key that is rotated while everything runs changes no version and rolls nothing', async () => {
    const before = [await generations(), (await request('GET', `${api}/secrets`)).body.items];
    const { stdout } = await promisify(execFile)(process.execPath, ['scripts/secrets.ts', 'rotate'], {
      env: { PATH: process.env.PATH, HOME: walk.directory, DATA_DIR: join(walk.directory, 'data') },
    });
    expect(stdout).toMatch(/^\d+ values were encrypted anew\. The key is key_[0-9a-z]{26} now/);
    expect(stdout).toMatch(/Gone: key_[0-9a-z]{26}\.\n$/);
    const change = (await request('POST', `${api}/reconcile`)).status;
    expect(change).toBeLessThan(300);
    await walk.plinth.until(api, ({ phase, health }) => phase === 'applied' && health === 'healthy');
    expect([await generations(), (await request('GET', `${api}/secrets`)).body.items]).toEqual(before);
    expect(await secretIn('certificate')).toBe(canaries[2]);
  });

  /** The stream of the project with all that it ever told, up to its state now. */
  const eventsSoFar = async () => {
    const authorization = `Basic ${btoa(`${admin.email}:${admin.password}`)}`;
    const leave = new AbortController();
    const answer = await fetch(`${walk.plinth.url}${api}/events`, {
      headers: { authorization, 'last-event-id': '0' },
      signal: leave.signal,
    });
    let text = '';
    for await (const chunk of answer.body ?? []) {
      text += new TextDecoder().decode(chunk);
      if (text.includes('event: status')) break;
    }
    leave.abort();
    expect(text).toContain('event: history');
    return text;
  };

  test('no value stands in any reply, the diff, events, the log, Git or a plain column', async () => {
    for (const path of ['', '/diff', '/objects', '/history', '/manifests', '/secrets', '/secrets/api-key'])
      await request('GET', `${api}${path}`);
    await request('GET', `${api}/diff`, undefined, { accept: 'text/plain' });
    await request('GET', '/api/v1/changes?team=vaults&limit=500');
    said += await eventsSoFar();
    const clone = await walk.clone();
    const places = {
      replies: said,
      log: walk.plinth.log() + walk.plinth.output(),
      git: (await clone.git('log', '-p', '--all')).stdout,
      metrics: await walk.plinth.metrics(),
      database: await allRows(join(walk.directory, 'data/postgres')),
      files: filesOf(join(walk.directory, 'data')),
    };
    for (const [place, text] of Object.entries(places)) {
      expect(text.length, place).toBeGreaterThan(100);
      for (const value of [...canaries, generatedPassword])
        for (const form of [value, Buffer.from(value).toString('base64')])
          expect(text.includes(form), `${form} stands in ${place}`).toBe(false);
    }
    expect(places.database).toContain('vaults/keys');
  });

  afterAll(() => {
    said = '';
  });
});

/** Every row of every table as text, as somebody with a dump would read it. */
async function allRows(home: string): Promise<string> {
  const password = new Secret(readFileSync(join(home, 'password'), 'utf8').trim());
  const client = new Client(
    clientConfig({ host: join(home, 'run'), port: 5432, user: 'plinth', password, database: 'plinth' }),
  );
  await client.connect();
  try {
    const { rows: tables } = await client.query(
      "select quote_ident(tablename) as name from pg_tables where schemaname = 'public'",
    );
    const texts: string[] = [];
    for (const { name } of tables)
      for (const { row } of (await client.query(`select t::text as row from ${name} t`)).rows) texts.push(row);
    return texts.join('\n');
  } finally {
    await client.end();
  }
}

/** What lies in the data directory beside the database's own files. */
function filesOf(directory: string): string {
  return execFileSync('find', [directory, '-type', 'f', '-size', '-1024k', '-not', '-path', '*/postgres/*'], {
    encoding: 'utf8',
  })
    .split('\n')
    .filter((file) => file !== '' && existsSync(file))
    .map((file) => readFileSync(file, 'latin1'))
    .join('\n');
}
