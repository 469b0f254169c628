import { writeCursor } from '#database/cursors.ts';
import { notify } from '#database/listen.ts';
import type { Database, Queryable } from '#database/pool.ts';
import { keyText, type ProjectKey } from '#environments/layout.ts';

export type ChangeKind = 'put' | 'delete' | 'rollback' | 'render' | 'settings';
export type ChangeState = 'accepted' | 'committed' | 'unchanged' | 'refused';

/** Why a change was refused, as a problem that the caller reads. */
export interface ChangeProblem {
  readonly code: string;
  readonly detail: string;
  readonly findings?: readonly unknown[];
}

/** One wish to edit the state repository. */
export interface Change extends ProjectKey {
  readonly id: string;
  readonly kind: ChangeKind;
  readonly actor: string;
  /** project.yaml (put, rollback) or environment.yaml (settings) as it shall be. */
  readonly content: string | undefined;
  /** Blob id of the spec that the caller had read; '' when none may exist; undefined when not asked. */
  readonly expected: string | undefined;
  readonly message: string;
  readonly state: ChangeState;
  readonly revision: string | undefined;
  readonly problem: ChangeProblem | undefined;
  readonly attempts: number;
  readonly createdAt: Date;
  readonly finishedAt: Date | undefined;
}

interface ChangeRow {
  id: string;
  kind: ChangeKind;
  environment: string;
  team: string;
  project: string;
  actor: string;
  content: string | null;
  expected: string | null;
  message: string;
  state: ChangeState;
  revision: string | null;
  problem: ChangeProblem | null;
  attempts: number;
  number: number;
  created_at: Date;
  finished_at: Date | null;
}

const fields =
  'id, kind, environment, team, project, actor, content, expected, message, state, revision, problem, attempts, number, created_at, finished_at';

const toChange = (row: ChangeRow): Change => ({
  id: row.id,
  kind: row.kind,
  environment: row.environment,
  team: row.team,
  project: row.project,
  actor: row.actor,
  content: row.content ?? undefined,
  expected: row.expected ?? undefined,
  message: row.message,
  state: row.state,
  revision: row.revision ?? undefined,
  problem: row.problem ?? undefined,
  attempts: row.attempts,
  createdAt: row.created_at,
  finishedAt: row.finished_at ?? undefined,
});

export type NewChange = Pick<Change, 'id' | 'kind' | keyof ProjectKey | 'actor' | 'message'> &
  Partial<Pick<Change, 'content' | 'expected'>>;

/** Accepts a change: from here on it survives everything until it is committed or refused. Wakes the publisher. */
export async function acceptChange(tx: Queryable, change: NewChange): Promise<Change> {
  const { rows } = await tx.query<ChangeRow>(
    `insert into changes (id, kind, environment, team, project, actor, content, expected, message)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning ${fields}`,
    [
      change.id,
      change.kind,
      change.environment,
      change.team,
      change.project,
      change.actor,
      change.content ?? null,
      change.expected ?? null,
      change.message,
    ],
    'change-accept',
  );
  await notify(tx, 'changes', change.id);
  return toChange(rows[0] as ChangeRow);
}

/** Records a change that is in Git already, and says that the branch moved. */
export async function recordCommitted(tx: Queryable, change: NewChange, revision: string): Promise<void> {
  const { id, kind, environment, team, project, actor, message } = change;
  await tx.query(
    `insert into changes (id, kind, environment, team, project, actor, message, state, revision, finished_at)
     values ($1, $2, $3, $4, $5, $6, $7, 'committed', $8, now())`,
    [id, kind, environment, team, project, actor, message, revision],
  );
  await notify(tx, 'revisions', revision);
}

/**
 * Takes due changes, what people wished before what is only rendered anew, then the oldest first, and counts the attempt before anything is done: a change that is met again with
 * attempts above 1 may already be in Git, and is looked for there before it is written a second time.
 */
