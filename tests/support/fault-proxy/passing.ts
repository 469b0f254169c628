import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Pool } from 'undici';
import type { RequestFault, WatchFault } from './faults.ts';

/** What goes wrong at present, each fault with its share of the requests or of the watches, and the chance that decides. */
export interface Weather {
  readonly requests: Readonly<Partial<Record<RequestFault, number>>>;
  readonly watches: Readonly<Partial<Record<WatchFault, number>>>;
  /** From 0 up to 1; from a seed, so that a schedule can be had again as nearly as time allows. */
  chance(): number;
}

/** A deletion that the API server carried out, whether or not its answer reached the client. */
export interface Deletion {
  /** `/api/v1/namespaces/a/configmaps/b`, without the query. */
  readonly path: string;
  /** The uid that it was bound to, if any. */
  readonly uid: string | undefined;
  readonly status: number;
  /** Milliseconds of `performance.now()`: when the request came, and when the API server had answered. */
  readonly receivedMs: number;
  readonly answeredMs: number;
}

/** What the proxy knows of one client. */
export interface Door {
  weather: Weather | undefined;
  readonly deletions: Deletion[];
  readonly played: Record<string, number>;
  /** Collections whose next resumed watch is refused. */
  expired: ((path: string) => boolean) | undefined;
  /** Sees each request that changes something, before and after it is carried out; true: nothing of it goes on. */
  onWrite: ((when: 'before' | 'after', path: string) => boolean) | undefined;
  /** The watches that are open. */
  readonly watches: Set<ServerResponse>;
}

/** One request on its way through. */
export interface Passing {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly door: Door;
  readonly upstream: Pool;
  /** Path and query as the API server shall see them. */
  readonly path: string;
  readonly body: Buffer;
  readonly receivedMs: number;
  readonly bookmarkMs: number;
}

/** What the API server answers, whole. Deletions are written down here, so that none goes unseen. */
export async function forward({ request, door, upstream, path, body, receivedMs }: Passing) {
  const { 'content-type': type, 'user-agent': agent, accept } = request.headers;
  const writes = request.method !== 'GET';
  if (writes && door.onWrite?.('before', path) === true) throw new Error('ended before it was carried out');
  const answer = await upstream.request({
    method: request.method as 'GET', // undici's list of methods is open, its type is not
    path,
    headers: {
      accept: accept ?? '*/*',
      ...(type === undefined ? {} : { 'content-type': type }),
      ...(agent === undefined ? {} : { 'user-agent': agent }),
    },
    body: body.length === 0 ? null : body,
  });
  const text = Buffer.from(await answer.body.arrayBuffer());
  if (request.method === 'DELETE' && answer.statusCode < 300)
    door.deletions.push({
      path: path.split('?')[0] ?? '',
      uid: uidOf(body),
      status: answer.statusCode,
      receivedMs,
      answeredMs: performance.now(),
    });
  if (writes && door.onWrite?.('after', path) === true) throw new Error('ended after it was carried out');
  return { status: answer.statusCode, headers: { 'content-type': 'application/json' }, body: text };
}

function uidOf(body: Buffer): string | undefined {
  if (body.length === 0) return undefined;
  return (JSON.parse(body.toString()) as { preconditions?: { uid?: string } }).preconditions?.uid;
}

/** Ends a connection as a network does: with a reset where the socket can be reset. */
export function cut({ request }: Pick<Passing, 'request'>): void {
  const { socket } = request;
  if ('encrypted' in socket) socket.destroy();
  else socket.resetAndDestroy();
}

/** How long a slow answer takes, at the most. */
export const slowMs = 700;
