import type { Database, Queryable } from '#database/pool.ts';
import type { ProjectKey } from '#environments/layout.ts';
import type { Phase, Problem, Reason } from '../store.ts';
import type { Aspect, Facts, HostState, Outcome, RowState } from './commit-status.ts';

const cursor = 'commit-statuses';

/** True when every commit up to this one is noted, and none of them may still change: then there is nothing to look at. */
export async function isSettled(database: Database, tip: string): Promise<boolean> {
  const { rows } = await database.query<{ settled: boolean }>(
    `select revision = $2 and not exists (select from commit_attempt_projects
       where applied in ('open', 'failed') or healthy in ('open', 'failed')) as settled
     from cursors where name = $1`,
    [cursor, tip],
    'commit-settled',
  );
  return rows[0]?.settled === true;
}

/**
 * Up to where the commits of the branch have been noted, held for this transaction: whoever else asks meanwhile gets
 * `busy`, so that one replica at a time decides.
 */
export async function holdCursor(
  tx: Queryable,
): Promise<{ readonly revision: string; readonly ageMs: number } | 'none' | 'busy'> {
  const { rows } = await tx.query<{ revision: string; age: number }>(
    `select revision, extract(epoch from now() - updated_at)::float8 * 1000 as age
     from cursors where name = $1 for update skip locked`,
    [cursor],
    'commit-cursor-hold',
  );
  if (rows[0] !== undefined) return { revision: rows[0].revision, ageMs: rows[0].age };
  const { rowCount } = await tx.query('select from cursors where name = $1', [cursor]);
  return rowCount === 0 ? 'none' : 'busy';
}

export async function moveCursor(tx: Queryable, revision: string): Promise<void> {
  await tx.query(
    `insert into cursors (name, revision) values ($1, $2)
     on conflict (name) do update set revision = excluded.revision, updated_at = now()`,
    [cursor, revision],
    'commit-cursor-move',
  );
}

export interface Touched extends ProjectKey {
  /** The commit wrote the spec, or removed it: it takes the place of older ones. Manifests alone are an answer to one. */
  readonly spec: boolean;
}

/** Notes that a commit changed these projects of one environment; noted before, it stays as it is. */
export async function noteAttempt(
  tx: Queryable,
  attempt: {
    readonly revision: string;
    readonly environment: string;
    readonly pending: Readonly<Record<Aspect, string>>;
  },
  projects: readonly Touched[],
): Promise<void> {
  const { revision, environment, pending } = attempt;
  const teams = projects.map(({ team }) => team);
  const names = projects.map(({ project }) => project);
  const { rows } = await tx.query<{ number: string }>(
    `with attempt as (
       insert into commit_attempts (revision, environment) values ($1, $2) on conflict do nothing returning number
     ), rows as (
       insert into commit_attempt_projects (number, environment, team, project)
       select number, $2, team, project from attempt, unnest($3::text[], $4::text[]) as p(team, project)
     ), statuses as (
       insert into commit_statuses (number, aspect, state, description, due_at)
       select number, aspect, 'pending', description, now()
       from attempt, (values ('applied', $5::text), ('healthy', $6::text)) as a(aspect, description)
     ) select number from attempt`,
    [revision, environment, teams, names, pending.applied, pending.healthy],
    'commit-note',
  );
  const written = projects.filter(({ spec }) => spec);
  if (rows[0] === undefined || written.length === 0) return;
  await tx.query(
    `update commit_attempt_projects o
     set superseded_by = $1, applied = case when applied = 'failed' then 'lost' else applied end,
         healthy = case when healthy = 'failed' then 'lost' else healthy end
     from unnest($2::text[], $3::text[]) as p(team, project)
     where o.environment = $4 and o.team = p.team and o.project = p.project and o.number < $5
       and o.superseded_by is null and (o.applied in ('open', 'failed') or o.healthy in ('open', 'failed'))`,
    [revision, written.map(({ team }) => team), written.map(({ project }) => project), environment, rows[0].number],
    'commit-supersede',
  );
}

export interface OpenRow extends ProjectKey {
  readonly number: string;
  readonly superseded: boolean;
  readonly applied: RowState;
  readonly healthy: RowState;
}

/** Every project of every commit that may still change, with those beside it that cannot. */
export async function readOpenRows(tx: Queryable): Promise<readonly OpenRow[]> {
  const { rows } = await tx.query<OpenRow>(
    `select number, environment, team, project, superseded_by is not null as superseded, applied, healthy
     from commit_attempt_projects
     where number in (select number from commit_attempt_projects
                      where applied in ('open', 'failed') or healthy in ('open', 'failed'))`,
    [],
    'commit-open-rows',
  );
  return rows;
}

