import type { IncomingMessage, ServerResponse } from 'node:http';
import { gitChallenge } from '#auth/caller.ts';
import { authorise } from '#auth/roles.ts';
import type { Clock } from '#base/clock.ts';
import type { Config } from '#base/config.ts';
import { Fault } from '#base/errors.ts';
import { newId } from '#base/ids.ts';
import type { Log } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { Caller } from '#contract/caller.ts';
import { type Handlers, routes } from '#contract/routes.ts';
import type { GitServer } from '#git/serve.ts';
import { createApplication, endApplication } from '#http/application.ts';
import { mountDocumentation } from '#http/documentation.ts';
import { type Listener, listen } from '#http/listener.ts';
import { startMetricsServer } from '#http/metrics-server.ts';
import { sendProblem } from '#http/problem.ts';
import { mountRoutes } from '#http/route.ts';

export interface ServerOptions {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Aborted when the process begins to stop: streams and long polls end then. */
  readonly stopping: AbortSignal;
  readonly handlers: Handlers;
  readonly callerOf: (request: IncomingMessage) => Promise<Caller>;
  readonly gitServer: GitServer;
}

export interface Servers {
  readonly api: Listener;
  readonly console: Listener;
  readonly metrics: Listener;
  /** Takes no more requests, and ends those under way within the time. */
  close(graceMs: number): Promise<void>;
}

/** Every middleware and router of the control plane, in the order in which a request meets them. */
export async function startServers(options: ServerOptions): Promise<Servers> {
  const { config, clock, log, metrics, stopping, handlers, callerOf } = options;
  const newRequestId = () => newId('request', clock.now());

  const app = createApplication({ log, clock, metrics, newRequestId, stopping });
  app.use('/git', gitRoute(options));
  mountRoutes(app, { routes, handlers, callerOf, authorise, clock });
  mountDocumentation(app);
  endApplication(app);

  const page = createApplication({ log, clock, metrics, newRequestId, stopping });
  mountRoutes(page, {
    routes: routes.filter(({ permission }) => permission === 'public'),
    handlers,
    callerOf,
    authorise,
    clock,
  });
  mountDocumentation(page);
  endApplication(page);

  const { host } = config;
  const open: Listener[] = [];
  const close = async (graceMs: number) => {
    await Promise.all(open.map((listener) => listener.close(graceMs)));
  };
  try {
    const api = await listen({ handler: app, host, port: config.apiPort, setting: 'API_PORT', clock });
    open.push(api);
    const console = await listen({ handler: page, host, port: config.consolePort, setting: 'CONSOLE_PORT', clock });
    open.push(console);
    const metricsListener = await startMetricsServer({ metrics, host, port: config.metricsPort, clock, log });
    open.push(metricsListener);
    return { api, console, metrics: metricsListener, close };
  } catch (error) {
    await close(0);
    throw error;
  }
}

/** Git over HTTP is no row of the contract: the protocol is Git's own. Whoever may read the state may clone all of it. */
function gitRoute({ callerOf, gitServer }: ServerOptions) {
  return async (request: IncomingMessage & { originalUrl: string }, response: ServerResponse) => {
    let caller: Caller;
    try {
      caller = await callerOf(request);
    } catch (error) {
      if (Fault.is(error) && error.status === 401)
        for (const [name, value] of Object.entries(gitChallenge)) response.setHeader(name, value);
      sendProblem(request, response, error);
      return;
    }
    await gitServer.handle(request, response, request.originalUrl.split('?')[0] ?? '', {
      name: caller.name,
      actor: caller.name,
      mayRead: authorise(caller, 'state:read', {}),
      mayPush: authorise(caller, 'state:write', {}),
    });
  };
}
