import type { Queryable } from '#database/pool.ts';

export interface TeamRow {
  readonly name: string;
  readonly title: string;
  readonly members: number;
  readonly created_at: Date;
}

/** By name; of all teams when none are named. */
export async function listTeams(db: Queryable, names?: readonly string[]): Promise<readonly TeamRow[]> {
  const { rows } = await db.query<TeamRow>(
    `select t.name, t.title, t.created_at,
       (select count(distinct user_id)::int from members m where m.team = t.name) as members
     from teams t where $1::text[] is null or t.name = any($1) order by t.name`,
    [names ?? null],
  );
  return rows;
}

/** Which of these teams there are; they stay until the transaction ends. */
export async function keepTeams(tx: Queryable, names: readonly string[]): Promise<readonly string[]> {
  const { rows } = await tx.query<{ name: string }>('select name from teams where name = any($1) for key share', [
    names,
  ]);
  return rows.map(({ name }) => name);
}

/**
 * `members`: nobody else changes who belongs to it until the transaction ends; `all`: nobody does anything about it.
 * @returns whether there is one
 */
export async function lockTeam(tx: Queryable, name: string, what: 'members' | 'all'): Promise<boolean> {
  const how = what === 'all' ? 'update' : 'no key update';
  return (await tx.query(`select from teams where name = $1 for ${how}`, [name])).rowCount === 1;
}

export async function saveTeam(db: Queryable, name: string, title: string): Promise<void> {
  await db.query(
    'insert into teams (name, title) values ($1, $2) on conflict (name) do update set title = excluded.title',
    [name, title],
  );
}

/** Its projects, in Git or still standing in a cluster. */
export async function countProjects(tx: Queryable, team: string): Promise<number> {
  const { rows } = await tx.query<{ count: number }>(
    `select count(*)::int as count from (
       select environment, project from projects where team = $1
       union select environment, project from project_status where team = $1) p`,
    [team],
  );
  return rows[0]?.count ?? 0;
}

/** With its memberships. */
export async function deleteTeam(tx: Queryable, name: string): Promise<void> {
  await tx.query('delete from teams where name = $1', [name]);
}

export interface MemberRow {
  readonly id: string;
  readonly name: string;
  readonly kind: 'user' | 'service-account';
  readonly role: string | null;
  readonly source: string;
  readonly created_at: Date;
}

/** By name; somebody who is there for several reasons comes once for each. */
export async function listMembers(db: Queryable, team: string, userId?: string): Promise<readonly MemberRow[]> {
  const { rows } = await db.query<MemberRow>(
    `select m.user_id as id, coalesce(u.email, a.name) as name, m.role, m.source, m.created_at,
       case when a.id is null then 'user' else 'service-account' end as kind
     from members m left join auth."user" u on u.id = m.user_id left join service_accounts a on a.id = m.user_id
     where m.team = $1 and ($2::text is null or m.user_id = $2) and coalesce(u.email, a.name) is not null
     order by 2, m.source`,
    [team, userId ?? null],
  );
  return rows;
}

export async function saveMember(
  tx: Queryable,
  member: { team: string; userId: string; role: string | null; source: string },
): Promise<void> {
  await tx.query(
    `insert into members (team, user_id, role, source) values ($1, $2, $3, $4)
     on conflict (team, user_id, source) do update set role = excluded.role`,
    [member.team, member.userId, member.role, member.source],
  );
}

/** For whatever reason they are there. @returns whether they were */
export async function deleteMember(tx: Queryable, team: string, userId: string): Promise<boolean> {
  const { rowCount } = await tx.query('delete from members where team = $1 and user_id = $2', [team, userId]);
  return rowCount > 0;
}

/** Of all service accounts or people who are there for this reason, leaves one's memberships in these teams alone. */
export async function replaceMemberships(
  tx: Queryable,
  userId: string,
  source: string,
  teams: readonly string[],
): Promise<void> {
  await tx.query('delete from members where user_id = $1 and source = $2 and team <> all($3)', [userId, source, teams]);
  await tx.query(
    `insert into members (team, user_id, source) select unnest($3::text[]), $1, $2
     on conflict (team, user_id, source) do nothing`,
    [userId, source, teams],
  );
}
