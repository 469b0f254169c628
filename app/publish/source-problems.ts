import { notify } from '#database/listen.ts';
import type { Database, Queryable } from '#database/pool.ts';
import type { Finding } from '#environments/finding.ts';
import type { ProjectKey } from '#environments/layout.ts';

/** Something that stands in Git and is not taken up. */
export interface SourceProblem {
  readonly path: string;
  readonly kind: 'path' | 'spec' | 'environment';
  /** Whom it concerns; empty parts: all below. */
  readonly key: ProjectKey;
  /** What Git has at the path, for `path`. */
  readonly entry: string;
  readonly code: string;
  readonly detail: string;
  readonly findings: readonly Finding[];
  /** Where it was found. */
  readonly revision: string;
}

interface Row extends Omit<SourceProblem, 'key'>, ProjectKey {}

/** All that is open; there are few. */
export async function readSourceProblems(database: Database): Promise<readonly SourceProblem[]> {
  const { rows } = await database.query<Row>(
    'select path, kind, environment, team, project, entry, code, detail, findings, revision from source_problems order by path',
  );
  return rows.map(({ environment, team, project, ...row }) => ({ ...row, key: { environment, team, project } }));
}

/** Writes down problems, and tells those who watch the projects. Nothing is written for one that stands there so already. */
export async function writeSourceProblems(tx: Queryable, problems: readonly SourceProblem[]): Promise<void> {
  if (problems.length === 0) return;
  const unique = [...new Map(problems.map((one) => [one.path, one])).values()];
  const column = (of: (one: SourceProblem) => string) => unique.map(of);
  const { rows } = await tx.query<ProjectKey>(
    `insert into source_problems (path, kind, environment, team, project, entry, code, detail, findings, revision)
     select path, kind, environment, team, project, entry, code, detail, findings::jsonb, revision
     from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
       $10::text[]) as p(path, kind, environment, team, project, entry, code, detail, findings, revision)
     on conflict (path) do update
     set kind = excluded.kind, environment = excluded.environment, team = excluded.team, project = excluded.project,
       entry = excluded.entry, code = excluded.code, detail = excluded.detail, findings = excluded.findings,
       revision = excluded.revision, found_at = now()
     where (source_problems.kind, source_problems.entry, source_problems.code, source_problems.detail, source_problems.findings)
       is distinct from (excluded.kind, excluded.entry, excluded.code, excluded.detail, excluded.findings)
     returning environment, team, project`,
    [
      column(({ path }) => path),
      column(({ kind }) => kind),
      column(({ key }) => key.environment),
      column(({ key }) => key.team),
      column(({ key }) => key.project),
      column(({ entry }) => entry),
      column(({ code }) => code),
      column(({ detail }) => detail),
      column(({ findings }) => JSON.stringify(findings)),
      column(({ revision }) => revision),
    ],
  );
  await tell(tx, rows);
}

/** Takes away what is mended. */
export async function endSourceProblems(tx: Queryable, paths: readonly string[]): Promise<void> {
  if (paths.length === 0) return;
  const { rows } = await tx.query<ProjectKey>(
    'delete from source_problems where path = any($1) returning environment, team, project',
    [paths],
  );
  await tell(tx, rows);
}

async function tell(tx: Queryable, keys: readonly ProjectKey[]): Promise<void> {
  for (const { environment, team, project } of keys)
    if (project !== '') await notify(tx, 'project_events', `${environment}/${team}/${project}`);
}
