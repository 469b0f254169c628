import { createMetrics } from '#base/metrics.ts';
import { code, generatedNote, table } from './markdown.ts';

/** What prom-client keeps of a metric. */
interface Metric {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
}

/** The page of all metrics: name, kind, labels and meaning. */
export function metricsPage(): string {
  const metrics = createMetrics()
    .registry.getMetricsAsArray()
    .map((metric) => ({ ...(metric as unknown as Metric), kind: metric.constructor.name.toLowerCase() })) // as it keeps them
    .filter(({ name }) => name.startsWith('plinth_'))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return `${generatedNote('app/base/metrics.ts')}
# Metrics

Served in the text format of Prometheus at \`/metrics\` of METRICS_PORT, to those who send \`Authorization: Bearer\` with
METRICS_SECRET. No label holds the name of a project, a team or a person: their number stays small however many projects
there are. Gauges are read from memory when they are asked for. Every replica answers for its own part; sum over replicas.
Beside these there are the metrics of the process (\`process_…\`, \`nodejs_…\`).

${table(
  ['name', 'kind', 'labels', 'meaning'],
  metrics.map(({ name, kind, labelNames, help }) => [code(name), kind, labelNames.map(code).join(' '), help]),
)}
`;
}
