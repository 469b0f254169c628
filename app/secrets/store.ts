import { notify } from '#database/listen.ts';
import type { Queryable } from '#database/pool.ts';
import type { Address, Sealed } from './cipher.ts';

/** Where a value is in Vault. */
export interface VaultPlace {
  /** As Vault's API has it: `secret/data/shop` in KV v2, `secret/shop` in v1. */
  readonly path: string;
  /** The field of the secret there. */
  readonly key: string;
}

export interface StoredPlace extends VaultPlace {
  /** Plinth wrote it and takes it away with the secret; else it is a person's, and only read. */
  readonly managed: boolean;
  /** Keyed digest of the value that has the present version; `absent:` before it when the value is gone since. */
  readonly seen: string | null;
}

export interface StoredSecret extends Address {
  /** null: a secret of a wider scope that no project may use. */
  readonly grants: readonly string[] | null;
  /** Exactly one of both is there. */
  readonly sealed: Sealed | undefined;
  readonly vault: StoredPlace | undefined;
}

/** All that is shown of a secret. */
export interface SecretView {
  readonly name: string;
  readonly version: number;
  /** Made by the store, not given by a person. */
  readonly generated: boolean;
  /** The projects that may use a secret of a wider scope than their own. */
  readonly grants: readonly string[];
  /** Where the value is in Vault; null: here, encrypted. */
  readonly vault: VaultPlace | null;
  readonly updatedBy: string;
  readonly updatedAt: Date;
}

/** What is written of a value. */
export type Written = Address & ({ readonly sealed: Sealed } | { readonly vault: StoredPlace });

/**
 * Numbers that no secret has had before, and the key to encrypt with now. The key cannot be removed before the
 * transaction ends.
 */
export async function takeVersions(
  tx: Queryable,
  count: number,
): Promise<{ readonly versions: readonly number[]; readonly keyId: string }> {
  const { rows } = await tx.query<{ version: number; keyId: string }>(
    `select nextval('secret_versions')::integer as version, k.id as "keyId"
       from (select id from secret_keys where purpose = 'values' and retired_at is null for key share) k,
            generate_series(1, $1)`,
    [count],
  );
  if (rows[0] === undefined) throw new Error('there is no current key for secret values'); // openKeys made one
  return { versions: rows.map(({ version }) => version), keyId: rows[0].keyId };
}

/** A value given by a person. Of two at once the one with the higher version stays. Grants are kept. */
export async function writeSecret(tx: Queryable, secret: Written, actor: string): Promise<void> {
  await tx.query(
    `insert into secret_values as present
            (scope, name, version, key_id, nonce, ciphertext, vault_path, vault_key, vault_managed, vault_seen, updated_by)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
     on conflict (scope, name) do update
        set version = excluded.version, key_id = excluded.key_id, nonce = excluded.nonce,
            ciphertext = excluded.ciphertext, vault_path = excluded.vault_path, vault_key = excluded.vault_key,
            vault_managed = excluded.vault_managed, vault_seen = excluded.vault_seen,
            generated = false, updated_by = excluded.updated_by, updated_at = now()
      where present.version < excluded.version`,
    [...columnsOf(secret), actor],
  );
}

/** A value made by the store; false when the secret exists, which then stays as it is. */
export async function insertGenerated(tx: Queryable, secret: Written, actor: string): Promise<boolean> {
  const { rowCount } = await tx.query(
    `insert into secret_values (scope, name, version, key_id, nonce, ciphertext, vault_path, vault_key, vault_managed,
                                vault_seen, generated, updated_by)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, true, $11)
     on conflict do nothing`,
    [...columnsOf(secret), actor],
  );
  return rowCount === 1;
}

function columnsOf(secret: Written): readonly unknown[] {
  const { scope, name, version } = secret;
  if ('sealed' in secret) {
    const { keyId, nonce, ciphertext } = secret.sealed;
    return [scope, name, version, keyId, nonce, ciphertext, null, null, false, null];
  }
  const { path, key, managed, seen } = secret.vault;
  return [scope, name, version, null, null, null, path, key, managed, seen];
}

