import { copyFile, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import type { Clock } from '#base/clock.ts';
import type { Log } from '#base/log.ts';
import { startLoop } from '#base/loop.ts';
import { type Connection, clientConfig } from './connection.ts';
import { closeHome, openHome, port } from './embedded/home.ts';
import { databaseUser, initialise } from './embedded/initialise.ts';
import { type Server, type ServerOptions, startServer } from './embedded/server.ts';

export { serverUser } from './embedded/user.ts';

export interface EmbeddedOptions {
  /** Where the server's folder is or shall be: `<DATA_DIR>/postgres`. DATA_DIR must be claimed by this process. */
  readonly directory: string;
  readonly log: Log;
  readonly clock: Clock;
  /** Ends a start under way. */
  readonly signal?: AbortSignal;
  /** Server settings beyond or instead of the standard ones. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface Embedded {
  readonly connection: Connection;
  /** Of the server that runs now; another one after it had to be started again. */
  readonly pid: number;
  /** Ends the server in order. To be called last, after every pool is closed. */
  stop(): Promise<void>;
}

const mostLogBytes = 4 * 1024 * 1024;

/**
 * Real PostgreSQL with nothing to set up: made at the first start, reachable by a unix socket only, durable, started
 * again when it dies, stopped with us. After `kill -9` of this process the server ends by itself; the next start
 * takes over whatever is left.
 *
 * @throws Fault DATABASE_START_FAILED
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const { log, clock } = options;
  const stopping = new AbortController();
  const signal = AbortSignal.any([stopping.signal, ...(options.signal ? [options.signal] : [])]);
  const home = await openHome(options.directory, log);
  const password = await initialise(home, options.signal);
  const connection = { host: home.socket, port, user: databaseUser, password, database: databaseUser };
  const logFile = join(home.path, 'server.log');
  const serverOptions = { home, clock, settings: options.settings ?? {}, logFile, signal };
  await boundLog(logFile);
  let server = await startServer(serverOptions);
  try {
    await makeDatabase(connection);
  } catch (error) {
    await server.stop();
    throw error;
  }

  const loop = startLoop({
    name: 'embedded-postgres',
    log,
    clock,
    everyMs: 60_000,
    run: async () => {
      if (server.hasEnded()) {
        server = await restart(server, serverOptions, log);
        wakeAtEnd(server);
      }
      await boundLog(logFile);
      return 'idle';
    },
  });
  const wakeAtEnd = (watched: Server) => void watched.ended.then(() => loop.wake());
  wakeAtEnd(server);

  return {
    connection,
    get pid() {
      return server.pid;
    },
    stop: async () => {
      stopping.abort();
      await loop.stop();
      await server.stop();
      await closeHome(home);
    },
  };
}

async function restart(ended: Server, options: ServerOptions, log: Log): Promise<Server> {
  log.warn({ pid: ended.pid, how: await ended.ended }, 'embedded PostgreSQL ended unexpectedly');
  const server = await startServer(options);
  log.info({ pid: server.pid }, 'embedded PostgreSQL runs again');
  return server;
}

/** initdb makes no database for us; its own ones stay untouched. */
async function makeDatabase(connection: Connection): Promise<void> {
  const client = new Client(clientConfig({ ...connection, database: 'postgres' }));
  client.on('error', () => {});
  await client.connect();
  try {
    const found = await client.query('select from pg_database where datname = $1', [connection.database]);
    if (found.rowCount === 0) await client.query(`create database ${client.escapeIdentifier(connection.database)}`);
  } finally {
    await client.end();
  }
}

/** The server appends to its log, so that cutting it under the server's hands is safe. */
async function boundLog(file: string): Promise<void> {
  const size = await stat(file).then(
    (found) => found.size,
    () => 0,
  );
  if (size < mostLogBytes) return;
  await copyFile(file, `${file}.1`).catch(() => {}); // no space: then the old lines are given up
  await truncate(file);
}
