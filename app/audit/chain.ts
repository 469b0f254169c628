import { createHash } from 'node:crypto';
import type { Clock } from '#base/clock.ts';
import { newId } from '#base/ids.ts';
import { canonicalJson, digestOf } from './canonical.ts';
import type { AuditEntry } from './entry.ts';

/** What is kept of one thing that was done, as its columns; all of it is digested. */
export interface AuditContent {
  readonly id: string;
  readonly at: Date;
  readonly actor_id: string;
  readonly actor_name: string;
  readonly actor_kind: AuditEntry['actor']['kind'];
  readonly credential: string | null;
  readonly action: string;
  readonly target: string;
  readonly outcome: AuditEntry['outcome'];
  readonly status: number | null;
  readonly address: string | null;
  readonly user_agent: string | null;
  readonly request_id: string | null;
  readonly before_digest: string | null;
  readonly after_digest: string | null;
  readonly detail: Readonly<Record<string, unknown>> | null;
}

/** A link of the chain. */
export interface AuditRow extends AuditContent {
  readonly seq: number;
  /** Hash of the row before. */
  readonly previous: Buffer;
  readonly hash: Buffer;
}

/** How many rows there are, and the hash of the last one. */
export interface AuditHead {
  readonly count: number;
  readonly hash: Buffer;
}

const mostText = 500;

/** What is kept of an entry: text that PostgreSQL gives back letter for letter, and not too much of it. */
export function contentOf(entry: AuditEntry, clock: Clock): AuditContent {
  const { actor, before, after, detail } = entry;
  const at = clock.now();
  return {
    id: newId('audit', at),
    at,
    actor_id: kept(actor.id),
    actor_name: kept(actor.name),
    actor_kind: actor.kind,
    credential: orNull(actor.credential),
    action: kept(entry.action),
    target: kept(entry.target),
    outcome: entry.outcome,
    status: entry.status ?? null,
    address: orNull(entry.address),
    user_agent: orNull(entry.userAgent),
    request_id: orNull(entry.requestId),
    before_digest: before === undefined ? null : digestOf(before),
    after_digest: after === undefined ? null : digestOf(after),
    detail: detail === undefined ? null : keptDetail(detail),
  };
}

/** Links contents to a chain, in their order. */
export function link(contents: readonly AuditContent[], head: AuditHead): readonly AuditRow[] {
  let { count, hash: previous } = head;
  return contents.map((content) => {
    count += 1;
    const hash = hashOf(content, count, previous);
    const row = { ...content, seq: count, previous, hash };
    previous = hash;
    return row;
  });
}

/** SHA-256 of the canonical JSON of place, content and the hash before. */
export function hashOf(content: AuditContent, seq: number, previous: Buffer): Buffer {
  const { id, at, actor_id, actor_name, actor_kind, credential, action, target, outcome } = content;
  const { status, address, user_agent, request_id, before_digest, after_digest, detail } = content;
  const what = { id, at, actor_id, actor_name, actor_kind, credential, action, target, outcome, status };
  const from = { address, user_agent, request_id, before_digest, after_digest, detail };
  const text = canonicalJson({ ...what, ...from, seq, previous: previous.toString('hex') });
  return createHash('sha256').update(text).digest();
}

/** PostgreSQL holds no zero character and no half of a surrogate pair. */
function kept(text: string): string {
  const clean = text.replaceAll('\0', '\uFFFD').toWellFormed();
  return clean.length > mostText ? `${clean.slice(0, mostText).toWellFormed()}…` : clean;
}

const orNull = (text: string | undefined) => (text === undefined ? null : kept(text));

/** A number that JSON has no word for becomes its name. */
function keptDetail(detail: Readonly<Record<string, string | number | boolean>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(detail).map(([key, value]) => {
      if (typeof value === 'boolean') return [kept(key), value];
      if (typeof value === 'number' && Number.isFinite(value)) return [kept(key), value === 0 ? 0 : value];
      return [kept(key), kept(String(value))];
    }),
  );
}
