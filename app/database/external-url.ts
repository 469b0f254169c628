import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import type { Connection } from './connection.ts';

/** How much TLS is asked for, as libpq has it; `allow` and `prefer` take what there is. */
export type SslMode = 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';

/** What the address of a database says. */
export interface ExternalAddress {
  readonly connection: Connection;
  readonly sslMode: SslMode;
  /** Paths of PEM files. */
  readonly rootCertificate?: string | undefined;
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
  /** Parameters that mean something to other clients and nothing here. */
  readonly ignored: readonly string[];
}

const wanted = 'postgresql://user:password@host:5432/database';
const several = 'names several hosts; name the one that takes writes';
const standardPort = 5432;

/**
 * Reads `postgresql://user:password@host:5432/database?sslmode=require`. The scheme may name a driver
 * (`postgresql+asyncpg`); a unix socket is `?host=/var/run/postgresql`, or `%2Fvar%2Frun%2Fpostgresql` in the host's
 * place. A password that is not percent-encoded is taken as well: it ends at the last `@` before the host.
 *
 * @param setting the name that a fault puts the blame on
 * @throws Fault CONFIG_INVALID, which shows nothing that may be of the password
 */
export function readExternalUrl(url: Secret, setting: string): ExternalAddress {
  const refuse = (why: string): never => {
    throw new Fault('CONFIG_INVALID', { faults: `  - ${setting} ${why}` });
  };
  const text = url.reveal().trim();
  const [, rest] = /^postgres(?:ql)?(?:\+[a-z0-9]+)?:\/\/(.*)$/is.exec(text) ?? [];
  if (rest === undefined) return refuse(`is no address of PostgreSQL; wanted is ${wanted}`);
  const parts = split(rest);
  if (/@[^@/]*,[^@/]*(\/|$)/.test(rest)) return refuse(several);
  if (parts === undefined) return refuse(`cannot be read; wanted is ${wanted}`);
  const parameters = readQuery(parts.query);
  const host = parameters.get('host') ?? decode(parts.host);
  const port = Number(parameters.get('port') ?? (parts.port || standardPort));
  const user = parameters.get('user') ?? decode(parts.user);
  const database = parameters.get('dbname') ?? (decode(parts.database) || user);
  if (host.includes(',')) return refuse(several);
  if (host === '') return refuse(`names no host; wanted is ${wanted}`);
  if (user === '') return refuse(`names no user; wanted is ${wanted}`);
  if (!(Number.isInteger(port) && port > 0 && port < 65_536)) return refuse('names a port that is none of 1 to 65535');
  const mode = host.startsWith('/') ? 'disable' : readMode(parameters);
  if (mode === undefined) return refuse(`has an unknown sslmode; there are ${[...modes.keys()].join(', ')}`);
  return {
    connection: {
      host,
      port,
      user,
      password: new Secret(parameters.get('password') ?? decode(parts.password)),
      database,
      options: parameters.get('options'),
    },
    sslMode: mode,
    rootCertificate: parameters.get('sslrootcert'),
    certificate: parameters.get('sslcert'),
    key: parameters.get('sslkey'),
    ignored: [...parameters.keys()].filter((name) => !used.has(name) && !harmless.has(name)),
  };
}

interface Parts {
  readonly user: string;
  readonly password: string;
  readonly host: string;
  readonly port: string;
  readonly database: string;
  readonly query: string;
}

/** As it is written down for URLs; where that leaves an `@` over, the password has signs that should be encoded. */
function split(rest: string): Parts | undefined {
  const strict = match(
    /^(?:([^@/?#]*(?:@[^@/?#]*)*)@)?(\[[^\]]*\]|[^@/?#:[\]]*)(?::(\d*))?(?:\/([^?#@]*))?(?:\?(.*))?$/s,
    rest,
  );
  if (strict !== undefined && !hasStray(strict.query)) return strict;
  return match(/^(?:(.*)@)?(\[[^\]]*\]|[^@/?#:[\]]*)(?::(\d*))?(?:\/([^?#@]*))?(?:\?([^@]*))?$/s, rest);
}

function match(form: RegExp, rest: string): Parts | undefined {
  const found = form.exec(rest);
  if (found === null) return undefined;
  const [, who = '', host = '', port = '', database = '', query = ''] = found;
  const colon = who.indexOf(':');
  const user = colon < 0 ? who : who.slice(0, colon);
  return {
    user,
    password: colon < 0 ? '' : who.slice(colon + 1),
    host: host.replace(/^\[|\]$/g, ''),
    port,
    database,
    query,
  };
}

/** An `@` in a query that is no value of a known parameter belongs to a password with a question mark. */
const hasStray = (query: string) =>
  query.split('&').some((pair) => pair.includes('@') && !used.has(pair.split('=')[0] ?? ''));

/** Percent signs that encode nothing are taken as they are. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** A plus sign is a plus sign here, as in libpq. */
function readQuery(query: string): ReadonlyMap<string, string> {
  const pairs = query.split('&').filter((pair) => pair !== '');
  return new Map(
    pairs.map((pair) => {
      const sign = pair.indexOf('=');
      return sign < 0 ? [decode(pair), ''] : [decode(pair.slice(0, sign)), decode(pair.slice(sign + 1))];
    }),
  );
}

const used = new Set([
  ...['host', 'port', 'user', 'password', 'dbname', 'options'],
  ...['sslmode', 'ssl', 'sslrootcert', 'sslcert', 'sslkey'],
]);
/** What changes nothing that anybody could notice. */
const harmless = new Set(['application_name', 'client_encoding', 'connect_timeout', 'uselibpqcompat']);

/** Names of the modes, those of other drivers too. */
const modes: ReadonlyMap<string, SslMode> = new Map([
  ['disable', 'disable'],
  ['allow', 'prefer'],
  ['prefer', 'prefer'],
  ['require', 'require'],
  ['no-verify', 'require'],
  ['verify-ca', 'verify-ca'],
  ['verify-full', 'verify-full'],
]);

/** `ssl` is what drivers other than libpq call it: a mode, or true for the strictest. */
function readMode(parameters: ReadonlyMap<string, string>): SslMode | undefined {
  const mode = (parameters.get('sslmode') ?? parameters.get('ssl') ?? 'prefer').toLowerCase();
  if (['true', '1'].includes(mode)) return 'verify-full';
  return ['false', '0'].includes(mode) ? 'disable' : modes.get(mode);
}
