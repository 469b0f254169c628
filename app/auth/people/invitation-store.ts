import type { Queryable } from '#database/pool.ts';

export interface InvitationRow {
  readonly id: string;
  readonly email: string;
  readonly role: string;
  readonly team: string | null;
  readonly invited_by: string;
  readonly mailed: boolean;
  readonly created_at: Date;
  readonly expires_at: Date;
}

const fields = 'id, email, role, team, invited_by, mailed, created_at, expires_at';

export async function insertInvitation(tx: Queryable, row: InvitationRow & { readonly hash: Buffer }): Promise<void> {
  await tx.query(
    `insert into invitations (id, hash, email, role, team, invited_by, mailed, created_at, expires_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    [row.id, row.hash, row.email, row.role, row.team, row.invited_by, row.mailed, row.created_at, row.expires_at],
  );
}

/** Those that wait, the newest first; into one of these teams, or (undefined) all. */
export async function listInvitations(
  db: Queryable,
  now: Date,
  teams: readonly string[] | undefined,
): Promise<readonly InvitationRow[]> {
  const { rows } = await db.query<InvitationRow>(
    `select ${fields} from invitations
     where used_at is null and expires_at > $1 and ($2::text[] is null or team = any($2)) order by id desc`,
    [now, teams ?? null],
  );
  return rows;
}

/** Those that wait for this address; `team`: only the ones into it, or (null) into none. */
export async function deleteInvitationsOf(tx: Queryable, email: string, team?: string | null): Promise<void> {
  await tx.query(
    `delete from invitations where email = $1 and used_at is null and ($2 or team is not distinct from $3)`,
    [email, team === undefined, team ?? null],
  );
}

/** One that waits; `lock`: nobody else gets it until the transaction ends. */
export async function findInvitation(
  db: Queryable,
  hash: Buffer,
  now: Date,
  lock?: 'lock',
): Promise<InvitationRow | undefined> {
  const { rows } = await db.query<InvitationRow>(
    `select ${fields} from invitations where hash = $1 and used_at is null and expires_at > $2
     ${lock === undefined ? '' : 'for update'}`,
    [hash, now],
  );
  return rows[0];
}

/** Whether one waits for this address. */
export async function isInvited(db: Queryable, email: string, now: Date): Promise<boolean> {
  const { rowCount } = await db.query(
    'select from invitations where email = $1 and used_at is null and expires_at > $2 limit 1',
    [email, now],
  );
  return rowCount === 1;
}

/** Those that wait for this address, the newest first; nobody else gets them until the transaction ends. */
export async function lockInvitationsOf(tx: Queryable, email: string, now: Date): Promise<readonly InvitationRow[]> {
  const { rows } = await tx.query<InvitationRow>(
    `select ${fields} from invitations where email = $1 and used_at is null and expires_at > $2
     order by id desc for update`,
    [email, now],
  );
  return rows;
}

export async function useInvitation(tx: Queryable, id: string, userId: string, now: Date): Promise<void> {
  await tx.query('update invitations set used_at = $3, used_by = $2 where id = $1', [id, userId, now]);
}

/** Those that wait for somebody to come into this team. */
export async function deleteInvitationsInto(tx: Queryable, team: string): Promise<void> {
  await tx.query('delete from invitations where team = $1 and used_at is null', [team]);
}

/** @returns the one that waited, into one of these teams where they are named */
export async function deleteInvitation(
  db: Queryable,
  id: string,
  teams: readonly string[] | undefined,
): Promise<InvitationRow | undefined> {
  const { rows } = await db.query<InvitationRow>(
    `delete from invitations where id = $1 and used_at is null and ($2::text[] is null or team = any($2))
     returning ${fields}`,
    [id, teams ?? null],
  );
  return rows[0];
}
