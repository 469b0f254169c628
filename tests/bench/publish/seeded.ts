import type { StateRemote } from '#base/config.ts';
import { writeCursor } from '#database/cursors.ts';
import type { ProjectKey } from '#environments/layout.ts';
import { blobIdOf } from '#git/blob-id.ts';
import { benchKeys, commitProjects, fullProject, goldenSpec, renamed } from '../stand/projects.ts';
import { type BenchStores, openStores } from '../stand/stores.ts';

/** Stores that hold so many projects already: in Git, in the index, and nothing of it left to scan. */
export interface Seeded {
  readonly stores: BenchStores;
  readonly keys: readonly ProjectKey[];
}

export const seedSpec = goldenSpec('local/smallest');

/** `count` projects, a hundred a team. Rendered once and renamed: what stands there before is not what is measured. */
export async function openSeeded(count: number, remote?: StateRemote): Promise<Seeded> {
  const stores = await openStores('error', remote);
  const keys = benchKeys('local', 'seed', count);
  const [first] = keys;
  if (first === undefined) throw new RangeError('no projects');
  const model = fullProject(stores, first, seedSpec);
  const projects = keys.map((key) => renamed(model, key));
  await commitProjects(stores, projects);
  await writeIndex(stores, keys, (await stores.repository.tip()) ?? '');
  return { stores, keys };
}

async function writeIndex({ database }: BenchStores, keys: readonly ProjectKey[], revision: string): Promise<void> {
  const columns = [keys.map(({ team }) => team), keys.map(({ project }) => project)];
  await database.query(
    `insert into projects (environment, team, project, id, created_by, revision, spec_blob)
     select 'local', team, project, 'prj_' || team || project, 'bench', $3, $4
     from unnest($1::text[], $2::text[]) as k(team, project)`,
    [...columns, revision, blobIdOf(seedSpec)],
  );
  await database.query(
    `insert into hosts (host, environment, team, project)
     select project || '--' || team || '.apps.localhost', 'local', team, project
     from unnest($1::text[], $2::text[]) as k(team, project)`,
    columns,
  );
  await writeCursor(database, 'publish', revision);
}
