import type { LeaseProof } from '#database/leases.ts';
import type { Database } from '#database/pool.ts';
import { keyText, type ProjectKey } from '#environments/layout.ts';
import type { Mode } from '#environments/operations.ts';
import type { ObjectKey } from '#runtime/runtime.ts';
import type { Asked, Switch } from './allowed.ts';
import type { InventoryEntry } from './decide/plan.ts';
import { mostReports, type Report } from './reports.ts';

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
  /** Blob of the manifests that the run was about, so that nobody takes it for a problem of newer ones. */
  readonly manifests?: string | undefined;
}

/** What reconcile knows of a project; one row, written only when it changes. */
export interface Status {
  readonly revision: string | undefined;
  readonly manifestsDigest: string | undefined;
  readonly phase: Phase;
  readonly health: string;
  readonly reasons: readonly Reason[];
  readonly problem: Problem | undefined;
  /** What the wanted state was made of; only where the inventory is exactly that state. */
  readonly origin: Origin | undefined;
  /** Tries that failed one after the other; undefined when the last one did not. */
  readonly attempts?: number | undefined;
  /** When the next try is due, ISO 8601; undefined: when something changes. */
  readonly retryAt?: string | undefined;
}

/** What the wanted state of a project was made of: where all of it is the same, the same would come out again. */
export interface Origin {
  /** Ids of the blobs of project.yaml and manifests.yaml. */
  readonly spec: string;
  readonly manifests: string;
  /** Digest of what the apply door went by. */
  readonly door: string;
  /** `name@version` of each secret, by name. */
  readonly secrets: readonly string[];
  /** The annotation `plinth.dev/mode` of its Namespace. */
  readonly mode?: Mode | undefined;
  /** The projects of the same environment that it waits for, `team/project`. */
  readonly dependsOn?: readonly string[] | undefined;
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
  readonly reports?: readonly Report[] | undefined;
  /** The lease under which the run was made: nothing is written once it has another holder. Absent: there is none. */
  readonly proof?: LeaseProof | undefined;
}

/**
 * Writes status, inventory, history and the open question of projects, and the event for those who watch: one
 * statement, so one transaction and one round trip for all of them. No project may come twice.
 * @returns for each of them whether it was written: not where its lease has another holder, who decides now
 */
export async function writeRecords(database: Database, records: readonly Record[]): Promise<readonly boolean[]> {
  const column = <T>(of: (record: Record) => T) => records.map(of);
  const { rows } = await database.query<{ name: string }>(
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
      column(({ status }) => (status.origin === undefined ? null : JSON.stringify(status.origin))),
      ...columns(
        records.flatMap((record) => record.gone.map((key) => [...projectColumns(record), ...keyColumns(key)])),
        7,
      ),
      ...columns(
        records.flatMap((record) => record.made.map((made) => [...projectColumns(record), ...madeColumns(made)])),
        10,
      ),
      column(({ proof }) => proof?.name ?? null),
      column(({ proof }) => proof?.holder ?? null),
      column(({ proof }) => proof?.epoch ?? null),
      ...columns(
        records.flatMap((record) =>
          (record.reports ?? []).map((report) => [...projectColumns(record), ...reportColumns(report)]),
        ),
        7,
      ),
      records.flatMap(({ made }) => made.map(({ keep }) => keep === true)),
      column(({ status }) => status.attempts ?? 0),
      column(({ status }) => status.retryAt ?? null),
    ],
    'records-write',
  );
  const written = new Set(rows.map(({ name }) => name));
  return records.map(({ key }) => written.has(keyText(key)));
}

/**
 * Each part changes nothing where its values are null or absent. No two of them touch the same row. The leases' rows
 * are locked first: whoever takes one over waits until this is written, or has done it before, and then this is not.
 */
