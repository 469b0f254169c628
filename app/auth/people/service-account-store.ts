import type { Queryable } from '#database/pool.ts';
import { type MembershipRow, membershipsOf } from '../principal-store.ts';
import type { RoleGrants } from '../roles.ts';

export interface ServiceAccountRow {
  readonly id: string;
  readonly name: string;
  readonly role: string;
  /** Of a role that people made. */
  readonly grants: RoleGrants | null;
  readonly disabled: boolean;
  readonly created_by: string;
  readonly created_at: Date;
  readonly memberships: readonly MembershipRow[];
}

const accountRows = `
  select a.id, a.name, a.role, r.grants, a.disabled, a.created_by, a.created_at, ${membershipsOf('a.id')} as memberships
  from service_accounts a left join roles r on r.name = a.role`;

/** By name. */
export async function listServiceAccounts(db: Queryable): Promise<readonly ServiceAccountRow[]> {
  return (await db.query<ServiceAccountRow>(`${accountRows} order by a.name`)).rows;
}

export async function findServiceAccount(db: Queryable, id: string): Promise<ServiceAccountRow | undefined> {
  return (await db.query<ServiceAccountRow>(`${accountRows} where a.id = $1`, [id])).rows[0];
}

/** Nobody else changes it until the transaction ends. */
export async function lockServiceAccount(tx: Queryable, id: string): Promise<void> {
  await tx.query('select from service_accounts where id = $1 for no key update', [id]);
}

export async function insertServiceAccount(
  tx: Queryable,
  account: Pick<ServiceAccountRow, 'id' | 'name' | 'role' | 'created_by'>,
): Promise<void> {
  await tx.query('insert into service_accounts (id, name, role, created_by) values ($1, $2, $3, $4)', [
    account.id,
    account.name,
    account.role,
    account.created_by,
  ]);
}

export async function updateServiceAccount(
  tx: Queryable,
  id: string,
  change: { name?: string | undefined; role?: string | undefined; disabled?: boolean | undefined },
): Promise<void> {
  await tx.query(
    `update service_accounts set name = coalesce($2, name), role = coalesce($3, role), disabled = coalesce($4, disabled)
     where id = $1`,
    [id, change.name ?? null, change.role ?? null, change.disabled ?? null],
  );
}

/** With its tokens and memberships. */
export async function deleteServiceAccount(tx: Queryable, id: string): Promise<void> {
  await tx.query('delete from members where user_id = $1', [id]);
  await tx.query('delete from service_accounts where id = $1', [id]);
}
