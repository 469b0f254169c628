import type { Queryable } from '#database/pool.ts';
import { keyText, manifestsFile, type ProjectKey, specFile } from '#environments/layout.ts';
import { freePromotion } from './rollback.ts';
import { endSourceProblems } from './source-problems.ts';

/** What lists show of a project without reading Git. */
export interface IndexEntry {
  readonly hosts: readonly string[];
  readonly images: readonly { readonly container: string; readonly image: string }[];
  readonly specBlob: string;
  readonly manifestsDigest: string;
  /** `team/project` of the same environment. */
  readonly dependsOnProjects: readonly string[];
  /** The commit of the spec. */
  readonly revision: string;
}

/** What Git says of a project now: undefined, that there is none. */
export interface Indexed {
  readonly key: ProjectKey;
  /** The project's id if it has none yet, and who made it. */
  readonly id: string;
  readonly actor: string;
  readonly entry: IndexEntry | undefined;
}

/** Makes the index say of each project what Git says now: exactly these hosts, or nothing at all. Of two of one project the later counts. */
export async function writeIndex(tx: Queryable, projects: readonly Indexed[]): Promise<void> {
  if (projects.length === 0) return;
  const all = [...new Map(projects.map((one) => [keyText(one.key), one])).values()];
  const gone = all.filter(({ entry }) => entry === undefined);
  const standing = all.flatMap((one) => (one.entry === undefined ? [] : [{ ...one, entry: one.entry }]));
  const served = standing.flatMap(({ key, entry }) => entry.hosts.map((host) => ({ key, host })));
  const hosts = served.map(({ host }) => host);
  await tx.query(
    `delete from hosts h using unnest($1::text[], $2::text[], $3::text[]) as k(environment, team, project)
     where (h.environment, h.team, h.project) = (k.environment, k.team, k.project)
       and (h.host, h.environment, h.team, h.project) not in (select * from unnest($4::text[], $5::text[], $6::text[], $7::text[]))`,
    [...keyColumns(all), hosts, ...keyColumns(served)],
    'hosts-gone',
  );
  if (gone.length > 0)
    await tx.query(
      `delete from projects p using unnest($1::text[], $2::text[], $3::text[]) as k(environment, team, project)
       where (p.environment, p.team, p.project) = (k.environment, k.team, k.project)`,
      keyColumns(gone),
      'projects-gone',
    );
  if (served.length > 0)
    await tx.query(
      `insert into hosts (environment, team, project, host) select * from unnest($1::text[], $2::text[], $3::text[], $4::text[])
       on conflict (host) do update
       set environment = excluded.environment, team = excluded.team, project = excluded.project`,
      [...keyColumns(served), hosts],
      'hosts-write',
    );
  if (standing.length > 0) await writeProjects(tx, standing);
  // What stands at these paths now was taken up, or is gone.
  await endSourceProblems(
    tx,
    all.flatMap(({ key }) => [specFile(key), manifestsFile(key)]),
  );
  await freePromotion(
    tx,
    all.map(({ key, entry }) => ({ key, blob: entry?.specBlob })),
  );
}

async function writeProjects(tx: Queryable, projects: readonly (Indexed & { readonly entry: IndexEntry })[]) {
  const column = (of: (one: (typeof projects)[number]) => string) => projects.map(of);
  await tx.query(
    `insert into projects (environment, team, project, id, created_by, revision, spec_blob, manifests_digest, images, depends_on)
     select environment, team, project, id, created_by, revision, spec_blob, manifests_digest, images::jsonb, depends_on::jsonb
     from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
       $10::text[]) as p(environment, team, project, id, created_by, revision, spec_blob, manifests_digest, images, depends_on)
     on conflict (environment, team, project) do update
     set revision = excluded.revision, spec_blob = excluded.spec_blob, manifests_digest = excluded.manifests_digest,
         images = excluded.images, depends_on = excluded.depends_on`,
    [
      ...keyColumns(projects),
      column(({ id }) => id),
      column(({ actor }) => actor),
      column(({ entry }) => entry.revision),
      column(({ entry }) => entry.specBlob),
      column(({ entry }) => entry.manifestsDigest),
      column(({ entry }) => JSON.stringify(entry.images)),
      column(({ entry }) => JSON.stringify(entry.dependsOnProjects)),
    ],
    'projects-write',
  );
}

/** Keys as columns, as unnest wants them. */
const keyColumns = (all: readonly { readonly key: ProjectKey }[]) => [
  all.map(({ key }) => key.environment),
  all.map(({ key }) => key.team),
  all.map(({ key }) => key.project),
];

/** Lists a project that stands in Git and was never taken up, so that people see why. */
export async function noteProject(tx: Queryable, key: ProjectKey, id: string, actor: string): Promise<void> {
  await tx.query(
    `insert into projects (id, environment, team, project, created_by) values ($1, $2, $3, $4, $5) on conflict do nothing`,
    [id, key.environment, key.team, key.project, actor],
    'project-note',
  );
}
