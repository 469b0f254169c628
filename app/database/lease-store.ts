import { Fault } from '#base/errors.ts';
import { notify } from './listen.ts';
import type { Database, Queryable } from './pool.ts';

/** Names a lease in a statement: it writes nothing where the lease has another holder or epoch by then. */
export interface LeaseProof {
  readonly name: string;
  readonly holder: string;
  readonly epoch: number;
}

export interface LeaseRow {
  readonly name: string;
  readonly holder: string | null;
  readonly epoch: number;
}

export interface OtherReplica {
  readonly id: string;
  readonly beat: number;
}

/** A replica's row, and rows for leases that are new. With `alone` whoever else is there is gone. */
export async function joinReplicas(
  database: Database,
  options: {
    readonly replica: string;
    readonly print: string;
    readonly names: readonly string[];
    readonly alone: boolean;
  },
): Promise<void> {
  const { replica, print, names, alone } = options;
  await database.query('insert into leases (name) select unnest($1::text[]) on conflict do nothing', [names]);
  if (alone) await database.query('delete from replicas where id <> $1', [replica]);
  await database.query('insert into replicas (id, secret) values ($1, $2) on conflict do nothing', [replica, print]);
}

/** Replicas with another secret. */
export async function readStrangers(database: Database, print: string): Promise<readonly OtherReplica[]> {
  return (await database.query<OtherReplica>('select id, beat from replicas where secret <> $1', [print])).rows;
}

/**
 * One sign of life, and everything that it is decided by. An update and no upsert: where our row was taken away, all
 * that we held may be another's already, and nothing that this statement read (before it waited for that) counts.
 */
export async function beat(
  database: Database,
  replica: string,
): Promise<{
  readonly alive: boolean;
  readonly others: readonly OtherReplica[];
  readonly leases: readonly LeaseRow[];
}> {
  const { rows } = await database.query<{ beat: number | null; others: OtherReplica[]; leases: LeaseRow[] }>(
    `with me as (update replicas set beat = nextval('replica_beats') where id = $1 returning beat)
     select (select beat from me) as beat,
       (select coalesce(json_agg(json_build_object('id', id, 'beat', beat)), '[]') from replicas where id <> $1) as others,
       (select coalesce(json_agg(json_build_object('name', name, 'holder', holder, 'epoch', epoch)), '[]') from leases)
         as leases`,
    [replica],
    'replica-beat',
  );
  const [row] = rows;
  return { alive: row?.beat != null, others: row?.others ?? [], leases: row?.leases ?? [] };
}

/** Takes rows away whose beat is still the one that stood still. Returns what became free. */
export async function freeDead(
  database: Database,
  dead: readonly OtherReplica[],
): Promise<readonly { readonly id: string; readonly leases: readonly string[] }[]> {
  const { rows } = await database.query<{ id: string; leases: string[] }>(
    `with gone as (
       delete from replicas r using unnest($1::text[], $2::bigint[]) as d(id, beat)
       where r.id = d.id and r.beat = d.beat returning r.id
     ) select id, array(select name from leases where holder = gone.id) as leases from gone`,
    [dead.map(({ id }) => id), dead.map(({ beat: last }) => last)],
    'replicas-free',
  );
  return rows;
}

/** Takes those of these leases that are free. The foreign key denies it to a replica whose row was taken away. */
export async function claimLeases(
  database: Database,
  replica: string,
  names: readonly string[],
): Promise<readonly { readonly name: string; readonly epoch: number }[]> {
  const { rows } = await database.query<{ name: string; epoch: number }>(
    'update leases set holder = $1, epoch = epoch + 1 where holder is null and name = any($2) returning name, epoch',
    [replica, names],
    'leases-claim',
  );
  return rows;
}

/** Gives leases to whoever should have them, and wakes the others. */
export async function giveLeases(database: Database, replica: string, names: readonly string[]): Promise<void> {
  await database.query(
    `with given as (update leases set holder = null where holder = $1 and name = any($2) returning name)
     select pg_notify('leases', '') from given limit 1`,
    [replica, names],
    'leases-give',
  );
}

/** Gives everything back. */
export async function leaveReplicas(database: Database, replica: string): Promise<void> {
  await database.transaction(async (tx) => {
    await tx.query('delete from replicas where id = $1', [replica]);
    await notify(tx, 'leases', '');
  });
}

/** A transaction under a lease may say nothing for so long: less than after which a replica is taken for dead. */
const mostSilentMs = 1_500;

/**
 * Makes sure, first in a transaction, that the lease is still ours, and keeps it so until the transaction ends: who
 * takes the lease over waits for that. So that nobody waits for a process that stands still in the middle of it, the
 * server ends a transaction that falls silent; its connection ends with it, and the pool makes another one.
 * @throws Fault LEASE_LOST
 */
export async function proveLease(tx: Queryable, { name, holder, epoch }: LeaseProof): Promise<void> {
  const { rowCount } = await tx.query(
    `select set_config('idle_in_transaction_session_timeout', $4, true)
     from leases where name = $1 and holder = $2 and epoch = $3 for share`,
    [name, holder, epoch, `${mostSilentMs}`],
    'lease-prove',
  );
  if (rowCount !== 1) throw new Fault('LEASE_LOST', { name });
}

/**
 * The database as the holder of a lease writes it: every transaction proves the lease first, so that one which began
 * before a freeze changes nothing after it. Single statements pass as they are: what they write must harm nobody.
 */
export function underLease(database: Database, { proof }: { readonly proof: LeaseProof | undefined }): Database {
  if (proof === undefined) return database;
  return {
    ...database,
    transaction: (work, options) =>
      database.transaction(async (tx) => {
        await proveLease(tx, proof);
        return await work(tx);
      }, options),
  };
}
