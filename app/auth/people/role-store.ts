import type { Queryable } from '#database/pool.ts';
import type { RoleGrants } from '../roles.ts';

export interface RoleRow {
  readonly name: string;
  readonly about: string;
  readonly grants: RoleGrants;
}

/** The roles that people made, by name. */
export async function listRoles(db: Queryable): Promise<readonly RoleRow[]> {
  const { rows } = await db.query<RoleRow>('select name, about, grants from roles order by name');
  return rows;
}

/** `keep`: it stays as it is until the transaction ends. */
export async function findRole(db: Queryable, name: string, keep?: 'keep'): Promise<RoleRow | undefined> {
  const { rows } = await db.query<RoleRow>(
    `select name, about, grants from roles where name = $1 ${keep === undefined ? '' : 'for share'}`,
    [name],
  );
  return rows[0];
}

export async function saveRole(db: Queryable, { name, about, grants }: RoleRow): Promise<void> {
  await db.query(
    `insert into roles (name, about, grants) values ($1, $2, $3)
     on conflict (name) do update set about = excluded.about, grants = excluded.grants, updated_at = now()`,
    [name, about, JSON.stringify(grants)],
  );
}

/** Who has the role, as people read it: an e-mail address, a service account, a member of a team, an invitation. */
export async function holdersOf(tx: Queryable, role: string, most: number): Promise<readonly string[]> {
  const { rows } = await tx.query<{ holder: string }>(
    `select email as holder from auth."user" where role = $1
     union all select 'service account ' || name from service_accounts where role = $1
     union all select 'a member of team ' || team from members where role = $1
     union all select 'an invitation of ' || email from invitations
       where role = $1 and used_at is null and expires_at > now()
     limit $2`,
    [role, most],
  );
  return rows.map(({ holder }) => holder);
}

/** Nobody is given the role any more until the transaction ends. @returns whether there is one */
export async function lockRole(tx: Queryable, name: string): Promise<boolean> {
  return (await tx.query('select from roles where name = $1 for update', [name])).rowCount === 1;
}

export async function deleteRole(tx: Queryable, name: string): Promise<void> {
  await tx.query('delete from roles where name = $1', [name]);
}
