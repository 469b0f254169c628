import type { Queryable } from '#database/pool.ts';

/** A person with a password, or a person without one (`hash` null). */
export interface CredentialRow {
  readonly id: string;
  readonly email: string;
  readonly role: string;
  readonly hash: string | null;
}

/** `email` in lower case, as better-auth keeps it. */
export async function findCredential(db: Queryable, email: string): Promise<CredentialRow | undefined> {
  const { rows } = await db.query<CredentialRow>(
    `select u.id, u.email, u.role, a.password as hash
     from auth."user" u left join auth.account a on a."userId" = u.id and a."providerId" = 'credential'
     where u.email = $1`,
    [email],
    'auth_find_credential',
  );
  return rows[0];
}

export interface TokenRow {
  readonly id: string;
  readonly name: string;
  readonly created_at: Date;
  readonly expires_at: Date | null;
  readonly last_used_at: Date | null;
}

export interface TokenOwnerRow extends TokenRow {
  readonly user_id: string;
  readonly role: string;
}

/** A token whose person is gone is none. */
export async function findToken(db: Queryable, hash: Buffer): Promise<TokenOwnerRow | undefined> {
  const { rows } = await db.query<TokenOwnerRow>(
    `select t.id, t.name, t.created_at, t.expires_at, t.last_used_at, t.user_id, u.role
     from tokens t join auth."user" u on u.id = t.user_id
     where t.hash = $1`,
    [hash],
    'auth_find_token',
  );
  return rows[0];
}

export async function insertToken(
  db: Queryable,
  token: Omit<TokenRow, 'last_used_at'> & { readonly user_id: string; readonly hash: Buffer },
): Promise<void> {
  await db.query(
    'insert into tokens (id, name, hash, user_id, created_at, expires_at) values ($1, $2, $3, $4, $5, $6)',
    [token.id, token.name, token.hash, token.user_id, token.created_at, token.expires_at],
  );
}

export async function listTokensOf(db: Queryable, userId: string): Promise<readonly TokenRow[]> {
  const { rows } = await db.query<TokenRow>(
    'select id, name, created_at, expires_at, last_used_at from tokens where user_id = $1 order by id desc',
    [userId],
  );
  return rows;
}

/** @returns whether there was one */
export async function deleteTokenOf(db: Queryable, userId: string, id: string): Promise<boolean> {
  const { rowCount } = await db.query('delete from tokens where user_id = $1 and id = $2', [userId, id]);
  return rowCount === 1;
}

/** Of several replicas at once only one writes. */
export async function touchToken(db: Queryable, id: string, now: Date, before: Date): Promise<void> {
  await db.query('update tokens set last_used_at = $2 where id = $1 and (last_used_at is null or last_used_at < $3)', [
    id,
    now,
    before,
  ]);
}

export interface AdministratorRow {
  readonly user_id: string;
  readonly email: string;
  readonly setting_hash: string | null;
}

/** Of several processes that start at once one makes the administrator and the others wait. */
export async function lockAdministrator(tx: Queryable): Promise<void> {
  await tx.query('select pg_advisory_xact_lock($1)', [7_010_403]);
}

export async function findAdministrator(db: Queryable): Promise<AdministratorRow | undefined> {
  const { rows } = await db.query<AdministratorRow>(
    'select a.user_id, u.email, a.setting_hash from administrator a join auth."user" u on u.id = a.user_id',
  );
  return rows[0];
}

export async function saveAdministrator(db: Queryable, userId: string, settingHash: string | null): Promise<void> {
  await db.query(
    `insert into administrator (user_id, setting_hash) values ($1, $2)
     on conflict (singleton) do update set user_id = excluded.user_id, setting_hash = excluded.setting_hash`,
    [userId, settingHash],
  );
}
