import type { Queryable } from '#database/pool.ts';
import type { RoleGrants } from './roles.ts';

/** A person or a service account in a team. `grants`: of a role that people made. */
export interface MembershipRow {
  readonly team: string;
  readonly role: string | null;
  readonly source: string;
  readonly grants: RoleGrants | null;
}

/** Somebody who can have rights, with all that these are made of. */
export interface PrincipalRow {
  readonly id: string;
  /** E-mail address, or name of the service account. */
  readonly name: string;
  readonly role: string;
  /** Of a role that people made; null for a built-in one, and for one that is no more. */
  readonly grants: RoleGrants | null;
  readonly disabled: boolean;
  readonly memberships: readonly MembershipRow[];
}

/** All memberships of `owner`, a column, as a list of MembershipRow. */
export const membershipsOf = (owner: string) => `(
  select coalesce(json_agg(json_build_object(
    'team', m.team, 'role', m.role, 'source', m.source, 'grants', mr.grants) order by m.team, m.source), '[]')
  from members m left join roles mr on mr.name = m.role where m.user_id = ${owner})`;

const personSql = `
  select u.id, u.email as name, u.role, r.grants, coalesce(s.disabled, false) as disabled,
    ${membershipsOf('u.id')} as memberships
  from auth."user" u left join people_state s on s.user_id = u.id left join roles r on r.name = u.role
  where u.id = $1`;

const serviceAccountSql = `
  select a.id, a.name, a.role, r.grants, a.disabled, ${membershipsOf('a.id')} as memberships
  from service_accounts a left join roles r on r.name = a.role
  where a.id = $1`;

/** Someone by id: usr_… or sva_…. */
export async function findPrincipal(db: Queryable, id: string): Promise<PrincipalRow | undefined> {
  const { rows } = id.startsWith('sva_')
    ? await db.query<PrincipalRow>(serviceAccountSql, [id], 'principal_service_account')
    : await db.query<PrincipalRow>(personSql, [id], 'principal_person');
  return rows[0];
}
