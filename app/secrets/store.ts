import type { Queryable } from '#database/pool.ts';
import type { Address, Sealed } from './cipher.ts';

export interface StoredSecret extends Address, Sealed {
  /** null: a secret of a wider scope that no project may use. */
  readonly grants: readonly string[] | null;
}

/** All that is shown of a secret. */
export interface SecretView {
  readonly name: string;
  readonly version: number;
  /** Made by the store, not given by a person. */
  readonly generated: boolean;
  /** The projects that may use a secret of a wider scope than their own. */
  readonly grants: readonly string[];
  readonly updatedBy: string;
  readonly updatedAt: Date;
}

/** Numbers that no secret has had before. */
export async function takeVersions(tx: Queryable, count: number): Promise<readonly number[]> {
  const { rows } = await tx.query<{ version: number }>(
    `select nextval('secret_versions')::integer as version from generate_series(1, $1)`,
    [count],
  );
  return rows.map(({ version }) => version);
}

/** A value given by a person. Of two at once the one with the higher version stays. Grants are kept. */
export async function writeSecret(tx: Queryable, secret: Address & Sealed, actor: string): Promise<void> {
  await tx.query(
    `insert into secret_values as present (scope, name, version, key_id, nonce, ciphertext, updated_by)
     values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (scope, name) do update
        set version = excluded.version, key_id = excluded.key_id, nonce = excluded.nonce,
            ciphertext = excluded.ciphertext, generated = false, updated_by = excluded.updated_by, updated_at = now()
      where present.version < excluded.version`,
    [secret.scope, secret.name, secret.version, secret.keyId, secret.nonce, secret.ciphertext, actor],
  );
}

/** A value made by the store; false when the secret exists, which then stays as it is. */
export async function insertGenerated(tx: Queryable, secret: Address & Sealed, actor: string): Promise<boolean> {
  const { rowCount } = await tx.query(
    `insert into secret_values (scope, name, version, key_id, nonce, ciphertext, generated, updated_by)
     values ($1, $2, $3, $4, $5, $6, true, $7)
     on conflict do nothing`,
    [secret.scope, secret.name, secret.version, secret.keyId, secret.nonce, secret.ciphertext, actor],
  );
  return rowCount === 1;
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
    `select name, version, generated, coalesce(grants, '{}') as grants, updated_by as "updatedBy",
            updated_at as "updatedAt"
       from secret_values where scope = $1 order by name collate "C"`,
    [scope],
  );
  return rows;
}

/** Whatever has one of these names in one of these scopes, nearest scope first, values included. */
export async function readSecrets(
  tx: Queryable,
  scopes: readonly string[],
  names: readonly string[],
): Promise<readonly StoredSecret[]> {
  const { rows } = await tx.query<StoredSecret>(
    `select scope, name, version, key_id as "keyId", nonce, ciphertext, grants
       from secret_values where scope = any($1) and name = any($2) order by array_position($1::text[], scope)`,
    [scopes, names],
    'secrets-read',
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
