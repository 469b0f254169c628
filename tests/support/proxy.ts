import { once } from 'node:events';
import { createServer, type RequestListener, request } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/** A proxy before a real server, which counts what passes and can be switched off. */
export interface CountingProxy {
  readonly url: string;
  /** `GET /v1/secret/data/x` for each request that came while it was on. */
  readonly passed: string[];
  /** false: every connection is cut, as if nobody were there. */
  on: boolean;
  close(): Promise<void>;
}

/** With `tls` it speaks HTTPS with that certificate. */
export async function startProxy(
  target: string,
  tls?: { readonly cert: string; readonly key: string },
): Promise<CountingProxy> {
  const passed: string[] = [];
  const proxy = { on: true };
  const pass: RequestListener = (incoming, response) => {
    if (!proxy.on) {
      incoming.socket.destroy();
      return;
    }
    passed.push(`${incoming.method} ${incoming.url}`);
    const { method, headers } = incoming;
    const outgoing = request(target + incoming.url, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    outgoing.on('error', () => response.destroy());
    incoming.pipe(outgoing);
  };
  const server = tls === undefined ? createServer(pass) : createSecureServer(tls, pass);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return Object.assign(proxy, {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`, // it listens on TCP
    passed,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  });
}