export async function writeRows(tx: Queryable, rows: readonly OpenRow[]): Promise<void> {
  if (rows.length === 0) return;
  const column = (of: (row: OpenRow) => string) => rows.map(of);
  await tx.query(
    `update commit_attempt_projects p set applied = r.applied, healthy = r.healthy
     from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[]) as r(number, team, project, applied, healthy)
     where p.number = r.number and p.team = r.team and p.project = r.project`,
    [
      column(({ number }) => number),
      column(({ team }) => team),
      column(({ project }) => project),
      column(({ applied }) => applied),
      column(({ healthy }) => healthy),
    ],
    'commit-rows-write',
  );
}

export interface StatusRow {
  readonly number: string;
  readonly aspect: Aspect;
  readonly outcome: Outcome;
  /** What the host was last told; undefined: nothing yet. */
  readonly told: Outcome | undefined;
  /** How often it was told something. */
  readonly sent: number;
}

interface StatusColumns {
  number: string;
  aspect: Aspect;
  state: HostState;
  description: string;
  sent_state: HostState | null;
  sent_description: string | null;
  sent: number;
}

export async function readStatuses(tx: Queryable, numbers: readonly string[]): Promise<readonly StatusRow[]> {
  const { rows } = await tx.query<StatusColumns>(
    `select number, aspect, state, description, sent_state, sent_description, sent
     from commit_statuses where number = any($1::bigint[])`,
    [numbers],
    'commit-statuses-read',
  );
  return rows.map(toStatusRow);
}

const toStatusRow = (row: StatusColumns): StatusRow => ({
  number: row.number,
  aspect: row.aspect,
  outcome: { state: row.state, description: row.description },
  told: row.sent_state === null ? undefined : { state: row.sent_state, description: row.sent_description ?? '' },
  sent: row.sent,
});

/**
 * Writes what the host should be told. What is due already, or is being sent at this moment, stays due as it is: who
 * sends it sees afterwards that something else is to be told by now.
 */
export async function writeStatuses(
  tx: Queryable,
  statuses: readonly { readonly number: string; readonly aspect: Aspect; readonly outcome: Outcome }[],
): Promise<void> {
  if (statuses.length === 0) return;
  await tx.query(
    `update commit_statuses s
     set state = r.state, description = r.description, due_at = coalesce(s.due_at, now()),
         tries = case when s.due_at is null then 0 else s.tries end
     from unnest($1::bigint[], $2::text[], $3::text[], $4::text[]) as r(number, aspect, state, description)
     where s.number = r.number and s.aspect = r.aspect`,
    [
      statuses.map(({ number }) => number),
      statuses.map(({ aspect }) => aspect),
      statuses.map(({ outcome }) => outcome.state),
      statuses.map(({ outcome }) => outcome.description),
    ],
    'commit-statuses-write',
  );
}

/** A project as Git has it at the tip. */
export interface Wanted extends ProjectKey {
  readonly specBlob: string | undefined;
  readonly manifestsBlob: string | undefined;
  readonly specDigest: string | undefined;
  readonly manifestsDigest: string | undefined;
}

interface FactsRow {
  rendered: boolean;
  refusal: string | null;
  refused_render: string | null;
  kept_out: string | null;
  phase: Phase | null;
  health: string;
  manifests_digest: string | null;
  reasons: Reason[];
  problem: Problem | null;
}

/** Facts, and what holds only of a revision that publish has looked at. */
export interface StoredFacts extends Facts {
  /** Why the newest change that should have rendered it was refused. */
  readonly refusedRender: string | undefined;
  /** What stands in or above its folder that is not taken up. */
  readonly keptOut: string | undefined;
}

/** What the database knows of each of these projects, in the same order. */
export async function readFacts(tx: Queryable, wanted: readonly Wanted[]): Promise<readonly StoredFacts[]> {
  const column = (of: (one: Wanted) => string | undefined) => wanted.map((one) => of(one) ?? null);
  const { rows } = await tx.query<FactsRow>(
    `select s.phase, coalesce(s.health, '') as health, s.manifests_digest, coalesce(s.reasons, '[]') as reasons, s.problem,
       exists (select from renders r where r.environment = k.environment and r.team = k.team and r.project = k.project
               and r.spec_digest = k.spec_digest and r.manifests_digest = k.manifests) as rendered,
       (select f.detail from spec_refusals f where f.environment = k.environment and f.team = k.team
        and f.project = k.project and f.spec_blob = k.spec_blob) as refusal,
       case when c.kind = 'render' and c.state = 'refused' then c.problem ->> 'detail' end as refused_render,
       (select p.path || ': ' || p.detail from source_problems p where p.environment in ('', k.environment)
        and p.team in ('', k.team) and p.project in ('', k.project) and p.kind <> 'spec' order by p.path limit 1) as kept_out
     from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) with ordinality
       as k(environment, team, project, spec_blob, spec_digest, manifests, n)
     left join project_status s on s.environment = k.environment and s.team = k.team and s.project = k.project
     left join lateral (
       select kind, state, problem from changes c
       where c.environment = k.environment and c.team = k.team and c.project = k.project order by number desc limit 1
     ) c on true
     order by k.n`,
    [
      column(({ environment }) => environment),
      column(({ team }) => team),
      column(({ project }) => project),
      column(({ specBlob }) => specBlob),
      column(({ specDigest }) => specDigest),
      column(({ manifestsDigest }) => manifestsDigest),
    ],
    'commit-facts',
  );
  return rows.map((row, i) => toFacts(row, wanted[i]));
}