/** Only one at a time makes values for a scope; held until the transaction ends. */
export async function lockScope(tx: Queryable, scope: string): Promise<void> {
  await tx.query('select pg_advisory_xact_lock(7010408, hashtext($1))', [scope]);
}

/** false: there was none. */
export async function deleteSecret(tx: Queryable, scope: string, name: string): Promise<boolean> {
  const { rowCount } = await tx.query('delete from secret_values where scope = $1 and name = $2', [scope, name]);
  return rowCount === 1;
}

/** false: there is no such secret. */
export async function writeGrants(
  tx: Queryable,
  scope: string,
  name: string,
  grants: readonly string[],
  actor: string,
): Promise<boolean> {
  const { rowCount } = await tx.query(
    `update secret_values set grants = $3, updated_by = $4, updated_at = now() where scope = $1 and name = $2`,
    [scope, name, grants, actor],
  );
  return rowCount === 1;
}

export async function listSecrets(tx: Queryable, scope: string): Promise<readonly SecretView[]> {
  const { rows } = await tx.query<SecretView>(
    `select name, version, generated, coalesce(grants, '{}') as grants,
            case when vault_path is not null then json_build_object('path', vault_path, 'key', vault_key) end as vault,
            updated_by as "updatedBy", updated_at as "updatedAt"
       from secret_values where scope = $1 order by name collate "C"`,
    [scope],
  );
  return rows;
}

type Row = Address & {
  readonly grants: readonly string[] | null;
  readonly keyId: string | null;
  readonly nonce: Buffer | null;
  readonly ciphertext: Buffer | null;
  readonly path: string | null;
  readonly key: string | null;
  readonly managed: boolean;
  readonly seen: string | null;
};

const columns = `scope, name, version, grants, key_id as "keyId", nonce, ciphertext,
  vault_path as path, vault_key as key, vault_managed as managed, vault_seen as seen`;

const toStored = ({ keyId, nonce, ciphertext, path, key, managed, seen, ...rest }: Row): StoredSecret => ({
  ...rest,
  sealed: keyId !== null && nonce !== null && ciphertext !== null ? { keyId, nonce, ciphertext } : undefined,
  vault: path !== null && key !== null ? { path, key, managed, seen } : undefined,
});

/** Whatever has one of these names in one of these scopes, nearest scope first, values included. */
export async function readSecrets(
  tx: Queryable,
  scopes: readonly string[],
  names: readonly string[],
): Promise<readonly StoredSecret[]> {
  const { rows } = await tx.query<Row>(
    `select ${columns}
       from secret_values where scope = any($1) and name = any($2) order by array_position($1::text[], scope)`,
    [scopes, names],
    'secrets-read',
  );
  return rows.map(toStored);
}

/** Pairs of a scope and a name, as two columns. */
const pairColumns = (pairs: readonly Pick<Address, 'scope' | 'name'>[]) => [
  pairs.map(({ scope }) => scope),
  pairs.map(({ name }) => name),
];

/** Those of these secrets that there are, values included, in any order. */
export async function readSecretPairs(
  tx: Queryable,
  pairs: readonly Pick<Address, 'scope' | 'name'>[],
): Promise<readonly StoredSecret[]> {
  const { rows } = await tx.query<Row>(
    `select ${columns} from secret_values
      where (scope, name) in (select * from unnest($1::text[], $2::text[]))`,
    pairColumns(pairs),
    'secrets-read-pairs',
  );
  return rows.map(toStored);
}

/** The same with the versions only. */
export async function readVersionPairs(
  tx: Queryable,
  pairs: readonly Pick<Address, 'scope' | 'name'>[],
): Promise<readonly (Pick<StoredSecret, 'scope' | 'name' | 'grants'> & { readonly version: number })[]> {
  const { rows } = await tx.query<Pick<StoredSecret, 'scope' | 'name' | 'grants'> & { version: number }>(
    `select scope, name, grants, version from secret_values
      where (scope, name) in (select * from unnest($1::text[], $2::text[]))`,
    pairColumns(pairs),
    'secrets-version-pairs',
  );
  return rows;
}

