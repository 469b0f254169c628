import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { request as secureRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Cluster } from '#runtime/kubernetes/connect.ts';

/** What the proxy answers instead of the API server; undefined: pass the request on. */
export type Intercept = (
  path: string,
  method: string,
) => { status: number; body: string; headers?: Record<string, string> } | undefined;

/** A plain HTTP door in front of an API server, by which a test breaks the connection in the ways that networks do. */
export interface ApiProxy {
  /** The cluster as seen through the door. */
  readonly cluster: Pick<Cluster, 'name' | 'server' | 'credentials'>;
  /** Every request that came, as `GET /path?query`. */
  readonly requests: string[];
  intercept(answer: Intercept): void;
  /** Requests for which this gives a promise have left the process and arrive only when it resolves. */
  hold(held: (path: string, method: string) => Promise<unknown> | undefined): void;
  /** Nothing passes any more through connections that exist; they stay open, as when a firewall forgets them. */
  silence(): void;
  /** Cuts every connection. */
  cut(): void;
  /** The size of pieces that answers are cut into. */
  chop(bytes: number): void;
  stop(): Promise<void>;
}

export async function startApiProxy(cluster: Cluster): Promise<ApiProxy> {
  let answerInstead: Intercept = () => undefined;
  let holding: (path: string, method: string) => Promise<unknown> | undefined = () => undefined;
  let piece = Number.POSITIVE_INFINITY;
  const requests: string[] = [];
  const open = new Set<{ silent: boolean; incoming: IncomingMessage }>();
  const { ca, cert, key } = cluster.credentials.tls();

  const pass = (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const state = { silent: false, incoming };
    open.add(state);
    const send = cluster.server.startsWith('https') ? secureRequest : request;
    const onward = send(cluster.server + incoming.url, {
      method: incoming.method,
      headers: { ...incoming.headers, host: new URL(cluster.server).host },
      ca,
      cert,
      key: key?.reveal(),
    });
    onward.on('error', () => outgoing.destroy());
    onward.on('response', (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      outgoing.flushHeaders();
      answer.on('data', (data: Buffer) => {
        if (state.silent) return;
        for (let from = 0; from < data.length; from += piece) outgoing.write(data.subarray(from, from + piece));
      });
      answer.on('end', () => !state.silent && outgoing.end());
      answer.on('error', () => outgoing.destroy());
    });
    outgoing.on('close', () => {
      open.delete(state);
      onward.destroy();
    });
    incoming.pipe(onward);
  };

  const server = createServer((incoming, outgoing) => {
    const path = incoming.url ?? '';
    requests.push(`${incoming.method} ${path}`);
    const instead = answerInstead(path, incoming.method ?? '');
    if (instead === undefined) {
      const held = holding(path, incoming.method ?? '');
      if (held === undefined) pass(incoming, outgoing);
      else void held.then(() => pass(incoming, outgoing));
      return;
    }
    outgoing.writeHead(instead.status, { 'content-type': 'application/json', ...instead.headers });
    outgoing.end(instead.body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // a TCP server's address has a port
  return {
    cluster: {
      name: 'proxied',
      server: `http://127.0.0.1:${port}`,
      credentials: { tls: () => ({}), authorization: () => undefined, refresh: async () => false },
    },
    requests,
    intercept: (answer) => {
      answerInstead = answer;
    },
    hold: (held) => {
      holding = held;
    },
    silence: () => {
      for (const state of open) state.silent = true;
    },
    cut: () => server.closeAllConnections(),
    chop: (bytes) => {
      piece = bytes;
    },
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
