import { type Dispatcher, errors, Pool } from 'undici';
import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Fence } from '../runtime.ts';
import type { Credentials, TlsIdentity } from './credentials.ts';
import { at, textOf } from './fields.ts';
import { createLanes, type Lane } from './lanes.ts';

export interface RequestOptions {
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly contentType?: string;
  readonly signal?: AbortSignal;
  /** The longest silence of the server. */
  readonly timeoutMs?: number;
  readonly lane?: Lane;
  /** For requests that change something: looked at when nothing but the writing itself is left to do, at each try. */
  readonly fence?: Fence | undefined;
}

/** An answer of the API server, refusals included; `body` is parsed JSON, or text where it is none. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** An answer that arrives piece by piece: a watch or a log. */
export interface Stream {
  readonly status: number;
  readonly body: AsyncIterable<Uint8Array>;
  /** The whole body as an answer, for statuses that are refusals. */
  answer(): Promise<Answer>;
}

export interface Client {
  /**
   * One request. Every method used here may be repeated safely: GET, server-side apply, delete by uid; so what failed
   * before a byte of the answer came is tried again a few times.
   * @throws Fault RUNTIME_UNAVAILABLE when no usable answer came, LEASE_LOST by the fence; the signal's reason when it
   *   was aborted
   */
  request(method: Dispatcher.HttpMethod, path: string, options?: RequestOptions): Promise<Answer>;
  /**
   * Opens a stream on a connection of its own, outside the lanes. It ends with an error after `idleMs` of silence.
   * @throws as `request`
   */
  stream(path: string, options: { readonly signal: AbortSignal; readonly idleMs: number }): Promise<Stream>;
  close(): Promise<void>;
}

export interface ClientOptions {
  /** The cluster's name, for messages. */
  readonly cluster: string;
  /** `https://host:port`, with a path where the API has a prefix. */
  readonly server: string;
  readonly credentials: Credentials;
  readonly clock: Clock;
  /** The longest silence of the server where a request names none; 30 s by default. */
  readonly timeoutMs?: number | undefined;
  /** Which process asks, for the API server's audit log: `plinth/<agent>`. */
  readonly agent?: string | undefined;
  /** Called once for each request on the wire; status 0: no answer. */
  onRequest(verb: string, status: number): void;
}

const connections = 64;
const attempts = 4;
const firstPauseMs = 25;
const mostRetryAfterMs = 10_000;
const standardTimeoutMs = 30_000;

