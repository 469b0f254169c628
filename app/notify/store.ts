import type { Queryable } from '#database/pool.ts';

export interface MailRow {
  readonly id: string;
  readonly nonce: Buffer;
  readonly ciphertext: Buffer;
  /** How often it was tried, this time included. */
  readonly attempts: number;
  readonly useless: boolean;
}

export async function insertMail(
  db: Queryable,
  mail: Pick<MailRow, 'id' | 'nonce' | 'ciphertext'> & { readonly uselessAfterMs: number },
): Promise<void> {
  await db.query(
    `insert into mail (id, nonce, ciphertext, useless_at) values ($1, $2, $3, now() + $4 * interval '1 ms')`,
    [mail.id, mail.nonce, mail.ciphertext, mail.uselessAfterMs],
  );
}

/** Takes what is due, for as long as `leaseMs`: after that it is due again, as whoever took it may be gone. */
export async function claimMails(db: Queryable, most: number, leaseMs: number): Promise<readonly MailRow[]> {
  const { rows } = await db.query<MailRow>(
    `update mail set attempts = attempts + 1, due_at = now() + $2 * interval '1 ms'
     where id in (select id from mail where due_at <= now() order by due_at limit $1 for update skip locked)
     returning id, nonce, ciphertext, attempts, useless_at <= now() as useless`,
    [most, leaseMs],
    'mail_claim',
  );
  return rows;
}

export async function deleteMail(db: Queryable, id: string): Promise<void> {
  await db.query('delete from mail where id = $1', [id]);
}

/** It is tried again then, or earlier when it would be useless by then: to be taken away. */
export async function postponeMail(db: Queryable, id: string, ms: number): Promise<void> {
  await db.query(
    `update mail set due_at = least(now() + $2 * interval '1 ms', greatest(useless_at, now())) where id = $1`,
    [id, ms],
  );
}

/** Milliseconds until the next one is due; undefined: there is none. */
export async function nextDueMs(db: Queryable): Promise<number | undefined> {
  const { rows } = await db.query<{ ms: number | null }>(
    'select ceil(extract(epoch from min(due_at) - now()) * 1000)::float8 as ms from mail',
  );
  return rows[0]?.ms ?? undefined;
}
