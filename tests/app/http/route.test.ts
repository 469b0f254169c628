import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { systemClock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Permission } from '#contract/caller.ts';
import { defineRoute, type HandlersOf } from '#contract/route.ts';
import { flag } from '#contract/values.ts';
import { InvalidInput } from '#environments/finding.ts';
import { mountRoutes } from '#http/route.ts';
import { administrator, startServer, type TestServer } from '#support/http.ts';

const tag = 'Test';
const thing = z.object({ name: z.string(), size: z.int().nullable() });
const body = z.strictObject({ name: z.string().min(1), nested: z.strictObject({ colour: z.string() }).optional() });
const params = z.strictObject({ team: z.string().regex(/^[a-z]+$/, 'lower case letters') });
const self = 'self:read' satisfies Permission;

const routes = [
  defineRoute({
    name: 'open',
    tag,
    method: 'GET',
    path: '/open',
    summary: '',
    permission: 'public',
    reply: { json: thing },
  }),
  defineRoute({
    name: 'closed',
    tag,
    method: 'GET',
    path: '/closed',
    summary: '',
    permission: 'secret:read',
    reply: {},
  }),
  defineRoute({
    name: 'read',
    tag,
    method: 'GET',
    path: '/things/{team}',
    summary: '',
    permission: self,
    reach: 'personal',
    params,
    query: z.strictObject({ dryRun: flag, limit: z.string().optional() }),
    reply: { json: z.record(z.string(), z.unknown()), yaml: 'a thing' },
  }),
  defineRoute({
    name: 'write',
    tag,
    method: 'PUT',
    path: '/things/{team}',
    summary: '',
    permission: self,
    reach: 'personal',
    params,
    body,
    conditional: true,
    reply: { json: z.object({ name: z.string(), ifMatch: z.string().nullable() }) },
    status: 201,
  }),
  defineRoute({
    name: 'fail',
    tag,
    method: 'POST',
    path: '/fail/{how}',
    summary: '',
    permission: self,
    reach: 'personal',
    params: z.strictObject({ how: z.string() }),
    reply: {},
  }),
  defineRoute({
    name: 'leak',
    tag,
    method: 'GET',
    path: '/leak',
    summary: '',
    permission: self,
    reach: 'personal',
    reply: { json: thing },
  }),
  defineRoute({
    name: 'lie',
    tag,
    method: 'GET',
    path: '/lie',
    summary: '',
    permission: self,
    reach: 'personal',
    reply: { json: thing },
  }),
] as const;

const handlers: HandlersOf<typeof routes> = {
  open: async ({ caller }) => ({ json: { name: String(caller), size: null } }),
  closed: async () => ({}),
  read: async ({ params: { team }, query, wanted, request }) =>
    wanted === 'yaml'
      ? { yaml: `team: ${team}\n`, etag: 'abc' }
      : { json: { team, ...query, request: request.id, agent: request.header('X-Agent') ?? '' }, etag: 'abc' },
  write: async ({ body: { name }, request }) => ({
    json: { name, ifMatch: request.ifMatch ?? null },
    location: '/things/1',
  }),
  fail: async ({ params: { how } }) => {
    if (how === 'fault') throw new Fault('PROJECT_NOT_FOUND', { team: 'shop', project: 'web', environment: 'local' });
    if (how === 'findings')
      throw new InvalidInput([{ file: 'project.yaml', line: 3, column: 1, path: 'containers', message: 'no' }]);
    throw new Error('the password is hunter2');
  },
  leak: async () => ({ json: { name: 'x', size: 1, password: 'hunter2' } as { name: string; size: number } }),
  lie: async () => ({ json: { name: 1 } as unknown as { name: string; size: null } }),
};

let server: TestServer;
beforeAll(async () => {
  server = await startServer((app) =>
    mountRoutes(app, {
      routes,
      handlers,
      callerOf: async (request) => {
        if (request.headers.authorization === undefined) throw new Fault('CREDENTIALS_MISSING');
        return administrator;
      },
      authorise: (_caller, permission) => permission === 'self:read',
      clock: systemClock,
    }),
  );
});
afterAll(() => server.close());

const signedIn = { Authorization: 'Bearer x' };
const json = { ...signedIn, 'Content-Type': 'application/json' };
const send = (path: string, init: RequestInit = {}) => fetch(server.url + path, { headers: signedIn, ...init });
const put = (sent: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = json) =>
  send('/things/shop', { method: 'PUT', body: sent, headers });
const problem = async (reply: Response) => {
  expect(reply.headers.get('content-type')).toBe('application/problem+json');
  return (await reply.json()) as {
    code: string;
    status: number;
    detail: string;
    findings?: { path: string; message: string }[];
  };
};

