import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { createMetrics } from '#base/metrics.ts';
import { Secret } from '#base/secret.ts';
import type { Listener } from '#http/listener.ts';
import { metricsSecret, startMetricsServer } from '#http/metrics-server.ts';
import { captureLog } from '#support/captured-log.ts';
import { sendRaw } from '#support/http.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';

const dataDirectory = useTemporaryDirectory();
const secret = new Secret('metrics-secret-of-this-test');
let server: Listener;
beforeAll(async () => {
  const { log } = captureLog();
  const metrics = createMetrics();
  server = await startMetricsServer({ metrics, secret, host: '127.0.0.1', port: 0, clock: systemClock, log });
});
afterAll(() => server.close(0));

const ask = async (authorization?: string, path = '/metrics', method = 'GET') => {
  const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
  const answer = await fetch(server.url + path, { method, headers });
  return { status: answer.status, challenge: answer.headers.get('www-authenticate'), text: await answer.text() };
};
const refused = { status: 401, challenge: 'Bearer realm="metrics"', text: '' };

test('the secret as bearer token opens /metrics, whatever the case of the scheme', async () => {
  for (const scheme of ['Bearer', 'bearer', 'BEARER']) {
    const { status, text } = await ask(`${scheme} ${secret.reveal()}`);
    expect(status).toBe(200);
    expect(text).toContain('# HELP plinth_http_request_seconds');
  }
});

test.each([
  ['none', undefined],
  ['another secret', 'Bearer another-secret-altogether-'],
  ['the beginning of it', `Bearer ${secret.reveal().slice(0, -1)}`],
  ['more than it', `Bearer ${secret.reveal()}x`],
  ['it without a scheme', secret.reveal()],
  ['it as Basic', `Basic ${Buffer.from(`metrics:${secret.reveal()}`).toString('base64')}`],
  ['an empty token', 'Bearer '],
  ['what a secret prints as', 'Bearer [secret]'],
])('with %s it is closed', async (_, authorization) => {
  expect(await ask(authorization)).toEqual(refused);
});

test('a token in the address does not open it', async () => {
  const { status } = await ask(undefined, `/metrics?token=${secret.reveal()}`);
  expect(status).toBe(404);
});

test('of two Authorization headers no right one can be smuggled behind a wrong one', async () => {
  const head = `GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer wrong\r\n`;
  const answer = await sendRaw(server.port, `${head}Authorization: Bearer ${secret.reveal()}\r\n\r\n`);
  expect(answer.split('\r\n')[0]).toBe('HTTP/1.1 401 Unauthorized');
});

test('without a setting the secret is made once, for its owner alone', async () => {
  const made = await metricsSecret({ dataDirectory, setting: undefined });
  expect(made.file).toBe(join(dataDirectory, 'metrics-secret'));
  expect(made.secret.reveal()).toMatch(/^[\w-]{43}$/);
  expect(readFileSync(join(dataDirectory, 'metrics-secret'), 'utf8')).toBe(made.secret.reveal());
  expect(statSync(join(dataDirectory, 'metrics-secret')).mode & 0o777).toBe(0o600);
  expect((await metricsSecret({ dataDirectory, setting: undefined })).secret.reveal()).toBe(made.secret.reveal());
  expect(await metricsSecret({ dataDirectory, setting: secret })).toEqual({ secret, file: undefined });
});