export async function claimChanges(database: Database, most: number): Promise<readonly Change[]> {
  const { rows } = await database.query<ChangeRow>(
    `update changes set attempts = attempts + 1
     where id in (select id from changes where state = 'accepted' and due_at <= now() order by kind = 'render', number limit $1 for update skip locked)
     returning ${fields}`,
    [most],
    'changes-claim',
  );
  return [...rows].sort((a, b) => a.number - b.number).map(toChange);
}

/** Puts claimed changes off, all alike, when the repository cannot be used at the moment. */
export async function postponeChanges(database: Database, ids: readonly string[], delayMs: number): Promise<void> {
  await database.query(
    `update changes set due_at = now() + $2 * interval '1 millisecond' where id = any($1) and state = 'accepted'`,
    [ids, delayMs],
  );
}

export interface Render extends ProjectKey {
  readonly specDigest: string;
  readonly manifestsDigest: string;
  readonly environmentDigest: string;
  readonly renderer: string;
}

/** Records what publish made, before it is committed: a row whose commit never came proves nothing and harms nothing. */
export async function recordRenders(database: Database, renders: readonly Render[]): Promise<void> {
  if (renders.length === 0) return;
  const column = (of: (render: Render) => string) => renders.map(of);
  await database.query(
    `insert into renders (environment, team, project, spec_digest, manifests_digest, environment_digest, renderer)
     select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
     on conflict do nothing`,
    [
      column((r) => r.environment),
      column((r) => r.team),
      column((r) => r.project),
      column((r) => r.specDigest),
      column((r) => r.manifestsDigest),
      column((r) => r.environmentDigest),
      column((r) => r.renderer),
    ],
    'renders-record',
  );
}

/** How a change ended. */
export interface Ending {
  readonly change: Change;
  readonly state: Exclude<ChangeState, 'accepted'>;
  readonly revision: string | undefined;
  readonly problem: ChangeProblem | undefined;
}

/** Writes down how changes ended, what is in Git now and how far it was read, in one transaction; tells who waits. */
export async function finishChanges(
  database: Database,
  endings: readonly Ending[],
  { tip, cursor, index }: { readonly index: readonly Indexed[] } & Record<'tip' | 'cursor', string | undefined>,
): Promise<void> {
  await database.transaction(async (tx) => {
    await writeIndex(tx, index);
    if (endings.length > 0)
      await tx.query(
        `with ended as (
           update changes c set state = e.state, revision = e.revision, problem = e.problem::jsonb, content = null, finished_at = now()
           from unnest($1::text[], $2::text[], $3::text[], $4::text[]) as e(id, state, revision, problem)
           where c.id = e.id and c.state = 'accepted'
         ) select pg_notify('change_ended', id) from unnest($1::text[]) as id`,
        [
          endings.map((e) => e.change.id),
          endings.map((e) => e.state),
          endings.map((e) => e.revision ?? null),
          endings.map((e) => (e.problem === undefined ? null : JSON.stringify(e.problem))),
        ],
        'changes-finish',
      );
    if (cursor !== undefined) await writeCursor(tx, 'publish', cursor);
    for (const { change, state, revision } of endings) {
      if (change.kind === 'delete' && state === 'committed') await confirmRemoval(tx, change, revision);
      if (state === 'refused') await forgetUnborn(tx, change);
    }
    if (tip !== undefined) await notify(tx, 'revisions', tip);
  });
}

/** A deletion by the API was confirmed when it was asked for; reconcile finds the yes beside the removed folder. */
async function confirmRemoval(
  tx: Queryable,
  { environment, team, project, actor }: Change,
  revision: string | undefined,
): Promise<void> {
  await tx.query(
    `insert into confirmations (environment, team, project, digest, objects, revision, confirmed_by, confirmed_at)
     values ($1, $2, $3, 'whole-project', '[]', $4, $5, now())
     on conflict (environment, team, project) do update
     set digest = excluded.digest, objects = '[]', revision = excluded.revision, confirmed_by = excluded.confirmed_by, confirmed_at = now()`,
    [environment, team, project, revision, actor],
  );
  await notify(tx, 'project_wake', `${environment}/${team}/${project}`);
}

