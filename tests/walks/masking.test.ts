import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { expect, test } from 'vitest';
import { Secret } from '#base/secret.ts';
import { clientConfig } from '#database/connection.ts';
import { createCanaries } from '#support/canaries.ts';
import { describeWalk, eventually, projectPath, run } from '#support/walk.ts';

const total = 5_000;
/** Requests under way at the same time. */
const lanes = 24;
const namesOfSpec = Array.from({ length: 10 }, (_, n) => `key-${n}`);

const spec = {
  apiVersion: 'plinth.dev/v1',
  kind: 'Project',
  containers: {
    web: {
      image: 'nginx:1',
      port: 8080,
      secrets: namesOfSpec.slice(0, 5),
      env: Object.fromEntries(namesOfSpec.slice(5).map((name, n) => [`USED_${n}`, { secret: name }])),
    },
  },
};

interface Attempt {
  readonly method: string;
  readonly path: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

describeWalk(
  '5,000 secret values',
  (walk) => {
    const canaries = createCanaries();
    let said = '';
    let token = '';

    const send = async ({ method, path, body, headers }: Attempt): Promise<number> => {
      const authorization = `Bearer ${token}`;
      const type: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' };
      const answer = await fetch(walk.plinth.url + path, {
        method,
        headers: { authorization, ...type, ...headers },
        body,
        redirect: 'manual',
      });
      const heads = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join('\n');
      said += `${answer.status}\n${heads}\n${await answer.text()}\n`;
      return answer.status;
    };
    const sendAll = async (attempts: readonly Attempt[]): Promise<ReadonlyMap<number, number>> => {
      const statuses = new Map<number, number>();
      const next = attempts.values();
      const work = async () => {
        for (const attempt of next) {
          const status = await send(attempt);
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
        }
      };
      await Promise.all(Array.from({ length: lanes }, work));
      return statuses;
    };
    const many = (count: number, make: (n: number) => Attempt) => Array.from({ length: count }, (_, n) => make(n));
    const json = (value: unknown) => JSON.stringify(value);
    const api = projectPath('masked/shown');

    test('are set', async () => {
      token = (await walk.plinth.request('POST', '/api/v1/tokens', { name: 'masking' })).body.token;
      const value = () => json({ value: canaries.next() });
      const statuses = await sendAll([
        ...namesOfSpec.map((name) => ({ method: 'PUT', path: `${api}/secrets/${name}`, body: value() })),
        ...many(600, (n) => ({
          method: 'PUT',
          path: `${projectPath(`masked/project-${n % 40}`)}/secrets/s${n}`,
          body: value(),
        })),
        ...many(100, (n) => ({ method: 'PUT', path: `/api/v1/teams/masked/secrets/s${n % 20}`, body: value() })),
        ...many(100, (n) => ({ method: 'PUT', path: `/api/v1/environments/local/secrets/s${n % 20}`, body: value() })),
        ...many(100, (n) => ({
          method: 'PUT',
          path: `/api/v1/secrets/s${n % 20}`,
          body: json({ value: canaries.next(), grants: ['*/*/*'] }),
        })),
      ]);
      expect([...statuses]).toEqual([[200, 910]]);
    });

    test('are used and rotated in the cluster', async () => {
      await run(walk.plinth, 'masked/shown', spec);
      const rotated = canaries.next();
      await send({ method: 'PUT', path: `${api}/secrets/key-0`, body: json({ value: rotated }) });
      const path = '/api/v1/namespaces/local--masked--shown/secrets/key-0';
      const live = await eventually(
        async () => {
          const data: Record<string, string> = (await walk.cluster.api('GET', path)).body.data ?? {};
          return Buffer.from(Object.values(data)[0] ?? '', 'base64').toString('utf8');
        },
        (text) => text === rotated,
      );
      // The search finds what is there to be found.
      expect(canaries.findIn(live)).toHaveLength(1);
      expect(canaries.findIn(Buffer.from(`a${live}`).toString('base64'))).toHaveLength(1);
      expect(canaries.findIn(Buffer.from(live).toString('hex'))).toHaveLength(1);
    });

    test('are sent wrongly: in bodies, to paths, as credentials, in specs', async () => {
      const wrong = `${api}/secrets/wrong`;
      const bodies = [
        () => json({ vaule: canaries.next() }),
        () => json({ value: [canaries.next()] }),
        () => json({ value: { text: canaries.next() } }),
        () => json({ value: canaries.next(), more: canaries.next() }),
        () => json(canaries.next()),
        () => json([canaries.next()]),
        () => json({ value: canaries.next() }).slice(0, -2),
        () => `{"value": ${canaries.next()}}`,
        () => json({ value: 'x', vault: { path: canaries.next(), key: 'value' } }),
        () => json({ vault: { path: 'secret/data/x', key: canaries.next() } }),
        () => json({ value: 'x', grants: [canaries.next()] }),
      ];
      const specs = [
        (value: string) => ({ ...spec.containers.web, secrets: [value] }),
        (value: string) => ({ ...spec.containers.web, secrets: { 'key-0': value } }),
        (value: string) => ({ ...spec.containers.web, env: { A: { secret: value } } }),
        (value: string) => ({ ...spec.containers.web, env: { A: { secret: 'key-0', value } } }),
        (value: string) => ({ ...spec.containers.web, env: { A: { secret: { value } } } }),
      ];
      const count = total - canaries.given;
      const paths = [
        '/api/v1/environments/none/projects/masked/shown/secrets/x',
        '/api/v1/environments/local/projects/masked/-/secrets/x',
        '/api/v1/environments/local/projects/masked/shown/secrets/-x-',
        '/api/v1/environments/local/projects/masked/shown/secret/x',
        '/api/v1/secret/x',
        '/api/v1/teams/-/secrets/x',
        '/secrets',
        '/git/x',
      ];
      const wrongly: ((n: number) => Attempt)[] = [
        (n) => ({ method: 'PUT', path: wrong, body: bodies[n % bodies.length]!() }),
        (n) => ({ method: 'PUT', path: `/api/v1/secrets/wrong`, body: bodies[n % bodies.length]!() }),
        (n) => ({ method: 'PUT', path: paths[n % paths.length]!, body: json({ value: canaries.next() }) }),
        () => ({ method: 'POST', path: wrong, body: json({ value: canaries.next() }) }),
        () => ({ method: 'PUT', path: wrong, body: canaries.next(), headers: { 'content-type': 'text/plain' } }),
        () => ({
          method: 'GET',
          path: api,
          headers: { authorization: `Bearer ${btoa(canaries.next().replace('ä', ''))}` },
        }),
        () => ({ method: 'GET', path: api, headers: { 'x-csrf-token': encodeURIComponent(canaries.next()) } }),
        () => ({ method: 'GET', path: api, headers: { cookie: `session=${encodeURIComponent(canaries.next())}` } }),
        () => ({ method: 'GET', path: `${api}?token=${encodeURIComponent(canaries.next())}` }),
        () => ({ method: 'GET', path: `/api/v1/audit?secret=${encodeURIComponent(canaries.next())}` }),
        (n) => ({
          method: 'PUT',
          path: n % 2 === 0 ? api : `${api}?dryRun`,
          body: json({ ...spec, containers: { web: specs[n % specs.length]!(canaries.next()) } }),
        }),
      ];
      // What costs much comes seldom: a password is hashed, and too long a value is sent a long way.
      await sendAll([
        ...many(10, () => ({
          method: 'POST',
          path: '/api/auth/sign-in/email',
          body: json({ email: 'nobody@example.com', password: canaries.next() }),
        })),
        ...many(20, () => ({
          method: 'PUT',
          path: wrong,
          body: json({ value: canaries.next().padEnd(300_000, '.') }),
        })),
      ]);
      // Some bodies hold two of them.
      for (let n = 0; canaries.given < total; ) {
        const left = Math.min(count, total - canaries.given);
        const attempts = many(Math.max(1, Math.floor(left / 1.1)), () => wrongly[n % wrongly.length]!(n++));
        await sendAll(attempts);
      }
      expect(canaries.given).toBeGreaterThanOrEqual(total);
    });

    test('and 0 bytes of them stand in replies, events, diffs, logs, metrics, the audit, Git, the database and files', async () => {
      const reads = ['', '/diff', '/objects', '/history', '/manifests', '/secrets', '/secrets/key-0'];
      const others = ['/api/v1/changes?limit=500', '/api/v1/secrets', '/api/v1/teams/masked/secrets', '/openapi.json'];
      for (const path of [...reads.map((end) => api + end), ...others, '/api/v1/audit?limit=500'])
        expect(await send({ method: 'GET', path }), path).toBe(200);
      await send({ method: 'GET', path: `${api}/diff`, headers: { accept: 'text/plain' } });
      const places = {
        replies: said,
        events: await eventsSoFar(`${walk.plinth.url}${api}/events`, token),
        log: walk.plinth.log() + walk.plinth.output(),
        metrics: await walk.plinth.metrics(),
        git: everyObject(join(walk.directory, 'data/state.git')),
        database: await allRows(join(walk.directory, 'data/postgres')),
        files: filesOf(join(walk.directory, 'data')),
        cluster: json(
          (await walk.cluster.api('GET', '/apis/apps/v1/namespaces/local--masked--shown/deployments')).body,
        ),
      };
      for (const [place, text] of Object.entries(places)) {
        expect(text.length, place).toBeGreaterThan(100);
        expect(canaries.findIn(text), place).toEqual([]);
      }
      expect(places.database).toContain('project/local/masked/shown');
    });
  },
  { LOG_LEVEL: 'trace' },
);

/** The stream of a project with all that it ever told, up to its state now. */
async function eventsSoFar(url: string, token: string): Promise<string> {
  const leave = new AbortController();
  const headers = { authorization: `Bearer ${token}`, 'last-event-id': '0' };
  const answer = await fetch(url, { headers, signal: leave.signal });
  let text = '';
  for await (const chunk of answer.body ?? []) {
    text += new TextDecoder().decode(chunk);
    if (text.includes('event: status')) break;
  }
  leave.abort();
  return text;
}

/** Every object of a repository, those included that nothing refers to. */
function everyObject(directory: string): string {
  const args = ['-C', directory, 'cat-file', '--batch', '--batch-all-objects', '--unordered'];
  return execFileSync('git', args, { maxBuffer: 1024 ** 3 }).toString('latin1');
}

/** Every row of every table as text, as somebody with a dump would read it. */
async function allRows(home: string): Promise<string> {
  const password = new Secret(readFileSync(join(home, 'password'), 'utf8').trim());
  const place = { host: join(home, 'run'), port: 5432, user: 'plinth', password, database: 'plinth' };
  const client = new Client(clientConfig(place));
  await client.connect();
  try {
    const { rows: tables } = await client.query(
      `select format('%I.%I', schemaname, tablename) as name from pg_tables
        where schemaname not in ('pg_catalog', 'information_schema')`,
    );
    const texts: string[] = [];
    for (const { name } of tables)
      for (const { row } of (await client.query(`select t::text as row from ${name} t`)).rows) texts.push(row);
    return texts.join('\n');
  } finally {
    await client.end();
  }
}

/** What lies in the data directory beside the database's own pages: its log too. */
function filesOf(directory: string): string {
  const skipped = ['-not', '-path', '*/postgres/data/*'];
  return execFileSync('find', [directory, '-type', 'f', ...skipped], { encoding: 'utf8' })
    .split('\n')
    .filter((file) => file !== '' && existsSync(file))
    .map((file) => readFileSync(file, 'latin1'))
    .join('\n');
}
