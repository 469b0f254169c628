import { Secret } from '../secret.ts';
import { anyText, ignoresServiceLink, port, secretText } from './parse.ts';
import type { Findings, Parser, Values } from './setting.ts';
import { setting } from './setting.ts';

const form = 'postgresql://user:password@host:5432/database';
// The last @ before the host ends user and password, so that a password need not be percent-encoded.
const address = /^(?:(.*)@)?(\[[^\]]*\]|[^@/?#:[\]]*)(?::\d*)?(?:\/[^?#@]*)?(\?.*)?$/s;

/**
 * `postgresql://…`, whichever driver or short form the scheme names; the rest stays as it is, and whoever connects
 * reads it. A socket names its folder as `?host=`.
 */
const databaseUrl: Parser<Secret> = (text, reading) => {
  const given = secretText(text, reading).reveal().trim();
  const [, rest] = /^postgres(?:ql)?(?:\+\w+)?:\/\/(.+)$/is.exec(given) ?? [];
  if (rest === undefined) throw new Error(`an address such as ${form}`);
  const [whole, who = '', host = '', query = ''] = address.exec(rest) ?? [];
  const parameters = new URLSearchParams(query);
  if (whole === undefined || (host === '' && !parameters.has('host')))
    throw new Error(`an address with a host, such as ${form}; special characters of the password as in %23 for #`);
  if (who.split(':')[0] === '' && !parameters.has('user')) throw new Error(`an address with a user, such as ${form}`);
  return new Secret(`postgresql://${rest}`);
};

/** A place in Vault, as `path:key`: the key is what comes after the last colon. */
const vaultReference: Parser<string> = (text) => {
  const [, path, key] = /^\/?(.+):([^:]+)$/.exec(text.trim()) ?? [];
  const segments = path?.split('/') ?? [];
  const isPlain = segments.every((part) => /^[A-Za-z0-9_.@ +=~-]+$/.test(part) && !/^\.{1,2}$/.test(part));
  if (segments.length < 2 || !isPlain)
    throw new Error('<path>:<key> such as secret/data/plinth/database:connection_string');
  return `${path}:${key}`;
};

/** PostgreSQL: an external one, or the embedded one. */
export const databaseRows = {
  databaseUrl: setting({
    names: ['DATABASE_URL', 'ARCHESTRA_DATABASE_URL'],
    order: ['ARCHESTRA_DATABASE_URL', 'DATABASE_URL'],
    about: `An external PostgreSQL: ${form}; postgres:// and postgresql+asyncpg:// too, sslmode is kept. ARCHESTRA_DATABASE_URL counts before DATABASE_URL.`,
    unset: 'DATABASE_URL_VAULT_REF, else POSTGRES_HOST, else an embedded server in DATA_DIR',
    secret: true,
    read: databaseUrl,
  }),
  databaseUrlVaultRef: setting({
    names: ['DATABASE_URL_VAULT_REF', 'ARCHESTRA_DATABASE_URL_VAULT_REF'],
    about:
      'Reads the address of the database from Vault: path:key, with the path as the API of Vault has it (secret/data/plinth/database:url in KV v2, secret/plinth/database:url in v1). Counts before DATABASE_URL.',
    unset: 'none',
    read: vaultReference,
  }),
  postgresHost: setting({
    names: ['POSTGRES_HOST'],
    about: 'Host of an external PostgreSQL, where DATABASE_URL is not set.',
    unset: 'none',
    read: anyText,
  }),
  postgresPort: setting({
    names: ['POSTGRES_PORT'],
    about: 'Port of POSTGRES_HOST.',
    standard: '5432',
    ignores: ignoresServiceLink,
    read: port,
  }),
  postgresUser: setting({
    names: ['POSTGRES_USER'],
    about: 'User at POSTGRES_HOST.',
    standard: 'tesslate',
    read: anyText,
  }),
  postgresPassword: setting({
    names: ['POSTGRES_PASSWORD'],
    about: 'Password at POSTGRES_HOST.',
    unset: 'none',
    secret: true,
    read: secretText,
  }),
  postgresDatabase: setting({
    names: ['POSTGRES_DB'],
    about: 'Database at POSTGRES_HOST.',
    standard: 'tesslate',
    read: anyText,
  }),
};

/** The external database: its address, or where in Vault that is. Both undefined: the embedded server. */
export interface DatabasePlace {
  readonly databaseUrl: Secret | undefined;
  /** `path:key`. */
  readonly databaseUrlVaultRef: string | undefined;
  /** The name of the setting that it came from, for messages. */
  readonly databaseUrlFrom: string | undefined;
}

const embedded: DatabasePlace = { databaseUrl: undefined, databaseUrlVaultRef: undefined, databaseUrlFrom: undefined };

/**
 * Chooses the database. `givenAs` says under which name a setting was given, if it was; `hasVault` whether a reference
 * to Vault can be followed.
 */
export function chooseDatabase(
  values: Values<typeof databaseRows>,
  context: { givenAs(field: keyof typeof databaseRows): string | undefined; readonly hasVault: boolean },
  findings: Findings,
): DatabasePlace {
  const { databaseUrl, databaseUrlVaultRef, postgresHost } = values;
  const { givenAs, hasVault } = context;
  if (databaseUrlVaultRef !== undefined && hasVault) {
    if (databaseUrl !== undefined) findings.info('DATABASE_URL_VAULT_REF is set, so DATABASE_URL does not count.');
    return { ...embedded, databaseUrlVaultRef, databaseUrlFrom: givenAs('databaseUrlVaultRef') };
  }
  if (databaseUrlVaultRef !== undefined) noVault(databaseUrl !== undefined, findings);
  if (databaseUrl !== undefined) return { ...embedded, databaseUrl, databaseUrlFrom: givenAs('databaseUrl') };
  if (postgresHost !== undefined)
    return { ...embedded, databaseUrl: fromParts(values, findings), databaseUrlFrom: 'POSTGRES_HOST' };
  const parts = (['postgresUser', 'postgresPassword', 'postgresDatabase', 'postgresPort'] as const).filter(givenAs);
  if (parts.length > 0)
    findings.info(
      `${parts.map((part) => databaseRows[part].names[0]).join(', ')} without POSTGRES_HOST ${parts.length === 1 ? 'belongs' : 'belong'} to the other platform's bundled database, which the embedded one replaces; not used.`,
    );
  return embedded;
}

/** Without another address an embedded database would begin empty in the place of the one that was meant. */
function noVault(hasAddress: boolean, findings: Findings): void {
  if (hasAddress) findings.warn('DATABASE_URL_VAULT_REF does not count without Vault; DATABASE_URL is used.');
  else
    findings.fault(
      ['databaseUrlVaultRef', 'databaseUrl', 'secretsManager', 'vaultAddress', 'vaultToken'],
      'DATABASE_URL_VAULT_REF is set, but no Vault is; set SECRETS_MANAGER=READONLY_VAULT with HASHICORP_VAULT_ADDR, or DATABASE_URL',
    );
}

function fromParts(values: Values<typeof databaseRows>, findings: Findings): Secret {
  const { postgresHost = '', postgresPort, postgresUser, postgresPassword, postgresDatabase } = values;
  const url = URL.parse(`postgresql://${postgresHost.includes(':') ? `[${postgresHost}]` : postgresHost}`);
  if (url === null || url.hostname === '') {
    findings.fault(['postgresHost'], `POSTGRES_HOST is ${JSON.stringify(postgresHost)}; wanted is a host name`);
    return new Secret('');
  }
  const password = postgresPassword?.reveal();
  if (password === 'dev_password_change_me')
    findings.warn('POSTGRES_PASSWORD is the default that everybody knows; change it in the database and here.');
  const credentials = [postgresUser, password].filter((part) => part !== undefined).map(encodeURIComponent);
  return new Secret(
    `postgresql://${credentials.join(':')}@${url.hostname}:${postgresPort}/${encodeURIComponent(postgresDatabase)}`,
  );
}
