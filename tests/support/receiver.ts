import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** A request as it came. */
export interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Receiver {
  readonly port: number;
  readonly url: string;
  /** Every request, whatever was answered. */
  readonly received: readonly Received[];
  close(): Promise<void>;
}

/** What a receiver says; undefined: nothing, ever. */
export type Say = { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string };

/** A receiver of webhooks on loopback; `answer` is asked for each request, with its number from 1. */
export async function startReceiver(
  answer: (request: Received, number: number) => Say | undefined = () => ({ status: 200 }),
): Promise<Receiver> {
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    const came = { path: request.url ?? '', headers: request.headers, body: await text(request) };
    received.push(came);
    const say = answer(came, received.length);
    if (say !== undefined) response.writeHead(say.status, say.headers).end(say.body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // a listening TCP server has one
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    received,
    close: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
