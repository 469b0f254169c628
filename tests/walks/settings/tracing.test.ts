import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startControlPlane } from '#support/control-plane.ts';
import { startOtlpReceiver } from '#support/otlp-receiver.ts';
import { temporaryDirectory } from '#support/temporary.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';

test.each(['', '/v1/traces'])('requests are traced to an endpoint that ends in %j', async (end) => {
  const receiver = await startOtlpReceiver();
  onTestFinished(() => receiver.close());
  const { path, remove } = temporaryDirectory('plinth-tracing');
  onTestFinished(remove);
  const envFile = [
    `ARCHESTRA_OTEL_EXPORTER_OTLP_ENDPOINT=${receiver.url}${end}`,
    'ARCHESTRA_OTEL_EXPORTER_OTLP_AUTH_USERNAME=your-username',
    'ARCHESTRA_OTEL_EXPORTER_OTLP_AUTH_PASSWORD=your-password',
    'ARCHESTRA_OTEL_EXPORTER_OTLP_AUTH_BEARER=your-bearer-token',
  ].join('\n');
  const plinth = await startControlPlane({ dataDirectory: join(path, 'data'), envFile });
  onTestFinished(async () => {
    await plinth.stop();
  });
  await plinth.request('GET', '/api/v1/changes?limit=7&cursor=canary', undefined, {
    traceparent: `00-${traceId}-${spanId}-01`,
    'x-request-id': 'req_of_this_test',
    'x-canary': 'canary',
  });
  await plinth.request('GET', '/api/v1/environments');
  // What has not been sent yet is sent at the stop.
  expect(await plinth.stop()).toBe(0);

  const spans = receiver.spans();
  const asked = spans.find(({ attributes }) => attributes['plinth.request.id'] === 'req_of_this_test');
  expect(asked).toMatchObject({ name: 'GET listChanges', traceId, parentSpanId: spanId });
  expect(spans.map(({ name }) => name)).toContain('GET listEnvironments');
  expect(receiver.requests.map(({ path: at, headers }) => [at, headers.authorization])).toContainEqual([
    '/v1/traces',
    'Bearer your-bearer-token',
  ]);
  expect(JSON.stringify(receiver.requests)).not.toContain('canary');
});