describe('who may', () => {
  test('a public route has no caller', async () => {
    expect(await (await fetch(`${server.url}/open`)).json()).toEqual({ name: 'undefined', size: null });
  });

  test('without credentials nothing is read, not even the parameters', async () => {
    const reply = await fetch(`${server.url}/things/WRONG?nonsense`);
    expect(reply.status).toBe(401);
    expect((await problem(reply)).code).toBe('CREDENTIALS_MISSING');
    expect(reply.headers.get('www-authenticate')).toBeNull();
  });

  test('what authorise does not grant is denied', async () => {
    const reply = await send('/closed');
    expect([reply.status, (await problem(reply)).detail]).toEqual([
      403,
      'admin@localhost.ai may not secret:read here.',
    ]);
  });

  test('an unlisted route is 404, another method 405 with Allow, credentials or not', async () => {
    const unknown = await fetch(`${server.url}/nowhere?token=x`);
    expect([unknown.status, (await problem(unknown)).detail]).toEqual([
      404,
      'There is no GET /nowhere. GET /openapi.json lists every route.',
    ]);
    const method = await fetch(`${server.url}/things/shop`, { method: 'PATCH' });
    expect([method.status, method.headers.get('allow')]).toEqual([405, 'GET, PUT']);
    expect((await problem(method)).code).toBe('METHOD_UNKNOWN');
  });

  test('a route without a handler does not start', () => {
    expect(() =>
      mountRoutes({} as never, {
        routes,
        handlers: {} as never,
        callerOf: async () => administrator,
        authorise: () => true,
        clock: systemClock,
      }),
    ).toThrow('route open has no handler');
  });
});

describe('request', () => {
  test('id: a well-formed one is kept, another one replaced', async () => {
    const id = async (given: string) =>
      (await send('/leak', { headers: { ...signedIn, 'X-Request-Id': given } })).headers.get('x-request-id');
    expect(await id('my-id.1_A')).toBe('my-id.1_A');
    expect(await id('a'.repeat(65))).toMatch(/^req_[0-9a-z]{26}$/);
    expect(await id('a b')).toMatch(/^req_[0-9a-z]{26}$/);
  });

  test('path, query and headers arrive parsed', async () => {
    const reply = await send('/things/shop?dryRun&limit=5', {
      headers: { ...signedIn, 'X-Agent': 'me', 'X-Request-Id': 'r1' },
    });
    expect(await reply.json()).toEqual({ team: 'shop', dryRun: true, limit: '5', request: 'r1', agent: 'me' });
    expect(reply.headers.get('etag')).toBe('"abc"');
    expect(reply.headers.get('cache-control')).toBe('no-store');
  });

  test('the form follows Accept, and the first one is the default', async () => {
    const form = async (accept: string) =>
      (await send('/things/shop', { headers: { ...signedIn, Accept: accept } })).headers.get('content-type');
    expect(await form('application/yaml')).toBe('application/yaml; charset=utf-8');
    expect(await form('text/yaml;q=0.9, application/json;q=0.1')).toBe('application/yaml; charset=utf-8');
    expect(await form('image/png')).toBe('application/json; charset=utf-8');
    expect(await form('*/*')).toBe('application/json; charset=utf-8');
  });

  test('HEAD gives the head of GET', async () => {
    const reply = await send('/things/shop', { method: 'HEAD' });
    expect([reply.status, reply.headers.get('etag'), await reply.text()]).toEqual([200, '"abc"', '']);
  });

  test('names that mean something to JavaScript mean nothing here', async () => {
    const names = ['__proto__', 'constructor', 'toString'];
    for (const name of names) {
      const reply = await problem(await send(`/things/shop?${name}=x`));
      expect(reply.findings).toMatchObject([{ path: name, message: expect.stringContaining('not known here') }]);
      expect((await put(`{"name":"a","${name}":{"admin":true}}`)).status).toBe(400);
    }
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
  });

  test('all findings at once, with what was meant', async () => {
    const query = await problem(await send('/things/shop?dryrun&limit=1&x=1'));
    expect(query.findings).toEqual([
      { file: 'query', path: 'dryrun', message: '"dryrun" is not known here; did you mean dryRun?' },
      { file: 'query', path: 'x', message: '"x" is not known here; there are dryRun, limit' },
    ]);
    expect((await problem(await send('/things/shop?limit=1&limit=2'))).findings).toEqual([
      { file: 'query', path: 'limit', message: 'it is given twice; once is wanted' },
    ]);
    expect((await problem(await send('/things/SHOP'))).findings).toEqual([
      { file: 'path', path: 'team', message: 'it is "SHOP"; wanted is lower case letters' },
    ]);
    expect((await problem(await put('{"nam":"x","nested":{"color":"red"}}'))).findings).toEqual([
      { file: 'body', path: 'name', message: 'it is missing; wanted is string' },
      { file: 'body', path: 'nested.colour', message: 'it is missing; wanted is string' },
      { file: 'body', path: 'nested.color', message: '"color" is not known here; did you mean colour?' },
      { file: 'body', path: 'nam', message: '"nam" is not known here; did you mean name?' },
    ]);
    expect((await problem(await send('/things/%ff'))).findings?.[0]?.message).toContain('percent-encoding');
  });

  test.each([
    [{ 'If-Match': '"abc"' }, 'abc'],
    [{ 'If-Match': 'W/"abc"' }, 'abc'],
    [{ 'If-Match': '*' }, '*'],
    [{ 'If-None-Match': '*' }, ''],
    [{}, null],
  ])('conditions %j', async (headers, ifMatch) => {
    const reply = await put('{"name":"a"}', { ...json, ...headers });
    expect([reply.status, reply.headers.get('location'), await reply.json()]).toEqual([
      201,
      '/things/1',
      { name: 'a', ifMatch },
    ]);
  });

  test.each<Record<string, string>>([
    { 'If-Match': 'abc' },
    { 'If-Match': '"a", "b"' },
    { 'If-None-Match': '"a"' },
    { 'If-Match': '"a"', 'If-None-Match': '*' },
  ])('conditions that are not understood: %j', async (headers) =>
    expect((await problem(await put('{"name":"a"}', { ...json, ...headers }))).code).toBe('REQUEST_INVALID'),
  );
});

