import type { Database } from '#database/pool.ts';
import type { ProjectKey } from '#environments/layout.ts';

/** What a replica wrote of a project, as far as those need it who wait for the project. */
export interface Standing {
  readonly phase: string | null;
  readonly health: string | null;
  /** Blob id of the manifests that it is about; null: not known. */
  readonly manifests: string | null;
  /** Whether the manifests that were applied are the newest that the index of Git knows. */
  readonly newest: boolean;
}

/** How each of these projects stands, in the same order. */
export async function readStandings(database: Database, keys: readonly ProjectKey[]): Promise<readonly Standing[]> {
  const { rows } = await database.query<Standing>(
    `select s.phase, s.health, s.origin->>'manifests' as manifests,
       coalesce(s.manifests_digest = p.manifests_digest, false) as newest
     from unnest($1::text[], $2::text[], $3::text[]) with ordinality as k(environment, team, project, n)
     left join project_status s using (environment, team, project)
     left join projects p using (environment, team, project)
     order by k.n`,
    [keys.map(({ environment }) => environment), keys.map(({ team }) => team), keys.map(({ project }) => project)],
    'standings-read',
  );
  return rows;
}