/** The same without values. */
export async function readGrants(
  tx: Queryable,
  scopes: readonly string[],
  names: readonly string[],
): Promise<readonly Pick<StoredSecret, 'scope' | 'name' | 'grants'>[]> {
  const { rows } = await tx.query<Pick<StoredSecret, 'scope' | 'name' | 'grants'>>(
    'select scope, name, grants from secret_values where scope = any($1) and name = any($2)',
    [scopes, names],
    'secrets-grants',
  );
  return rows;
}

/** Values encrypted with another key than this one, taken for the transaction; those that others hold are left out. */
export async function takeOthers(tx: Queryable, keyId: string, most: number): Promise<readonly StoredSecret[]> {
  const { rows } = await tx.query<Row>(
    `select ${columns} from secret_values where key_id <> $1 limit $2 for update skip locked`,
    [keyId, most],
  );
  return rows.map(toStored);
}

/** The same value and version, encrypted anew. */
export async function resealSecret(tx: Queryable, { scope, name }: Address, sealed: Sealed): Promise<void> {
  await tx.query('update secret_values set key_id = $3, nonce = $4, ciphertext = $5 where scope = $1 and name = $2', [
    scope,
    name,
    sealed.keyId,
    sealed.nonce,
    sealed.ciphertext,
  ]);
}

/** Every secret whose value is in Vault. */
export async function readInVault(tx: Queryable): Promise<readonly StoredSecret[]> {
  const { rows } = await tx.query<Row>(`select ${columns} from secret_values where vault_path is not null`);
  return rows.map(toStored);
}

/**
 * Notes what Vault has now. With `changed` the secret gets its next version and those who use it are woken; without,
 * only the note is written. Of several who see it at once one does it.
 * @returns the version; undefined: somebody else noted something meanwhile
 */
export async function noteSeen(
  tx: Queryable,
  { scope, name, vault }: StoredSecret,
  seen: string,
  changed: boolean,
): Promise<number | undefined> {
  const { rows } = await tx.query<{ version: number }>(
    `update secret_values
        set vault_seen = $6, version = case when $7 then nextval('secret_versions') else version end,
            updated_by = case when $7 then 'vault' else updated_by end,
            updated_at = case when $7 then now() else updated_at end
      where scope = $1 and name = $2 and vault_path = $3 and vault_key = $4 and vault_seen is not distinct from $5
      returning version`,
    [scope, name, vault?.path, vault?.key, vault?.seen, seen, changed],
  );
  if (rows[0] === undefined) return undefined;
  await wakeUsers(tx, scope, name);
  return rows[0].version;
}

/** Wakes whoever may use a secret of this scope. */
async function wakeUsers(tx: Queryable, scope: string, name: string): Promise<void> {
  const project = /^project\/(.+)$/.exec(scope)?.[1];
  if (project === undefined) await notify(tx, 'secrets', name);
  else await notify(tx, 'project_wake', project);
}

/** The folder of Vault below which a team's references must stay. */
export interface VaultFolder {
  readonly team: string;
  readonly path: string;
  readonly updatedBy: string;
  readonly updatedAt: Date;
}

const folderColumns = 'team, path, updated_by as "updatedBy", updated_at as "updatedAt"';

export async function readVaultFolder(tx: Queryable, team: string): Promise<VaultFolder | undefined> {
  const { rows } = await tx.query<VaultFolder>(`select ${folderColumns} from team_vault_folders where team = $1`, [
    team,
  ]);
  return rows[0];
}

export async function writeVaultFolder(
  tx: Queryable,
  { team, path, updatedBy }: Omit<VaultFolder, 'updatedAt'>,
): Promise<VaultFolder> {
  const { rows } = await tx.query<VaultFolder>(
    `insert into team_vault_folders (team, path, updated_by) values ($1, $2, $3)
     on conflict (team) do update set path = excluded.path, updated_by = excluded.updated_by, updated_at = now()
     returning ${folderColumns}`,
    [team, path, updatedBy],
  );
  return rows[0]!; // it returns what it wrote
}

/** false: there was none. */
export async function deleteVaultFolder(tx: Queryable, team: string): Promise<boolean> {
  return (await tx.query('delete from team_vault_folders where team = $1', [team])).rowCount === 1;
}
