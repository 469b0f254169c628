import type { ClientConfig } from 'pg';
import type { Secret } from '#base/secret.ts';

/** How the way to the server is protected. */
export interface Tls {
  /**
   * What the server must prove. `none`: nothing, the way is only encrypted; `ca`: that it has a certificate of `ca`;
   * `full`: that the certificate also is for the host's name.
   */
  readonly verify: 'none' | 'ca' | 'full';
  /** Certificates (PEM) of who may vouch for the server; absent: those that Node knows. */
  readonly ca?: string | undefined;
  /** Our own certificate (PEM) and its key, where the server asks for one. */
  readonly certificate?: string | undefined;
  readonly key?: Secret | undefined;
}

/** Where a PostgreSQL server is and who we are to it. */
export interface Connection {
  /** A name or address, or the folder of a unix socket when it begins with a slash. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: Secret;
  readonly database: string;
  /** Absent: plain, as on a unix socket. */
  readonly tls?: Tls | undefined;
  /** Settings of each session, in the words of libpq: `-c search_path=plinth`. */
  readonly options?: string | undefined;
}

/** What pg wants to know; the only place that takes the password out. `name` is shown in pg_stat_activity. */
export function clientConfig(connection: Connection, name = 'plinth'): ClientConfig {
  const { host, port, user, password, database, tls, options } = connection;
  return {
    host,
    port,
    user,
    password: password.reveal(),
    database,
    // Said in any case: pg would look into the process's environment for what is left out.
    ssl: tls === undefined ? false : tlsOptions(tls),
    options,
    keepAlive: true,
    application_name: name,
  };
}

function tlsOptions({ verify, ca, certificate, key }: Tls): Exclude<ClientConfig['ssl'], boolean | undefined> {
  return {
    ca,
    cert: certificate,
    key: key?.reveal(),
    rejectUnauthorized: verify !== 'none',
    ...(verify === 'ca' ? { checkServerIdentity: () => undefined } : {}),
  };
}
