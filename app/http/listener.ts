import { createServer, maxHeaderSize, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, isIPv6, type Socket } from 'node:net';
import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { problemOf } from './problem.ts';

export interface ListenerLimits {
  /** The head of a request must have come within this time; against callers who send a byte now and then. */
  readonly headersTimeoutMs: number;
  /** The whole request, for those who read bodies themselves (a push over Git). The contract's bodies have less. */
  readonly requestTimeoutMs: number;
  /** How often both are looked at. */
  readonly checkEveryMs: number;
  readonly mostConnections: number;
}

const listenerLimits: ListenerLimits = {
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 600_000,
  checkEveryMs: 2000,
  mostConnections: 4096,
};

export interface ListenOptions {
  readonly handler: RequestListener;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Name of the setting that a person would change when the port is taken. */
  readonly setting: string;
  readonly clock: Clock;
  readonly limits?: Partial<ListenerLimits>;
}

export interface Listener {
  readonly port: number;
  /** Where a person on this machine reaches it. */
  readonly url: string;
  /** Takes no more connections, lets requests under way end, and cuts what is left after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

/** Serves `handler`. @throws Fault PORT_TAKEN */
export async function listen(options: ListenOptions): Promise<Listener> {
  const { handler, host, clock } = options;
  const limits = { ...listenerLimits, ...options.limits };
  const server = createServer(
    {
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      connectionsCheckingInterval: limits.checkEveryMs,
      keepAliveTimeout: 65_000,
    },
    handler,
  );
  server.maxConnections = limits.mostConnections;
  server.on('clientError', refuse);
  await opened(server, options);
  const { port } = server.address() as AddressInfo; // a listening TCP server has one
  const shown = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
  return {
    port,
    url: `http://${isIPv6(shown) ? `[${shown}]` : shown}:${port}`,
    close: (graceMs) => closed(server, clock, graceMs),
  };
}

function opened(server: Server, { host, port, setting }: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = error.code === 'EADDRINUSE';
      reject(taken ? new Fault('PORT_TAKEN', { port, host, setting }, { cause: error }) : error);
    });
    server.listen({ host, port }, resolve);
  });
}

async function closed(server: Server, clock: Clock, graceMs: number): Promise<void> {
  const deadline = clock.monotonicMs() + graceMs;
  let open = true;
  const done = new Promise<void>((resolve) => {
    server.close(() => {
      open = false;
      resolve();
    });
  });
  // Connections that were busy become idle one by one, and nobody else would close them.
  while (open && clock.monotonicMs() < deadline) {
    server.closeIdleConnections();
    await clock.sleep(10);
  }
  server.closeAllConnections();
  await done;
}

/** What is no HTTP reaches no route: it is answered here, in the form of all problems. */
function refuse(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const problem = problemOf(refusalOf(error.code), '');
  const body = JSON.stringify(problem);
  socket.end(
    `HTTP/1.1 ${problem.status} ${problem.title}\r\nContent-Type: application/problem+json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

function refusalOf(code: string | undefined): Fault {
  if (code === 'HPE_HEADER_OVERFLOW') return new Fault('HEAD_TOO_LARGE', { limitBytes: maxHeaderSize });
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new Fault('REQUEST_TOO_SLOW');
  return new Fault('REQUEST_UNREADABLE');
}
