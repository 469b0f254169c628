import type { Audit } from '#audit/audit.ts';
import type { RequestFacts } from '#contract/route.ts';
import type { Queryable } from '#database/pool.ts';

/** How many of each ended; what the audit is told. */
export interface Claimed {
  readonly sessions: number;
  readonly tokens: number;
  readonly passwords: number;
  readonly secondFactors: number;
  readonly links: number;
  readonly invitations: number;
}

/**
 * For whoever proves the address of an account, the first time that anybody does, whichever way they come. Until then
 * the account was perhaps somebody else's, who made it before the owner of the mailbox came. Everything goes by which
 * that one could come back: sessions, password, second factors, links to identity providers, tokens (those made for
 * service accounts too) and invitations that wait. Role and teams, which were given to the address, stay.
 *
 * @returns undefined: the address was proven before, and nothing is changed
 */
export async function claimAccount(tx: Queryable, userId: string): Promise<Claimed | undefined> {
  const { rows } = await tx.query<{ email: string; created: Date }>(
    `update auth."user" set "emailVerified" = true where id = $1 and not "emailVerified"
     returning email, "createdAt" as created`,
    [userId],
  );
  const [person] = rows;
  if (person === undefined) return undefined;
  const remove = async (from: string, values: readonly unknown[] = [userId]) =>
    (await tx.query(`delete from ${from}`, values)).rowCount;
  const sessions = await remove('auth.session where "userId" = $1');
  const passwords = await remove('auth.account where "userId" = $1');
  const secondFactors = await remove('totp where user_id = $1');
  await remove('backup_codes where user_id = $1');
  await remove('mail_codes where user_id = $1');
  await remove('mailed_links where user_id = $1');
  const links = await remove('identity_links where user_id = $1');
  // Who made a service account's token is kept by their address, which may have been somebody else's long ago.
  const tokens = await remove('tokens where user_id = $1 or (created_by = $2 and created_at >= $3)', [
    userId,
    person.email,
    person.created,
  ]);
  const invitations = await remove('invitations where invited_by = $1 and used_at is null');
  return { sessions, tokens, passwords, secondFactors, links, invitations };
}

export interface ClaimRecord {
  readonly person: { readonly id: string; readonly email: string };
  readonly claimed: Claimed | undefined;
  /** How the address was proven: `mailed link`, or the name of the identity provider. */
  readonly by: string;
  readonly request: RequestFacts;
}

/** Tells the audit, where something was claimed. */
export async function recordClaim(audit: Audit, { person, claimed, by, request }: ClaimRecord): Promise<void> {
  if (claimed === undefined) return;
  await audit.record({
    actor: { id: person.id, name: person.email, kind: 'user' },
    action: 'claimAccount',
    target: `people/${person.email}`,
    outcome: 'done',
    address: request.address,
    userAgent: request.header('user-agent')?.slice(0, 200) ?? '',
    requestId: request.id,
    detail: { by, ...claimed },
  });
}
