import { Fault } from '#base/errors.ts';
import type { Queryable } from '#database/pool.ts';
import { circleThrough } from '#environments/circle.ts';
import { type ProjectKey, projectName } from '#environments/layout.ts';

/** What projects depend on as `team/project`, by `keyText`, as far as it is not what the index says. */
export type Overlay = ReadonlyMap<string, readonly string[]>;

/**
 * The circle that a project would close with what it depends on: its names, the first one again at the end. Of the
 * other projects the index of Git is asked, and first what comes with the same push or group of changes.
 */
export async function circleOf(
  database: Queryable,
  key: ProjectKey,
  on: readonly string[],
  overlay: Overlay = new Map(),
): Promise<readonly string[]> {
  if (on.length === 0) return [];
  const known = await readDependencies(database, key.environment);
  const name = projectName(key);
  return circleThrough(name, (of) =>
    of === name ? on : (overlay.get(`${key.environment}/${of}`) ?? known.get(of) ?? []),
  );
}

/** @throws Fault DEPENDENCY_CIRCLE */
export async function refuseCircle(
  database: Queryable,
  key: ProjectKey,
  on: readonly string[],
  overlay?: Overlay,
): Promise<void> {
  const circle = await circleOf(database, key, on, overlay);
  if (circle.length > 0)
    throw new Fault('DEPENDENCY_CIRCLE', { project: projectName(key), circle: circle.join(' → ') });
}

/** Only projects that depend on others are in it. */
async function readDependencies(
  database: Queryable,
  environment: string,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const { rows } = await database.query<{ name: string; depends_on: string[] }>(
    `select team || '/' || project as name, depends_on from projects where environment = $1 and depends_on <> '[]'`,
    [environment],
    'dependencies-read',
  );
  return new Map(rows.map((row) => [row.name, row.depends_on]));
}
