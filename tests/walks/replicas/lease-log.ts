import type { Database } from '#database/pool.ts';
import { partOf } from '#reconcile/share.ts';
import type { AuditEntry } from '#support/audit-log.ts';

/** Lets the database write down each change of a lease's holder, with its time. Leases are there already. */
export async function logLeases(database: Database): Promise<void> {
  await database.query(`
    begin;
    lock table leases in share row exclusive mode;
    create table lease_log (name text, holder text, epoch bigint, at timestamptz default clock_timestamp());
    create function log_lease() returns trigger language plpgsql as $$
      begin
        insert into lease_log (name, holder, epoch) values (new.name, new.holder, new.epoch);
        return new;
      end $$;
    create trigger log_lease after update on leases for each row
      when (old.holder is distinct from new.holder) execute function log_lease();
    insert into lease_log select name, holder, epoch, '-infinity' from leases;
    commit`);
}

const writing = new Set(['create', 'update', 'patch', 'delete', 'deletecollection']);

/**
 * Requests of replicas that the API server carried out in a project's namespace while the sender did not hold the
 * project's lease, in words; and who sent what was looked at. Events are left out: they change no object, and who tells
 * what is decided by claims of its own.
 */
export async function writesWithoutLease(
  database: Database,
  entries: readonly AuditEntry[],
): Promise<{ readonly writers: readonly string[]; readonly wrong: readonly string[] }> {
  const { rows } = await database.query<{ name: string; holder: string | null; epoch: number; fromMs: number }>(
    `select name, holder, epoch, case when at = '-infinity' then 0 else extract(epoch from at) * 1000 end::float8 as "fromMs"
     from lease_log order by at`,
  );
  const spans = Map.groupBy(rows, ({ name }) => name);
  const holderAt = (name: string, ms: number) => spans.get(name)?.findLast(({ fromMs }) => fromMs <= ms);
  const mine = new Set(rows.map(({ holder }) => `plinth/${holder}`));
  const writes = entries.filter(
    ({ stage, verb, code, resource, userAgent, requestURI }) =>
      stage === 'ResponseComplete' &&
      mine.has(userAgent) &&
      writing.has(verb) &&
      code < 300 &&
      resource !== 'events' &&
      !requestURI.includes('dryRun'),
  );
  const wrong = writes.flatMap(({ namespace, userAgent, receivedMs, verb, requestURI }) => {
    const [environment = '', team = '', project = ''] = namespace.split('--');
    const lease = partOf({ environment, team, project });
    const span = holderAt(lease, receivedMs);
    const sender = userAgent.slice('plinth/'.length);
    return span?.holder === sender
      ? []
      : [`${verb} ${requestURI} by ${sender} at ${receivedMs}; ${lease} is ${span?.holder}'s since ${span?.fromMs}`];
  });
  const senders = writes.map(({ userAgent }) => userAgent.slice('plinth/'.length));
  return { writers: [...new Set(senders)].sort(), wrong };
}
