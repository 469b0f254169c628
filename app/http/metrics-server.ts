import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import type { Clock } from '#base/clock.ts';
import type { Log } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import { readOrMake } from '#base/once-file.ts';
import { Secret } from '#base/secret.ts';
import { type Listener, listen } from './listener.ts';

export interface MetricsSecret {
  readonly secret: Secret;
  /** The file that holds a generated one, for the operator to read; undefined when the setting gave it. */
  readonly file: string | undefined;
}

/**
 * What a scraper sends as its bearer token: the setting's (METRICS_SECRET), else the one in `metrics-secret` of the
 * data directory, made at the first start (0600).
 */
export async function metricsSecret(options: {
  readonly dataDirectory: string;
  readonly setting: Secret | undefined;
}): Promise<MetricsSecret> {
  if (options.setting !== undefined) return { secret: options.setting, file: undefined };
  const file = join(options.dataDirectory, 'metrics-secret');
  const made = await readOrMake(file, () => Buffer.from(randomBytes(32).toString('base64url')));
  return { secret: new Secret(made.toString('utf8')), file };
}

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
