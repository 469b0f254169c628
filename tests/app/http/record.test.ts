import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import type { AuditEntry } from '#audit/audit.ts';
import { systemClock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { newId } from '#base/ids.ts';
import type { Caller } from '#contract/caller.ts';
import { defineRoute, type HandlersOf, type Method, type Route } from '#contract/route.ts';
import { routes as table } from '#contract/routes.ts';
import { mountRoutes } from '#http/route.ts';
import { administrator, startServer, type TestServer } from '#support/http.ts';

const reply = { reply: { json: z.object({ name: z.string() }) } } as const;
const row = { tag: 'Test', summary: '', permission: 'project:write', reach: 'team' } as const;
const params = z.strictObject({ team: z.string(), token: z.string().optional() });
const path = '/api/v1/teams/{team}' as const;

const routes = [
  defineRoute({ ...row, ...reply, name: 'readThing', method: 'GET', path, params }),
  defineRoute({ ...row, ...reply, name: 'putThing', method: 'PUT', path, params, status: 201 }),
  defineRoute({ ...row, name: 'failThing', method: 'DELETE', path, params, reply: {} }),
  defineRoute({ ...row, name: 'quiet', method: 'POST', path: `${path}/quiet`, params, audit: false, reply: {} }),
  defineRoute({ ...row, name: 'byRoom', method: 'POST', path: `${path}/own`, params, audit: 'room', reply: {} }),
  defineRoute({ ...row, name: 'sealed', method: 'POST', path: `${path}/links/{token}`, params, reply: {} }),
  defineRoute({
    tag: 'Test',
    summary: '',
    name: 'enter',
    method: 'POST',
    path: '/enter',
    permission: 'public',
    reply: {},
  }),
  defineRoute({ ...row, name: 'sendPage', method: 'POST', path: `${path}/page`, params, reply: { html: 'A page.' } }),
  defineRoute({
    tag: 'Test',
    summary: '',
    name: 'enterPage',
    method: 'POST',
    path: '/enter-page',
    permission: 'public',
    reply: { html: 'A page.' },
  }),
  defineRoute({
    tag: 'Test',
    summary: '',
    name: 'noReach',
    method: 'POST',
    path: '/no-reach',
    permission: 'self:write',
    reply: {},
  }),
] as const;

/** A form that is shown again with what was wrong, or is done. */
const submit = (how: string | undefined) =>
  how === undefined
    ? { location: '/done' }
    : {
        html: '<p>again</p>',
        status: Number(how),
        failed: 'CODE_WRONG',
        retryAfterSeconds: how === '429' ? 7 : undefined,
      };

const achieved = (target: string | undefined) => (target === undefined ? {} : { audit: { target } });

const handlers: HandlersOf<typeof routes> = {
  sendPage: async ({ request }) => submit(request.header('X-Fail')),
  enterPage: async ({ request }) => ({ ...submit(request.header('X-Fail')), ...achieved(request.header('X-For')) }),
  readThing: async () => ({ json: { name: 'a' } }),
  putThing: async () => ({ json: { name: 'a' }, audit: { target: 'thg_1', before: { a: 1 }, after: { a: 2 } } }),
  failThing: async ({ params: { team } }) => {
    if (team === 'broken') throw new Error('the password is hunter2');
    throw new Fault('PROJECT_NOT_FOUND', { team, project: 'web', environment: 'local' });
  },
  quiet: async () => ({}),
  byRoom: async () => ({}),
  sealed: async () => ({}),
  enter: async ({ request }) => {
    if (request.header('X-Fail') !== undefined) throw new Fault('CREDENTIALS_WRONG');
    return { audit: { target: 'ada@example.com' } };
  },
  noReach: async () => ({}),
};

const caller: Caller = { ...administrator, credential: { kind: 'token', id: 'tok_1' } };
let records: AuditEntry[] = [];
let broken = false;
let server: TestServer;
beforeAll(async () => {
  server = await startServer(
    (app) =>
      mountRoutes(app, {
        routes,
        handlers,
        callerOf: async ({ headers }) => {
          if (headers.authorization === undefined) throw new Fault('CREDENTIALS_MISSING');
          return caller;
        },
        authorise: (_caller, _permission, { team }) => team !== 'foreign',
        clock: systemClock,
        audit: async (record) => {
          if (broken) throw new Fault('DATABASE_UNAVAILABLE', { why: 'test' });
          records.push(record);
        },
      }),
    { trustedProxies: ['127.0.0.1'] },
  );
});
afterAll(() => server.close());
beforeEach(() => {
  records = [];
  broken = false;
});

const ask = (method: Method, where: string, headers: Record<string, string> = {}) =>
  fetch(server.url + where, {
    method,
    headers: {
      Authorization: 'Bearer x',
      'X-Request-Id': 'r1',
      'User-Agent': 'a'.repeat(300),
      'X-Forwarded-For': '203.0.113.9',
      ...headers,
    },
  });

test('who, what, from where, with what came of it', async () => {
  expect((await ask('PUT', '/api/v1/teams/shop?')).status).toBe(201);
  expect(records).toEqual([
    {
      actor: { id: 'usr_test', name: 'admin@localhost.ai', kind: 'user', credential: 'token:tok_1' },
      action: 'putThing',
      target: 'teams/shop/thg_1',
      outcome: 'done',
      status: 201,
      address: '203.0.113.9',
      userAgent: 'a'.repeat(200),
      requestId: 'r1',
      before: { a: 1 },
      after: { a: 2 },
    },
  ]);
});

test('reading is not recorded, being denied is, whatever was asked for', async () => {
  await ask('GET', '/api/v1/teams/shop');
  expect(records).toEqual([]);
  for (const method of ['GET', 'PUT'] as const) expect((await ask(method, '/api/v1/teams/foreign')).status).toBe(403);
  expect(records).toMatchObject([
    { action: 'readThing', target: 'teams/foreign', outcome: 'denied', status: 403, detail: { code: 'FORBIDDEN' } },
    { action: 'putThing', outcome: 'denied' },
  ]);
});

test('failures are recorded by their code', async () => {
  await ask('DELETE', '/api/v1/teams/shop');
  await ask('DELETE', '/api/v1/teams/broken');
  expect(records).toMatchObject([
    { action: 'failThing', outcome: 'failed', status: 404, detail: { code: 'PROJECT_NOT_FOUND' } },
    { action: 'failThing', outcome: 'failed', status: 500, detail: { code: 'INTERNAL' } },
  ]);
  expect(JSON.stringify(records)).not.toContain('hunter2');
});

test('a page that says with its status that nothing was done is a failure', async () => {
  const where = '/api/v1/teams/shop/page';
  for (const status of [401, 429]) {
    const reply = await ask('POST', where, { 'X-Fail': String(status) });
    expect([reply.status, await reply.text()]).toEqual([status, '<p>again</p>']);
    expect(reply.headers.get('retry-after')).toBe(status === 429 ? '7' : null);
  }
  await fetch(server.url + where, { method: 'POST', redirect: 'manual', headers: { Authorization: 'Bearer x' } });
  expect(records).toMatchObject([
    { action: 'sendPage', outcome: 'failed', status: 401, detail: { code: 'CODE_WRONG' } },
    { action: 'sendPage', outcome: 'failed', status: 429, detail: { code: 'CODE_WRONG' } },
    { action: 'sendPage', outcome: 'done', status: 303 },
  ]);
  broken = true;
  expect((await ask('POST', where, { 'X-Fail': '401' })).status).toBe(401);
});

test('of strangers no page that says that nothing was done, and nothing that was done to nothing', async () => {
  expect((await ask('POST', '/enter-page', { 'X-Fail': '400' })).status).toBe(400);
  const enter = (headers: Record<string, string>) =>
    fetch(`${server.url}/enter-page`, { method: 'POST', redirect: 'manual', headers });
  expect((await enter({})).status).toBe(303);
  expect(records).toEqual([]);
  await enter({ 'X-For': 'ada' });
  expect(records).toMatchObject([{ action: 'enterPage', outcome: 'done', status: 303, target: 'enter-page/ada' }]);
});

test('a proof in a path is not recorded', async () => {
  await ask('POST', '/api/v1/teams/shop/links/hunter2');
  const id = newId('token', new Date());
  await ask('POST', `/api/v1/teams/shop/links/${id}`);
  expect(records.map(({ target }) => target)).toEqual(['teams/shop/links/{token}', `teams/shop/links/${id}`]);
});

test('of strangers only what they achieved', async () => {
  await ask('POST', '/enter');
  await ask('POST', '/enter', { 'X-Fail': '1' });
  expect(records).toMatchObject([
    { actor: { id: '', name: 'anonymous', kind: 'anonymous' }, action: 'enter', target: 'enter/ada@example.com' },
  ]);
});

test('a room may record what comes of its route by itself; who is denied never comes to it', async () => {
  await ask('POST', '/api/v1/teams/shop/own');
  expect(records).toEqual([]);
  expect((await ask('POST', '/api/v1/teams/foreign/own')).status).toBe(403);
  expect(records).toMatchObject([{ action: 'byRoom', target: 'teams/foreign/own', outcome: 'denied', status: 403 }]);
});

test('traffic is not recorded, denied or not', async () => {
  await ask('POST', '/api/v1/teams/shop/quiet');
  await ask('POST', '/api/v1/teams/foreign/quiet');
  expect(records).toEqual([]);
});

test('no route of the contract that changes something is traffic; a webhook only wakes', () => {
  const quiet = (table as readonly Route[]).filter(({ audit }) => audit === false).map(({ name }) => name);
  expect(quiet).toEqual(['receiveGitWebhook']);
});

test('what cannot be recorded is not confirmed; a refusal stays one', async () => {
  broken = true;
  const changed = await ask('PUT', '/api/v1/teams/shop');
  expect([changed.status, ((await changed.json()) as { code: string }).code]).toEqual([503, 'AUDIT_UNAVAILABLE']);
  expect((await ask('PUT', '/api/v1/teams/foreign')).status).toBe(403);
  expect((await ask('DELETE', '/api/v1/teams/shop')).status).toBe(404);
  expect((await ask('GET', '/api/v1/teams/shop')).status).toBe(200);
});

test('a route that does not say what it acts on is denied to everyone, and what is in no table is 404', async () => {
  expect((await ask('POST', '/no-reach')).status).toBe(403);
  expect(records).toMatchObject([{ action: 'noReach', outcome: 'denied' }]);
  for (const where of ['/api/v1/nothing', '/api/v1/teams/shop/', '/api/v1/Teams/shop', '/api//v1/teams/shop'])
    expect((await ask('PUT', where)).status, where).toBe(404);
});
