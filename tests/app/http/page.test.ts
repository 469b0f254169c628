import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { systemClock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Caller } from '#contract/caller.ts';
import { defineRoute, type HandlersOf } from '#contract/route.ts';
import { mountRoutes } from '#http/route.ts';
import { administrator, startServer, type TestServer } from '#support/http.ts';

const row = { tag: 'Test', summary: '' } as const;
const own = { permission: 'self:write', reach: 'personal' } as const;
const wish = z.strictObject({ name: z.string().min(1), remember: z.literal('on').optional() });

const routes = [
  defineRoute({
    ...row,
    name: 'page',
    method: 'GET',
    path: '/page',
    permission: 'public',
    reply: { html: 'A page.' },
  }),
  defineRoute({
    ...row,
    name: 'mine',
    method: 'GET',
    path: '/mine',
    permission: 'self:read',
    reach: 'personal',
    reply: { html: 'A page of yours.' },
  }),
  defineRoute({
    ...row,
    ...own,
    name: 'send',
    method: 'POST',
    path: '/send',
    body: wish,
    form: true,
    reply: { html: 'What came of it.' },
  }),
  defineRoute({
    ...row,
    name: 'enter',
    method: 'POST',
    path: '/enter',
    permission: 'public',
    body: wish,
    form: true,
    mostBytes: 100,
    reply: { json: z.record(z.string(), z.unknown()) },
  }),
  defineRoute({ ...row, ...own, name: 'press', method: 'POST', path: '/press', form: true, reply: {} }),
  defineRoute({ ...row, ...own, name: 'patch', method: 'PATCH', path: '/thing', body: wish, reply: { json: wish } }),
] as const;

const handlers: HandlersOf<typeof routes> = {
  page: async ({ request }) => ({
    html: `<p>${request.cookie('a')}</p>`,
    page: { formActions: ['https://login.example.com/authorize;x'], styles: ['sha256-abc='] },
  }),
  mine: async () => ({ html: '<p>mine</p>' }),
  send: async ({ body }) => {
    if (body.name === 'wrong') throw new Fault('CREDENTIALS_WRONG');
    return body.name === 'on' ? { location: '/mine', cookies: ['a=1; HttpOnly', 'b=2'] } : { html: '<p>again</p>' };
  },
  enter: async ({ body, request }) => ({ json: { ...body, csrf: request.csrf ?? null } }),
  press: async () => ({}),
  patch: async ({ body }) => ({ json: body }),
};

const withSession: Caller = { ...administrator, credential: { kind: 'session', id: 'ses_1' } };
const asked: string[] = [];
/** No Authorization header is believed. */
let refuse = false;
let server: TestServer;
beforeAll(async () => {
  server = await startServer((app) =>
    mountRoutes(app, {
      routes,
      handlers,
      callerOf: async ({ headers }, { csrf }) => {
        asked.push(csrf);
        if (headers.cookie?.includes('session=1')) return withSession;
        if (headers.authorization === undefined || refuse) throw new Fault('CREDENTIALS_MISSING');
        return administrator;
      },
      checkCsrf: (_caller, given) => {
        if (given !== 'right') throw new Fault('CSRF_TOKEN_WRONG');
      },
      authorise: () => true,
      clock: systemClock,
      signInPage: (path) => `/sign-in?next=${encodeURIComponent(path)}`,
    }),
  );
});
afterAll(() => server.close());

const session = { Cookie: 'session=1' };
const form = (path: string, fields: string, headers: Record<string, string> = {}) =>
  fetch(server.url + path, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...headers },
    body: fields,
  });
const code = async (reply: Response) => ((await reply.json()) as { code: string }).code;

