import { type Client, escapeIdentifier } from 'pg';
import { Fault } from '#base/errors.ts';
import type { Connection } from './connection.ts';

/** 15 is the oldest version that its makers still mend for years. */
const oldestVersion = 15;

interface Found {
  readonly version: number;
  readonly called: string;
  readonly encoding: string;
  readonly readOnly: boolean;
  readonly schema: string | null;
  readonly mayMakeSchemas: boolean;
  readonly mayMakeTables: boolean | null;
  readonly mayUseAuth: boolean | null;
}

/** The schema `auth` is that of the sign-in; it may be there already, and somebody else's. */
const look = `
  select current_setting('server_version_num')::int / 10000 as version, current_setting('server_version') as called,
    current_setting('server_encoding') as encoding, current_schema() as schema,
    pg_is_in_recovery() or current_setting('transaction_read_only')::boolean as "readOnly",
    has_database_privilege(current_database(), 'create') as "mayMakeSchemas",
    has_schema_privilege(current_schema(), 'create') as "mayMakeTables",
    has_schema_privilege(to_regnamespace('auth'), 'create') as "mayUseAuth"`;

/**
 * Whether the server that answered can be worked with.
 * @throws Fault DATABASE_UNAVAILABLE when it is a copy that takes no writes, which a failover ends; DATABASE_REFUSED
 */
export async function checkServer(client: Client, connection: Connection): Promise<void> {
  const { rows } = await client.query<Found>(look);
  const found = rows[0] as Found; // a select without from has one row
  const user = escapeIdentifier(connection.user);
  const database = escapeIdentifier(connection.database);
  const refuse = (why: string, fix: string) => refusal(connection, why, fix);
  if (found.version < oldestVersion)
    throw refuse(`it is PostgreSQL ${found.called}`, `Upgrade the server to ${oldestVersion} or newer.`);
  if (found.encoding !== 'UTF8')
    throw refuse(`its encoding is ${found.encoding}`, "Make one with: create database … encoding 'UTF8'.");
  if (found.readOnly) throw new Fault('DATABASE_UNAVAILABLE', { why: 'it is read-only, as a standby is' });
  if (!found.mayMakeSchemas)
    throw refuse(
      `${connection.user} may not create schemas in it`,
      `An administrator runs: grant create on database ${database} to ${user};`,
    );
  if (found.schema === null) {
    const fix = `An administrator runs: create schema ${user} authorization ${user};`;
    throw refuse(`the search_path of ${connection.user} names no schema that is there`, fix);
  }
  if (found.mayMakeTables !== true)
    throw refuse(
      `${connection.user} may not create tables in schema ${found.schema}`,
      `An administrator runs in that database: grant create on schema ${escapeIdentifier(found.schema)} to ${user};`,
    );
  if (found.mayUseAuth === false)
    throw refuse('its schema auth belongs to something else', 'Give Plinth a database of its own.');
}

const noTls = 'The server does not support SSL connections';

/** True when the server, as pg reports it (8.23), has no TLS, or wants this user without it. */
export function hasNoTls(error: unknown): boolean {
  return error instanceof Error && (error.message === noTls || codeOf(error) === '28000');
}

/** True when the other side does not speak PostgreSQL as we do, such as a pooler that knows fewer settings. */
export const isProtocolFault = (error: unknown): boolean => error instanceof Error && codeOf(error) === '08P01';

/** The fault of an error that no waiting mends, with what a person does about it. */
export function refusalOf(error: unknown, connection: Connection, setting: string): unknown {
  if (Fault.is(error) || !(error instanceof Error)) return error;
  const code = codeOf(error);
  // pg's own words for a server that asks for a password where there is none (8.23).
  const key = error.message.startsWith('SASL: ') ? '28P01' : code;
  const known = key === undefined ? undefined : fixes[key]?.(connection, setting);
  const fix = known ?? (isTls(code, error.message) ? tlsFix(error.message) : `Check ${setting}.`);
  return refusal(connection, error.message.replace(/\.$/, ''), fix, error);
}

const refusal = ({ host, port, database }: Connection, why: string, fix: string, cause?: unknown) =>
  new Fault('DATABASE_REFUSED', { host, port, database, why, fix }, { cause });

/** By SQLSTATE. */
const fixes: Readonly<Record<string, ((connection: Connection, setting: string) => string) | undefined>> = {
  '28P01': (_, setting) => `Correct user and password in ${setting}.`,
  '28000': () => 'Let this user in from here: see pg_hba.conf on the server, and sslmode on our side.',
  '3D000': ({ database, user }) =>
    `An administrator runs: create database ${escapeIdentifier(database)} owner ${escapeIdentifier(user)};`,
  '42501': ({ database, user }) =>
    `An administrator runs: grant connect on database ${escapeIdentifier(database)} to ${escapeIdentifier(user)};`,
  '08P01': (_, setting) =>
    `Name the server itself in ${setting}, or a pooler in session mode that takes settings of a session (PgBouncer: ignore_startup_parameters).`,
  EACCES: () => 'Give the user that Plinth runs as access to the socket.',
};

const tlsCodes = /^(ERR_(TLS|SSL|OSSL)|CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|HOSTNAME_MISMATCH|EPROTO)/;

const isTls = (code: string | undefined, message: string) =>
  tlsCodes.test(code ?? '') || message === noTls || message === 'There was an error establishing an SSL connection';

function tlsFix(message: string): string {
  if (message === noTls) return 'Turn ssl on at the server, or say sslmode=disable where the way is safe.';
  return 'Name the certificate that vouches for the server as sslrootcert; sslmode says how much it must prove.';
}

function codeOf(error: Error): string | undefined {
  const code: unknown = (error as { code?: unknown }).code; // of PostgreSQL, Node or OpenSSL
  return typeof code === 'string' ? code : undefined;
}
