import { writeCursor } from '#database/cursors.ts';
import type { LeaseProof } from '#database/leases.ts';
import { notify } from '#database/listen.ts';
import type { Database, Queryable } from '#database/pool.ts';
import { keyText, type ProjectKey } from '#environments/layout.ts';
import { blobIdOf } from '#git/blob-id.ts';
import { type Indexed, writeIndex } from './git-index.ts';
import { holdPromotion } from './rollback.ts';

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
  /** rollback: the newest commit of the spec when it was asked for. */
  readonly leaves: string | undefined;
  /** The spec's blob ('' none) that it was first prepared on top of, where writing it had to wait. */
  readonly basedOn: string | undefined;
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
  leaves: string | null;
  based_on: string | null;
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
  'id, kind, environment, team, project, actor, content, expected, leaves, based_on, message, state, revision, problem, attempts, number, created_at, finished_at';

const toChange = (row: ChangeRow): Change => ({
  id: row.id,
  kind: row.kind,
  environment: row.environment,
  team: row.team,
  project: row.project,
  actor: row.actor,
  content: row.content ?? undefined,
  expected: row.expected ?? undefined,
  leaves: row.leaves ?? undefined,
  basedOn: row.based_on ?? undefined,
  message: row.message,
  state: row.state,
  revision: row.revision ?? undefined,
  problem: row.problem ?? undefined,
  attempts: row.attempts,
  createdAt: row.created_at,
  finishedAt: row.finished_at ?? undefined,
});

export type NewChange = Pick<Change, 'id' | 'kind' | keyof ProjectKey | 'actor' | 'message'> &
  Partial<Pick<Change, 'content' | 'expected' | 'leaves'>>;

/** Accepts a change: from here on it survives everything until it is committed or refused. Wakes the publisher. */
export async function acceptChange(tx: Queryable, change: NewChange): Promise<Change> {
  const { rows } = await tx.query<ChangeRow>(
    `insert into changes (id, kind, environment, team, project, actor, content, expected, message, leaves)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) returning ${fields}`,
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
      change.leaves ?? null,
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
 * Takes due changes, what people wait for before what is written in bulk, then the oldest first, and counts the attempt
 * before anything is done: a change that is met again with attempts above 1 may already be in Git, and is looked for
 * there before it is written a second time. No change goes before an earlier one of its project that was put off.
 */
export async function claimChanges(
  database: Database,
  most: number,
  { proof, lane = 'all' }: { readonly proof?: LeaseProof | undefined; readonly lane?: 'all' | 'interactive' } = {},
): Promise<readonly Change[]> {
  const { rows } = await database.query<ChangeRow>(
    `update changes set attempts = attempts + 1
     where id in (
       select id from changes c where state = 'accepted' and due_at <= now() and ($5 or kind not in ('render', 'settings'))
         and not exists (
           select from changes e where e.state = 'accepted' and e.due_at > now() and e.number < c.number
             and (e.environment, e.team, e.project) = (c.environment, c.team, c.project))
       order by kind in ('render', 'settings'), number limit $1 for update skip locked)
       and ($2::text is null or exists (select from leases where name = $2 and holder = $3 and epoch = $4))
     returning ${fields}`,
    [most, proof?.name ?? null, proof?.holder ?? null, proof?.epoch ?? null, lane === 'all'],
    'changes-claim',
  );
  return [...rows].sort((a, b) => a.number - b.number).map(toChange);
}

/**
 * Puts claimed changes off, all alike, when the repository cannot be used at the moment.
 * @param basedOn the spec's blob ('' none) that each was prepared on top of; the first one told stays
 */
export async function postponeChanges(
  database: Database,
  ids: readonly string[],
  delayMs: number,
  basedOn: ReadonlyMap<string, string> = new Map(),
): Promise<void> {
  await database.query(
    `update changes c set due_at = now() + $3 * interval '1 millisecond', based_on = coalesce(c.based_on, p.based_on)
     from unnest($1::text[], $2::text[]) as p(id, based_on) where c.id = p.id and c.state = 'accepted'`,
    [ids, ids.map((id) => basedOn.get(id) ?? null), delayMs],
  );
}

/** What was put off is due at once: the remote can be used again. */
export async function hastenChanges(database: Queryable): Promise<void> {
  await database.query(`update changes set due_at = now() where state = 'accepted' and due_at > now()`);
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
      if (state === 'committed') await followRollback(tx, change, index);
    }
    if (tip !== undefined) await notify(tx, 'revisions', tip);
  });
}

/** What came after the rollback in the same group counts in its place. */
async function followRollback(tx: Queryable, change: Change, index: readonly Indexed[]): Promise<void> {
  const { kind, content } = change;
  if (kind !== 'rollback' || content === undefined) return;
  const newest = index.findLast(({ key }) => keyText(key) === keyText(change));
  if (newest === undefined || newest.entry?.specBlob === blobIdOf(content))
    await holdPromotion(tx, { ...change, content });
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
