import type { Database, Queryable } from '#database/pool.ts';
import { type AuditHead, type AuditRow, hashOf } from './chain.ts';
import { findByHash, readHead, readRowsAfter } from './store.ts';

/** The first place where the chain is not what was written. */
export interface Break {
  /** Number of the row: of the one that was changed or put in, of the first one that is missing. */
  readonly seq: number;
  readonly id?: string;
  readonly kind: 'changed' | 'missing' | 'inserted' | 'reordered' | 'cut' | 'head' | 'anchor';
  /** The same in a sentence. */
  readonly why: string;
}

export interface Verdict {
  /** Rows that were read. */
  readonly rows: number;
  readonly head: AuditHead;
  readonly break?: Break;
}

export interface VerifyOptions {
  /** An end of the chain that was noted down elsewhere: it must still be part of it. */
  readonly anchor?: AuditHead;
  readonly rowsAtOnce?: number;
}

const start = Buffer.alloc(32);

/** Reads the whole chain, a bounded part at a time, as it is at one moment; others may go on writing. */
export function verifyAudit(database: Database, options: VerifyOptions = {}): Promise<Verdict> {
  return database.transaction((tx) => verifyIn(tx, options), { isolation: 'repeatable read' });
}

async function verifyIn(tx: Queryable, { anchor, rowsAtOnce = 2000 }: VerifyOptions): Promise<Verdict> {
  const head = await readHead(tx);
  let last: Pick<AuditRow, 'seq' | 'hash'> & { readonly row?: AuditRow } = { seq: 0, hash: start };
  let anchored = anchor === undefined || anchor.count === 0;
  let rows = 0;
  for (;;) {
    const part = await readRowsAfter(tx, last.seq, rowsAtOnce);
    for (const row of part) {
      const found = await breakAt(tx, row, last);
      if (found !== undefined) return { rows, head, break: found };
      rows += 1;
      last = { seq: row.seq, hash: row.hash, row };
      if (anchor !== undefined && anchor.count === row.seq && anchor.hash.equals(row.hash)) anchored = true;
    }
    if (part.length < rowsAtOnce) break;
  }
  const found = breakAtEnd(last, head) ?? (anchored ? undefined : breakAtAnchor(anchor));
  return found === undefined ? { rows, head } : { rows, head, break: found };
}

async function breakAt(
  tx: Queryable,
  row: AuditRow,
  last: { readonly seq: number; readonly hash: Buffer; readonly row?: AuditRow },
): Promise<Break | undefined> {
  const expected = last.seq + 1;
  if (row.seq !== expected) {
    const upTo = row.seq - 1 === expected ? '' : ` to ${row.seq - 1}`;
    return { seq: expected, kind: 'missing', why: `row ${expected}${upTo} is missing` };
  }
  const fits = hashOf(row, row.seq, row.previous).equals(row.hash);
  if (fits && row.previous.equals(last.hash)) return undefined;
  if (!fits) return movedOrChanged(tx, row, last);
  // The row is as it was written, but not after the row that now stands before it.
  if (last.row === undefined)
    return { seq: row.seq, id: row.id, kind: 'changed', why: `row ${row.seq} begins no chain` };
  const { seq, id } = last.row;
  return { seq, id, kind: 'changed', why: `row ${seq} is another one than row ${row.seq} was chained to` };
}

/** Its hash tells at which number the row was written, if it was written at all. */
async function movedOrChanged(tx: Queryable, row: AuditRow, last: { readonly row?: AuditRow }): Promise<Break> {
  const { seq, id } = row;
  const before = row.previous.equals(start) ? 0 : (await findByHash(tx, row.previous))?.seq;
  const wasAt = [before === undefined ? undefined : before + 1, seq - 1, seq + 1].find(
    (number) => number !== undefined && hashOf(row, number, row.previous).equals(row.hash),
  );
  if (wasAt === undefined) return { seq, id, kind: 'changed', why: `row ${seq} is not what was written` };
  if (wasAt === seq - 1 && last.row?.previous.equals(row.previous) === true)
    return { seq: wasAt, id: last.row.id, kind: 'inserted', why: `row ${wasAt} was put in before what is now ${seq}` };
  if (wasAt === seq + 1 && before === undefined)
    return { seq, kind: 'missing', why: `row ${seq} is missing, and those after it were numbered anew` };
  return { seq, id, kind: 'reordered', why: `row ${seq} was written as row ${wasAt}` };
}

function breakAtEnd(last: { readonly seq: number; readonly hash: Buffer }, head: AuditHead): Break | undefined {
  if (last.seq < head.count)
    return {
      seq: last.seq + 1,
      kind: 'cut',
      why: `the chain ends at row ${last.seq}, and ${head.count} rows were written`,
    };
  if (last.seq > head.count) {
    const seq = head.count + 1;
    return { seq, kind: 'inserted', why: `row ${seq} stands after the end of the chain` };
  }
  if (last.hash.equals(head.hash)) return undefined;
  return { seq: last.seq, kind: 'head', why: `row ${last.seq} is not the one that the head of the chain names` };
}

function breakAtAnchor(anchor: AuditHead | undefined): Break {
  const seq = anchor?.count ?? 0;
  return { seq, kind: 'anchor', why: `row ${seq} is not the one that was noted down: the chain was written anew` };
}
