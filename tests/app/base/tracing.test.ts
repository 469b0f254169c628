import { execFileSync } from 'node:child_process';
import { request as ask, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { Secret } from '#base/secret.ts';
import { startTracing, type Tracing, type TracingOptions } from '#base/tracing.ts';
import { captureLog } from '#support/captured-log.ts';
import { type OtlpReceiver, startOtlpReceiver } from '#support/otlp-receiver.ts';

let receiver: OtlpReceiver;
let tracing: Tracing | undefined;
beforeEach(async () => {
  receiver = await startOtlpReceiver();
});
afterEach(async () => {
  await tracing?.stop();
  tracing = undefined;
  await receiver.close();
});

async function start(options: Partial<TracingOptions> = {}) {
  const { log, lines } = captureLog();
  const standard = { tracesUrl: `${receiver.url}/v1/traces`, version: '1.2.3', log, clock: systemClock, batchMs: 20 };
  tracing = await startTracing({ ...standard, ...options });
  return { ...tracing, lines };
}

const begin = { id: 'req_1', method: 'GET', traceparent: undefined };
const end = { route: 'getProject', status: 200, complete: true };

describe('spans', () => {
  test('a request is one span with method, route, status and request id', async () => {
    const { trace } = await start();
    trace(begin).answered(end);
    const [span] = await receiver.until(1);
    expect(span).toMatchObject({ name: 'GET getProject', kind: 2, status: 0, parentSpanId: '' });
    expect(span?.attributes).toEqual({
      'http.request.method': 'GET',
      'plinth.request.id': 'req_1',
      'http.route': 'getProject',
      'http.response.status_code': 200,
    });
    expect(span?.traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(receiver.resource()).toEqual({ 'service.name': 'plinth', 'service.version': '1.2.3' });
  });

  test('a server fault fails the span, a refusal does not; who went away shows', async () => {
    const { trace } = await start();
    trace(begin).answered({ route: 'a', status: 503, complete: true });
    trace(begin).answered({ route: 'b', status: 404, complete: true });
    trace(begin).answered({ route: 'c', status: 200, complete: false });
    const spans = new Map((await receiver.until(3)).map((span) => [span.attributes['http.route'], span]));
    expect(spans.get('a')?.status).toBe(2);
    expect(spans.get('b')?.status).toBe(0);
    expect(spans.get('c')?.attributes['plinth.request.aborted']).toBe(true);
  });

  test('a method that nobody knows names no span', async () => {
    const { trace } = await start();
    trace({ ...begin, method: 'BREW-secret' }).answered(end);
    expect((await receiver.until(1))[0]?.name).toBe('_OTHER getProject');
  });

  test('an LLM call is a piece of its request, and hands its place on', async () => {
    const { trace } = await start();
    const request = trace(begin);
    const call = request.child('llm.call', { 'llm.model': 'one' });
    call.set({ 'llm.tokens': 12 });
    call.end('failed');
    request.answered(end);
    const spans = await receiver.until(2);
    const [inner, outer] = ['llm.call', 'GET getProject'].map((name) => spans.find((span) => span.name === name)!);
    expect(inner).toMatchObject({
      kind: 3,
      status: 2,
      parentSpanId: outer?.spanId,
      traceId: outer?.traceId,
      attributes: { 'llm.model': 'one', 'llm.tokens': 12 },
    });
    expect(call.traceparent).toBe(`00-${inner?.traceId}-${inner?.spanId}-01`);
  });
});

describe('traceparent', () => {
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
  const spanId = '00f067aa0ba902b7';

  test('the caller’s span is the parent', async () => {
    const { trace } = await start();
    trace({ ...begin, traceparent: `00-${traceId}-${spanId}-01` }).answered(end);
    trace({ ...begin, traceparent: `cc-${traceId}-${spanId}-01-what.the-future-will-be-like` }).answered(end);
    for (const span of await receiver.until(2)) expect(span).toMatchObject({ traceId, parentSpanId: spanId });
  });

  test.each([
    'nonsense',
    '',
    `00-${traceId}-${spanId}-01-more`,
    `ff-${traceId}-${spanId}-01`,
    `00-${'0'.repeat(32)}-${spanId}-01`,
    `00-${traceId}-${'0'.repeat(16)}-01`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
  ])('%j is passed over', async (traceparent) => {
    const { trace } = await start();
    trace({ ...begin, traceparent }).answered(end);
    const [span] = await receiver.until(1);
    expect(span?.parentSpanId).toBe('');
    expect(span?.traceId).not.toBe(traceId);
  });

  test('who says that the trace is not recorded is not recorded', async () => {
    const { trace, stop } = await start();
    trace({ ...begin, traceparent: `00-${traceId}-${spanId}-00` }).answered(end);
    await stop();
    expect(receiver.requests).toEqual([]);
  });
});

describe('on the way', () => {
  test('Authorization is sent as it is given, or not at all', async () => {
    for (const authorization of [new Secret('Bearer token'), undefined]) {
      const { trace, stop } = await start({ authorization });
      trace(begin).answered(end);
      await stop();
    }
    expect(receiver.requests.map(({ path, headers }) => [path, headers.authorization])).toEqual([
      ['/v1/traces', 'Bearer token'],
      ['/v1/traces', undefined],
    ]);
  });

  test('what has not been sent is sent at the stop', async () => {
    const { trace, stop } = await start({ batchMs: 3_600_000 });
    for (let i = 0; i < 1000; i++) trace(begin).answered(end);
    await stop();
    expect(receiver.spans().length).toBe(1000);
  });

  test('a collector that refuses costs one line a minute, which counts what was lost and repeats no answer', async () => {
    let nowMs = 0;
    const { trace, lines } = await start({
      clock: { ...systemClock, monotonicMs: () => nowMs },
      authorization: new Secret('Bearer canary-token'),
      tracesUrl: `${receiver.url}/v1/traces?key=canary-key`,
    });
    receiver.answer(400);
    const send = async () => {
      const before = receiver.requests.length;
      trace(begin).answered(end);
      while (receiver.requests.length === before) await systemClock.sleep(5);
      // The next batch begins when the failed one has been reported.
      await systemClock.sleep(40);
    };
    for (let i = 0; i < 3; i++) await send();
    nowMs = 60_001;
    await send();
    expect(
      lines().map(({ level, msg, collector, reason, spans }) => ({ level, msg, collector, reason, spans })),
    ).toEqual(
      [1, 3].map((spans) => ({
        level: 'warn',
        msg: 'traces could not be sent',
        collector: `${receiver.url}/v1/traces`,
        reason: '400 Bad Request',
        spans,
      })),
    );
    expect(JSON.stringify(lines())).not.toContain('canary');
  });

  test('a collector that is away fails nothing', async () => {
    const { trace, lines, stop } = await start({ tracesUrl: 'http://127.0.0.1:9/v1/traces' });
    trace(begin).answered(end);
    await stop();
    expect(lines().map(({ msg, spans }) => ({ msg, spans }))).toEqual([{ msg: 'traces could not be sent', spans: 1 }]);
  });
});

test('nothing of headers, body or query is in what is sent', async () => {
  const { trace, stop } = await start();
  // As http/context.ts calls it.
  const server = createServer((request, response) => {
    const span = trace({
      id: 'req_2',
      method: request.method ?? '',
      traceparent: request.headers.traceparent?.toString(),
    });
    response.once('close', () =>
      span.answered({ route: 'putSecret', status: response.statusCode, complete: response.writableFinished }),
    );
    request.resume().once('end', () => response.writeHead(201, { 'set-cookie': 'canary=canary' }).end('canary'));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve, reject) => {
    const sent = ask(
      { port, method: 'PUT', path: '/secrets/canary?token=canary', headers: { authorization: 'Bearer canary' } },
      (response) => response.resume().once('end', resolve),
    );
    sent.once('error', reject);
    sent.end('canary');
  });
  server.close();
  await stop();
  expect(receiver.spans().map(({ name }) => name)).toEqual(['PUT putSecret']);
  expect(JSON.stringify(receiver.requests)).not.toContain('canary');
});

test('who only imports the file loads no library', () => {
  const file = fileURLToPath(new URL('../../../app/base/tracing.ts', import.meta.url));
  const script = `const { registerHooks } = await import('node:module');
    const seen = [];
    registerHooks({ resolve: (what, context, next) => { seen.push(what); return next(what, context); } });
    await import(${JSON.stringify(file)});
    console.log(JSON.stringify(seen.filter((what) => what.includes('opentelemetry'))));`;
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' });
  expect(JSON.parse(output)).toEqual([]);
});
