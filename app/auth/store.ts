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
  /** Id of the person or the service account that it acts for. */
  readonly owner: string;
  readonly created_by: string;
  readonly hint: string;
  readonly scopes: readonly string[] | null;
  readonly teams: readonly string[] | null;
  readonly environments: readonly string[] | null;
  readonly created_at: Date;
  readonly expires_at: Date | null;
  readonly last_used_at: Date | null;
}

const tokenFields = `id, name, coalesce(user_id, service_account_id) as owner, created_by, hint, scopes, teams,
  environments, created_at, expires_at, last_used_at`;

export async function findToken(db: Queryable, hash: Buffer): Promise<TokenRow | undefined> {
  const { rows } = await db.query<TokenRow>(
    `select ${tokenFields} from tokens where hash = $1`,
    [hash],
    'auth_find_token',
  );
  return rows[0];
}

export async function insertToken(
  db: Queryable,
  token: Omit<TokenRow, 'last_used_at'> & { readonly hash: Buffer },
): Promise<void> {
  const isMachine = token.owner.startsWith('sva_');
  await db.query(
    `insert into tokens (id, name, hash, user_id, service_account_id, created_by, hint, scopes, teams, environments,
       created_at, expires_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
    [
      token.id,
      token.name,
      token.hash,
      isMachine ? null : token.owner,
      isMachine ? token.owner : null,
      token.created_by,
      token.hint,
      token.scopes,
      token.teams,
      token.environments,
      token.created_at,
      token.expires_at,
    ],
  );
}

/** The newest first; of everybody when no owner is named. */
export async function listTokens(db: Queryable, owner?: string): Promise<readonly TokenRow[]> {
  const { rows } = await db.query<TokenRow>(
    `select ${tokenFields} from tokens
     where $1::text is null or user_id = $1 or service_account_id = $1 order by id desc`,
    [owner ?? null],
  );
  return rows;
}

/** Of the tokens that were bound to this team; which was bound to no other is bound to none, and does nothing in any. */
export async function unbindTokens(tx: Queryable, team: string): Promise<void> {
  await tx.query('update tokens set teams = array_remove(teams, $1) where $1 = any(teams)', [team]);
}

/** @returns what there was, of this owner if one is named */
export async function deleteToken(db: Queryable, id: string, owner?: string): Promise<TokenRow | undefined> {
  const { rows } = await db.query<TokenRow>(
    `delete from tokens where id = $1 and ($2::text is null or user_id = $2 or service_account_id = $2)
     returning ${tokenFields}`,
    [id, owner ?? null],
  );
  return rows[0];
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
