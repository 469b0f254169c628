import type { Database } from '#database/pool.ts';
import type { ProjectKey } from '#environments/layout.ts';

/** A project keeps about so many. */
export const mostReports = 100;

/** Something about a project that people should know of and that no status shows for long; newest rows are kept. */
export interface Report {
  readonly kind: 'adoption' | 'fight' | 'drift' | 'kept' | 'replaced';
  /** `apps/v1 Deployment namespace/name`. */
  readonly object: string;
  /** A sentence. */
  readonly message: string;
  /** Fields by the manager that had written them, where that is known. */
  readonly managers: readonly { readonly manager: string; readonly fields: readonly string[] }[];
}

export interface StoredReport extends Report {
  readonly number: number;
  readonly at: Date;
}

/** The newest reports of a project, newest first. */
export async function readReports(
  database: Database,
  { environment, team, project }: ProjectKey,
  limit: number,
): Promise<readonly StoredReport[]> {
  const { rows } = await database.query<StoredReport>(
    `select number, kind, object, message, managers, at from reports
     where environment = $1 and team = $2 and project = $3 order by number desc limit $4`,
    [environment, team, project, limit],
    'reports-read',
  );
  return rows;
}
