import type { Queryable } from '#database/pool.ts';
import { keyText, type ProjectKey } from '#environments/layout.ts';
import type { Phase, Problem, Reason } from '../store.ts';
import type { Facts, Reported, Told } from './tellings.ts';

/** A project with what was last told of it, locked until the transaction ends. */
export interface Locked {
  readonly key: ProjectKey;
  readonly told: Told;
  /** What of its status was looked at last, and when it is looked at again by itself. */
  readonly at: string | undefined;
  readonly due: Date | undefined;
}

const keysText = 'unnest($1::text[], $2::text[], $3::text[]) as k(environment, team, project)';
const keyColumns = (keys: readonly ProjectKey[]): string[][] => [
  keys.map(({ environment }) => environment),
  keys.map(({ team }) => team),
  keys.map(({ project }) => project),
];

/** Projects whose status was written since it was last looked at, and those that are gone: after notices were missed. */
export async function readUnlooked(db: Queryable, limit: number): Promise<readonly ProjectKey[]> {
  const { rows } = await db.query<ProjectKey>(
    `select environment, team, project
     from project_status s full join announced a using (environment, team, project)
     where s.updated_at is distinct from a.looked limit $1`,
    [limit],
    'announced-unlooked',
  );
  return rows;
}

/** Projects of which something waited for a quiet time that is over. */
export async function readDue(db: Queryable, now: Date, limit: number): Promise<readonly ProjectKey[]> {
  const { rows } = await db.query<ProjectKey>(
    'select environment, team, project from announced where due_at <= $1 order by due_at limit $2',
    [now, limit],
    'announced-due',
  );
  return rows;
}

/** When the next one is due; undefined: none. */
export async function nextDue(db: Queryable): Promise<Date | undefined> {
  const { rows } = await db.query<{ due: Date | null }>(
    'select min(due_at) as due from announced',
    [],
    'announced-next',
  );
  return rows[0]?.due ?? undefined;
}

/** Those of the projects that no other replica is looking at; what another one looks at, it will see to. */
export async function lockAnnounced(tx: Queryable, keys: readonly ProjectKey[]): Promise<readonly Locked[]> {
  await tx.query(
    `insert into announced (environment, team, project, told)
     select environment, team, project, '{}' from ${keysText} join project_status s using (environment, team, project)
     on conflict do nothing`,
    keyColumns(keys),
    'announced-begin',
  );
  const { rows } = await tx.query<ProjectKey & { told: Told; looked: string | null; due_at: Date | null }>(
    `select a.environment, a.team, a.project, a.told, a.looked::text, a.due_at from ${keysText} join announced a using (environment, team, project)
     for update of a skip locked`,
    keyColumns(keys),
    'announced-lock',
  );
  return rows.map(({ told, looked, due_at, ...key }) => ({
    key,
    told,
    at: looked ?? undefined,
    due: due_at ?? undefined,
  }));
}

interface FactsRow extends ProjectKey {
  readonly revision: string | null;
  readonly phase: Phase;
  readonly health: string;
  readonly reasons: readonly Reason[];
  readonly problem: Problem | null;
  readonly updated_at: string;
  readonly digest: string | null;
  readonly objects: readonly string[] | null;
}

/** What stands of a project, and the mark of that very state. */
export interface Looked {
  readonly key: ProjectKey;
  readonly facts: Omit<Facts, 'reports'>;
  readonly at: string;
}

/** How the projects stand; those that are gone are left out. To be read after they were locked, in a statement of its own. */
export async function readFacts(tx: Queryable, keys: readonly ProjectKey[]): Promise<readonly Looked[]> {
  const { rows } = await tx.query<FactsRow>(
    `select s.environment, s.team, s.project, s.revision, s.phase, s.health, s.reasons, s.problem,
            s.updated_at::text, c.digest, c.objects
     from ${keysText} join project_status s using (environment, team, project)
     left join confirmations c on c.environment = s.environment and c.team = s.team and c.project = s.project
       and c.confirmed_at is null`,
    keyColumns(keys),
    'announced-facts',
  );
  return rows.map(({ environment, team, project, updated_at, ...row }) => ({
    key: { environment, team, project },
    facts: {
      revision: row.revision ?? undefined,
      phase: row.phase,
      health: row.health,
      reasons: row.reasons,
      problem: row.problem ?? undefined,
      question: row.digest === null ? undefined : { digest: row.digest, objects: row.objects ?? [] },
    },
    at: updated_at,
  }));
}

/** The reports beyond the last ones that were told, oldest first, by `keyText`. */
export async function readReported(
  tx: Queryable,
  locked: readonly Locked[],
): Promise<ReadonlyMap<string, readonly Reported[]>> {
  const last = (kind: Reported['kind']) => locked.map(({ told }) => told.reports?.[kind]?.number ?? 0);
  const { rows } = await tx.query<ProjectKey & Reported>(
    `select r.environment, r.team, r.project, r.number, r.kind, r.message as text
     from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
       as k(environment, team, project, drift, fight)
     join reports r using (environment, team, project)
     where (r.kind = 'drift' and r.number > k.drift) or (r.kind = 'fight' and r.number > k.fight)
     order by r.number`,
    [...keyColumns(locked.map(({ key }) => key)), last('drift'), last('fight')],
    'announced-reports',
  );
  const found = new Map<string, Reported[]>();
  for (const { environment, team, project, ...report } of rows) {
    const name = keyText({ environment, team, project });
    found.set(name, [...(found.get(name) ?? []), report]);
  }
  return found;
}

/** What is written after a look. */
export interface After {
  readonly key: ProjectKey;
  readonly told: Told;
  /** Of the status that was looked at. */
  readonly at: string;
  readonly due: Date | undefined;
}

export async function writeAnnounced(tx: Queryable, after: readonly After[]): Promise<void> {
  if (after.length === 0) return;
  await tx.query(
    `update announced a set told = k.told::jsonb, looked = k.looked::timestamptz, due_at = k.due
     from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
       as k(environment, team, project, told, looked, due)
     where a.environment = k.environment and a.team = k.team and a.project = k.project`,
    [
      ...keyColumns(after.map(({ key }) => key)),
      after.map(({ told }) => JSON.stringify(told)),
      after.map(({ at }) => at),
      after.map(({ due }) => due ?? null),
    ],
    'announced-write',
  );
}

/** Of projects that are gone nothing is remembered: who makes one of the same name begins anew. */
export async function forgetAnnounced(tx: Queryable, keys: readonly ProjectKey[]): Promise<void> {
  if (keys.length === 0) return;
  await tx.query(
    `delete from announced a using ${keysText}
     where a.environment = k.environment and a.team = k.team and a.project = k.project
       and not exists (select from project_status s
         where s.environment = k.environment and s.team = k.team and s.project = k.project)`,
    keyColumns(keys),
    'announced-forget',
  );
}
