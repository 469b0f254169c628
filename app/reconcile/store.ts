import type { Database } from '#database/pool.ts';
import type { ProjectKey } from '#environments/layout.ts';
import type { ObjectKey } from '#runtime/runtime.ts';
import type { InventoryEntry } from './plan.ts';

export type Phase = 'waiting' | 'applying' | 'applied' | 'failed' | 'held' | 'needs-confirmation' | 'removing';

/** An object that is not healthy, and why. */
export interface Reason {
  readonly object: string;
  readonly state: string;
  readonly reason: string;
}

export interface Problem {
  readonly code: string;
  readonly detail: string;
}

/** What reconcile knows of a project; one row, written only when it changes. */
export interface Status {
  readonly revision: string | undefined;
  readonly manifestsDigest: string | undefined;
  readonly phase: Phase;
  readonly health: string;
  readonly reasons: readonly Reason[];
  readonly problem: Problem | undefined;
}

export interface Hold {
  readonly hold: 'none' | 'scale-zero' | 'absent' | 'detect';
  readonly reason: string;
  readonly until: Date | undefined;
}

/** A question about deletions, and whether a person said yes: to a list, or to the end of the whole project. */
export interface Confirmation {
  readonly digest: string;
  /** What would be deleted, each as `removalText`. */
  readonly objects: readonly string[];
  readonly confirmed: boolean;
  /** The commit that removed the project, with a yes to the whole of it. */
  readonly revision: string | undefined;
}

/** The digest that stands for "the project may go, with everything in it". */
export const wholeProject = 'whole-project';

export interface Remembered {
  readonly status: Status | undefined;
  readonly inventory: readonly InventoryEntry[];
}

interface StatusRow {
  team: string;
  project: string;
  revision: string | null;
  manifests_digest: string | null;
  phase: Phase;
  health: string;
  reasons: Reason[];
  problem: Problem | null;
}

interface InventoryRow {
  team: string;
  project: string;
  api_version: string;
  kind: string;
  namespace: string;
  name: string;
  uid: string;
  desired_digest: string;
  owned_digest: string;
}

/** What the last process knew of every project of an environment: read once at the start. */
export async function readRemembered(
  database: Database,
  environment: string,
): Promise<ReadonlyMap<string, Remembered>> {
  const { rows: statuses } = await database.query<StatusRow>(
    `select team, project, revision, manifests_digest, phase, health, reasons, problem
     from project_status where environment = $1`,
    [environment],
  );
  const { rows: entries } = await database.query<InventoryRow>(
    `select team, project, api_version, kind, namespace, name, uid, desired_digest, owned_digest
     from inventory where environment = $1`,
    [environment],
  );
  const found = new Map<string, { status: Status | undefined; inventory: InventoryEntry[] }>();
  const of = (team: string, project: string) => {
    const name = `${team}/${project}`;
    const there = found.get(name) ?? { status: undefined, inventory: [] };
    found.set(name, there);
    return there;
  };
  for (const row of statuses) of(row.team, row.project).status = toStatus(row);
  for (const row of entries) of(row.team, row.project).inventory.push(toEntry(row));
  return found;
}

const toStatus = (row: StatusRow): Status => ({
  revision: row.revision ?? undefined,
  manifestsDigest: row.manifests_digest ?? undefined,
  phase: row.phase,
  health: row.health,
  reasons: row.reasons,
  problem: row.problem ?? undefined,
});

const toEntry = (row: InventoryRow): InventoryEntry => ({
  key: { apiVersion: row.api_version, kind: row.kind, namespace: row.namespace, name: row.name },
  uid: row.uid,
  desiredDigest: row.desired_digest,
  ownedDigest: row.owned_digest,
});

/** All that one run changed, written in one transaction. */
export interface Record {
  readonly key: ProjectKey;
  readonly status: Status;
  readonly made: readonly InventoryEntry[];
  readonly gone: readonly ObjectKey[];
  /** Deletions that now wait for a person. A yes to the whole project is never replaced by a question. */
  readonly asked: Pick<Confirmation, 'digest' | 'objects'> | undefined;
  /** Digest of a question that is settled. */
  readonly settled: string | undefined;
  readonly history: string | undefined;
  /** The project is gone from Git and from the cluster: its row goes too. */
  readonly ended: boolean;
}

/**
 * One write of status, inventory, history and the open question, and the event for those who watch. One statement is
 * one transaction and one round trip: a transaction of statements would be six.
 */
export async function writeRecord(database: Database, record: Record): Promise<void> {
  const { key, status, asked, settled, ended } = record;
  await database.query(
    recordText,
    [
      key.environment,
      key.team,
      key.project,
      ...columns(record.gone.map(keyColumns), 4),
      ...columns(record.made.map(entryColumns), 7),
      settled ?? null,
      asked?.digest ?? null,
      asked === undefined ? null : JSON.stringify(asked.objects),
      ended,
      status.revision ?? null,
      status.manifestsDigest ?? null,
      status.phase,
      status.health,
      JSON.stringify(status.reasons),
      status.problem === undefined ? null : JSON.stringify(status.problem),
      record.history ?? null,
    ],
    'record-write',
  );
}

