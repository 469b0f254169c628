import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { systemClock } from '#base/clock.ts';
import { defineRoute, type HandlersOf } from '#contract/route.ts';
import { mountRoutes } from '#http/route.ts';
import { administrator, sendRaw, startServer, type TestServer } from '#support/http.ts';

const any = z.record(z.string(), z.unknown());
const routes = [
  defineRoute({
    name: 'write',
    tag: 'Test',
    method: 'PUT',
    path: '/things/shop',
    summary: '',
    permission: 'self:read',
    reach: 'personal',
    body: z.strictObject({ name: z.string() }),
    reply: { json: any },
    status: 201,
  }),
  defineRoute({
    name: 'raw',
    tag: 'Test',
    method: 'POST',
    path: '/raw',
    summary: '',
    permission: 'self:read',
    reach: 'personal',
    bodyKinds: ['yaml', 'json'],
    reply: { json: any },
  }),
] as const;

const handlers: HandlersOf<typeof routes> = {
  write: async ({ body }) => ({ json: { ...body } }),
  raw: async ({ body }) => ({ json: { ...body } }),
};

let server: TestServer;
beforeAll(async () => {
  server = await startServer((app) =>
    mountRoutes(app, {
      routes,
      handlers,
      callerOf: async () => administrator,
      authorise: () => true,
      clock: systemClock,
      limits: { mostBytes: 1024, timeoutMs: 100 },
    }),
  );
});
afterAll(() => server.close());

type Sent = string | Uint8Array<ArrayBuffer>;
const json = { 'Content-Type': 'application/json' };
const send = (method: string, path: string, body: Sent, headers: Record<string, string>) =>
  fetch(server.url + path, { method, body, headers });
const put = (body: Sent, headers: Record<string, string> = json) => send('PUT', '/things/shop', body, headers);
const post = (body: Sent, headers: Record<string, string>) => send('POST', '/raw', body, headers);
const problem = async (reply: Response) =>
  (await reply.json()) as { code: string; status: number; detail: string; findings?: { message: string }[] };

test('YAML is kept letter for letter, whatever its media type is called', async () => {
  const text = '\uFEFF# é\r\nname:   x\n';
  for (const type of ['application/yaml', 'text/yaml; charset=UTF-8', 'application/x-yaml'])
    expect(await (await post(text, { 'Content-Type': type })).json()).toEqual({ kind: 'yaml', text });
  const bytes = new TextEncoder().encode('a: 1\n');
  expect(await (await post(bytes, {})).json()).toEqual({ kind: 'yaml', text: 'a: 1\n' });
  const guessed = await (await post(new TextEncoder().encode(' {"a":1}'), {})).json();
  expect(guessed).toEqual({ kind: 'json', text: ' {"a":1}', value: { a: 1 } });
});

test.each([
  ['{"name":', 400, 'BODY_INVALID', 'it is not valid JSON'],
  ['{\n "name": hunter2}', 400, 'BODY_INVALID', 'it is not valid JSON'],
  ['{\n "name": "hunter2",}', 400, 'BODY_INVALID', 'it is not valid JSON at line 2, column 20'],
  ['', 400, 'BODY_INVALID', 'it is empty'],
  [`${'['.repeat(400)}${']'.repeat(400)}`, 400, 'BODY_INVALID', 'deeper than 64'],
  [`"${'x'.repeat(2000)}"`, 413, 'BODY_TOO_LARGE', '1024 bytes'],
])('bad JSON %#', async (sent, status, code, why) => {
  const reply = await put(sent);
  const { detail, ...rest } = await problem(reply);
  expect(rest).toMatchObject({ status, code });
  expect(detail).toContain(why);
  expect(detail).not.toContain('hunter2');
});

test('text that is not UTF-8', async () => {
  const reply = await problem(await put(new Uint8Array([0x22, 0xff, 0xfe, 0x22])));
  expect(reply.detail).toBe('The request body cannot be read: it is not valid UTF-8.');
});

test('a value of the body is never quoted', async () => {
  expect(JSON.stringify(await problem(await put('{"name":{"hunter2":"hunter3"}}')))).not.toMatch(/hunter3/);
});

test('media types and encodings that are not taken', async () => {
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/json; charset=latin1',
    'application/yaml',
  ]) {
    const reply = await put('{"name":"a"}', { 'Content-Type': type });
    expect([reply.status, (await problem(reply)).code]).toEqual([415, 'MEDIA_TYPE_UNKNOWN']);
  }
  const reply = await put('{"name":"a"}', { ...json, 'Content-Encoding': 'br' });
  expect([reply.status, (await problem(reply)).code]).toEqual([415, 'ENCODING_UNKNOWN']);
});

test('gzip is read, a bomb is refused at the limit', async () => {
  const zipped = { ...json, 'Content-Encoding': 'gzip' };
  expect((await put(new Uint8Array(gzipSync('{"name":"a"}')), zipped)).status).toBe(201);
  const bomb = new Uint8Array(gzipSync(Buffer.alloc(500_000, 0x20)));
  expect(bomb.length).toBeLessThan(1024);
  expect((await problem(await put(bomb, zipped))).code).toBe('BODY_TOO_LARGE');
  expect((await problem(await put('no gzip', zipped))).code).toBe('BODY_INVALID');
});

test('a body without an announced length is cut at the limit too', async () => {
  const came = await sendRaw(
    server.port,
    'PUT /things/shop HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer x\r\n',
    'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n',
    `800\r\n${'x'.repeat(2048)}\r\n0\r\n\r\n`,
  );
  expect(came).toMatch(/^HTTP\/1.1 413 /);
});

test('a body that does not come is given up', async () => {
  const came = await sendRaw(
    server.port,
    'PUT /things/shop HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer x\r\n',
    'Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{"na',
  );
  expect(came).toMatch(/^HTTP\/1.1 408 /);
  expect(came).toContain('REQUEST_TOO_SLOW');
});

test('an upload that breaks off harms nobody', async () => {
  const before = server.logged.length;
  await fetch(`${server.url}/things/shop`, {
    method: 'PUT',
    headers: json,
    duplex: 'half',
    body: new ReadableStream({
      start: (controller) => {
        controller.enqueue(new TextEncoder().encode('{"na'));
        controller.error(new Error('gone'));
      },
    }),
  } as RequestInit).catch(() => {});
  expect((await put('{"name":"a"}')).status).toBe(201);
  expect(server.logged.slice(before).filter(({ level }) => level === 'error')).toEqual([]);
});
