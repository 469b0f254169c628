import type { Queryable } from '#database/pool.ts';
import type { AuditRow } from './chain.ts';
import { type AuditFilter, listRows } from './store.ts';

/** A record as people and programs see it. */
export interface AuditView {
  readonly seq: number;
  readonly id: string;
  readonly at: string;
  readonly actor: {
    readonly id: string;
    readonly name: string;
    readonly kind: AuditRow['actor_kind'];
    readonly credential: string | null;
  };
  readonly action: string;
  readonly target: string;
  readonly outcome: AuditRow['outcome'];
  readonly status: number | null;
  readonly address: string | null;
  readonly userAgent: string | null;
  readonly requestId: string | null;
  readonly before: string | null;
  readonly after: string | null;
  readonly detail: Readonly<Record<string, unknown>> | null;
  readonly previous: string;
  readonly hash: string;
}

/** One page, the newest first. `next` is given as `beyond` for the page after it; null: there is none. */
export async function listAudit(
  db: Queryable,
  filter: AuditFilter,
  { beyond, limit }: { readonly beyond?: number | undefined; readonly limit: number },
): Promise<{ readonly items: readonly AuditView[]; readonly next: string | null }> {
  const rows = await listRows(db, filter, { beyond, newestFirst: true, limit: limit + 1 });
  const items = rows.slice(0, limit).map(viewOf);
  return { items, next: rows.length > limit ? String(items.at(-1)?.seq) : null };
}

const rowsAtOnce = 1000;

/** Every record that fits, in the order of the chain, one JSON object a line; a bounded part is in memory at a time. */
export async function* exportAudit(db: Queryable, filter: AuditFilter): AsyncGenerator<string> {
  let beyond = 0;
  for (;;) {
    const rows = await listRows(db, filter, { beyond, newestFirst: false, limit: rowsAtOnce });
    if (rows.length > 0) yield `${rows.map((row) => JSON.stringify(viewOf(row))).join('\n')}\n`;
    if (rows.length < rowsAtOnce) return;
    beyond = rows.at(-1)?.seq ?? beyond;
  }
}

function viewOf(row: AuditRow): AuditView {
  return {
    seq: row.seq,
    id: row.id,
    at: row.at.toISOString(),
    actor: { id: row.actor_id, name: row.actor_name, kind: row.actor_kind, credential: row.credential },
    action: row.action,
    target: row.target,
    outcome: row.outcome,
    status: row.status,
    address: row.address,
    userAgent: row.user_agent,
    requestId: row.request_id,
    before: row.before_digest,
    after: row.after_digest,
    detail: row.detail,
    previous: row.previous.toString('hex'),
    hash: row.hash.toString('hex'),
  };
}
