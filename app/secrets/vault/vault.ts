import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { Secret } from '#base/secret.ts';
import { complaint, createVaultClient, type VaultClient, type VaultClientOptions } from './client.ts';
import { type Fields, type Found, metadataPath, readKv, removeKv, writeKv } from './kv.ts';
import { openSession, type VaultAuth, type VaultSession } from './login.ts';
import { parseReference } from './reference.ts';

export interface VaultOptions extends VaultClientOptions {
  readonly auth: VaultAuth;
  /** HASHICORP_VAULT_KV_VERSION. */
  readonly kvVersion: 1 | 2;
  /** HASHICORP_VAULT_SECRET_PATH: below it Plinth keeps its own, `secret/data/plinth` in KV v2. */
  readonly secretPath: string;
  /** true: nothing is ever written (READONLY_VAULT). */
  readonly readOnly: boolean;
  readonly clock: Clock;
  readonly log: Log;
}

/** HashiCorp Vault or OpenBao, signed in. */
export interface Vault {
  readonly readOnly: boolean;
  /** @throws Fault SECRETS_UNAVAILABLE, as everything here */
  read(path: string): Promise<Found>;
  /** false: with `onlyNew`, something is there already. */
  write(path: string, fields: Fields, options: { readonly onlyNew: boolean }): Promise<boolean>;
  remove(path: string): Promise<void>;
  /** Where Plinth keeps a secret of its own. */
  pathOf(scope: string, name: string): string;
  /** True for paths below which Plinth keeps its own, in the spelling of either version of KV. */
  isOwn(path: string): boolean;
  /** The value that `path:key` names; for DATABASE_URL_VAULT_REF. @throws Fault VAULT_VALUE_MISSING, VAULT_PATH_REFUSED */
  readReference(reference: string): Promise<Secret>;
  /** For /ready: asks Vault how it is. */
  check(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Signs in to Vault and proves that it can be used, before anything relies on it. Needs no database.
 * @throws Fault VAULT_UNUSABLE with the address and what failed: unreachable, sealed, refused, no right to write
 */
export async function openVault(options: VaultOptions): Promise<Vault> {
  const { address, auth, clock, log } = options;
  checkSecretPath(options);
  const client = createVaultClient(options);
  let session: VaultSession | undefined;
  try {
    session = await openSession({ client, auth, clock, log });
    if (!options.readOnly) await checkRights(session, options);
    return createVault(options, client, session);
  } catch (error) {
    await session?.stop();
    await client.close();
    if (Fault.is(error, 'SECRETS_UNAVAILABLE'))
      throw new Fault('VAULT_UNUSABLE', { address, why: error.data.why }, { cause: error });
    throw error;
  }
}

/**
 * As `openVault`; where SECRETS_FALLBACK=DB allows it, undefined and a warning in place of VAULT_UNUSABLE: then secrets
 * are kept in the database.
 */
export async function openVaultOrFallback(
  options: VaultOptions & { readonly fallback: 'database' | undefined },
): Promise<Vault | undefined> {
  try {
    return await openVault(options);
  } catch (error) {
    if (options.fallback === undefined || !Fault.is(error, 'VAULT_UNUSABLE')) throw error;
    options.log.warn({ err: error }, 'Vault cannot be used: by SECRETS_FALLBACK=DB secrets are kept in the database');
    return undefined;
  }
}

function createVault(options: VaultOptions, client: VaultClient, session: VaultSession): Vault {
  const { kvVersion, secretPath, readOnly } = options;
  const own = [`${secretPath}/`, `${secretPath.replace('/data/', '/')}/`, `${metadataPath(secretPath)}/`];
  const read = (path: string) => readKv(session, path);
  return {
    readOnly,
    read,
    write: (path, fields, { onlyNew }) => writeKv(session, { path, fields, kvVersion, onlyNew }),
    remove: (path) => removeKv(session, path, kvVersion),
    pathOf: (scope, name) => `${secretPath}/${scope}/${name}`,
    isOwn: (path) => own.some((prefix) => `${path}/`.startsWith(prefix)),
    readReference: async (reference) => {
      const { path, key } = parseReference(reference);
      const found = await read(path);
      const value = found.fields?.get(key);
      if (value !== undefined) return value;
      const why = found.fields === undefined ? found.why : 'the secret has other fields';
      throw new Fault('VAULT_VALUE_MISSING', { secret: 'the setting', path, key, why });
    },
    check: async () => {
      await session.ask({ method: 'GET', path: 'auth/token/lookup-self', what: 'looking up the token' });
    },
    stop: async () => {
      await session.stop();
      await client.close();
    },
  };
}

function checkSecretPath({ kvVersion, secretPath }: VaultOptions): void {
  if (kvVersion === 1 || secretPath.includes('/data/')) return;
  const [mount, ...rest] = secretPath.split('/');
  const wanted = [mount, 'data', ...rest].join('/');
  throw new Fault('CONFIG_INVALID', {
    faults: `  - HASHICORP_VAULT_SECRET_PATH is ${secretPath}, which has no data/ as KV v2 wants it; wanted is ${wanted}, or HASHICORP_VAULT_KV_VERSION=1`,
  });
}

/** What the token may do where Plinth keeps its own; a right that is missing is better known now than at a rotation. */
async function checkRights(session: VaultSession, { kvVersion, secretPath }: VaultOptions): Promise<void> {
  const value = `${secretPath}/organization/check`;
  const gone = kvVersion === 2 ? metadataPath(value) : value;
  const what = `looking up the rights below ${secretPath}`;
  const body = { paths: [...new Set([value, gone])] };
  const answer = await session.ask({ method: 'POST', path: 'sys/capabilities-self', body, what });
  if (answer.status !== 200)
    throw new Fault('SECRETS_UNAVAILABLE', { why: `${what} was refused: ${complaint(answer)}` });
  const may = (path: string, right: string) => {
    const rights = answer.body[path];
    return Array.isArray(rights) && (rights.includes(right) || rights.includes('root'));
  };
  const wanted = [...['create', 'update', 'read'].map((right) => [value, right] as const), [gone, 'delete'] as const];
  const missing = wanted.filter(([path, right]) => !may(path, right)).map(([path, right]) => `${right} on ${path}`);
  if (missing.length > 0)
    throw new Fault('SECRETS_UNAVAILABLE', { why: `the policy of the token does not give ${missing.join(', ')}` });
}
