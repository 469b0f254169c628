import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { TraceRequest } from '#base/tracing.ts';
import { createProxyWatch, createSenderOf, type Sender } from './address.ts';

/** What belongs to one request from its first to its last byte. */
export interface RequestContext extends Sender {
  readonly id: string;
  /** A child logger that carries the request's id. */
  readonly log: Log;
  /** Aborts when the caller goes away before the reply is complete, or the server stops. */
  readonly signal: AbortSignal;
  /** Name of the route, for log and metrics; 'none' until one is found. */
  route: string;
  /** Whether a problem is shown as a page: a person looks at a page of ours. */
  wantsPage: boolean;
}

export interface ContextDependencies {
  readonly log: Log;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly newRequestId: () => string;
  /** Aborted when the server begins to stop: streams and long polls end then. */
  readonly stopping: AbortSignal;
  /** TRUSTED_PROXIES: addresses and networks whose X-Forwarded-For and X-Forwarded-Proto are believed. */
  readonly trustedProxies?: readonly string[];
  /** Begins the span of a request, where traces are sent. */
  readonly trace?: TraceRequest | undefined;
}

const contexts = new WeakMap<IncomingMessage, RequestContext>();
const requestIdForm = /^[A-Za-z0-9._-]{1,64}$/;

/** The context that `beginRequest` made. */
export function contextOf(request: IncomingMessage): RequestContext {
  const context = contexts.get(request);
  if (context === undefined) throw new Error('beginRequest has not seen this request');
  return context;
}

/**
 * First of all middleware: gives the request its id (the caller's X-Request-Id if it is well-formed, else a new one),
 * logger, signal, and one log line and one measurement at its end.
 */
export function beginRequest(dependencies: ContextDependencies) {
  const observe = observer(dependencies.metrics);
  const { log, clock, newRequestId, stopping, trace } = dependencies;
  const senderOf = createSenderOf(dependencies.trustedProxies);
  const watchProxies = createProxyWatch(dependencies);
  return (request: IncomingMessage, response: ServerResponse, next: () => void) => {
    const given = request.headers['x-request-id'];
    const id = typeof given === 'string' && requestIdForm.test(given) ? given : newRequestId();
    const started = clock.monotonicMs();
    const context = createContext(id, log, () => senderOf(request), response, stopping);
    contexts.set(request, context);
    watchProxies(request);
    response.setHeader('X-Request-Id', id);
    const { method = '', headers } = request;
    const span = trace?.({ id, method, traceparent: textOf(headers.traceparent) });
    response.once('close', () => {
      const ms = clock.monotonicMs() - started;
      observe(context.route, response.statusCode, ms);
      span?.answered({ route: context.route, status: response.statusCode, complete: response.writableFinished });
      const level = method === 'GET' || method === 'HEAD' ? 'debug' : 'info';
      if (!log.isLevelEnabled(level)) return;
      const { route } = context;
      context.log[level](
        { method, route, status: response.statusCode, ms: Math.round(ms * 10) / 10, ended: response.writableFinished },
        'request',
      );
    });
    next();
  };
}

const textOf = (header: string | string[] | undefined) => (typeof header === 'string' ? header : undefined);

function createContext(
  id: string,
  log: Log,
  senderOf: () => Sender,
  response: ServerResponse,
  stopping: AbortSignal,
): RequestContext {
  let child: Log | undefined;
  let signal: AbortSignal | undefined;
  let sender: Sender | undefined;
  return {
    id,
    route: 'none',
    wantsPage: false,
    get log() {
      child ??= log.child({ request: id });
      return child;
    },
    get address() {
      sender ??= senderOf();
      return sender.address;
    },
    get secure() {
      sender ??= senderOf();
      return sender.secure;
    },
    // Made only for those who ask: most requests end before anyone could abort them.
    get signal() {
      signal ??= signalOf(response, stopping);
      return signal;
    },
  };
}

function signalOf(response: ServerResponse, stopping: AbortSignal): AbortSignal {
  const gone = new AbortController();
  const stop = () => gone.abort(new Fault('STOPPING'));
  if (stopping.aborted) stop();
  stopping.addEventListener('abort', stop);
  response.once('close', () => {
    stopping.removeEventListener('abort', stop);
    gone.abort(new Error('the caller went away'));
  });
  if (response.destroyed) gone.abort(new Error('the caller went away'));
  return gone.signal;
}

/** One histogram child for each route and status, kept: looking it up by labels costs more than the measurement. */
function observer(metrics: Metrics) {
  const children = new Map<string, { observe(seconds: number): void }>();
  return (route: string, status: number, ms: number) => {
    const key = `${route} ${status}`;
    let child = children.get(key);
    if (child === undefined) {
      child = metrics.httpRequests.labels(route, String(status));
      children.set(key, child);
    }
    child.observe(ms / 1000);
  };
}
