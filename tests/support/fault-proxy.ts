import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { Pool } from 'undici';
import type { Identity } from '#scripts/cluster/certificates.ts';
import { type RequestFault, requestFaults, type WatchFault, watchFaults } from './fault-proxy/faults.ts';
import { type Deletion, type Door, forward, type Passing, type Weather } from './fault-proxy/passing.ts';
import { answerWrongly, isListPath } from './fault-proxy/requests.ts';
import { passWatch, refuseWatch } from './fault-proxy/watches.ts';

export { type Deletion, type RequestFault, requestFaults, type WatchFault, type Weather, watchFaults };

/** One client's door: it suffers its own weather and has its own record. */
export interface ProxiedClient {
  /** What the client takes for the API server. */
  readonly url: string;
  /** undefined: everything passes as it is. What hangs already goes on hanging. */
  weather: Weather | undefined;
  /** Sees each request that changes something, before and after it is carried out; true: nothing of it goes on. */
  onWrite: ((when: 'before' | 'after', path: string) => boolean) | undefined;
  /** Every deletion that was carried out. */
  readonly deletions: readonly Deletion[];
  /** How often each fault was played. */
  readonly played: Readonly<Record<string, number>>;
  /** Every watch ends, and each kind's next one from a version that it remembers is answered 410. */
  expire(): void;
  close(): void;
}

export interface FaultProxy {
  open(): ProxiedClient;
  close(): Promise<void>;
}

export interface FaultProxyOptions {
  /** The real API server, and who asks it. */
  readonly server: string;
  readonly identity: Identity;
  /** With it the proxy speaks HTTPS. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** A healthy watch that is quiet is given a bookmark so often, so that clients may be told to be impatient. */
  readonly bookmarkMs?: number;
}

/**
 * A proxy between a Kubernetes client and the real API server that breaks things on purpose: answers that are refused,
 * late, cut or never come, before or after the request was carried out; lists that are cut or lie; watches that expire,
 * stall, stutter or repeat themselves. Clients are told apart by the first part of the path.
 */
export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const { server, identity, tls, bookmarkMs = 1000 } = options;
  const connect = { ca: identity.ca, cert: identity.cert, key: identity.key };
  const upstream = new Pool(server, { connections: null, connect, headersTimeout: 60_000, bodyTimeout: 0 });
  const doors = new Map<string, Door>();
  let opened = 0;
  const listen = async (request: IncomingMessage, response: ServerResponse) => {
    const receivedMs = performance.now();
    const [, name = '', path = ''] = /^\/(\d+)(\/.*)$/.exec(request.url ?? '') ?? [];
    const door = doors.get(name);
    if (door === undefined) {
      request.socket.destroy();
      return;
    }
    const body = await buffer(request);
    await pass({ request, response, door, upstream, path, body, receivedMs, bookmarkMs });
  };
  const handle = (request: IncomingMessage, response: ServerResponse) => {
    listen(request, response).catch(() => request.socket.destroy());
  };
  const listener = tls === undefined ? createServer(handle) : createSecureServer(tls, handle);
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo; // it listens on TCP
  return {
    open: () => {
      opened += 1;
      const name = String(opened);
      const door = newDoor();
      doors.set(name, door);
      return Object.assign(door, {
        url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}/${name}`,
        expire: () => {
          const done = new Set<string>();
          door.expired = (path) => !done.has(path) && done.add(path).has(path);
          for (const response of door.watches) response.destroy();
        },
        close: () => doors.delete(name),
      });
    },
    close: async () => {
      listener.close();
      listener.closeAllConnections();
      await upstream.destroy();
    },
  };
}

const newDoor = (): Door => ({
  weather: undefined,
  deletions: [],
  played: {},
  expired: undefined,
  onWrite: undefined,
  watches: new Set(),
});

async function pass(passing: Passing): Promise<void> {
  const { door, path, request } = passing;
  const isWatch = path.includes('watch=1');
  const fault = isWatch
    ? faultOf(door.weather?.watches ?? {}, door.weather)
    : faultOf(door.weather?.requests ?? {}, door.weather, (name) => name !== 'shortList' || isListPath(request, path));
  if (fault !== undefined) door.played[fault] = (door.played[fault] ?? 0) + 1;
  if (isWatch) {
    const [collection = ''] = path.split('?');
    const isResumed = path.includes('&resourceVersion=');
    if (isResumed && door.expired?.(collection) === true) return refuseWatch(passing, 'gone');
    return await passWatch(passing, fault as WatchFault | undefined);
  }
  if (fault !== undefined) return await answerWrongly(passing, fault as RequestFault);
  const answer = await forward(passing);
  passing.response.writeHead(answer.status, answer.headers).end(answer.body);
}

function faultOf(
  shares: Readonly<Record<string, number>>,
  weather: Weather | undefined,
  fits: (name: string) => boolean = () => true,
): string | undefined {
  if (weather === undefined) return undefined;
  let left = weather.chance();
  for (const [name, share] of Object.entries(shares)) {
    left -= share;
    if (left < 0) return fits(name) ? name : undefined;
  }
  return undefined;
}
