import { expect, test } from 'vitest';
import { createMetrics } from '#base/metrics.ts';
import { createReadGauge } from '#base/read-gauge.ts';

/** Of all metrics of ours: nothing that grows with the number of projects, teams or people may be a label. */
const labels = [
  'cluster',
  'environment',
  'health',
  'kind',
  'operation',
  'outcome',
  'phase',
  'provider',
  'route',
  'state',
  'status',
  'verb',
];

interface Config {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
}

const ours = () =>
  createMetrics()
    .registry.getMetricsAsArray()
    .map((metric) => ({ ...(metric as unknown as Config), type: metric.constructor.name })) // as prom-client keeps it
    .filter(({ name }) => name.startsWith('plinth_'));

test('names and units are as Prometheus wants them', () => {
  for (const { name, help, type } of ours()) {
    expect(name).toMatch(/^plinth_[a-z]+(_[a-z]+)*$/);
    expect(name.endsWith('_total'), name).toBe(type === 'Counter');
    if (type === 'Histogram') expect(name).toMatch(/_seconds$/);
    expect(help).toMatch(/^[A-Z].*\.$/);
  }
});

test('no label is a name of a project, a team or a person', () => {
  for (const { name, labelNames } of ours())
    expect(
      labelNames.filter((label) => !labels.includes(label)),
      name,
    ).toEqual([]);
});

test('a gauge that is read sums up its readers, and forgets those that left', async () => {
  const { registry } = createMetrics();
  const gauge = createReadGauge({
    name: 'plinth_read',
    help: 'Read.',
    labelNames: ['environment'],
    registers: [registry],
  });
  const read = async () =>
    (await registry.getSingleMetricAsString('plinth_read')).split('\n').filter((line) => !line.startsWith('#'));
  expect(await read()).toEqual([]);
  let value = 1;
  const stop = gauge.from(() => [{ labels: { environment: 'local' }, value }]);
  gauge.from(() => [
    { labels: { environment: 'local' }, value: 2 },
    { labels: { environment: 'dev' }, value: 5 },
  ]);
  expect(await read()).toEqual(['plinth_read{environment="local"} 3', 'plinth_read{environment="dev"} 5']);
  value = 10;
  expect(await read()).toContain('plinth_read{environment="local"} 12');
  stop();
  expect(await read()).toContain('plinth_read{environment="local"} 2');
});
