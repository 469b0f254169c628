import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Clock } from '#base/clock.ts';
import { type GivenSecret, settingOrGenerated } from '#base/generated-secret.ts';
import type { Log } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { Secret } from '#base/secret.ts';
import { type Listener, listen } from './listener.ts';

/** What a scraper sends as its bearer token: the setting's (METRICS_SECRET), else `metrics-secret` of the data directory. */
export const metricsSecret = (options: {
  readonly dataDirectory: string;
  readonly setting: Secret | undefined;
}): Promise<GivenSecret> => settingOrGenerated(options, 'metrics-secret', 'base64url');

/** Serves /metrics, and nothing else, on a port of its own, to those who send `Authorization: Bearer <secret>`. */
export function startMetricsServer(options: {
  readonly metrics: Metrics;
  readonly secret: Secret;
  readonly host: string;
  readonly port: number;
  readonly clock: Clock;
  readonly log: Log;
}): Promise<Listener> {
  const { log, secret } = options;
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
        if (!isBearer(request, secret)) {
          response.writeHead(401, { 'WWW-Authenticate': 'Bearer realm="metrics"' }).end();
          return;
        }
        const text = await registry.metrics();
        response.writeHead(200, { 'Content-Type': registry.contentType }).end(text);
      } catch (error) {
        log.error({ err: error }, 'metrics cannot be collected');
        response.writeHead(500).end();
      }
    },
  });
}

/** Digests are compared, so that neither the content nor the length of the secret shows in the time it takes. */
function isBearer({ headers }: IncomingMessage, secret: Secret): boolean {
  const given = /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1] ?? '';
  return timingSafeEqual(digest(given), digest(secret.reveal()));
}

const digest = (text: string) => createHash('sha256').update(text).digest();
