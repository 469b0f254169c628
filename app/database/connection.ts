import type { ClientConfig } from 'pg';
import type { Secret } from '#base/secret.ts';

/** Where a PostgreSQL server is and who we are to it. */
export interface Connection {
  /** A name or address, or the folder of a unix socket when it begins with a slash. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: Secret;
  readonly database: string;
}

/** What pg wants to know; the only place that takes the password out. `name` is shown in pg_stat_activity. */
export function clientConfig(connection: Connection, name = 'plinth'): ClientConfig {
  const { host, port, user, password, database } = connection;
  return { host, port, user, password: password.reveal(), database, keepAlive: true, application_name: name };
}
