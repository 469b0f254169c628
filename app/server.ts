import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Audit } from '#audit/audit.ts';
import { authorise, gitRights } from '#auth/authorise.ts';
import { type Callers, gitChallenge } from '#auth/caller.ts';
import { mountPageAssets, signInPage } from '#auth/page-handlers.ts';
import type { Clock } from '#base/clock.ts';
import type { Config } from '#base/config.ts';
import { Fault } from '#base/errors.ts';
import { newId } from '#base/ids.ts';
import type { Log } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { Secret } from '#base/secret.ts';
import type { TraceRequest } from '#base/tracing.ts';
import type { Caller } from '#contract/caller.ts';
import type { Route } from '#contract/route.ts';
import { type Handlers, routes } from '#contract/routes.ts';
import type { GitCaller, GitServer } from '#git/serve.ts';
import { createApplication, endApplication } from '#http/application.ts';
import { contextOf } from '#http/context.ts';
import { mountDocumentation } from '#http/documentation.ts';
import { type Listener, listen } from '#http/listener.ts';
import { startMetricsServer } from '#http/metrics-server.ts';
import type { Origins } from '#http/origins.ts';
import { sendProblem } from '#http/problem.ts';
import { actorOf } from '#http/record.ts';
import { mountRoutes } from '#http/route.ts';

export interface ServerOptions {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly metricsSecret: Secret;
  /** Begins the span of a request, where traces are sent. */
  readonly trace: TraceRequest | undefined;
  /** Aborted when the process begins to stop: streams and long polls end then. */
  readonly stopping: AbortSignal;
  readonly origins: Origins;
  readonly handlers: Handlers;
  /** Callbacks whose paths stand in the settings. */
  readonly extra: { readonly routes: readonly Route[]; readonly handlers: Readonly<Record<string, unknown>> };
  readonly callers: Callers;
  readonly audit: Audit;
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
  const { config, clock, log, metrics } = options;
  const { trustedProxies } = config;
  const newRequestId = () => newId('request', clock.now());

  const app = createApplication({ ...options, newRequestId, trustedProxies });
  app.use('/git', gitRoute(options));
  mountAll(app, options);
  mountPageAssets(app);
  mountDocumentation(app);
  endApplication(app);

  const { host } = config;
  const open: Listener[] = [];
  const close = async (graceMs: number) => {
    await Promise.all(open.map((listener) => listener.close(graceMs)));
  };
  try {
    const api = await listen({ handler: app, host, port: config.apiPort, setting: 'API_PORT', clock });
    open.push(api);
    // The same application: a page and the API that it calls are one origin, whichever port a person opens.
    const console = await listen({ handler: app, host, port: config.consolePort, setting: 'CONSOLE_PORT', clock });
    open.push(console);
    const secret = options.metricsSecret;
    const metricsListener = await startMetricsServer({ metrics, secret, host, port: config.metricsPort, clock, log });
    open.push(metricsListener);
    return { api, console, metrics: metricsListener, close };
  } catch (error) {
    await close(0);
    throw error;
  }
}

/** The routes of the contract, then those whose paths the settings say; who is not in either is answered with 404. */
function mountAll(app: ReturnType<typeof createApplication>, options: ServerOptions): void {
  const { handlers, extra, callers, audit, clock, origins } = options;
  const steps = { ...callers, authorise, clock, origins, audit: audit.record, signInPage };
  mountRoutes(app, { ...steps, routes, handlers });
  mountRoutes(app, { ...steps, routes: extra.routes, handlers: extra.handlers as never }); // made for these very routes
}

/** Git over HTTP is no row of the contract: the protocol is Git's own. Whoever may read the state may clone all of it. */
function gitRoute({ callers, origins, gitServer, audit }: ServerOptions) {
  return async (request: IncomingMessage & { originalUrl: string }, response: ServerResponse) => {
    let caller: Caller;
    try {
      origins.check(request, {});
      caller = await callers.callerOf(request);
    } catch (error) {
      if (Fault.is(error) && error.status === 401)
        for (const [name, value] of Object.entries(gitChallenge)) response.setHeader(name, value);
      sendProblem(request, response, error);
      return;
    }
    const { name } = caller;
    const record = gitRecorder(audit, caller, request);
    const path = request.originalUrl.split('?')[0] ?? '';
    await gitServer.handle(request, response, path, { name, actor: name, ...gitRights(caller), record });
  };
}

/** A push that came in stays, and a refusal too: that it cannot be recorded is an error of its own. */
function gitRecorder(audit: Audit, caller: Caller, request: IncomingMessage): GitCaller['record'] {
  const { id, address, log } = contextOf(request);
  const userAgent = request.headers['user-agent']?.slice(0, 200) ?? '';
  const from = { actor: actorOf(caller), target: 'git/state.git', address, userAgent, requestId: id };
  return ({ code, ...end }) => {
    const detail = { ...(end.after && { revision: end.after }), ...(code && { code }) };
    return audit.record({ ...from, ...end, detail }).catch((error: unknown) => {
      log.error({ err: error, ...end, actor: caller.name }, 'a push is not in the audit');
    });
  };
}
