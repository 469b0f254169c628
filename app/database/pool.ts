import { types as builtin, type CustomTypesConfig, Pool, type PoolClient, type PoolConfig } from 'pg';
import { type Clock, systemClock } from '#base/clock.ts';
import type { Log } from '#base/log.ts';
import { type Connection, clientConfig } from './connection.ts';
import { databaseFault, isConflict } from './faults.ts';

/** What a statement gave. `rowCount` also counts the rows that an update or a delete touched. */
export interface Result<Row> {
  readonly rows: readonly Row[];
  readonly rowCount: number;
}

/** Something that runs statements: the database, or a transaction of it. */
export interface Queryable {
  /**
   * Runs one statement. `name` makes it a named one, planned once for each connection: for hot paths. One name stands
   * for one text.
   *
   *     const { rows } = await database.query<{ id: string }>('select id from changes where state = $1', ['accepted']);
   *
   * bigint comes as number where that is exact, else as bigint; timestamps come as Date, in UTC; date and numeric stay
   * text; json is parsed.
   *
   * @throws Fault DATABASE_UNAVAILABLE (to be tried again), DISK_FULL; everything else is pg's DatabaseError
   */
  query<Row extends object = Record<string, unknown>>(
    text: string,
    values?: readonly unknown[],
    name?: string,
  ): Promise<Result<Row>>;
}

export interface TransactionOptions {
  /** Default: read committed. */
  readonly isolation?: 'repeatable read' | 'serializable';
  /** How often it is run again after a serialization failure or a deadlock. Default 0. `work` must bear it. */
  readonly retries?: number;
}

export interface Database extends Queryable {
  /** For libraries that want a pool of pg (better-auth, Kysely). Errors come from it as pg makes them. */
  readonly pool: Pool;
  /**
   * Runs `work` between begin and commit, and rolls back when it throws. After DATABASE_UNAVAILABLE it is unknown
   * whether the commit arrived, so what is tried again must be idempotent.
   */
  transaction<T>(work: (tx: Queryable) => Promise<T>, options?: TransactionOptions): Promise<T>;
  /** Waits for the statements under way and closes every connection. Doing it twice does no harm. */
  close(): Promise<void>;
}

export interface DatabaseOptions {
  readonly connection: Connection;
  readonly log: Log;
  readonly clock?: Clock;
  /** Most connections at a time. Default 20. */
  readonly connections?: number;
  /** A statement that takes longer is cancelled by the server. Default 30 s. */
  readonly statementTimeoutMs?: number;
}

/** Opens no connection yet. A lost or restarted server costs the statements under way, never the process. */
export function createDatabase(options: DatabaseOptions): Database {
  const { log, clock = systemClock } = options;
  const pool = new Pool(poolConfig(options));
  // Without a listener, an idle connection that the server ends would end this process.
  // What pg throws here carries the whole client; only what was said is logged.
  pool.on('error', ({ message }) => {
    if (closing === undefined) log.warn({ reason: message }, 'idle database connection lost');
  });
  let closing: Promise<void> | undefined;

  const attempt = async <T>(work: (tx: Queryable) => Promise<T>, isolation: string): Promise<T> => {
    const client = await pool.connect().catch(rethrow);
    client.on('error', ignore); // the statement under way fails with it
    let broken: Error | undefined;
    try {
      await run(client, `begin isolation level ${isolation}`);
      const result = await work({ query: (text, values, name) => run(client, text, values, name) });
      await commit(client);
      return result;
    } catch (error) {
      broken = await client.query('rollback').then(
        () => undefined,
        (failure: Error) => failure,
      );
      throw error;
    } finally {
      client.off('error', ignore);
      client.release(broken);
    }
  };

  return {
    pool,
    query: (text, values, name) => run(pool, text, values, name),
    transaction: async (work, { isolation = 'read committed', retries = 0 } = {}) => {
      for (let again = 0; ; again++) {
        try {
          return await attempt(work, isolation);
        } catch (error) {
          if (again >= retries || !isConflict(error)) throw error;
          await clock.sleep(Math.random() * Math.min(1000, 10 * 2 ** again));
        }
      }
    },
    close: () => {
      closing ??= pool.end();
      return closing;
    },
  };
}

/** The server answers the commit of a failed transaction with a rollback, as if nothing were wrong. */
async function commit(client: PoolClient): Promise<void> {
  const { command } = await client.query('commit').catch(rethrow);
  if (command === 'ROLLBACK') throw new Error('the transaction had failed before, and its error was swallowed');
}

async function run<Row extends object>(
  target: Pool | PoolClient,
  text: string,
  values: readonly unknown[] = [],
  name?: string,
): Promise<Result<Row>> {
  try {
    const { rows, rowCount } = await target.query<Row>({ text, values: [...values], name });
    // Several statements in one text (a migration) give a list of results, which has neither.
    return { rows: rows ?? [], rowCount: rowCount ?? 0 };
  } catch (error) {
    throw databaseFault(error);
  }
}

const rethrow = (error: unknown): never => {
  throw databaseFault(error);
};
const ignore = () => {};

function poolConfig({ connection, connections = 20, statementTimeoutMs = 30_000 }: DatabaseOptions): PoolConfig {
  return {
    ...clientConfig(connection),
    max: connections,
    connectionTimeoutMillis: 10_000,
    idleTimeoutMillis: 60_000,
    statement_timeout: statementTimeoutMs,
    // A transaction whose code hangs must not hold its locks for ever.
    idle_in_transaction_session_timeout: 60_000,
    types: readTypes,
  };
}

const oids = { bigint: 20, date: 1082, timestamp: 1114 };

/** Of this pool alone: pg's own table is shared by everyone who imports it. */
const readTypes: CustomTypesConfig = {
  getTypeParser: (oid, format) => {
    if (format === 'binary') return builtin.getTypeParser(oid, format);
    if (oid === oids.bigint) return readBigint;
    if (oid === oids.date) return String;
    if (oid === oids.timestamp) return (text: string) => new Date(`${text.replace(' ', 'T')}Z`);
    return builtin.getTypeParser(oid, 'text');
  },
};

function readBigint(text: string): number | bigint {
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : BigInt(text);
}