describe('pages', () => {
  test('a page runs no script, is framed by nobody, kept by nobody, and leads where it says', async () => {
    const reply = await fetch(`${server.url}/page`, { headers: { Cookie: 'x=0; a=%20b; a=c' } });
    expect(await reply.text()).toBe('<p>%20b</p>');
    const { headers } = reply;
    expect(Object.fromEntries([...headers].filter(([name]) => /^(content|cache|referrer|x-frame)/.test(name)))).toEqual(
      {
        'content-length': '11',
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy':
          "default-src 'none'; style-src 'self' 'sha256-abc='; img-src data:; " +
          "form-action 'self' https://login.example.com; frame-ancestors 'none'; base-uri 'none'",
        'cache-control': 'no-store',
        'referrer-policy': 'same-origin',
        'x-frame-options': 'DENY',
      },
    );
  });

  test('whoever opens a page unsigned is sent to sign in and back', async () => {
    const visit = await fetch(`${server.url}/mine?a=1&b`, { redirect: 'manual' });
    expect([visit.status, visit.headers.get('location')]).toEqual([303, '/sign-in?next=%2Fmine%3Fa%3D1%26b']);
  });

  test.each([
    ['the page that it stood on', () => `${server.url}/mine?a=1#b`, '/mine?a=1'],
    ['the front page, where the browser does not say', () => undefined, '/'],
  ])('whoever sends a form when the session has ended is sent to sign in, and back to %s', async (_, referer, back) => {
    const from = referer();
    const sent = await form('/send', 'name=x', from === undefined ? {} : { Referer: from });
    expect([sent.status, sent.headers.get('location')]).toEqual([303, `/sign-in?next=${encodeURIComponent(back)}`]);
    expect(await sent.text()).toBe('');
  });

  test('what is no form, names its credentials or wants JSON is answered, not sent anywhere', async () => {
    const post = (path: string, headers: Record<string, string>, body: string) =>
      fetch(server.url + path, { method: 'POST', redirect: 'manual', headers, body });
    const formType = 'application/x-www-form-urlencoded';
    expect((await post('/send', { 'Content-Type': 'application/json' }, '{"name":"x"}')).status).toBe(401);
    expect((await post('/press', { 'Content-Type': formType }, '')).status).toBe(401);
    refuse = true;
    expect((await post('/send', { 'Content-Type': formType, Authorization: 'Bearer x' }, 'name=x')).status).toBe(401);
    refuse = false;
  });

  test('a method that an address does not have is a page for browsers, a problem document for programs', async () => {
    const browser = await fetch(`${server.url}/send`, { headers: { Accept: 'text/html,*/*;q=0.8' } });
    expect([browser.status, browser.headers.get('content-type'), browser.headers.get('allow')]).toEqual([
      405,
      'text/html; charset=utf-8',
      'POST',
    ]);
    expect(await browser.text()).toContain('<h1>Method unknown</h1>');
    const program = await fetch(`${server.url}/send`);
    expect([program.status, program.headers.get('content-type')]).toEqual([405, 'application/problem+json']);
  });

  test('a fault of a page is a page, with nothing in it that runs', async () => {
    const reply = await form('/send', 'name=wrong&csrf=right', session);
    expect([reply.status, reply.headers.get('content-type')]).toEqual([401, 'text/html; charset=utf-8']);
    const text = await reply.text();
    expect(text).toContain('<h1>Credentials wrong</h1>');
    const css = /<style>(.*)<\/style>/.exec(text)?.[1] ?? '';
    const digest = createHash('sha256').update(css).digest('base64');
    expect(reply.headers.get('content-security-policy')).toContain(`style-src 'self' 'sha256-${digest}'`);
    const hostile = await form('/send', 'csrf=right&%3Cscript%3E=1&name=x', session);
    expect(await hostile.text()).toContain('&lt;script&gt;');
  });

  test('an address that is not there is a page for browsers, a problem document for programs', async () => {
    const nowhere = async (accept: string) =>
      (await fetch(`${server.url}/nowhere`, { headers: { Accept: accept } })).headers.get('content-type');
    expect(await nowhere('text/html,application/xhtml+xml,*/*;q=0.8')).toBe('text/html; charset=utf-8');
    for (const accept of ['*/*', 'application/json', 'application/json, text/html'])
      expect(await nowhere(accept)).toBe('application/problem+json');
  });

  test('a reply that only says where to go on is 303, with its cookies', async () => {
    const reply = await form('/send', 'name=on&csrf=right', session);
    expect([reply.status, reply.headers.get('location'), reply.headers.getSetCookie()]).toEqual([
      303,
      '/mine',
      ['a=1; HttpOnly', 'b=2'],
    ]);
  });
});

describe('forms', () => {
  test('fields are text, pass the same schema as JSON, and csrf is none of them', async () => {
    const sent = await form('/enter', 'name=a+b%C3%A9&remember=on&csrf=t');
    expect(await sent.json()).toEqual({ name: 'a bé', remember: 'on', csrf: 't' });
    const json = await fetch(`${server.url}/enter`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-CSRF-Token': 'h' },
      body: '{"name":"a"}',
    });
    expect(await json.json()).toEqual({ name: 'a', csrf: 'h' });
    const unknown = await form('/enter', 'nam=a&__proto__=b');
    expect(await unknown.json()).toMatchObject({
      code: 'REQUEST_INVALID',
      findings: [{ path: 'name' }, { path: 'nam' }, { path: '__proto__' }],
    });
  });

  test.each([
    ['a field twice', 'name=a&name=b', 400, 'REQUEST_INVALID'],
    ['a zero byte', 'name=a%00', 400, 'BODY_INVALID'],
    ['more bytes than the route takes', `name=${'a'.repeat(100)}`, 413, 'BODY_TOO_LARGE'],
  ])('refused: %s', async (_, fields, status, expected) => {
    const reply = await form('/enter', fields);
    expect([reply.status, await code(reply)]).toEqual([status, expected]);
  });

  test('a route that takes no forms takes none', async () => {
    const reply = await fetch(`${server.url}/thing`, {
      method: 'PATCH',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded', Authorization: 'Bearer x' },
      body: 'name=a',
    });
    expect([reply.status, await code(reply)]).toEqual([415, 'MEDIA_TYPE_UNKNOWN']);
  });

  test('PATCH is a method like the others', async () => {
    const reply = await fetch(`${server.url}/thing`, {
      method: 'PATCH',
      headers: { 'Content-Type': 'application/json', Authorization: 'Bearer x' },
      body: '{"name":"a"}',
    });
    expect(await reply.json()).toEqual({ name: 'a' });
  });
});

describe('CSRF token', () => {
  test('with a form it comes in the form, else in the header; the caller is found accordingly', async () => {
    asked.length = 0;
    expect((await form('/send', 'name=x&csrf=right', session)).status).toBe(200);
    expect((await form('/send', 'name=x&csrf=wrong', session)).status).toBe(403);
    expect((await form('/send', 'name=x', session)).status).toBe(403);
    expect((await form('/press', '', session)).status).toBe(403);
    expect((await form('/press', '', { ...session, 'X-CSRF-Token': 'right' })).status).toBe(204);
    await fetch(`${server.url}/press`, { method: 'POST', headers: session });
    expect(asked).toEqual(['form', 'form', 'form', 'form', 'form', 'header']);
  });

  test('a route that takes no forms never looks for the token in one, whatever the type says', async () => {
    asked.length = 0;
    await fetch(`${server.url}/thing`, {
      method: 'PATCH',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...session },
      body: 'name=a&csrf=right',
    });
    expect(asked).toEqual(['header']);
  });

  test('callers without a session need none', async () => {
    expect((await form('/send', 'name=x', { Authorization: 'Bearer x' })).status).toBe(200);
  });
});
