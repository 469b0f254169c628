import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Connection } from '#database/connection.ts';
import type { Fuse } from './fuse.ts';

/** A TCP port before a PostgreSQL server on a unix socket, which sees every statement that writes. */
export interface DatabaseDoor {
  readonly port: number;
  close(): Promise<void>;
}

/** Statements that change something, or end a transaction that did. */
const writing = /^\s*(insert|update|delete|with|commit|select pg_notify)/i;

export async function openDatabaseDoor({ host, port }: Connection, fuse: Fuse): Promise<DatabaseDoor> {
  const open = new Set<Socket>();
  const listener = createServer((client) => {
    const server = connect(`${host}/.s.PGSQL.${port}`);
    for (const socket of [client, server]) {
      open.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => {
        open.delete(socket);
        client.destroy();
        server.destroy();
      });
    }
    const cut = () => {
      client.destroy();
      server.destroy();
    };
    const reader = createReader();
    let answers = 0;
    client.on('data', (chunk: Buffer) => {
      for (const message of reader.read(chunk)) {
        if (reader.isWrite(message)) {
          if (fuse.passes('database', 'before')) return cut();
          answers += 1;
        }
        server.write(message);
      }
    });
    server.on('data', (chunk: Buffer) => {
      for (; answers > 0; answers -= 1) if (fuse.passes('database', 'after')) return cut();
      client.write(chunk);
    });
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    port: (listener.address() as AddressInfo).port, // it listens on TCP
    close: async () => {
      listener.close();
      for (const socket of open) socket.destroy();
      await once(listener, 'close');
    },
  };
}

/** Cuts what a client sends into messages and remembers what its named statements say. */
function createReader() {
  let rest: Buffer<ArrayBufferLike> = Buffer.alloc(0);
  let started = false;
  const statements = new Map<string, string>();
  const textAt = (message: Buffer, from: number) => message.toString('utf8', from, message.indexOf(0, from));
  return {
    *read(chunk: Buffer): Iterable<Buffer> {
      rest = Buffer.concat([rest, chunk]);
      for (;;) {
        // The first message has no type.
        const head = started ? 1 : 0;
        if (rest.length < head + 4) return;
        const length = head + rest.readInt32BE(head);
        if (rest.length < length) return;
        const message = rest.subarray(0, length);
        rest = rest.subarray(length);
        started = true;
        yield message;
      }
    },
    isWrite(message: Buffer): boolean {
      const type = String.fromCharCode(message[0] ?? 0);
      if (type === 'Q') return writing.test(textAt(message, 5));
      if (type === 'P') {
        const name = textAt(message, 5);
        statements.set(name, textAt(message, 5 + Buffer.byteLength(name) + 1));
      }
      if (type !== 'B') return false;
      const portal = textAt(message, 5);
      return writing.test(statements.get(textAt(message, 5 + Buffer.byteLength(portal) + 1)) ?? '');
    },
  };
}