/** A project whose first change was refused never came to be. */
async function forgetUnborn(tx: Queryable, { environment, team, project }: Change): Promise<void> {
  await tx.query(
    `delete from projects p where environment = $1 and team = $2 and project = $3 and revision is null
     and not exists (select 1 from changes c where c.environment = $1 and c.team = $2 and c.project = $3 and c.state = 'accepted')`,
    [environment, team, project],
  );
}

/** Who serves which of these hosts now. */
export async function readHosts(
  database: Database,
  hosts: readonly string[],
): Promise<ReadonlyMap<string, ProjectKey>> {
  const { rows } = await database.query<ProjectKey & { host: string }>(
    'select host, environment, team, project from hosts where host = any($1)',
    [hosts],
    'hosts-read',
  );
  return new Map(rows.map(({ host, environment, team, project }) => [host, { environment, team, project }]));
}

/** How many projects of an environment still have objects in its cluster. */
export async function countStanding(database: Database, environment: string): Promise<number> {
  const { rows } = await database.query<{ count: number }>(
    'select count(distinct (team, project))::int as count from inventory where environment = $1',
    [environment],
  );
  return rows[0]?.count ?? 0;
}

/** What lists show of a project without reading Git. */
export interface IndexEntry {
  readonly hosts: readonly string[];
  readonly images: readonly { readonly container: string; readonly image: string }[];
  readonly specBlob: string;
  readonly manifestsDigest: string;
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
}

async function writeProjects(tx: Queryable, projects: readonly (Indexed & { readonly entry: IndexEntry })[]) {
  const column = (of: (one: (typeof projects)[number]) => string) => projects.map(of);
  await tx.query(
    `insert into projects (environment, team, project, id, created_by, revision, spec_blob, manifests_digest, images)
     select environment, team, project, id, created_by, revision, spec_blob, manifests_digest, images::jsonb
     from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
       as p(environment, team, project, id, created_by, revision, spec_blob, manifests_digest, images)
     on conflict (environment, team, project) do update
     set revision = excluded.revision, spec_blob = excluded.spec_blob, manifests_digest = excluded.manifests_digest,
         images = excluded.images`,
    [
      ...keyColumns(projects),
      column(({ id }) => id),
      column(({ actor }) => actor),
      column(({ entry }) => entry.revision),
      column(({ entry }) => entry.specBlob),
      column(({ entry }) => entry.manifestsDigest),
      column(({ entry }) => JSON.stringify(entry.images)),
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

export async function readChange(database: Database, id: string): Promise<Change | undefined> {
  const { rows } = await database.query<ChangeRow>(`select ${fields} from changes where id = $1`, [id], 'change-read');
  return rows[0] === undefined ? undefined : toChange(rows[0]);
}

/** The changes of a project, or of all, newest first; `before` is the id of the last one already seen. */
export async function readChanges(
  database: Database,
  filter: { readonly [Part in keyof ProjectKey]?: string | undefined } & {
    readonly state?: ChangeState | undefined;
    /** Only of these teams, and only in these environments. */
    readonly teams?: 'all' | readonly string[];
    readonly environments?: 'all' | readonly string[];
    readonly before?: string | undefined;
    readonly limit: number;
  },
): Promise<readonly Change[]> {
  const { rows } = await database.query<ChangeRow>(
    `select ${fields} from changes
     where ($1::text is null or environment = $1) and ($2::text is null or team = $2) and ($3::text is null or project = $3)
       and ($4::text is null or number < (select number from changes where id = $4)) and ($6::text is null or state = $6)
       and ($7::text[] is null or team = any($7)) and ($8::text[] is null or environment = any($8))
     order by number desc limit $5`,
    [
      filter.environment ?? null,
      filter.team ?? null,
      filter.project ?? null,
      filter.before ?? null,
      filter.limit,
      filter.state ?? null,
      filter.teams === 'all' ? null : (filter.teams ?? null),
      filter.environments === 'all' ? null : (filter.environments ?? null),
    ],
  );
  return rows.map(toChange);
}