/** A thin client: one pool of keep-alive connections over HTTP/1.1 for requests, one for streams. */
export function createClient(options: ClientOptions): Client {
  const { cluster, credentials, clock, onRequest } = options;
  const mostSilenceMs = options.timeoutMs ?? standardTimeoutMs;
  const headersFor = createHeaders(credentials, options.agent);
  const { origin, prefix } = split(options.server);
  const lanes = createLanes({ clock, most: connections });
  const pools = createPools(origin, credentials);

  const unavailable = (why: string, cause?: unknown) =>
    new Fault('RUNTIME_UNAVAILABLE', { cluster, why, server: origin }, { cause });

  const send = async (method: Dispatcher.HttpMethod, path: string, asked: RequestOptions): Promise<Sent> => {
    const timeoutMs = asked.timeoutMs ?? mostSilenceMs;
    const headers = await headersFor(asked.body === undefined ? undefined : (asked.contentType ?? json));
    await asked.fence?.look?.();
    const pool = pools.requests();
    const answer = await (asked.fence === undefined ? pool : pool.compose(behind(asked.fence))).request({
      method,
      path: prefix + path,
      headers,
      body: asked.body === undefined ? null : JSON.stringify(asked.body),
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      signal: asked.signal ?? null,
    });
    const text = await answer.body.text();
    return { status: answer.statusCode, body: parse(text), retryAfterMs: retryAfterMs(answer.headers) };
  };

  const once = async (method: Dispatcher.HttpMethod, path: string, asked: RequestOptions): Promise<Sent> => {
    await lanes.enter(asked.lane ?? 'bulk', asked.signal);
    const startedMs = clock.monotonicMs();
    let outcome: 'answered' | 'throttled' | 'failed' = 'failed';
    let status = 0;
    try {
      const sent = await send(method, path, asked);
      status = sent.status;
      outcome = isCrowded(status) ? 'throttled' : 'answered';
      return sent;
    } finally {
      lanes.leave(`${method} ${pluralOf(path)}`, clock.monotonicMs() - startedMs, outcome);
      onRequest(verbOf(method, path), status);
    }
  };

  const request = async (method: Dispatcher.HttpMethod, path: string, asked: RequestOptions = {}): Promise<Answer> => {
    for (let attempt = 1; ; attempt++) {
      const pauseMs = Math.random() * firstPauseMs * 4 ** (attempt - 1);
      const last = attempt === attempts;
      try {
        const sent = await once(method, path, asked);
        if (sent.status === 401 && !last && (await credentials.refresh())) continue;
        const why = unusable(sent, path);
        if (why === undefined) return sent;
        if (last) throw unavailable(why);
        await clock.sleep(Math.min(sent.retryAfterMs, mostRetryAfterMs) + pauseMs, asked.signal);
      } catch (error) {
        if (asked.signal?.aborted) throw asked.signal.reason;
        if (Fault.is(error)) throw error;
        if (last || !neverAnswered(error)) throw unavailable(whyOf(error, origin), error);
        await clock.sleep(pauseMs, asked.signal);
      }
    }
  };

  const stream = async (path: string, { signal, idleMs }: { signal: AbortSignal; idleMs: number }): Promise<Stream> => {
    try {
      const answer = await pools.streams().request({
        method: 'GET',
        path: prefix + path,
        headers: await headersFor(undefined),
        headersTimeout: mostSilenceMs,
        bodyTimeout: idleMs,
        signal,
      });
      onRequest(verbOf('GET', path), answer.statusCode);
      if (answer.statusCode === 401) await credentials.refresh();
      const whole = async () => ({ status: answer.statusCode, body: parse(await answer.body.text()) });
      return { status: answer.statusCode, body: said(answer.body, origin, unavailable, signal), answer: whole };
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      onRequest(verbOf('GET', path), 0);
      throw unavailable(whyOf(error, origin), error);
    }
  };

  return { request, stream, close: () => pools.close() };
}

/**
 * Looks at the fence when the connection stands and the request is about to be written to it: between asking and
 * writing lies a connect, or a wait for a free connection, and meanwhile another replica may have taken over.
 */
const behind =
  (fence: Fence): Dispatcher.DispatcherComposeInterceptor =>
  (dispatch) =>
  (options, handler) =>
    dispatch(options, {
      onRequestStart: (controller, context) => {
        fence.assert();
        handler.onRequestStart?.(controller, context);
      },
      onRequestUpgrade: (...said) => handler.onRequestUpgrade?.(...said),
      onResponseStart: (...said) => handler.onResponseStart?.(...said),
      onResponseData: (...said) => handler.onResponseData?.(...said),
      onResponseEnd: (...said) => handler.onResponseEnd?.(...said),
      onResponseError: (...said) => handler.onResponseError?.(...said),
    });

const json = 'application/json';

interface Sent extends Answer {
  readonly retryAfterMs: number;
}

/** Requests and streams each have a pool; both are made anew when the client certificate changes. */
function createPools(origin: string, credentials: Credentials) {
  let identity: TlsIdentity | undefined;
  let requests: Pool | undefined;
  let streams: Pool | undefined;
  const renew = () => {
    const now = credentials.tls();
    if (now === identity) return;
    void requests?.close();
    void streams?.close();
    identity = now;
    // TCP keepalive ends connections whose far side vanished; silent ones that are still acknowledged end by bodyTimeout.
    const connect = { ...now, key: now.key?.reveal(), timeout: 10_000, keepAlive: true, keepAliveInitialDelay: 15_000 };
    const shared = { connect, allowH2: false, pipelining: 1, keepAliveTimeout: 60_000 };
    requests = new Pool(origin, { ...shared, connections });
    streams = new Pool(origin, { ...shared, connections: null });
  };
  const pool = (pick: () => Pool | undefined) => (): Pool => {
    renew();
    return pick() as Pool; // made by renew
  };
  return {
    requests: pool(() => requests),
    streams: pool(() => streams),
    close: async () => {
      await Promise.all([requests?.destroy(), streams?.destroy()]);
    },
  };
}

