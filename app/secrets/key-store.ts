import type { Queryable } from '#database/pool.ts';
import type { Box } from './cipher.ts';

/** values: encrypts secret values. digests: keys digests of them that are stored; made once, never rotated. */
export type KeyPurpose = 'values' | 'digests';

/** A data key as it is stored: encrypted. */
export interface WrappedKey extends Box {
  readonly id: string;
  readonly purpose: KeyPurpose;
  /** Id of the key-encryption key that opens it. */
  readonly wrappedBy: string;
  /** Nothing new is encrypted with it. */
  readonly retired: boolean;
}

/** Any number that nobody else uses; it is the lock's name. */
const lock = 7_010_407;

/** Only one at a time changes keys; held until the transaction ends. */
export async function lockKeys(tx: Queryable): Promise<void> {
  await tx.query('select pg_advisory_xact_lock($1)', [lock]);
}

export async function readKeys(tx: Queryable): Promise<readonly WrappedKey[]> {
  const { rows } = await tx.query<WrappedKey>(
    `select id, purpose, wrapped_by as "wrappedBy", nonce, wrapped as ciphertext, retired_at is not null as retired
       from secret_keys order by created_at, id`,
  );
  return rows;
}

/** Key ids that values name → how many do. */
export async function countByKey(tx: Queryable): Promise<ReadonlyMap<string, number>> {
  const { rows } = await tx.query<{ id: string; count: number }>(
    'select key_id as id, count(*) as count from secret_values where key_id is not null group by key_id',
  );
  return new Map(rows.map(({ id, count }) => [id, count]));
}

export async function insertKey(tx: Queryable, key: WrappedKey): Promise<void> {
  await tx.query(
    `insert into secret_keys (id, purpose, wrapped_by, nonce, wrapped, retired_at)
     values ($1, $2, $3, $4, $5, case when $6 then now() end)`,
    [key.id, key.purpose, key.wrappedBy, key.nonce, key.ciphertext, key.retired],
  );
}

/** The same key under another key-encryption key. */
export async function rewrapKey(tx: Queryable, key: WrappedKey): Promise<void> {
  await tx.query('update secret_keys set wrapped_by = $2, nonce = $3, wrapped = $4 where id = $1', [
    key.id,
    key.wrappedBy,
    key.nonce,
    key.ciphertext,
  ]);
}

export async function retireKeys(tx: Queryable, ids: readonly string[]): Promise<void> {
  await tx.query('update secret_keys set retired_at = now() where id = any($1) and retired_at is null', [ids]);
}

/** Removes retired keys that no value names, and returns their ids. The foreign key makes sure of it. */
export async function removeUnusedKeys(tx: Queryable): Promise<readonly string[]> {
  const { rows } = await tx.query<{ id: string }>(
    `delete from secret_keys k where retired_at is not null
        and not exists (select from secret_values where key_id = k.id) returning id`,
  );
  return rows.map(({ id }) => id);
}

/** Whether a value still names a retired key: it was written a moment ago, or somebody else holds it. */
export async function isRetiredNamed(tx: Queryable): Promise<boolean> {
  const { rowCount } = await tx.query(
    `select from secret_values v join secret_keys k on k.id = v.key_id where k.retired_at is not null limit 1`,
  );
  return rowCount > 0;
}
