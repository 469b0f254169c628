import { connect } from 'node:net';
import type { Express } from 'express';
import { builtInRoles, mayOf } from '#auth/roles.ts';
import { type Clock, systemClock } from '#base/clock.ts';
import { newId } from '#base/ids.ts';
import { createLog, type Log } from '#base/log.ts';
import { createMetrics, type Metrics } from '#base/metrics.ts';
import type { Caller } from '#contract/caller.ts';
import { createApplication, endApplication } from '#http/application.ts';
import { type ListenerLimits, listen } from '#http/listener.ts';
import type { Origins } from '#http/origins.ts';

export interface TestServer {
  readonly url: string;
  readonly port: number;
  readonly metrics: Metrics;
  /** What was logged, as parsed lines. */
  readonly logged: readonly Record<string, unknown>[];
  /** Begins to stop: streams end. */
  stop(): void;
  close(): Promise<void>;
}

/** A real server on a free port of loopback, with what `mount` adds. */
export async function startServer(
  mount: (app: Express, log: Log) => void,
  options: {
    readonly clock?: Clock;
    readonly limits?: Partial<ListenerLimits>;
    readonly origins?: Origins;
    readonly trustedProxies?: readonly string[];
  } = {},
): Promise<TestServer> {
  const { clock = systemClock, limits, ...browsers } = options;
  const logged: Record<string, unknown>[] = [];
  const log = createLog({ level: 'debug', to: { write: (line) => logged.push(JSON.parse(line)) } });
  const metrics = createMetrics();
  const stopping = new AbortController();
  const newRequestId = () => newId('request', clock.now());
  const app = createApplication({ log, clock, metrics, newRequestId, stopping: stopping.signal, ...browsers });
  mount(app, log);
  endApplication(app);
  const listener = await listen({
    handler: app,
    host: '127.0.0.1',
    port: 0,
    setting: 'API_PORT',
    clock: systemClock,
    limits: { checkEveryMs: 20, ...limits },
  });
  return {
    url: listener.url,
    port: listener.port,
    metrics,
    logged,
    stop: () => stopping.abort(),
    close: async () => {
      stopping.abort();
      await listener.close(1000);
    },
  };
}

export const administrator: Caller = {
  id: 'usr_test',
  name: 'admin@localhost.ai',
  kind: 'user',
  credential: { kind: 'password' },
  role: 'admin',
  teams: [],
  may: mayOf(builtInRoles.admin, []),
  environments: 'all',
};

/** Somebody with the built-in role, in these teams. */
export const editorOf = (...teams: string[]): Caller => ({
  ...administrator,
  role: 'editor',
  teams,
  may: mayOf(
    builtInRoles.editor,
    teams.map((team) => ({ team, grants: null })),
  ),
});

/** Sends bytes as they are and gives everything that comes back until the other side ends. */
export async function sendRaw(port: number, ...parts: readonly string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.setEncoding('utf8');
  for (const part of parts) socket.write(part);
  let came = '';
  for await (const chunk of socket) came += chunk;
  return came;
}
