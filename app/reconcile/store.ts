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

/** All that one run changed. */
export interface Record {
  readonly key: ProjectKey;
  readonly status: Status;
  readonly made: readonly InventoryEntry[];
  readonly gone: readonly ObjectKey[];
  /** Deletions that now wait for a person. A yes to the whole project is never replaced by a question. */
  readonly asked: Pick<Confirmation, 'digest' | 'objects'> | undefined;
  /** A question that is settled; of two to the whole project only this one, by its revision. */
  readonly settled: Pick<Confirmation, 'digest' | 'revision'> | undefined;
  readonly history: string | undefined;
  /** The project is gone from Git and from the cluster: its row goes too. */
  readonly ended: boolean;
}

/**
 * Writes status, inventory, history and the open question of projects, and the event for those who watch: one
 * statement, so one transaction and one round trip for all of them. No project may come twice.
 */
export async function writeRecords(database: Database, records: readonly Record[]): Promise<void> {
  const column = <T>(of: (record: Record) => T) => records.map(of);
  await database.query(
    recordsText,
    [
      ...columns(records.map(projectColumns), 3),
      column(({ status }) => status.revision ?? null),
      column(({ status }) => status.manifestsDigest ?? null),
      column(({ status }) => status.phase),
      column(({ status }) => status.health),
      column(({ status }) => JSON.stringify(status.reasons)),
      column(({ status }) => (status.problem === undefined ? null : JSON.stringify(status.problem))),
      column(({ ended }) => ended),
      column(({ history }) => history ?? null),
      column(({ settled }) => settled?.digest ?? null),
      column(({ settled }) => settled?.revision ?? null),
      column(({ asked }) => asked?.digest ?? null),
      column(({ asked }) => (asked === undefined ? null : JSON.stringify(asked.objects))),
      ...columns(
        records.flatMap((record) => record.gone.map((key) => [...projectColumns(record), ...keyColumns(key)])),
        7,
      ),
      ...columns(
        records.flatMap((record) => record.made.map((made) => [...projectColumns(record), ...madeColumns(made)])),
        10,
      ),
    ],
    'records-write',
  );
}

/** Each part changes nothing where its values are null or absent. No two of them touch the same row. */
const recordsText = `
  with records as (
    select * from unnest(
      $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
      $10::boolean[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[]
    ) as r(environment, team, project, revision, manifests_digest, phase, health, reasons, problem,
      ended, message, settled, settled_revision, asked, objects)
  ), gone as (
    delete from inventory i
    using unnest($16::text[], $17::text[], $18::text[], $19::text[], $20::text[], $21::text[], $22::text[])
      as o(environment, team, project, api_version, kind, namespace, name)
    where i.environment = o.environment and i.team = o.team and i.project = o.project
      and i.api_version = o.api_version and i.kind = o.kind and i.namespace = o.namespace and i.name = o.name
  ), made as (
    insert into inventory (environment, team, project, api_version, kind, namespace, name, uid, desired_digest, owned_digest)
    select * from unnest($23::text[], $24::text[], $25::text[], $26::text[], $27::text[],
      $28::text[], $29::text[], $30::text[], $31::text[], $32::text[])
    on conflict (environment, team, project, api_version, kind, namespace, name) do update
    set uid = excluded.uid, desired_digest = excluded.desired_digest, owned_digest = excluded.owned_digest, applied_at = now()
  ), settled as (
    delete from confirmations c using records r
    where c.environment = r.environment and c.team = r.team and c.project = r.project and c.digest = r.settled
      and c.revision is not distinct from r.settled_revision
  ), asked as (
    insert into confirmations (environment, team, project, digest, objects)
    select environment, team, project, asked, objects::jsonb from records where asked is not null
    on conflict (environment, team, project) do update
    set digest = excluded.digest, objects = excluded.objects, confirmed_by = null, confirmed_at = null, created_at = now()
    where confirmations.digest not in (excluded.digest, '${wholeProject}')
  ), ended as (
    delete from project_status s using records r
    where s.environment = r.environment and s.team = r.team and s.project = r.project and r.ended
  ), stands as (
    insert into project_status (environment, team, project, revision, manifests_digest, phase, health, reasons, problem, applied_at)
    select environment, team, project, revision, manifests_digest, phase, health, reasons::jsonb, problem::jsonb,
      case when phase = 'applied' then now() end
    from records where not ended
    on conflict (environment, team, project) do update
    set revision = excluded.revision, manifests_digest = excluded.manifests_digest, phase = excluded.phase,
        health = excluded.health, reasons = excluded.reasons, problem = excluded.problem, updated_at = now(),
        applied_at = case when excluded.phase = 'applied' and project_status.manifests_digest is distinct from excluded.manifests_digest
                     then now() else coalesce(project_status.applied_at, excluded.applied_at) end
  ), told as (
    insert into history (environment, team, project, revision, phase, health, message)
    select environment, team, project, revision, phase, health, message from records where message is not null
  )
  select pg_notify('project_events', environment || '/' || team || '/' || project) from records`;

const projectColumns = ({ key }: Pick<Record, 'key'>): string[] => [key.environment, key.team, key.project];
const keyColumns = (key: ObjectKey): string[] => [key.apiVersion, key.kind, key.namespace, key.name];

const madeColumns = (entry: InventoryEntry): string[] => [
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

/** What people said about a project. */
export interface Orders {
  /** The hold on it, if one is in force now. */
  readonly hold: Hold | undefined;
  /** The open or answered question about deletions. */
  readonly confirmation: Confirmation | undefined;
}

interface OrdersRow {
  hold: Hold['hold'] | null;
  reason: string;
  until: Date | null;
  digest: string | null;
  objects: string[];
  revision: string | null;
  confirmed_at: Date | null;
}

/** The orders for each of these projects, in the same order. */
export async function readOrders(database: Database, keys: readonly ProjectKey[]): Promise<readonly Orders[]> {
  const { rows } = await database.query<OrdersRow>(
    `select h.hold, h.reason, h.until, c.digest, c.objects, c.revision, c.confirmed_at
     from unnest($1::text[], $2::text[], $3::text[]) with ordinality as k(environment, team, project, n)
     left join holds h on h.environment = k.environment and h.team = k.team and h.project = k.project
       and h.hold <> 'none' and (h.until is null or h.until > now())
     left join confirmations c on c.environment = k.environment and c.team = k.team and c.project = k.project
     order by k.n`,
    columns(
      keys.map((key) => projectColumns({ key })),
      3,
    ),
    'orders-read',
  );
  return rows.map(toOrders);
}

const toOrders = (row: OrdersRow): Orders => ({
  hold: row.hold === null ? undefined : { hold: row.hold, reason: row.reason, until: row.until ?? undefined },
  confirmation:
    row.digest === null
      ? undefined
      : {
          digest: row.digest,
          objects: row.objects,
          confirmed: row.confirmed_at !== null,
          revision: row.revision ?? undefined,
        },
});