/** Each part changes nothing where its values are null or empty. No two of them touch the same row. */
const recordText = `
  with gone as (
    delete from inventory i using unnest($4::text[], $5::text[], $6::text[], $7::text[]) as o(api_version, kind, namespace, name)
    where i.environment = $1 and i.team = $2 and i.project = $3 and i.api_version = o.api_version
      and i.kind = o.kind and i.namespace = o.namespace and i.name = o.name
  ), made as (
    insert into inventory (environment, team, project, api_version, kind, namespace, name, uid, desired_digest, owned_digest)
    select $1, $2, $3, *
    from unnest($8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[])
    on conflict (environment, team, project, api_version, kind, namespace, name) do update
    set uid = excluded.uid, desired_digest = excluded.desired_digest, owned_digest = excluded.owned_digest, applied_at = now()
  ), settled as (
    delete from confirmations where environment = $1 and team = $2 and project = $3 and digest = $15
  ), asked as (
    insert into confirmations (environment, team, project, digest, objects)
    select $1, $2, $3, $16::text, $17::jsonb where $16 is not null
    on conflict (environment, team, project) do update
    set digest = excluded.digest, objects = excluded.objects, confirmed_by = null, confirmed_at = null, created_at = now()
    where confirmations.digest not in (excluded.digest, '${wholeProject}')
  ), ended as (
    delete from project_status where environment = $1 and team = $2 and project = $3 and $18::boolean
  ), stands as (
    insert into project_status (environment, team, project, revision, manifests_digest, phase, health, reasons, problem, applied_at)
    select $1, $2, $3, $19::text, $20::text, $21::text, $22::text, $23::jsonb, $24::jsonb, case when $21 = 'applied' then now() end
    where not $18
    on conflict (environment, team, project) do update
    set revision = excluded.revision, manifests_digest = excluded.manifests_digest, phase = excluded.phase,
        health = excluded.health, reasons = excluded.reasons, problem = excluded.problem, updated_at = now(),
        applied_at = case when excluded.phase = 'applied' and project_status.manifests_digest is distinct from excluded.manifests_digest
                     then now() else coalesce(project_status.applied_at, excluded.applied_at) end
  ), told as (
    insert into history (environment, team, project, revision, phase, health, message)
    select $1, $2, $3, $19, $21, $22, $25::text where $25 is not null
  )
  select pg_notify('project_events', $1 || '/' || $2 || '/' || $3)`;

const keyColumns = (key: ObjectKey): string[] => [key.apiVersion, key.kind, key.namespace, key.name];

const entryColumns = (entry: InventoryEntry): string[] => [
  ...keyColumns(entry.key),
  entry.uid,
  entry.desiredDigest,
  entry.ownedDigest,
];

/** Rows to so many columns, as unnest wants them. */
const columns = (rows: readonly (readonly string[])[], count: number): string[][] =>
  Array.from({ length: count }, (_, column) => rows.map((row) => row[column] ?? ''));

/** True when publish made these manifests of this spec: the only ones that are ever applied. */
export async function isRendered(
  database: Database,
  key: ProjectKey,
  digests: { readonly spec: string; readonly manifests: string },
): Promise<boolean> {
  const { rows } = await database.query(
    `select 1 from renders where environment = $1 and team = $2 and project = $3 and spec_digest = $4 and manifests_digest = $5`,
    [key.environment, key.team, key.project, digests.spec, digests.manifests],
    'is-rendered',
  );
  return rows.length > 0;
}

/** The hold on a project, if one is in force now. */
export async function readHold(database: Database, key: ProjectKey): Promise<Hold | undefined> {
  const { rows } = await database.query<{ hold: Hold['hold']; reason: string; until: Date | null }>(
    `select hold, reason, until from holds
     where environment = $1 and team = $2 and project = $3 and hold <> 'none' and (until is null or until > now())`,
    [key.environment, key.team, key.project],
    'read-hold',
  );
  const row = rows[0];
  return row === undefined ? undefined : { hold: row.hold, reason: row.reason, until: row.until ?? undefined };
}

/** The open or answered question about deletions. */
export async function readConfirmation(database: Database, key: ProjectKey): Promise<Confirmation | undefined> {
  const { rows } = await database.query<{
    digest: string;
    objects: string[];
    revision: string | null;
    confirmed_at: Date | null;
  }>(
    'select digest, objects, revision, confirmed_at from confirmations where environment = $1 and team = $2 and project = $3',
    [key.environment, key.team, key.project],
    'read-confirmation',
  );
  const row = rows[0];
  if (row === undefined) return undefined;
  return {
    digest: row.digest,
    objects: row.objects,
    confirmed: row.confirmed_at !== null,
    revision: row.revision ?? undefined,
  };
}
