import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { type Duplex, pipeline } from 'node:stream';
import { createSecureContext, TLSSocket } from 'node:tls';
import type { Connection } from '#database/connection.ts';

export interface PostgresPort {
  readonly port: number;
  /** Connections so far, and those of them that speak TLS. */
  readonly counts: { all: number; tls: number };
  /** Cuts every connection; new ones are still taken. */
  cut(): void;
  close(): Promise<void>;
}

/** The first message of a client that wants TLS: its length and the number that stands for the wish. */
const tlsWish = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/**
 * The shared server has a unix socket only; this gives it a TCP port on loopback, with TLS where a certificate is
 * given. As a server without TLS does, it refuses TLS where none is.
 */
export async function openPostgresPort(
  { host, port }: Pick<Connection, 'host' | 'port'>,
  options: { readonly tls?: { readonly cert: string; readonly key: string }; readonly port?: number } = {},
): Promise<PostgresPort> {
  const { tls } = options;
  const counts = { all: 0, tls: 0 };
  const open = new Set<Socket>();
  const context = tls === undefined ? undefined : createSecureContext(tls);
  const forward = (client: Duplex, first: Buffer) => {
    const server = connect(`${host}/.s.PGSQL.${port}`);
    server.write(first);
    pipeline(client, server, () => {});
    pipeline(server, client, () => {});
  };
  const listener = createServer((socket) => {
    counts.all += 1;
    open.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => open.delete(socket));
    socket.once('data', (first: Buffer) => {
      if (context === undefined || !first.equals(tlsWish)) {
        forward(socket, first);
        return;
      }
      counts.tls += 1;
      socket.write('S');
      const secure = new TLSSocket(socket, { isServer: true, secureContext: context });
      secure.on('error', () => socket.destroy());
      secure.once('data', (message: Buffer) => forward(secure, message));
    });
  });
  listener.listen(options.port ?? 0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    port: (listener.address() as AddressInfo).port, // a listening TCP server has one
    counts,
    cut: () => {
      for (const socket of open) socket.destroy();
    },
    close: async () => {
      listener.close();
      for (const socket of open) socket.destroy();
      await once(listener, 'close');
    },
  };
}
