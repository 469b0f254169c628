import type { Queryable } from '#database/pool.ts';
import type { AuditHead, AuditRow } from './chain.ts';

const columns = [
  'seq',
  'id',
  'at',
  'actor_id',
  'actor_name',
  'actor_kind',
  'credential',
  'action',
  'target',
  'outcome',
  'status',
  'address',
  'user_agent',
  'request_id',
  'before_digest',
  'after_digest',
  'detail',
  'previous',
  'hash',
].join(', ');

export async function readHead(db: Queryable): Promise<AuditHead> {
  return headOf(await db.query<AuditHead>('select count, hash from audit_head'));
}

/** Nobody else appends until the transaction ends. */
export async function lockHead(tx: Queryable): Promise<AuditHead> {
  return headOf(await tx.query<AuditHead>('select count, hash from audit_head for update'));
}

function headOf({ rows }: { readonly rows: readonly AuditHead[] }): AuditHead {
  const [head] = rows;
  if (head === undefined) throw new Error('audit_head is empty: the audit of this database was tampered with');
  return head;
}

/**
 * Appends rows that were linked to `head`, in one statement.
 * @returns false: the head is another one by now, and nothing was written
 */
export async function appendRows(db: Queryable, rows: readonly AuditRow[], head: AuditHead): Promise<boolean> {
  const last = rows.at(-1);
  if (last === undefined) return true;
  const { rowCount } = await db.query(
    `with moved as (
       update audit_head set count = $1, hash = $2 where count = $3 and hash = $4 returning 1)
     insert into audit (${columns})
     select ${columns} from moved cross join json_populate_recordset(null::audit, $5)`,
    [last.seq, last.hash, head.count, head.hash, JSON.stringify(rows.map(asJson))],
    'audit_append',
  );
  return rowCount === rows.length;
}

const asJson = (row: AuditRow) => ({
  ...row,
  previous: `\\x${row.previous.toString('hex')}`,
  hash: `\\x${row.hash.toString('hex')}`,
});

/** Which of these are there already. */
export async function findRecorded(db: Queryable, ids: readonly string[]): Promise<ReadonlySet<string>> {
  const { rows } = await db.query<{ id: string }>('select id from audit where id = any($1)', [ids]);
  return new Set(rows.map(({ id }) => id));
}

/** Rows in the order of the chain, the first ones after `seq`. */
export async function readRowsAfter(db: Queryable, seq: number, limit: number): Promise<readonly AuditRow[]> {
  const { rows } = await db.query<AuditRow>(
    `select ${columns} from audit where seq > $1 order by seq limit $2`,
    [seq, limit],
    'audit_read_after',
  );
  return rows;
}

export async function findByHash(db: Queryable, hash: Buffer): Promise<AuditRow | undefined> {
  const { rows } = await db.query<AuditRow>(`select ${columns} from audit where hash = $1 limit 1`, [hash]);
  return rows[0];
}

/** Which records are wanted; what is absent does not matter. */
export interface AuditFilter {
  /** Id or name of who did it. */
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
  /** The beginning of it. */
  readonly target?: string | undefined;
  readonly outcome?: AuditRow['outcome'] | undefined;
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
}

export interface AuditPage {
  /** Only rows beyond this number, in the direction of reading. */
  readonly beyond?: number | undefined;
  readonly newestFirst: boolean;
  readonly limit: number;
}

/** Records that fit, in the order of the chain or the other way round. */
export async function listRows(db: Queryable, filter: AuditFilter, page: AuditPage): Promise<readonly AuditRow[]> {
  const { actor, action, target, outcome, since, until } = filter;
  const { beyond, newestFirst, limit } = page;
  const values: unknown[] = [];
  const conditions: string[] = [];
  const where = (value: unknown, condition: (parameter: string) => string) => {
    if (value === undefined) return;
    values.push(value);
    conditions.push(condition(`$${values.length}`));
  };
  where(actor, (p) => `(actor_name = ${p} or actor_id = ${p})`);
  where(action, (p) => `action = ${p}`);
  where(target, (p) => `starts_with(target, ${p})`);
  where(outcome, (p) => `outcome = ${p}`);
  where(since, (p) => `at >= ${p}`);
  where(until, (p) => `at < ${p}`);
  where(beyond, (p) => `seq ${newestFirst ? '<' : '>'} ${p}`);
  values.push(limit);
  const { rows } = await db.query<AuditRow>(
    `select ${columns} from audit ${conditions.length === 0 ? '' : `where ${conditions.join(' and ')}`}
     order by seq ${newestFirst ? 'desc' : ''} limit $${values.length}`,
    values,
  );
  return rows;
}
