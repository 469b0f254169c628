import type { Queryable } from '#database/pool.ts';
import type { Door } from './door.ts';
import type { Event } from './message.ts';

export interface DeliveryRow {
  readonly id: string;
  readonly target: string;
  readonly environment: string;
  readonly door: Door;
  /** null: what is held back of the target is to be summed up. */
  readonly message: string | null;
  /** How often it was tried, this time included. */
  readonly attempts: number;
  /** No more time is left for another try. */
  readonly late: boolean;
  /** What was wrong the last time; empty at the first try. */
  readonly reason: string;
}

export interface Claim {
  readonly most: number;
  /** The most of one target. */
  readonly ofTarget: number;
  /** Targets that are left out. */
  readonly busy: readonly string[];
  readonly leaseMs: number;
}

/** What was held back of a target in its hour. */
export interface Held {
  readonly counts: Readonly<Partial<Record<Event, number>>>;
  /** The first of the projects, each once. */
  readonly projects: readonly string[];
}

/** How many went to a target within its hour; the row stays locked until the transaction ends. */
export async function lockTarget(tx: Queryable, target: string): Promise<{ told: number; held: Held | null }> {
  await tx.query('insert into delivery_targets (target) values ($1) on conflict do nothing', [target]);
  const { rows } = await tx.query<{ told: number; held: Held | null; over: boolean }>(
    `select told, held, since <= now() - interval '1 hour' as over from delivery_targets where target = $1 for update`,
    [target],
    'target-lock',
  );
  const [row] = rows;
  // While something is held back the hour goes on: its summary ends it.
  if (row?.over === true && row.held === null) {
    await tx.query('update delivery_targets set since = now(), told = 0 where target = $1', [target]);
    return { told: 0, held: null };
  }
  return { told: row?.told ?? 0, held: row?.held ?? null };
}

export async function writeTarget(
  tx: Queryable,
  target: string,
  { told, held }: { readonly told: number; readonly held: Held | null },
): Promise<void> {
  await tx.query('update delivery_targets set told = $2, held = $3::jsonb where target = $1', [
    target,
    told,
    held === null ? null : JSON.stringify(held),
  ]);
}

type NewDelivery = Pick<DeliveryRow, 'id' | 'target' | 'environment' | 'door' | 'message'>;

/** A message is due at once, a summary at the end of its target's hour. It is tried until `triedMs` after that. */
export async function insertDelivery(tx: Queryable, delivery: NewDelivery, triedMs: number): Promise<void> {
  const { id, target, environment, door, message } = delivery;
  await tx.query(
    `insert into deliveries (id, target, environment, door, message, due_at, end_at)
     select $1, $2, $3, $4::jsonb, $5, due, due + $6 * interval '1 ms'
     from (select case when $5::text is null then greatest(since + interval '1 hour', now()) else now() end as due
           from delivery_targets where target = $2) t`,
    [id, target, environment, JSON.stringify(door), message, triedMs],
  );
}

/** What is held back of a target; from now on its next hour runs, which begins with the summary. */
export async function takeHeld(tx: Queryable, target: string): Promise<Held | undefined> {
  const { held } = await lockTarget(tx, target);
  await tx.query('update delivery_targets set since = now(), told = 1, held = null where target = $1', [target]);
  return held ?? undefined;
}

export async function writeMessage(tx: Queryable, id: string, message: string): Promise<void> {
  await tx.query('update deliveries set message = $2 where id = $1', [id, message]);
}

/**
 * Takes what is due, for as long as `leaseMs`: after that it is due again, as whoever took it may be gone. One target
 * gives only a few at a time, so that one which does not answer holds up no other.
 */
export async function claimDeliveries(
  db: Queryable,
  { most, ofTarget, busy, leaseMs }: Claim,
): Promise<readonly DeliveryRow[]> {
  const { rows } = await db.query<DeliveryRow>(
    `with due as (
       select id, row_number() over (partition by target order by due_at, id) as place
       from deliveries where dead_at is null and due_at <= now() and target <> all($4::text[])
     ), taken as (
       select d.id from deliveries d join due using (id)
       where due.place <= $2 and d.dead_at is null and d.due_at <= now()
       order by d.due_at, d.id limit $1 for update of d skip locked
     )
     update deliveries set attempts = attempts + 1, due_at = now() + $3 * interval '1 ms'
     where id in (select id from taken)
     returning id, target, environment, door, message, attempts, reason, end_at <= now() as late`,
    [most, ofTarget, leaseMs, busy],
    'delivery-claim',
  );
  return rows;
}

export async function deleteDelivery(db: Queryable, id: string): Promise<void> {
  await db.query('delete from deliveries where id = $1', [id]);
}

/**
 * It is tried again then, or at its end where that is earlier; what else is due of the target waits as long: it would
 * meet the same.
 */
export async function postponeDelivery(
  db: Queryable,
  { id, target }: Pick<DeliveryRow, 'id' | 'target'>,
  { ms, reason }: { readonly ms: number; readonly reason: string },
): Promise<void> {
  await db.query(
    `update deliveries
     set due_at = least(now() + $3 * interval '1 ms', greatest(end_at, now())),
         reason = case when id = $1 then $4 else reason end
     where id = $1 or (target = $2 and dead_at is null and due_at <= now())`,
    [id, target, ms, reason],
  );
}

/** It is not tried any more, and stays to be seen. */
export async function buryDelivery(db: Queryable, id: string, reason: string): Promise<void> {
  await db.query('update deliveries set dead_at = now(), reason = $2 where id = $1', [id, reason]);
}

/** Takes away what was given up so long ago. */
export async function forgetDeliveries(db: Queryable, afterMs: number): Promise<void> {
  await db.query(`delete from deliveries where dead_at < now() - $1 * interval '1 ms'`, [afterMs]);
}

/** Milliseconds until the next one is due; undefined: there is none. */
export async function nextDeliveryMs(db: Queryable): Promise<number | undefined> {
  const { rows } = await db.query<{ ms: number | null }>(
    `select ceil(extract(epoch from min(due_at) - now()) * 1000)::float8 as ms from deliveries where dead_at is null`,
    [],
    'delivery-next',
  );
  return rows[0]?.ms ?? undefined;
}

/** A notification that is not taken yet, for those who look why nothing arrives. */
export interface DeliveryView {
  readonly id: string;
  readonly environment: string;
  readonly kind: Door['kind'];
  /** Names of organization secrets, or mail addresses. */
  readonly to: readonly string[];
  readonly attempts: number;
  readonly reason: string;
  readonly createdAt: Date;
  /** When it is tried next; null: it was given up. */
  readonly dueAt: Date | null;
}

/** What is tried again, and what was given up, newest first. */
export async function listDeliveries(
  db: Queryable,
  environment: string,
  limit: number,
): Promise<readonly DeliveryView[]> {
  const { rows } = await db.query<Omit<DeliveryView, 'kind' | 'to'> & { readonly door: Door }>(
    `select id, environment, door, attempts, reason, created_at as "createdAt",
            case when dead_at is null then due_at end as "dueAt"
     from deliveries where environment = $1 and reason <> '' order by id desc limit $2`,
    [environment, limit],
  );
  return rows.map(({ door, ...row }) => ({ ...row, kind: door.kind, to: door.kind === 'mail' ? door.to : [door.url] }));
}
