import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, inject } from 'vitest';
import { createLog, type Log } from '#base/log.ts';
import { Secret } from '#base/secret.ts';
import type { Connection } from '#database/connection.ts';
import { createDatabase, type Database } from '#database/pool.ts';

export interface TestDatabase {
  readonly connection: Connection;
  readonly database: Database;
  /** Closes `database` and removes everything. */
  drop(): Promise<void>;
}

/** What the door of shared-postgres.ts answers: the server's own connection, or why there is none. */
export type DatabaseAnswer =
  | (Omit<Connection, 'password'> & { readonly password: string })
  | { readonly error: string };

/** The database on the shared server that has every migration; copies of it are what tests get. */
export const templateName = 'plinth_template';

declare module 'vitest' {
  interface ProvidedContext {
    sharedPostgres: string;
  }
}

/**
 * A database of this file or suite alone, with every migration applied; gone when its tests have ended. Call it
 * outside of tests and read its fields inside of them.
 *
 *     const db = useDatabase();
 *     test('…', async () => { await db.database.query('select 1'); });
 */
export function useDatabase(): TestDatabase {
  let made: TestDatabase | undefined;
  const present = () => {
    if (made === undefined) throw new Error('useDatabase() has a database only while tests run');
    return made;
  };
  beforeAll(async () => {
    made = await createTestDatabase();
  });
  afterAll(async () => {
    await made?.drop();
  });
  return {
    get connection() {
      return present().connection;
    },
    get database() {
      return present().database;
    },
    drop: () => present().drop(),
  };
}

/** A new database with every migration applied. */
export function createTestDatabase(options: { readonly log?: Log } = {}): Promise<TestDatabase> {
  return createFrom(templateName, options);
}

/** A new database with nothing in it, for programs that bring their own tables. */
export function createEmptyDatabase(options: { readonly log?: Log } = {}): Promise<TestDatabase> {
  return createFrom('template0', options);
}

async function createFrom(template: string, options: { readonly log?: Log }): Promise<TestDatabase> {
  const server = await sharedServer();
  const log = options.log ?? createLog({ level: 'silent' });
  const name = `test_${process.pid}_${randomBytes(4).toString('hex')}`;
  await onServer(server, (admin) => admin.query(`create database ${name} template ${template}`));
  const connection = { ...server, database: name };
  const database = createDatabase({ connection, log });
  return {
    connection,
    database,
    drop: async () => {
      await database.close();
      await onServer(server, (admin) => admin.query(`drop database if exists ${name} with (force)`));
    },
  };
}

async function onServer(server: Connection, work: (admin: Database) => Promise<unknown>): Promise<void> {
  const admin = createDatabase({ connection: server, log: createLog({ level: 'silent' }), connections: 1 });
  try {
    await work(admin);
  } finally {
    await admin.close();
  }
}

let asked: Promise<Connection> | undefined;

/** The shared server, which starts when the first test of a run asks for it. */
function sharedServer(): Promise<Connection> {
  asked ??= ask(inject('sharedPostgres'));
  return asked;
}

async function ask(socketPath: string): Promise<Connection> {
  const body = await new Promise<string>((resolve, reject) => {
    const asking = request({ socketPath, path: '/' }, (response) => text(response).then(resolve, reject));
    asking.once('error', reject);
    asking.end();
  });
  const answer = JSON.parse(body) as DatabaseAnswer; // our own door wrote it
  if ('error' in answer) throw new Error(answer.error);
  return { ...answer, password: new Secret(answer.password) };
}
