import { connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { createLog } from '#base/log.ts';
import { createMetrics } from '#base/metrics.ts';
import { Secret } from '#base/secret.ts';
import { type Listener, listen } from '#http/listener.ts';
import { startMetricsServer } from '#http/metrics-server.ts';
import { sendRaw } from '#support/http.ts';

const open: Listener[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((listener) => listener.close(0)));
});

async function start(options: Partial<Parameters<typeof listen>[0]> = {}): Promise<Listener> {
  const listener = await listen({
    handler: (_request, response) => response.end('hello'),
    host: '127.0.0.1',
    port: 0,
    setting: 'API_PORT',
    clock: systemClock,
    ...options,
  });
  open.push(listener);
  return listener;
}

test('a taken port says which setting to change', async () => {
  const { port } = await start();
  await expect(start({ port })).rejects.toMatchObject({
    code: 'PORT_TAKEN',
    message: `Port ${port} on 127.0.0.1 is taken. Set API_PORT to another one.`,
  });
});

test('a head that comes too slowly is given up', async () => {
  const { port } = await start({ limits: { headersTimeoutMs: 50, checkEveryMs: 10 } });
  const came = await sendRaw(port, 'GET / HTTP/1.1\r\nX-Slow: ');
  expect(came).toMatch(/^HTTP\/1.1 408 Request too slow\r\n/);
  expect(JSON.parse(came.slice(came.indexOf('\r\n\r\n')))).toMatchObject({ code: 'REQUEST_TOO_SLOW', status: 408 });
});

test('what is no HTTP, and a head that is too large', async () => {
  const { port } = await start();
  expect(await sendRaw(port, 'nonsense\r\n\r\n')).toMatch(/^HTTP\/1.1 400 [\s\S]*REQUEST_UNREADABLE/);
  const large = await sendRaw(port, `GET / HTTP/1.1\r\nX-Large: ${'x'.repeat(20_000)}\r\n\r\n`);
  expect(large).toMatch(/^HTTP\/1.1 431 [\s\S]*larger than 16384 bytes/);
});

test('connections beyond the most are turned away', async () => {
  const { port } = await start({ limits: { mostConnections: 1 } });
  const first = connect(port, '127.0.0.1');
  await new Promise((resolve) => first.once('connect', resolve));
  await expect(sendRaw(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n').catch(() => '')).resolves.toBe('');
  first.destroy();
});

test('closing lets a request under way end and takes no new one', async () => {
  let finish = () => {};
  let asked = false;
  const listener = await start({
    handler: (_request, response) => {
      asked = true;
      finish = () => response.end('done');
    },
  });
  const reply = fetch(listener.url);
  await expect.poll(() => asked, { interval: 5 }).toBe(true);
  const closing = listener.close(5000);
  await expect(fetch(listener.url)).rejects.toThrow();
  finish();
  expect(await (await reply).text()).toBe('done');
  await closing;
});

test('closing cuts what does not end within the grace', async () => {
  let asked = false;
  const listener = await start({
    handler: () => {
      asked = true;
    },
  });
  const reply = fetch(listener.url);
  reply.catch(() => {});
  await expect.poll(() => asked, { interval: 5 }).toBe(true);
  await listener.close(20);
  await expect(reply).rejects.toThrow();
});

test('metrics have a port of their own, and nothing else is on it', async () => {
  const metrics = createMetrics();
  metrics.drift.inc({ environment: 'local', kind: 'Deployment' });
  const log = createLog({ level: 'silent' });
  const secret = new Secret('metrics-secret-of-this-test');
  const listener = await startMetricsServer({ metrics, secret, host: '127.0.0.1', port: 0, clock: systemClock, log });
  open.push(listener);
  const headers = { authorization: `Bearer ${secret.reveal()}` };
  expect(await (await fetch(`${listener.url}/metrics`, { headers })).text()).toContain(
    'plinth_drift_total{environment="local"',
  );
  expect((await fetch(`${listener.url}/`)).status).toBe(404);
  expect((await fetch(`${listener.url}/metrics`, { method: 'POST' })).status).toBe(404);
});
