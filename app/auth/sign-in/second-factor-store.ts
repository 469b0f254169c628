import type { Queryable } from '#database/pool.ts';

export interface TotpRow {
  readonly secret: Buffer;
  readonly confirmed_at: Date | null;
}

export async function findTotp(db: Queryable, userId: string): Promise<TotpRow | undefined> {
  const { rows } = await db.query<TotpRow>('select secret, confirmed_at from totp where user_id = $1', [userId]);
  return rows[0];
}

/** In place of one that was not confirmed. @returns false: there is a confirmed one */
export async function saveTotp(db: Queryable, userId: string, secret: Buffer, now: Date): Promise<boolean> {
  const { rowCount } = await db.query(
    `insert into totp as t (user_id, secret, created_at) values ($1, $2, $3)
     on conflict (user_id) do update set secret = excluded.secret, created_at = excluded.created_at, last_step = 0
     where t.confirmed_at is null`,
    [userId, secret, now],
  );
  return rowCount === 1;
}

/** Each time step is taken once, and none before it any more; `secret` is the one that the code was checked against. */
export async function takeStep(db: Queryable, userId: string, secret: Buffer, step: number): Promise<boolean> {
  const { rowCount } = await db.query(
    'update totp set last_step = $3 where user_id = $1 and secret = $2 and last_step < $3 and confirmed_at is not null',
    [userId, secret, step],
  );
  return rowCount === 1;
}

export async function confirmTotp(
  db: Queryable,
  userId: string,
  given: { secret: Buffer; step: number; now: Date },
): Promise<boolean> {
  const { rowCount } = await db.query(
    'update totp set confirmed_at = $4, last_step = $3 where user_id = $1 and secret = $2 and confirmed_at is null',
    [userId, given.secret, given.step, given.now],
  );
  return rowCount === 1;
}

export async function deleteTotp(db: Queryable, userId: string): Promise<void> {
  await db.query('delete from totp where user_id = $1', [userId]);
}

export async function countBackupCodes(db: Queryable, userId: string): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    'select count(*)::integer as count from backup_codes where user_id = $1',
    [userId],
  );
  return rows[0]?.count ?? 0;
}

export async function replaceBackupCodes(tx: Queryable, userId: string, hashes: readonly Buffer[]): Promise<void> {
  await tx.query('delete from backup_codes where user_id = $1', [userId]);
  await tx.query('insert into backup_codes (user_id, hash) select $1, unnest($2::bytea[])', [userId, hashes]);
}

export async function takeBackupCode(db: Queryable, userId: string, hash: Buffer): Promise<boolean> {
  const { rowCount } = await db.query('delete from backup_codes where user_id = $1 and hash = $2', [userId, hash]);
  return rowCount === 1;
}

export async function saveMailCode(db: Queryable, userId: string, hash: Buffer, expiresAt: Date): Promise<void> {
  await db.query(
    `insert into mail_codes (user_id, hash, expires_at) values ($1, $2, $3)
     on conflict (user_id) do update set hash = excluded.hash, expires_at = excluded.expires_at, tries = 0`,
    [userId, hash, expiresAt],
  );
}

/** One try. The right code is gone with it; a wrong one stays until the tries are used up. */
export async function takeMailCode(
  db: Queryable,
  userId: string,
  given: { hash: Buffer; now: Date; mostTries: number },
): Promise<boolean> {
  const { rows } = await db.query<{ hash: Buffer }>(
    `update mail_codes set tries = tries + 1 where user_id = $1 and expires_at > $2 and tries < $3 returning hash`,
    [userId, given.now, given.mostTries],
  );
  if (rows[0]?.hash.equals(given.hash) !== true) return false;
  const { rowCount } = await db.query('delete from mail_codes where user_id = $1 and hash = $2', [userId, given.hash]);
  return rowCount === 1;
}

export async function deleteMailCode(db: Queryable, userId: string): Promise<void> {
  await db.query('delete from mail_codes where user_id = $1', [userId]);
}
