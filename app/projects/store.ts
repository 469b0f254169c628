import { notify } from '#database/listen.ts';
import type { Database, Queryable } from '#database/pool.ts';
import type { Finding } from '#environments/finding.ts';
import type { ProjectKey } from '#environments/layout.ts';

/** A row of a list: what lists show of a project, from the index of Git and from reconcile's status. */
export interface ProjectRow {
  readonly environment: string;
  readonly team: string;
  readonly project: string;
  readonly revision: string | null;
  readonly spec_blob: string | null;
  readonly images: readonly { readonly container: string; readonly image: string }[];
  readonly created_at: Date;
  readonly hosts: readonly string[];
  readonly phase: string | null;
  readonly health: string | null;
  readonly reasons: readonly { readonly object: string; readonly state: string; readonly reason: string }[] | null;
  readonly problem: { readonly code: string; readonly detail: string; readonly findings?: readonly Finding[] } | null;
  readonly applied_revision: string | null;
  readonly applied_at: Date | null;
  readonly attempts: number | null;
  readonly retry_at: Date | null;
  readonly updated_at: Date;
  readonly hold: 'scale-zero' | 'absent' | 'detect' | null;
  readonly hold_reason: string | null;
  readonly hold_actor: string | null;
  readonly hold_until: Date | null;
}

const projectRows = `
  select coalesce(p.environment, s.environment) as environment, coalesce(p.team, s.team) as team,
    coalesce(p.project, s.project) as project, p.revision, p.spec_blob, coalesce(p.images, '[]') as images,
    coalesce(p.created_at, s.updated_at) as created_at,
    array(select host from hosts h where h.environment = p.environment and h.team = p.team and h.project = p.project order by host) as hosts,
    s.phase, s.health, s.reasons,
    coalesce(
      (select jsonb_build_object('code', f.code, 'detail', f.detail, 'findings', f.findings) from source_problems f
       where f.environment = $1 and f.team in (coalesce(p.team, s.team), '') and f.project in (coalesce(p.project, s.project), '')
         and (f.team <> '' or f.project = '')
       order by f.project = '', f.team = '', f.path limit 1),
      s.problem) as problem, s.applied_at, s.attempts, s.retry_at,
    case when s.manifests_digest = p.manifests_digest then p.revision else s.revision end as applied_revision,
    coalesce(s.updated_at, p.created_at) as updated_at,
    o.hold, o.reason as hold_reason, o.actor as hold_actor, o.until as hold_until
  from (select * from projects where environment = $1) p
  full join (select * from project_status where environment = $1) s using (environment, team, project)
  left join holds o on o.environment = $1 and o.team = coalesce(p.team, s.team) and o.project = coalesce(p.project, s.project)
    and o.hold <> 'none' and (o.until is null or o.until > now())`;

export async function readProject(
  database: Database,
  { environment, team, project }: ProjectKey,
): Promise<ProjectRow | undefined> {
  const { rows } = await database.query<ProjectRow>(
    `${projectRows} where coalesce(p.team, s.team) = $2 and coalesce(p.project, s.project) = $3`,
    [environment, team, project],
    'project-read',
  );
  return rows[0];
}

