import type { Clock } from '#base/clock.ts';
import type { Log } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import { type Listener, listen } from './listener.ts';

/** Serves /metrics, and nothing else, on a port of its own: it is for the operator's network, without sign-in. */
export function startMetricsServer(options: {
  readonly metrics: Metrics;
  readonly host: string;
  readonly port: number;
  readonly clock: Clock;
  readonly log: Log;
}): Promise<Listener> {
  const { log } = options;
  const { registry } = options.metrics;
  return listen({
    ...options,
    setting: 'METRICS_PORT',
    handler: async (request, response) => {
      if (request.url !== '/metrics' || request.method !== 'GET') {
        response.writeHead(404).end();
        return;
      }
      try {
        const text = await registry.metrics();
        response.writeHead(200, { 'Content-Type': registry.contentType }).end(text);
      } catch (error) {
        log.error({ err: error }, 'metrics cannot be collected');
        response.writeHead(500).end();
      }
    },
  });
}