function createHeaders(credentials: Credentials, agent: string | undefined) {
  const userAgent = agent === undefined ? 'plinth' : `plinth/${agent}`;
  return async (contentType: string | undefined): Promise<Record<string, string>> => {
    const headers: Record<string, string> = { accept: json, 'user-agent': userAgent };
    if (contentType !== undefined) headers['content-type'] = contentType;
    const asked = credentials.authorization();
    const authorization = typeof asked === 'object' ? await asked : asked;
    if (authorization !== undefined) headers.authorization = authorization;
    return headers;
  };
}

/** Passes the bytes on; a break in the middle becomes a fault that says so. */
async function* said(
  body: AsyncIterable<Uint8Array>,
  origin: string,
  unavailable: (why: string, cause: unknown) => Fault,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  try {
    yield* body;
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw unavailable(whyOf(error, origin), error);
  }
}

function split(server: string): { origin: string; prefix: string } {
  const url = new URL(server);
  return { origin: url.origin, prefix: url.pathname.replace(/\/+$/, '') };
}

function parse(text: string): unknown {
  if (!text.startsWith('{')) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function retryAfterMs(headers: Record<string, string | string[] | undefined>): number {
  const seconds = Number(headers['retry-after']);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 0;
}

/** Groups that every cluster serves; those of extensions may be absent for good. */
const builtIn = /^\/(api\/v1|apis\/(apps|autoscaling|batch|networking\.k8s\.io|policy|storage\.k8s\.io)\/)/;

const isCrowded = (status: number) => status === 429 || status === 503 || status === 504;

/** Why an answer says nothing about the object itself, or undefined. */
function unusable({ status, body }: Answer, path: string): string | undefined {
  const message = textOf(at(body, 'message')) || (typeof body === 'string' ? body.trim().slice(0, 200) : '');
  if (status === 429) return `it asks for fewer requests (429): ${message}`;
  if (status === 401) return 'it does not know our credentials (401); check the kubeconfig or the service account';
  // The API server answers 500 for an apply whose fields its schema does not know: that is a refusal.
  if (status === 500 && message.startsWith('failed to create typed patch object')) return undefined;
  if (status >= 500) return `it answers ${status}: ${message}`;
  // JSON that cannot be read says nothing, whatever its status: an object without its label would look like another's.
  if (typeof body === 'string' && body.startsWith('{')) return `its answer is cut off (${status})`;
  // A Status would say that an object is not there. Without one, the group itself is not served: so it is while an API
  // server begins, and taken for an answer it would mean that what we delete is gone already.
  if (status === 404 && typeof body === 'string' && builtIn.test(path))
    return 'it does not serve all built-in kinds (404)';
  return undefined;
}

/** True when the connection failed before any byte of an answer: the request may be sent again. */
function neverAnswered(error: unknown): boolean {
  const code = codeOf(error);
  return ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET', 'UND_ERR_CONNECT_TIMEOUT'].includes(code);
}

function whyOf(error: unknown, origin: string): string {
  if (error instanceof errors.HeadersTimeoutError) return `${origin} gives no answer`;
  if (error instanceof errors.BodyTimeoutError) return `${origin} has gone silent`;
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  return code === 'ECONNREFUSED' ? `nothing listens at ${origin}` : `${origin}: ${message || code}`;
}

/** True when a stream ended because nothing came for as long as it may be silent. */
export const isSilence = (error: unknown): boolean =>
  error instanceof Fault && error.cause instanceof errors.BodyTimeoutError;

function codeOf(error: unknown): string {
  // An AggregateError of several addresses carries the code of its parts.
  return textOf(at(error, 'code')) || textOf(at(at(error, 'cause'), 'code'));
}

const pluralOf = (path: string) => /\/(?:namespaces\/[^/]+\/)?([a-z]+)(?:\/[^/?]+)?(?:\?|$)/.exec(path)?.[1] ?? path;

function verbOf(method: string, path: string): string {
  if (/\/events(\/|$)/.test(path)) return 'event';
  if (method === 'PATCH') return 'apply';
  if (method === 'DELETE') return 'delete';
  if (path.includes('watch=1')) return 'watch';
  return 'get';
}
