import type { Queryable } from '#database/pool.ts';
import type { ProjectKey } from '#environments/layout.ts';

/** Why a spec that is in Git cannot be rendered. */
export interface Refusal {
  /** The blob that was looked at: of any other it says nothing. */
  readonly specBlob: string;
  readonly code: string;
  readonly detail: string;
}

/** Writes down why a project stays as it is, for those who tell its author. The newest one counts. */
export async function recordRefusal(database: Queryable, key: ProjectKey, refusal: Refusal): Promise<void> {
  await database.query(
    `with refused as (
       insert into spec_refusals (environment, team, project, spec_blob, code, detail)
       values ($1, $2, $3, $4, $5, $6)
       on conflict (environment, team, project) do update
       set spec_blob = excluded.spec_blob, code = excluded.code, detail = excluded.detail, at = now()
       where (spec_refusals.spec_blob, spec_refusals.detail) is distinct from (excluded.spec_blob, excluded.detail)
       returning environment, team, project
     ) select pg_notify('project_events', environment || '/' || team || '/' || project) from refused`,
    [key.environment, key.team, key.project, refusal.specBlob, refusal.code, refusal.detail],
  );
}