describe('replies and errors', () => {
  test('what the contract does not name does not leave', async () => {
    expect(await (await send('/leak')).json()).toEqual({ name: 'x', size: 1 });
  });

  test('a reply that breaks the contract is our fault, and says nothing', async () => {
    const reply = await send('/lie');
    expect([reply.status, (await problem(reply)).code]).toEqual([500, 'INTERNAL']);
  });

  test('a Fault keeps its code, data and status', async () => {
    const reply = await send('/fail/fault', { method: 'POST', headers: { ...signedIn, 'X-Request-Id': 'r9' } });
    expect(reply.status).toBe(404);
    expect(await reply.json()).toEqual({
      type: 'urn:plinth:problem:project-not-found',
      title: 'Project not found',
      status: 404,
      code: 'PROJECT_NOT_FOUND',
      detail: 'There is no project shop/web in local.',
      request: 'r9',
      data: { team: 'shop', project: 'web', environment: 'local' },
    });
  });

  test("findings of a person's file are 422", async () => {
    const reply = await problem(await send('/fail/findings', { method: 'POST' }));
    expect(reply).toMatchObject({
      status: 422,
      code: 'SPEC_INVALID',
      findings: [{ file: 'project.yaml', line: 3, column: 1, path: 'containers', message: 'no' }],
    });
  });

  test('anything else is INTERNAL: the caller learns the request id, the log learns the rest', async () => {
    const reply = await send('/fail/else', { method: 'POST', headers: { ...signedIn, 'X-Request-Id': 'r10' } });
    const text = await reply.text();
    expect(text).not.toContain('hunter2');
    expect(JSON.parse(text)).toMatchObject({ status: 500, code: 'INTERNAL', request: 'r10' });
    const line = server.logged.find(({ request, level }) => request === 'r10' && level === 'error');
    expect(line).toMatchObject({ msg: 'request failed', err: { message: 'the password is hunter2' } });
  });

  test('each request is logged and measured once, by the name of its route', async () => {
    await (await send('/leak', { headers: { ...signedIn, 'X-Request-Id': 'r11' } })).text();
    await expect
      .poll(() => server.logged.filter(({ request }) => request === 'r11'), { interval: 5 })
      .toMatchObject([{ msg: 'request', route: 'leak', method: 'GET', status: 200, ended: true }]);
    expect(await server.metrics.registry.metrics()).toContain(
      'plinth_http_request_seconds_count{route="leak",status="200"}',
    );
  });

  test('security headers are on everything', async () => {
    for (const path of ['/open', '/nowhere']) {
      const { headers } = await fetch(server.url + path);
      expect(headers.get('content-security-policy')).toBe(
        "default-src 'none';frame-ancestors 'none';base-uri 'none';form-action 'none'",
      );
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('access-control-allow-origin')).toBeNull();
      expect(headers.get('x-powered-by')).toBeNull();
    }
  });
});
