import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { routes } from '#contract/routes.ts';
import { createDocumentHandlers, mountDocumentation } from '#http/documentation.ts';
import { createHealthHandlers } from '#http/health.ts';
import { mountRoutes } from '#http/route.ts';
import { administrator, startServer, type TestServer } from '#support/http.ts';

const works = async () => {};
const state = { database: works, git: works, cluster: works } as Record<
  'database' | 'git' | 'cluster',
  () => Promise<void>
>;
let server: TestServer;

beforeAll(async () => {
  const publicRoutes = routes.filter(({ tag }) => tag === 'System');
  server = await startServer((app, log) => {
    const health = createHealthHandlers({
      clock: systemClock,
      log,
      database: () => state.database(),
      git: () => state.git(),
      clusters: () => ({ local: () => state.cluster() }),
      timeoutMs: 50,
    });
    const documents = createDocumentHandlers({ version: '1.2.3', schemas: { 'project.json': { type: 'object' } } });
    mountRoutes(app, {
      routes: publicRoutes,
      handlers: { ...health, ...documents } as never, // a part of the table; its types are for the whole
      callerOf: async () => administrator,
      authorise: () => false,
      clock: systemClock,
    });
    mountDocumentation(app);
  });
});
afterAll(() => server.close());

const ready = async () => {
  const reply = await fetch(`${server.url}/ready`);
  return { status: reply.status, ...((await reply.json()) as Record<string, { ok: boolean; reason: string }>) };
};

test('/health is 200 while the process lives', async () => {
  const reply = await fetch(`${server.url}/health`);
  expect([reply.status, await reply.json()]).toEqual([200, { status: 'ok' }]);
});

test('/ready shows each part with its time', async () => {
  const part = { ok: true, ms: expect.any(Number), reason: '' };
  expect(await ready()).toEqual({
    status: 200,
    ready: true,
    remote: null,
    database: part,
    git: part,
    clusters: { local: part },
  });
});

test('without the database it is not ready; a Fault is shown, any other error only logged', async () => {
  state.database = async () => {
    throw new Fault('DATABASE_UNAVAILABLE', { why: 'connection refused' });
  };
  state.git = async () => {
    throw new Error('/secret/path');
  };
  expect(await ready()).toMatchObject({
    status: 503,
    ready: false,
    database: { ok: false, reason: 'The database cannot be reached: connection refused.' },
    git: { ok: false, reason: 'it fails; the log says why' },
  });
  expect(server.logged.find(({ msg }) => msg === 'part is out')).toMatchObject({ part: 'git' });
  state.database = works;
  state.git = works;
});

test('a cluster that is out, or silent, is shown and does not make it unready', async () => {
  state.cluster = () => new Promise(() => {});
  expect(await ready()).toMatchObject({
    status: 200,
    ready: true,
    clusters: { local: { ok: false, reason: 'no answer within 50 ms' } },
  });
  state.cluster = works;
});

test('/openapi.json lists every route of the table', async () => {
  const document = (await (await fetch(`${server.url}/openapi.json`)).json()) as {
    info: { version: string };
    paths: Record<string, Record<string, { operationId: string }>>;
  };
  expect(document.info.version).toBe('1.2.3');
  const listed = Object.values(document.paths).flatMap((item) =>
    Object.values(item).map(({ operationId }) => operationId),
  );
  expect(listed.sort()).toEqual(routes.map(({ name }) => name).sort());
});

test('/schemas/ gives what there is', async () => {
  expect(await (await fetch(`${server.url}/schemas/project.json`)).json()).toEqual({ type: 'object' });
  expect((await fetch(`${server.url}/schemas/other.json`)).status).toBe(404);
  expect((await fetch(`${server.url}/schemas/..%2fpackage.json`)).status).toBe(400);
  expect((await fetch(`${server.url}/schemas/constructor`)).status).toBe(400);
});

test('the documentation page runs only our own files, and all of them are here', async () => {
  const reply = await fetch(`${server.url}/documentation/`);
  expect(reply.headers.get('content-security-policy')).toContain("script-src 'self';");
  const page = await reply.text();
  expect(page).not.toMatch(/https?:|<script>|onload/);
  const files = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, file]) => file);
  expect(files).toEqual(['favicon-32x32.png', 'swagger-ui.css', 'swagger-ui-bundle.js', 'start.js']);
  for (const file of files) expect((await fetch(`${server.url}/documentation/${file}`)).status).toBe(200);
  expect((await fetch(`${server.url}/documentation/../package.json`)).status).toBe(404);
});
