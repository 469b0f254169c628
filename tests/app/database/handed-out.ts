import { randomBytes } from 'node:crypto';
import { expect, onTestFinished } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import type { Connection } from '#database/connection.ts';
import { connectExternal, type ExternalOptions } from '#database/external.ts';
import { createDatabase, type Database } from '#database/pool.ts';
import { silent } from '#support/git.ts';
import type { TestDatabase } from '#support/postgres.ts';
import { openPostgresPort, type PostgresPort } from '#support/postgres-port.ts';

/** Of every role that is handed out. */
const passwordOf = 'canary p@ss:w/rd?#%';

/** What a company's administrator of databases does for whoever asks for one. */
export function handOut(admin: TestDatabase) {
  return {
    /** The name of a new database and of its role, which has no right beyond it. */
    handedOut: async ({ owner = true, more = '' } = {}): Promise<string> => {
      const name = `handed_${randomBytes(4).toString('hex')}`;
      const { database } = admin;
      const quoted = passwordOf.replaceAll("'", "''");
      await database.query(`create role ${name} login nosuperuser nocreatedb nocreaterole password '${quoted}'`);
      await database.query(`create database ${name} ${owner ? `owner ${name}` : ''} ${more} template template0`);
      onTestFinished(async () => {
        await database.query(`drop database if exists ${name} with (force)`);
        await database.query(`drop role ${name}`);
      });
      return name;
    },
    openPort: async (tls?: { cert: string; key: string }): Promise<PostgresPort> => {
      const port = await openPostgresPort(admin.connection, tls === undefined ? {} : { tls });
      onTestFinished(() => port.close());
      return port;
    },
    /** Runs SQL in a database as the administrator. */
    inside: async (database: string, sql: string): Promise<void> => {
      const connection = { ...admin.connection, database };
      const pool = createDatabase({ connection, log: silent, connections: 1 });
      await pool.query(sql).finally(() => pool.close());
    },
  };
}

export const urlOf = (name: string, port: number, query = '', password = passwordOf): Secret =>
  new Secret(`postgresql://${name}:${encodeURIComponent(password)}@127.0.0.1:${port}/${name}${query}`);

export function connect(url: Secret, more: Partial<ExternalOptions> = {}): Promise<Connection> {
  return connectExternal({ url, log: silent, clock: systemClock, ...more });
}

/** A small pool for one test. */
export function open(connection: Connection): Database {
  const database = createDatabase({ connection, log: silent, connections: 3 });
  onTestFinished(() => database.close());
  return database;
}

/** The fault that it ends with, which shows nothing of a password. */
export async function faultOf(work: Promise<unknown>): Promise<Fault> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!Fault.is(error)) throw new Error(`no fault came, but ${error}`);
  expect(`${error.message} ${JSON.stringify(error.data)}`).not.toContain('canary');
  return error;
}
