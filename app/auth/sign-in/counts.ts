import type { Database, Queryable } from '#database/pool.ts';

/** So many in so long: in a window, or as a bucket that fills up again evenly. */
export interface Allowance {
  readonly most: number;
  readonly seconds: number;
}

/** Something that is counted; `key` tells it from all others. */
export interface Count {
  readonly key: Buffer;
  readonly allowance: Allowance;
  /** How a fault names it. */
  readonly what: string;
  /** Of a bucket: how many are taken. 0: there must be room for one, which stays. Default: 1. */
  readonly cost?: number;
}

/** The count that had no room. */
export interface Full {
  readonly what: string;
  /** Until it has. */
  readonly seconds: number;
}

/** Windows: each begins with its first try and ends by itself; nothing prolongs it. One of each, or none at all. @returns the first one that is full */
export async function takeWindows(database: Database, now: Date, counts: readonly Count[]): Promise<Full | undefined> {
  const taken = await takeEach(database, now, counts);
  const at = counts.findIndex(({ allowance }, index) => taken[index]!.count > allowance.most);
  if (at < 0) return undefined;
  await release(database, counts);
  return { what: counts[at]!.what, seconds: secondsUntil(taken[at]!.ends_at, now) };
}

async function takeEach(db: Queryable, now: Date, counts: readonly Count[]) {
  const sorted = inOrder(counts);
  const { rows } = await db.query<{ key: Buffer; count: number; ends_at: Date }>(
    `insert into sign_in_attempts as a (key, count, ends_at)
     select key, 1, $2::timestamptz + make_interval(secs => seconds)
       from unnest($1::bytea[], $3::integer[]) as t (key, seconds)
     on conflict (key) do update set
       count = case when a.ends_at <= $2 then 1 else a.count + 1 end,
       ends_at = case when a.ends_at <= $2 then excluded.ends_at else a.ends_at end
     returning key, count, ends_at`,
    [sorted.map(({ key }) => key), now, sorted.map(({ allowance }) => allowance.seconds)],
    'sign_in_take',
  );
  return counts.map(({ key }) => rows.find((row) => row.key.equals(key))!);
}

/** Gives one of each window back. */
export async function release(db: Queryable, counts: readonly Count[]): Promise<void> {
  await db.query(
    `update sign_in_attempts set count = count - 1 where count > 0 and key in
       (select key from sign_in_attempts where key = any($1) order by key for update)`,
    [counts.map(({ key }) => key)],
    'sign_in_release',
  );
}

/**
 * Buckets: each holds `most` and fills up evenly in `seconds`. Of each what it costs, or of none anything; of a full
 * one nothing is written. A row says when its bucket is whole again. @returns the first one without room
 */
export async function takeBuckets(database: Database, now: Date, counts: readonly Count[]): Promise<Full | undefined> {
  const sorted = inOrder(counts);
  const keys = sorted.map(({ key }) => key);
  const { rows } = await database.query<{ key: Buffer }>(
    `with wanted as (select * from unnest($1::bytea[], $3::float8[], $4::float8[], $5::float8[])
       as t (key, one, cost, whole))
     insert into sign_in_attempts as a (key, count, ends_at)
     select key, 0, $2::timestamptz + make_interval(secs => cost) from wanted
     on conflict (key) do update set ends_at = greatest(a.ends_at, $2) + (excluded.ends_at - $2)
       where greatest(a.ends_at, $2) <= $2 + (select make_interval(secs => whole - one + 0.001) from wanted w where w.key = a.key)
     returning key`,
    [
      keys,
      now,
      sorted.map(oneOf),
      sorted.map((count) => oneOf(count) * (count.cost ?? 1)),
      sorted.map(({ allowance }) => allowance.seconds),
    ],
    'sign_in_draw',
  );
  const isTaken = ({ key }: Count) => rows.some((row) => row.key.equals(key));
  const full = counts.find((count) => !isTaken(count));
  if (full === undefined) return undefined;
  await putBack(database, counts.filter(isTaken));
  const { rows: whole } = await database.query<{ ends_at: Date }>(
    'select ends_at from sign_in_attempts where key = $1',
    [full.key],
    'sign_in_look',
  );
  const roomMs = (whole[0]?.ends_at ?? now).getTime() - (full.allowance.seconds - oneOf(full)) * 1000;
  return { what: full.what, seconds: secondsUntil(new Date(roomMs), now) };
}

/** Gives back to buckets what was taken. */
export async function putBack(db: Queryable, counts: readonly Count[]): Promise<void> {
  const sorted = inOrder(counts).filter(({ cost }) => cost !== 0);
  if (sorted.length === 0) return;
  await db.query(
    `update sign_in_attempts a set ends_at = a.ends_at - make_interval(secs => t.cost)
       from (select l.key, w.cost from sign_in_attempts l
               join unnest($1::bytea[], $2::float8[]) as w (key, cost) on w.key = l.key
              order by l.key for update of l) as t
      where a.key = t.key`,
    [sorted.map(({ key }) => key), sorted.map((count) => oneOf(count) * (count.cost ?? 1))],
    'sign_in_put_back',
  );
}

/** Seconds in which one comes back. */
const oneOf = ({ allowance }: Count) => allowance.seconds / allowance.most;

/** So that no two callers wait for each other. */
const inOrder = (counts: readonly Count[]) => [...counts].sort((a, b) => a.key.compare(b.key));

const secondsUntil = (then: Date, now: Date) => Math.max(1, Math.ceil((then.getTime() - now.getTime()) / 1000));
