import type { Queryable } from '#database/pool.ts';
import { type MembershipRow, membershipsOf } from '../principal-store.ts';
import type { RoleGrants } from '../roles.ts';

export interface PersonRow {
  readonly id: string;
  readonly email: string;
  readonly name: string;
  readonly role: string;
  /** Of a role that people made. */
  readonly grants: RoleGrants | null;
  readonly email_verified: boolean;
  readonly disabled: boolean;
  readonly created_at: Date;
  readonly memberships: readonly MembershipRow[];
}

const personRows = `
  select u.id, u.email, u.name, u.role, r.grants, u."emailVerified" as email_verified, u."createdAt" as created_at,
    coalesce(s.disabled, false) as disabled, ${membershipsOf('u.id')} as memberships
  from auth."user" u left join people_state s on s.user_id = u.id left join roles r on r.name = u.role`;

export async function findPerson(db: Queryable, id: string): Promise<PersonRow | undefined> {
  const { rows } = await db.query<PersonRow>(`${personRows} where u.id = $1`, [id]);
  return rows[0];
}

/** `email` in lower case. */
export async function findPersonByEmail(db: Queryable, email: string): Promise<PersonRow | undefined> {
  const { rows } = await db.query<PersonRow>(`${personRows} where u.email = $1`, [email]);
  return rows[0];
}

export interface PeoplePage {
  /** Only people who belong to one of these; undefined: everybody. */
  readonly teams?: readonly string[] | undefined;
  /** Somebody who is shown whatever their teams. */
  readonly self: string;
  readonly text?: string | undefined;
  /** Id of the last one already seen. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** In the order in which they came. */
export async function listPeople(db: Queryable, filter: PeoplePage): Promise<readonly PersonRow[]> {
  const { rows } = await db.query<PersonRow>(
    `${personRows}
     where ($1::text[] is null or u.id = $5 or u.id in (select user_id from members where team = any($1)))
       and ($2::text is null or position(lower($2) in lower(u.email || ' ' || u.name)) > 0)
       and ($3::text is null or u.id > $3)
     order by u.id limit $4`,
    [filter.teams ?? null, filter.text ?? null, filter.after ?? null, filter.limit, filter.self],
  );
  return rows;
}

/** All that may leave nobody to administer goes one after the other. */
export async function lockAdministrators(tx: Queryable): Promise<void> {
  await tx.query('select pg_advisory_xact_lock($1)', [7_010_404]);
}

/** How many active administrators there are beside this one. */
export async function countOtherAdministrators(tx: Queryable, id: string): Promise<number> {
  const { rows } = await tx.query<{ count: number }>(
    `select count(*)::int as count from auth."user" u left join people_state s on s.user_id = u.id
     where u.role = 'admin' and not coalesce(s.disabled, false) and u.id <> $1`,
    [id],
  );
  return rows[0]?.count ?? 0;
}

export async function updatePerson(
  tx: Queryable,
  id: string,
  { name, role }: { name?: string | undefined; role?: string | undefined },
): Promise<void> {
  await tx.query(
    `update auth."user" set name = coalesce($2, name), role = coalesce($3, role), "updatedAt" = now() where id = $1`,
    [id, name ?? null, role ?? null],
  );
}

export async function saveDisabled(tx: Queryable, id: string, disabled: boolean): Promise<void> {
  await tx.query(
    `insert into people_state (user_id, disabled, disabled_at) values ($1, $2, case when $2 then now() end)
     on conflict (user_id) do update set disabled = excluded.disabled, disabled_at = excluded.disabled_at`,
    [id, disabled],
  );
}

/** With all by which the person could come in. What names them in the record stays. */
export async function deletePerson(tx: Queryable, id: string): Promise<void> {
  await tx.query('delete from tokens where user_id = $1', [id]);
  await tx.query('delete from members where user_id = $1', [id]);
  await tx.query('delete from people_state where user_id = $1', [id]);
  for (const table of ['totp', 'backup_codes', 'mail_codes', 'mailed_links', 'identity_links'])
    await tx.query(`delete from ${table} where user_id = $1`, [id]);
  await tx.query('delete from auth.session where "userId" = $1', [id]);
  await tx.query('delete from auth.account where "userId" = $1', [id]);
  await tx.query('delete from auth."user" where id = $1', [id]);
}
