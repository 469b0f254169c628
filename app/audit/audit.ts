import { createBatch } from '#base/batch.ts';
import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { Database, Queryable } from '#database/pool.ts';
import { type AuditContent, type AuditHead, type AuditRow, contentOf, link } from './chain.ts';
import type { AuditEntry } from './entry.ts';
import { appendRows, findRecorded, lockHead } from './store.ts';

export type { Actor, AuditEntry } from './entry.ts';

export interface Audit {
  /** Returns when the record is on the disk. Many at once share one transaction. */
  record(entry: AuditEntry): Promise<void>;
}

export interface AuditDependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Log;
}

/** Rows of one statement: about 300 kB of it. */
const mostAtOnce = 500;

/**
 * The record of who did what. All replicas write one chain: usually this one knows its end and appends in a single
 * statement, which writes nothing when somebody else was faster; then it waits for its turn and looks.
 */
export function createAudit({ database, clock, log }: AuditDependencies): Audit {
  let known: AuditHead | undefined;
  const append = createBatch<AuditContent, void>(mostAtOnce, async (contents) => {
    const head = known;
    known = undefined; // unless this ends well, nobody knows where the chain ends
    const rows = head === undefined ? [] : link(contents, head);
    // A lost connection says nothing about what was written; the second way looks.
    const appended = head !== undefined && (await appendRows(database, rows, head).catch(falseIfLost));
    known = appended ? headAfter(rows, head) : await database.transaction((tx) => appendInTurn(tx, contents));
    return contents.map(() => undefined);
  });
  return {
    record: async (entry) => {
      try {
        await append(contentOf(entry, clock));
      } catch (error) {
        log.error({ err: error, action: entry.action, outcome: entry.outcome }, 'audit record not written');
        throw error;
      }
    },
  };
}

function falseIfLost(error: unknown): false {
  if (Fault.is(error) && error.retry) return false;
  throw error;
}

/** A statement whose answer was lost may have been carried out: what is there already is not written again. */
async function appendInTurn(tx: Queryable, contents: readonly AuditContent[]): Promise<AuditHead> {
  const head = await lockHead(tx);
  const there = await findRecorded(
    tx,
    contents.map(({ id }) => id),
  );
  const rows = link(
    contents.filter(({ id }) => !there.has(id)),
    head,
  );
  if (!(await appendRows(tx, rows, head))) throw new Error('the locked head of the audit moved');
  return headAfter(rows, head);
}

function headAfter(rows: readonly AuditRow[], head: AuditHead): AuditHead {
  const last = rows.at(-1);
  return last === undefined ? head : { count: last.seq, hash: last.hash };
}
