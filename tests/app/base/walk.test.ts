import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { startTracing, type Tracing } from '#base/tracing.ts';
import { beginWalk, untraced } from '#base/walk.ts';
import { captureLog } from '#support/captured-log.ts';
import { type OtlpReceiver, startOtlpReceiver } from '#support/otlp-receiver.ts';

let receiver: OtlpReceiver;
let tracing: Tracing;
beforeEach(async () => {
  receiver = await startOtlpReceiver();
  const { log } = captureLog();
  const tracesUrl = `${receiver.url}/v1/traces`;
  tracing = await startTracing({ tracesUrl, version: '1.2.3', log, clock: systemClock, batchMs: 20 });
});
afterEach(async () => {
  await tracing.stop();
  await receiver.close();
});

const begin = (name: string, attributes = {}, parent?: string) =>
  beginWalk({ traceWalk: tracing.traceWalk, clock: systemClock }, name, attributes, parent);

test('a walk is one span from its beginning on, its steps are pieces of it', async () => {
  const walk = begin('reconcile', { 'plinth.project': 'web' });
  expect(await walk.step('load', async () => 7, { 'plinth.objects': 3 })).toBe(7);
  walk.set({ 'plinth.applied': 2 });
  await expect(
    walk.step('apply', async () => {
      throw new Error('no');
    }),
  ).rejects.toThrow('no');
  walk.end('failed');
  const spans = await receiver.until(3);
  const [whole, load, apply] = ['reconcile', 'reconcile.load', 'reconcile.apply'].map(
    (name) => spans.find((span) => span.name === name)!,
  );
  expect(whole).toMatchObject({ kind: 1, status: 2, parentSpanId: '' });
  expect(whole?.attributes).toMatchObject({ 'plinth.project': 'web' });
  expect(Number(whole?.attributes['plinth.applied'])).toBe(2);
  expect(load).toMatchObject({ kind: 1, status: 0, parentSpanId: whole?.spanId, traceId: whole?.traceId });
  expect(Number(load?.attributes['plinth.objects'])).toBe(3);
  expect(apply).toMatchObject({ status: 2, parentSpanId: whole?.spanId });
});

test('steps side by side are pieces of the same walk', async () => {
  const walk = begin('publish');
  await Promise.all([1, 2, 3].map(() => walk.step('render', async () => {})));
  walk.end();
  const spans = await receiver.until(4);
  const whole = spans.find(({ name }) => name === 'publish');
  expect(spans.filter(({ parentSpanId }) => parentSpanId === whole?.spanId)).toHaveLength(3);
});

test('one in which nothing was done is not sent', async () => {
  begin('reconcile').end();
  const walk = begin('publish');
  await walk.step('claim', async () => {});
  walk.end();
  const spans = await receiver.until(2);
  expect(spans.map(({ name }) => name).sort()).toEqual(['publish', 'publish.claim']);
});

test('one that a traced request asked for is part of its trace', async () => {
  const request = tracing.trace({ id: 'req_1', method: 'PUT', traceparent: undefined });
  const walk = begin('publish', {}, request.traceparent);
  await walk.step('claim', async () => {});
  walk.end();
  request.answered({ route: 'putProject', status: 202, complete: true });
  const spans = await receiver.until(3);
  expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1);
  const put = spans.find(({ name }) => name === 'PUT putProject');
  expect(spans.find(({ name }) => name === 'publish')?.parentSpanId).toBe(put?.spanId);
});

test('without tracing there is nothing but the work', async () => {
  const walk = beginWalk({ clock: systemClock }, 'reconcile');
  expect(walk).toBe(untraced);
  expect(await walk.step('load', async () => 7)).toBe(7);
  walk.end();
});