const toFacts = (row: FactsRow, wanted: Wanted | undefined) => ({
  specBlob: wanted?.specBlob,
  manifestsBlob: wanted?.manifestsBlob,
  manifestsDigest: wanted?.manifestsDigest,
  rendered: row.rendered,
  refusal: row.refusal ?? undefined,
  refusedRender: row.refused_render ?? undefined,
  keptOut: row.kept_out ?? undefined,
  status:
    row.phase === null
      ? undefined
      : {
          phase: row.phase,
          health: row.health,
          manifestsDigest: row.manifests_digest ?? undefined,
          reasons: row.reasons,
          problem: row.problem ?? undefined,
        },
});

/** A status that is due, taken for as long as the lease. */
export interface DueStatus extends StatusRow {
  readonly revision: string;
  readonly environment: string;
  /** This try included. */
  readonly tries: number;
}

/** Takes what is due: ends before beginnings, the newest commits first. Nobody else takes it before the lease has ended. */
export async function claimStatuses(database: Database, most: number, leaseMs: number): Promise<readonly DueStatus[]> {
  const { rows } = await database.query<StatusColumns & { revision: string; environment: string; tries: number }>(
    `update commit_statuses s set tries = s.tries + 1, due_at = now() + $2 * interval '1 ms'
     from (select number, aspect from commit_statuses where due_at <= now()
           order by state = 'pending', number desc limit $1 for update skip locked) d, commit_attempts a
     where s.number = d.number and s.aspect = d.aspect and a.number = s.number
     returning s.number, s.aspect, s.state, s.description, s.sent_state, s.sent_description, s.sent, s.tries,
       a.revision, a.environment`,
    [most, leaseMs],
    'commit-claim',
  );
  return rows.map((row) => ({
    ...toStatusRow(row),
    revision: row.revision,
    environment: row.environment,
    tries: row.tries,
  }));
}

/** The host was told. Due again at once where something else is to be told by now. */
export async function recordTold(
  database: Database,
  { number, aspect }: Pick<StatusRow, 'number' | 'aspect'>,
  told: Outcome,
): Promise<void> {
  await database.query(
    `update commit_statuses
     set sent_state = $3, sent_description = $4, sent = sent + 1, tries = 0, sent_at = now(),
         due_at = case when state = $3 and (description = $4 or state <> 'failure') then null else now() end
     where number = $1 and aspect = $2`,
    [number, aspect, told.state, told.description],
    'commit-told',
  );
}

/** Not told: tried again then; undefined: never, unless something else is to be told. */
export async function postpone(
  database: Database,
  { number, aspect }: Pick<StatusRow, 'number' | 'aspect'>,
  ms: number | undefined,
): Promise<void> {
  await database.query(
    `update commit_statuses set due_at = now() + $3::float8 * interval '1 ms' where number = $1 and aspect = $2`,
    [number, aspect, ms ?? null],
    'commit-postpone',
  );
}

/** How many were told within the last minute, by whichever replica, and when the next one is due, in milliseconds. */
export async function readPace(
  database: Database,
): Promise<{ readonly lastMinute: number; readonly nextMs: number | undefined }> {
  const { rows } = await database.query<{ sent: number; ms: number | null }>(
    `select (select count(*)::int from commit_statuses where sent_at > now() - interval '1 minute') as sent,
       (select extract(epoch from min(due_at) - now())::float8 * 1000 from commit_statuses where due_at is not null) as ms`,
    [],
    'commit-pace',
  );
  return { lastMinute: rows[0]?.sent ?? 0, nextMs: rows[0]?.ms ?? undefined };
}

/** Forgets commits of old; one that is still open by then will not be looked for by anybody. */
export async function forgetOld(database: Database, days: number): Promise<void> {
  await database.query(`delete from commit_attempts where noted_at < now() - $1 * interval '1 day'`, [days]);
}