const recordsText = `
  with given as (
    select * from unnest(
      $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
      $10::boolean[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[],
      $34::text[], $35::text[], $36::bigint[], $45::integer[], $46::timestamptz[]
    ) as r(environment, team, project, revision, manifests_digest, phase, health, reasons, problem,
      ended, message, settled, settled_revision, asked, objects, origin, lease, holder, epoch, attempts, retry_at)
  ), held as materialized (
    select l.name, l.holder, l.epoch from leases l
    where l.name = any($34) and (l.name, l.holder, l.epoch) in (select lease, holder, epoch from given)
    order by l.name for share
  ), records as materialized (
    select g.* from given g left join held h on h.name = g.lease and h.holder = g.holder and h.epoch = g.epoch
    where g.lease is null or h.name is not null
  ), gone as (
    delete from inventory i
    using unnest($17::text[], $18::text[], $19::text[], $20::text[], $21::text[], $22::text[], $23::text[])
      as o(environment, team, project, api_version, kind, namespace, name)
      join records using (environment, team, project)
    where i.environment = o.environment and i.team = o.team and i.project = o.project
      and i.api_version = o.api_version and i.kind = o.kind and i.namespace = o.namespace and i.name = o.name
  ), made as (
    insert into inventory (environment, team, project, api_version, kind, namespace, name, uid, desired_digest, owned_digest, keep)
    select m.* from unnest($24::text[], $25::text[], $26::text[], $27::text[], $28::text[],
      $29::text[], $30::text[], $31::text[], $32::text[], $33::text[], $44::boolean[])
      as m(environment, team, project, api_version, kind, namespace, name, uid, desired_digest, owned_digest, keep)
      join records using (environment, team, project)
    on conflict (environment, team, project, api_version, kind, namespace, name) do update
    set uid = excluded.uid, desired_digest = excluded.desired_digest, owned_digest = excluded.owned_digest,
        keep = excluded.keep, applied_at = now()
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
  ), unswitched as (
    delete from switches s using records r
    where s.environment = r.environment and s.team = r.team and s.project = r.project and r.ended
  ), unasked as (
    delete from asked_runs a using records r
    where a.environment = r.environment and a.team = r.team and a.project = r.project and r.ended
  ), stands as (
    insert into project_status (environment, team, project, revision, manifests_digest, phase, health, reasons, problem,
      origin, attempts, retry_at, applied_at)
    select environment, team, project, revision, manifests_digest, phase, health, reasons::jsonb, problem::jsonb,
      origin::jsonb, attempts, retry_at,
      case when phase = 'applied' then now() end
    from records where not ended
    on conflict (environment, team, project) do update
    set revision = excluded.revision, manifests_digest = excluded.manifests_digest, phase = excluded.phase,
        health = excluded.health, reasons = excluded.reasons, problem = excluded.problem, origin = excluded.origin,
        attempts = excluded.attempts, retry_at = excluded.retry_at, updated_at = now(),
        applied_at = case when excluded.phase = 'applied' and project_status.manifests_digest is distinct from excluded.manifests_digest
                     then now() else coalesce(project_status.applied_at, excluded.applied_at) end
  ), told as (
    insert into history (environment, team, project, revision, phase, health, message)
    select environment, team, project, revision, phase, health, message from records where message is not null
  ), reported as (
    insert into reports (environment, team, project, kind, object, message, managers)
    select n.environment, n.team, n.project, n.kind, n.object, n.message, n.managers::jsonb
    from unnest($37::text[], $38::text[], $39::text[], $40::text[], $41::text[], $42::text[], $43::text[]) with ordinality
      as n(environment, team, project, kind, object, message, managers, place)
      join records using (environment, team, project)
    order by n.place
  ), bounded as (
    delete from reports p
    using (select distinct * from unnest($37::text[], $38::text[], $39::text[])) as n(environment, team, project)
    where p.environment = n.environment and p.team = n.team and p.project = n.project and p.number <= (
      select q.number from reports q where q.environment = n.environment and q.team = n.team and q.project = n.project
      order by q.number desc offset ${mostReports - 1} limit 1)
  )
  select environment || '/' || team || '/' || project as name,
    pg_notify('project_events', environment || '/' || team || '/' || project) as told
  from records`;

const projectColumns = ({ key }: Pick<Record, 'key'>): string[] => [key.environment, key.team, key.project];
const reportColumns = ({ kind, object, message, managers }: Report): string[] => [
  kind,
  object,
  message,
  JSON.stringify(managers),
];
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

/** Whether publish made these manifests of this spec: the only ones that are ever applied. */
export interface RenderedAsk {
  readonly key: ProjectKey;
  /** Digests of the two files. */
  readonly spec: string;
  readonly manifests: string;
}

/** The answer to each of these, in the same order. */
export async function areRendered(database: Database, asked: readonly RenderedAsk[]): Promise<readonly boolean[]> {
  const { rows } = await database.query<{ rendered: boolean }>(
    `select r.environment is not null as rendered
     from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) with ordinality
       as k(environment, team, project, spec_digest, manifests_digest, n)
     left join renders r using (environment, team, project, spec_digest, manifests_digest)
     order by k.n`,
    columns(
      asked.map(({ key, spec, manifests }) => [...projectColumns({ key }), spec, manifests]),
      5,
    ),
    'are-rendered',
  );
  return rows.map(({ rendered }) => rendered);
}

/** What people said about a project. */
export interface Orders {
  /** The hold on it, if one is in force now. */
  readonly hold: Hold | undefined;
  /** The open or answered question about deletions. */
  readonly confirmation: Confirmation | undefined;
  /** What somebody turned off: for the project, its team or the whole environment. */
  readonly switches: readonly Switch[];
  /** The last run that a person asked for. */
  readonly asked: Asked | undefined;
}

interface SwitchRow {
  action: Switch['action'];
  reason: string;
  actor: string;
  until: string | null;
  wide: 'team' | 'environment' | null;
}

interface OrdersRow {
  hold: Hold['hold'] | null;
  reason: string;
  until: Date | null;
  digest: string | null;
  objects: string[];
  revision: string | null;
  confirmed_at: Date | null;
  switches: SwitchRow[] | null;
  manifests: string | null;
  asked_at: Date | null;
}

/** The orders for each of these projects, in the same order. */
export async function readOrders(database: Database, keys: readonly ProjectKey[]): Promise<readonly Orders[]> {
  const { rows } = await database.query<OrdersRow>(
    `select h.hold, h.reason, h.until, c.digest, c.objects, c.revision, c.confirmed_at, a.manifests, a.asked_at,
       (select jsonb_agg(jsonb_build_object('action', s.action, 'reason', s.reason, 'actor', s.actor, 'until', s.until,
          'wide', case when s.team = '' then 'environment' when s.project = '' then 'team' end) order by s.action, s.team)
        from switches s
        where s.environment = k.environment and s.team in ('', k.team) and s.project in ('', k.project)) as switches
     from unnest($1::text[], $2::text[], $3::text[]) with ordinality as k(environment, team, project, n)
     left join asked_runs a on a.environment = k.environment and a.team = k.team and a.project = k.project
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
  switches: (row.switches ?? []).map(toSwitch),
  asked: row.asked_at === null ? undefined : { manifests: row.manifests ?? '', at: row.asked_at },
});

const toSwitch = ({ action, reason, actor, until, wide }: SwitchRow): Switch => ({
  action,
  reason,
  actor,
  until: until === null ? undefined : new Date(until),
  wide: wide ?? undefined,
});