export interface ProjectsFilter {
  readonly environment: string;
  readonly teams: 'all' | readonly string[];
  readonly team?: string | undefined;
  readonly health?: string | undefined;
  readonly text?: string | undefined;
  /** team/project of the last one already seen. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** A page of projects, by team and name. */
export async function listProjects(database: Database, filter: ProjectsFilter): Promise<readonly ProjectRow[]> {
  const { rows } = await database.query<ProjectRow>(
    `select * from (${projectRows}) l
     where ($2::text is null or team = $2) and ($3::text[] is null or team = any($3))
       and ($4::text is null or coalesce(health, 'unknown') = $4)
       and ($5::text is null or position($5 in team || '/' || project) > 0)
       and ($6::text is null or (team, project) > (split_part($6, '/', 1), split_part($6, '/', 2)))
     order by team, project limit $7`,
    [
      filter.environment,
      filter.team ?? null,
      filter.teams === 'all' ? null : filter.teams,
      filter.health ?? null,
      filter.text ?? null,
      filter.after ?? null,
      filter.limit,
    ],
  );
  return rows;
}

/** Notes a project that a change will bring, so that it is listed from the moment it was accepted. */
export async function expectProject(tx: Queryable, key: ProjectKey, id: string, actor: string): Promise<void> {
  await tx.query(
    `insert into projects (id, environment, team, project, created_by) values ($1, $2, $3, $4, $5) on conflict do nothing`,
    [id, key.environment, key.team, key.project, actor],
    'project-expect',
  );
}

/** How many projects a team has in an environment, not counting `key` itself. */
export async function countOthers(database: Database, key: ProjectKey): Promise<number> {
  const { rows } = await database.query<{ count: number }>(
    'select count(*)::int as count from projects where environment = $1 and team = $2 and project <> $3',
    [key.environment, key.team, key.project],
    'projects-count',
  );
  return rows[0]?.count ?? 0;
}

/** Health → how many projects that these teams have in the environment. */
export async function countByHealth(
  database: Database,
  environment: string,
  teams: 'all' | readonly string[],
): Promise<Readonly<Record<string, number>>> {
  const { rows } = await database.query<{ health: string; count: number }>(
    `select coalesce(health, 'unknown') as health, count(*)::int as count from (${projectRows}) l
     where $2::text[] is null or team = any($2) group by 1`,
    [environment, teams === 'all' ? null : teams],
  );
  return Object.fromEntries(rows.map(({ health, count }) => [health, count]));
}

export interface HistoryRow {
  readonly id: number;
  readonly revision: string | null;
  readonly phase: string;
  readonly health: string;
  readonly message: string;
  readonly at: Date;
}

/** What reconcile did and saw: newest first, before the entry with id `before`; or oldest first, after `since`. */
export async function listHistory(
  database: Database,
  { environment, team, project }: ProjectKey,
  page: { readonly before?: number | undefined; readonly since?: number | undefined; readonly limit: number },
): Promise<readonly HistoryRow[]> {
  const { rows } = await database.query<HistoryRow>(
    `select id, revision, phase, health, message, at from history
     where environment = $1 and team = $2 and project = $3 and ($4::bigint is null or id < $4)
       and ($6::bigint is null or id > $6)
     order by case when $6::bigint is null then -id else id end limit $5`,
    [environment, team, project, page.before ?? null, page.limit, page.since ?? null],
  );
  return rows;
}

export interface WaitingRow {
  readonly digest: string;
  readonly objects: readonly string[];
  readonly created_at: Date;
}

/** The deletions that wait for a person. */
export async function readWaiting(
  database: Database,
  { environment, team, project }: ProjectKey,
): Promise<WaitingRow | undefined> {
  const { rows } = await database.query<WaitingRow>(
    `select digest, objects, created_at from confirmations
     where environment = $1 and team = $2 and project = $3 and confirmed_at is null`,
    [environment, team, project],
  );
  return rows[0];
}

/** Says yes to exactly the list with this digest. False when another list, or none, waits. */
export async function confirmWaiting(
  database: Database,
  key: ProjectKey,
  digest: string,
  actor: string,
): Promise<boolean> {
  const { rowCount } = await database.query(
    `update confirmations set confirmed_by = $5, confirmed_at = now()
     where environment = $1 and team = $2 and project = $3 and digest = $4 and confirmed_at is null`,
    [key.environment, key.team, key.project, digest, actor],
  );
  return rowCount === 1;
}

/** Holds a project, or ends its hold. */
export async function writeHold(
  database: Database,
  key: ProjectKey,
  hold: {
    readonly hold: 'none' | 'detect';
    readonly reason: string;
    readonly actor: string;
    readonly until: Date | undefined;
  },
): Promise<void> {
  await database.query(
    `insert into holds (environment, team, project, hold, reason, actor, until) values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (environment, team, project) do update
     set hold = excluded.hold, reason = excluded.reason, actor = excluded.actor, until = excluded.until, version = holds.version + 1`,
    [key.environment, key.team, key.project, hold.hold, hold.reason, hold.actor, hold.until ?? null],
  );
}

/** Asks reconcile for a run of this project, reading everything that people may have changed. */
export async function wakeProject(database: Queryable, { environment, team, project }: ProjectKey): Promise<void> {
  await notify(database, 'project_wake', `${environment}/${team}/${project}`);
}
