import type { Queryable } from '#database/pool.ts';

/** What deciding about a sign-in needs to know of a person. */
export interface SignInRow {
  readonly id: string;
  readonly email: string;
  readonly name: string;
  readonly role: string;
  /** null: a person without a password. */
  readonly hash: string | null;
  readonly disabled: boolean;
  /** Signs in with an identity provider. */
  readonly federated: boolean;
}

const person = `select u.id, u.email, u.name, u.role, a.password as hash, coalesce(p.disabled, false) as disabled,
    exists (select from identity_links l where l.user_id = u.id) as federated
  from auth."user" u
  left join auth.account a on a."userId" = u.id and a."providerId" = 'credential'
  left join people_state p on p.user_id = u.id`;

/** `email` in lower case, as better-auth keeps it. */
export async function findByEmail(db: Queryable, email: string): Promise<SignInRow | undefined> {
  const { rows } = await db.query<SignInRow>(`${person} where u.email = $1`, [email], 'sign_in_find_by_email');
  return rows[0];
}

export async function findById(db: Queryable, id: string): Promise<SignInRow | undefined> {
  const { rows } = await db.query<SignInRow>(`${person} where u.id = $1`, [id], 'sign_in_find_by_id');
  return rows[0];
}

export interface SessionRow {
  readonly id: string;
  readonly token: string;
  readonly user_id: string;
  readonly via: string | null;
  readonly second_factor: string | null;
  readonly address: string | null;
  readonly user_agent: string | null;
  readonly created_at: Date;
  readonly updated_at: Date;
  readonly expires_at: Date;
}

const session = `select s.id, s.token, s."userId" as user_id, s.via, s."secondFactor" as second_factor, s."ipAddress" as address,
    s."userAgent" as user_agent, s."createdAt" as created_at, s."updatedAt" as updated_at, s."expiresAt" as expires_at
  from auth.session s
  join auth."user" u on u.id = s."userId"
  left join people_state p on p.user_id = s."userId"`;
const lives = `s."expiresAt" > $2 and not coalesce(p.disabled, false)`;

/** Those that live, of people who are not disabled; the newest first. */
export async function findSessions(
  db: Queryable,
  tokens: readonly string[],
  now: Date,
): Promise<readonly SessionRow[]> {
  const { rows } = await db.query<SessionRow>(
    `${session} where s.token = any($1) and ${lives} order by s."createdAt" desc`,
    [tokens, now],
    'sign_in_find_sessions',
  );
  return rows;
}

export async function listSessionsOf(db: Queryable, userId: string, now: Date): Promise<readonly SessionRow[]> {
  const { rows } = await db.query<SessionRow>(
    `${session} where s."userId" = $1 and ${lives} order by s."createdAt" desc, s.id desc`,
    [userId, now],
  );
  return rows;
}

/** Of several replicas at once only one writes. */
export async function touchSession(
  db: Queryable,
  id: string,
  to: { now: Date; before: Date; until: Date },
): Promise<void> {
  await db.query('update auth.session set "updatedAt" = $2, "expiresAt" = $4 where id = $1 and "updatedAt" < $3', [
    id,
    to.now,
    to.before,
    to.until,
  ]);
}

export async function deleteSessionsByToken(db: Queryable, tokens: readonly string[]): Promise<void> {
  await db.query('delete from auth.session where token = any($1)', [tokens]);
}

/** @returns whether there was one */
export async function deleteSession(db: Queryable, userId: string, id: string): Promise<boolean> {
  const { rowCount } = await db.query('delete from auth.session where "userId" = $1 and id = $2', [userId, id]);
  return rowCount === 1;
}

export async function deleteSessionsOf(db: Queryable, userId: string, except = ''): Promise<void> {
  await db.query('delete from auth.session where "userId" = $1 and id <> $2', [userId, except]);
}

/** Keeps the newest `most`. */
export async function deleteSurplusSessions(db: Queryable, userId: string, most: number): Promise<void> {
  await db.query(
    `delete from auth.session where id in
       (select id from auth.session where "userId" = $1 order by "createdAt" desc, id desc offset $2)`,
    [userId, most],
  );
}

export interface WishRow {
  readonly number: number;
  readonly kind: 'reset' | 'register';
  readonly email: string;
  readonly name: string | null;
  readonly password_hash: string | null;
  readonly created_at: Date;
}

export async function insertWish(db: Queryable, wish: Omit<WishRow, 'number'>): Promise<void> {
  await db.query('insert into link_wishes (kind, email, name, password_hash, created_at) values ($1, $2, $3, $4, $5)', [
    wish.kind,
    wish.email,
    wish.name,
    wish.password_hash,
    wish.created_at,
  ]);
}

/** The oldest that no other replica works on; held until the transaction ends. */
export async function claimWish(tx: Queryable): Promise<WishRow | undefined> {
  const { rows } = await tx.query<WishRow>('select * from link_wishes order by number limit 1 for update skip locked');
  return rows[0];
}

export async function deleteWish(tx: Queryable, number: number): Promise<void> {
  await tx.query('delete from link_wishes where number = $1', [number]);
}

export interface LinkRow {
  readonly hash: Buffer;
  readonly kind: WishRow['kind'];
  readonly email: string;
  readonly user_id: string | null;
  readonly name: string | null;
  readonly password_hash: string | null;
  readonly expires_at: Date;
}

export async function insertLink(db: Queryable, link: LinkRow): Promise<void> {
  await db.query(
    `insert into mailed_links (hash, kind, email, user_id, name, password_hash, expires_at)
     values ($1, $2, $3, $4, $5, $6, $7)`,
    [link.hash, link.kind, link.email, link.user_id, link.name, link.password_hash, link.expires_at],
  );
}

export async function findLink(db: Queryable, kind: LinkRow['kind'], hash: Buffer, now: Date) {
  const { rows } = await db.query<LinkRow>(
    'select * from mailed_links where hash = $1 and kind = $2 and expires_at > $3',
    [hash, kind, now],
  );
  return rows[0];
}

/** Of several at once one gets it. */
export async function takeLink(db: Queryable, kind: LinkRow['kind'], hash: Buffer, now: Date) {
  const { rows } = await db.query<LinkRow>(
    'delete from mailed_links where hash = $1 and kind = $2 and expires_at > $3 returning *',
    [hash, kind, now],
  );
  return rows[0];
}

export async function deleteLinksOf(db: Queryable, userId: string): Promise<void> {
  await db.query('delete from mailed_links where user_id = $1', [userId]);
}

/** What has had its day, of everything about signing in. */
export async function deleteEnded(db: Queryable, now: Date, knownBefore: Date): Promise<void> {
  await db.query('delete from auth.session where "expiresAt" <= $1', [now]);
  await db.query('delete from sign_in_attempts where ends_at <= $1', [now]);
  await db.query('delete from mailed_links where expires_at <= $1', [now]);
  await db.query('delete from mail_codes where expires_at <= $1', [now]);
  await db.query('delete from sign_in_known where seen_at < $1', [knownBefore]);
}
