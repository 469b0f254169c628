import type { IncomingMessage } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { systemClock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { defineRoute, type HandlersOf } from '#contract/route.ts';
import { createOrigins, type OriginsOptions } from '#http/origins.ts';
import { mountRoutes } from '#http/route.ts';
import { administrator, sendRaw, startServer, type TestServer } from '#support/http.ts';

const production: OriginsOptions = {
  baseUrl: 'https://plinth.example.com',
  trustedOrigins: ['https://console.example.org'],
  corsOrigins: ['https://tools.example.org:8443'],
  appDomain: 'plinth.example.com',
  projectsDomain: 'apps.plinth.example.com',
  production: true,
};
const quickstart: OriginsOptions = {
  baseUrl: 'http://localhost:9000',
  trustedOrigins: [],
  corsOrigins: [],
  appDomain: 'localhost',
  projectsDomain: 'apps.localhost',
  ports: [9000, 3000],
  production: false,
};

type Headers = Readonly<Record<string, string>>;
const requestOf = (method: string, headers: Headers) => ({ method, headers }) as unknown as IncomingMessage;
const cookie = { cookie: 'plinth.session=1' };
const json = { 'content-type': 'application/json' };
const from = (origin: string, site?: string): Headers => ({
  origin,
  ...(site === undefined ? {} : { 'sec-fetch-site': site, 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' }),
});
const link = (site: string, referer?: string): Headers => ({
  'sec-fetch-site': site,
  'sec-fetch-mode': 'navigate',
  'sec-fetch-dest': 'document',
  ...(referer === undefined ? {} : { referer }),
});

function passes(options: OriginsOptions, method: string, headers: Headers, route = {}): boolean {
  try {
    createOrigins(options).check(requestOf(method, { host: new URL(options.baseUrl).host, ...headers }), route);
    return true;
  } catch (error) {
    expect(Fault.is(error, 'ORIGIN_REFUSED')).toBe(true);
    return false;
  }
}

const project = 'https://web--shop.apps.plinth.example.com';

describe('who may send', () => {
  test.each<[string, boolean, string, Headers]>([
    ['a program', true, 'POST', { ...json }],
    ['a program with a cookie', true, 'POST', { ...cookie }],
    ['our own page', true, 'POST', { ...cookie, ...from('https://plinth.example.com', 'same-origin') }],
    [
      'our own page of a browser that names no site',
      true,
      'POST',
      { ...cookie, ...from('https://plinth.example.com') },
    ],
    ['a trusted page', true, 'POST', { ...cookie, ...from('https://console.example.org', 'cross-site') }],
    ['a page below our domain', true, 'POST', { ...cookie, ...from('https://a.plinth.example.com', 'same-site') }],
    ['the same without TLS', false, 'POST', { ...cookie, ...from('http://a.plinth.example.com', 'cross-site') }],
    ['a foreign page', false, 'POST', { ...cookie, ...from('https://evil.example', 'cross-site') }],
    ['a foreign page without a cookie: a forged sign-in', false, 'POST', { ...json, ...from('https://evil.example') }],
    ['a domain that only ends like ours', false, 'POST', { ...cookie, ...from('https://evilplinth.example.com') }],
    ['a sandboxed frame', false, 'POST', { ...cookie, ...from('null', 'cross-site') }],
    ['a foreign page that hides its origin', false, 'POST', { ...cookie, referer: 'https://evil.example/x' }],
    ['a foreign page with a token', true, 'POST', { authorization: 'Bearer x', ...from('https://evil.example') }],
    ['the same without the word Bearer', true, 'POST', { authorization: 'plt_x', ...from('https://evil.example') }],
    ['a password that the browser keeps', false, 'POST', { authorization: 'Basic x', ...from('https://evil.example') }],
    ['a token with a cookie', false, 'POST', { authorization: 'Bearer x', ...cookie, ...from('https://evil.example') }],
    ['a foreign page that reads', true, 'GET', { ...from('https://evil.example', 'cross-site') }],
    ['a foreign page that reads with a cookie', false, 'GET', { ...cookie, ...from('https://evil.example') }],
    ['a link from anywhere', true, 'GET', { ...cookie, ...link('cross-site', 'https://evil.example/') }],
    ['a typed address', true, 'GET', { ...cookie, ...link('none') }],
    ['a frame', false, 'GET', { ...cookie, ...link('cross-site'), 'sec-fetch-dest': 'iframe' }],
    ['an image', false, 'GET', { ...cookie, ...link('cross-site'), 'sec-fetch-mode': 'no-cors' }],
    ["a project's page", false, 'POST', { ...cookie, ...from(project, 'same-site') }],
    ["a project's page without a cookie", false, 'POST', { ...json, ...from(project, 'same-site') }],
    ["a project's page with a token", false, 'POST', { authorization: 'Bearer x', ...from(project, 'same-site') }],
    ["a project's page that reads with a cookie", false, 'GET', { ...cookie, ...from(project, 'same-site') }],
    ["a link from a project's page", false, 'GET', { ...cookie, ...link('same-site', `${project}/`) }],
    ['the same without a cookie', true, 'GET', { ...link('same-site', `${project}/`) }],
    ['a project host with a dot at its end', false, 'POST', { ...cookie, ...from(`${project}.`, 'same-site') }],
    ['a project host in capitals', false, 'POST', { ...cookie, ...from(project.toUpperCase(), 'same-site') }],
    ["the projects' domain itself", false, 'POST', { ...cookie, ...from('https://apps.plinth.example.com:8443') }],
    ['a host beside ours that does not say which', false, 'GET', { ...cookie, ...link('same-site') }],
    ['the same, hiding in a sandbox', false, 'POST', { ...cookie, ...from('null', 'same-site') }],
  ])('in production, %s: %s', (_, expected, method, headers) =>
    expect(passes(production, method, headers)).toBe(expected),
  );

  test('a page of ours may be opened by a link from a host that does not say which', () => {
    expect(passes(production, 'GET', { ...cookie, ...link('same-site') }, { isPage: true })).toBe(true);
    expect(passes(production, 'GET', { ...cookie, ...link('same-site', `${project}/`) }, { isPage: true })).toBe(false);
  });

  test("an identity provider's reply may come from anywhere", () => {
    expect(passes(production, 'POST', from('https://login.example', 'cross-site'), { foreign: true })).toBe(true);
  });

  test('other environments have domains of their own', () => {
    const options = { ...production, otherProjectsDomains: () => ['dev.example.net'] };
    expect(passes(options, 'GET', { ...cookie, ...link('cross-site', 'https://web--shop.dev.example.net/') })).toBe(
      false,
    );
  });

  test("a project's host that was listed by name is still none that may send", () => {
    expect(passes({ ...production, trustedOrigins: [project] }, 'POST', { ...cookie, ...from(project) })).toBe(false);
  });

  test.each<[string, boolean, string, Headers]>([
    ['another page of this machine', true, 'POST', { ...cookie, ...from('http://localhost:3000', 'same-site') }],
    [
      'our page at a private address',
      true,
      'POST',
      { ...cookie, host: '10.1.2.3:9000', ...from('http://10.1.2.3:9000') },
    ],
    ['our other port there', true, 'POST', { ...cookie, host: '10.1.2.3:9000', ...from('http://10.1.2.3:3000') }],
    ['something else of this machine', false, 'POST', { ...cookie, ...from('http://localhost:8080', 'same-site') }],
    ['anybody, without credentials', true, 'POST', { ...json, ...from('http://192.168.7.7:5173') }],
    ['anybody, with a cookie', false, 'POST', { ...json, ...cookie, ...from('http://192.168.7.7:5173') }],
    ["anybody's form", false, 'POST', { 'content-type': 'text/plain', ...from('https://evil.example') }],
    ['a project', false, 'POST', { ...json, ...from('http://web--shop.apps.localhost', 'cross-site') }],
    ['nobody we can name', false, 'POST', { ...json, ...from('null', 'cross-site') }],
  ])('with nothing configured outside production, %s: %s', (_, expected, method, headers) =>
    expect(passes(quickstart, method, headers)).toBe(expected),
  );

  test('QUICKSTART takes pages of private addresses too, where something was configured', () => {
    const options = { ...quickstart, trustedOrigins: ['http://localhost:3000'], quickstart: true };
    const lan = { host: '192.168.1.5:9000' };
    expect(passes(options, 'POST', { ...cookie, ...lan, ...from('http://192.168.1.5:3000') })).toBe(true);
    expect(passes(options, 'POST', { ...json, ...lan, ...from('http://192.168.1.7:3000') })).toBe(true);
    expect(passes(options, 'POST', { ...json, ...lan, ...from('https://evil.example') })).toBe(false);
    const without = { ...options, quickstart: false };
    expect(passes(without, 'POST', { ...cookie, ...lan, ...from('http://192.168.1.5:3000') })).toBe(false);
  });

  test('with nothing configured in production, no other page', () => {
    const options = { ...quickstart, production: true };
    expect(passes(options, 'POST', { ...json, ...from('http://192.168.7.7:5173') })).toBe(false);
    expect(passes(options, 'POST', { ...cookie, ...from('http://10.1.2.3:3000'), host: '10.1.2.3:9000' })).toBe(false);
  });
});

describe('who may read', () => {
  const cors = (options: OriginsOptions, origin: string, host = new URL(options.baseUrl).host) => {
    const headers = createOrigins(options).corsHeaders(requestOf('GET', { host, origin }));
    if (headers['Access-Control-Allow-Origin'] === undefined) return 'no';
    expect(headers['Access-Control-Allow-Origin']).toBe(origin);
    return headers['Access-Control-Allow-Credentials'] === 'true' ? 'with credentials' : 'without';
  };

  test.each<[OriginsOptions, string, string]>([
    [production, 'https://tools.example.org:8443', 'with credentials'],
    [production, 'https://tools.example.org', 'no'],
    [production, 'https://plinth.example.com', 'with credentials'],
    [production, 'https://a.plinth.example.com', 'with credentials'],
    [production, 'http://a.plinth.example.com', 'no'],
    [production, project, 'no'],
    [{ ...production, corsOrigins: [project] }, project, 'no'],
    [production, 'https://apps.plinth.example.com', 'no'],
    [production, 'https://evil.example', 'no'],
    [production, 'null', 'no'],
    [quickstart, 'http://localhost:3000', 'with credentials'],
    [quickstart, 'http://localhost:8080', 'without'],
    [quickstart, 'https://evil.example', 'without'],
    [quickstart, 'http://web--shop.apps.localhost', 'no'],
    [quickstart, 'null', 'no'],
    [{ ...quickstart, production: true }, 'https://evil.example', 'no'],
    [{ ...quickstart, corsOrigins: ['http://localhost:5173'] }, 'http://localhost:5173', 'with credentials'],
    [{ ...quickstart, corsOrigins: ['http://localhost:5173'] }, 'https://evil.example', 'no'],
  ])('%#: %o', (options, origin, expected) => expect(cors(options, origin)).toBe(expected));
});

describe('over HTTP', () => {
  const routes = [
    defineRoute({
      name: 'write',
      tag: 'Test',
      method: 'PUT',
      path: '/thing',
      summary: '',
      permission: 'self:write',
      reach: 'personal',
      reply: { json: z.object({ name: z.string() }) },
    }),
  ] as const;
  const handlers: HandlersOf<typeof routes> = { write: async () => ({ json: { name: 'a' } }) };
  let server: TestServer;
  beforeAll(async () => {
    const origins = createOrigins(production);
    server = await startServer(
      (app) =>
        mountRoutes(app, {
          routes,
          handlers,
          origins,
          callerOf: async () => administrator,
          authorise: () => true,
          clock: systemClock,
        }),
      { origins },
    );
  });
  afterAll(() => server.close());

  const ask = (method: string, headers: Record<string, string>) => fetch(`${server.url}/thing`, { method, headers });

  test('a preflight is answered by the rules, for whichever path', async () => {
    const question = { 'Access-Control-Request-Method': 'PUT' };
    const yes = await ask('OPTIONS', { ...question, Origin: 'https://console.example.org' });
    expect([yes.status, yes.headers.get('access-control-allow-methods'), yes.headers.get('vary')]).toEqual([
      204,
      'GET, HEAD, PUT, POST, PATCH, DELETE',
      'Origin',
    ]);
    expect(yes.headers.get('access-control-allow-headers')).toContain('X-CSRF-Token');
    const no = await ask('OPTIONS', { ...question, Origin: project });
    expect([no.status, no.headers.get('access-control-allow-origin')]).toEqual([403, null]);
  });

  test('a reply and a refusal both say who may read them', async () => {
    const Origin = 'https://console.example.org';
    const reply = await ask('PUT', { Origin });
    expect([reply.status, reply.headers.get('access-control-allow-origin')]).toEqual([200, Origin]);
    expect(reply.headers.get('access-control-allow-credentials')).toBe('true');
    const missing = await fetch(`${server.url}/nothing`, { headers: { Origin } });
    expect([missing.status, missing.headers.get('access-control-allow-origin')]).toEqual([404, Origin]);
    const refused = await ask('PUT', { Origin: 'https://evil.example' });
    expect([refused.status, refused.headers.get('access-control-allow-origin')]).toEqual([403, null]);
    expect(await refused.json()).toMatchObject({
      code: 'ORIGIN_REFUSED',
      detail: expect.stringContaining('A page of https://evil.example may not'),
    });
  });

  test.each(['web--shop.apps.plinth.example.com', 'APPS.plinth.example.com:443', 'x.apps.plinth.example.com.'])(
    "what was meant for a project's host %s is not answered",
    async (host) => {
      const came = await sendRaw(server.port, `GET /thing HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      expect(came).toMatch(/^HTTP\/1.1 421 /);
      expect(came).toContain('HOST_MISDIRECTED');
    },
  );

  const ours = 'plinth.example.com';
  const theirs = 'web--shop.apps.plinth.example.com';
  test.each<[string, string, readonly string[]]>([
    ['two hosts', '/thing', [ours, theirs]],
    ['two hosts, ours last', '/thing', [theirs, ours]],
    ['the same host twice', '/thing', [ours, ours]],
    ['a target of another host', `http://${theirs}/thing`, [ours]],
    ['a target of our host, sent to another one', `http://${ours}/thing`, [theirs]],
    ['a target of another port', `http://${ours}:81/thing`, [ours]],
    ['a target that is no web address', 'ftp://x/thing', [ours]],
  ])('a request with %s is refused', async (_, target, hosts) => {
    const lines = hosts.map((host) => `Host: ${host}\r\n`).join('');
    const came = await sendRaw(server.port, `PUT ${target} HTTP/1.1\r\n${lines}Connection: close\r\n\r\n`);
    expect(came).toMatch(/^HTTP\/1.1 400 /);
    expect(came).toContain('HOST_AMBIGUOUS');
  });

  test.each([
    ['its host', `http://${ours}/thing`, ours],
    ['its host, in capitals and with the port that it has anyway', `http://${ours.toUpperCase()}:80/thing`, ours],
  ])('a target that is a whole URL of %s is answered', async (_, target, host) => {
    const came = await sendRaw(server.port, `PUT ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    expect(came).toMatch(/^HTTP\/1.1 200 /);
  });

  test('a whole URL of a project, sent to that host, is misdirected', async () => {
    const wish = `GET http://${theirs}/thing HTTP/1.1\r\nHost: ${theirs}\r\nConnection: close\r\n\r\n`;
    expect(await sendRaw(server.port, wish)).toMatch(/^HTTP\/1.1 421 /);
  });
});
