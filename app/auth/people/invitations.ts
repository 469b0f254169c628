import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { newId } from '#base/ids.ts';
import { Secret } from '#base/secret.ts';
import type { Caller } from '#contract/caller.ts';
import type { Database, Queryable } from '#database/pool.ts';
import type { Mailer } from '#notify/mail.ts';
import type { Auth } from '../better-auth.ts';
import { principalOf } from '../principal.ts';
import { findPrincipal } from '../principal-store.ts';
import { randomToken, tokenDigest } from '../random-token.ts';
import { mustHold } from '../roles.ts';
import { checkNewPassword } from '../sign-in/password-rules.ts';
import { keepRole } from './custom-roles.ts';
import {
  deleteInvitation,
  deleteInvitationsOf,
  findInvitation,
  type InvitationRow,
  insertInvitation,
  isInvited,
  listInvitations,
  lockInvitationsOf,
  useInvitation,
} from './invitation-store.ts';
import { normalEmail } from './people.ts';
import { findPersonByEmail } from './people-store.ts';
import { keepTeams, saveMember } from './team-store.ts';

export interface InvitationWish {
  readonly email: string;
  readonly role: string;
  readonly team?: string | undefined;
  readonly send: 'mail' | 'link';
}

export interface Invitations {
  /** @param teams only into these; undefined: all */
  list(teams?: readonly string[]): Promise<readonly InvitationRow[]>;
  /**
   * @returns with `link` only where it was not mailed: whoever has it becomes the person
   * @throws Fault INVITATIONS_OFF | PERSON_EXISTS | ROLE_NOT_FOUND | TEAM_NOT_FOUND | GRANT_BEYOND_OWN | MAIL_OFF
   */
  create(caller: Caller, wish: InvitationWish): Promise<InvitationRow & { readonly link: Secret | undefined }>;
  /** @returns what it was. @throws Fault INVITATION_NOT_FOUND */
  remove(id: string, teams?: readonly string[]): Promise<InvitationRow>;
  /** What the bearer of a link is invited to. @throws Fault LINK_INVALID | INVITATIONS_OFF */
  read(token: string): Promise<InvitationRow>;
  /**
   * Makes the account; works once. What the one who invited may no longer grant ends the invitation.
   * @throws Fault LINK_INVALID | INVITATIONS_OFF | PASSWORD_WEAK | PERSON_EXISTS | TOO_MANY_REQUESTS
   */
  accept(token: string, wish: { readonly name: string; readonly password: Secret }): Promise<Accepted>;
  /**
   * Makes the account of somebody whose address is proven otherwise, without a password, from the newest invitation of
   * this address that is still granted, and uses it up.
   * @returns undefined: there is none, or AUTH_DISABLE_INVITATIONS
   * @throws Fault PERSON_EXISTS
   */
  acceptFor(email: string, profile: { readonly name: string }): Promise<Redeemed | undefined>;
}

export interface Redeemed {
  /** The person's. */
  readonly id: string;
  readonly invitation: InvitationRow;
}

export interface Accepted {
  readonly id: string;
  readonly email: string;
}

export interface InvitationsDependencies {
  readonly database: Database;
  readonly auth: Pick<Auth, 'addPerson' | 'hash'>;
  readonly mailer: Mailer;
  readonly clock: Clock;
  /** False: AUTH_DISABLE_INVITATIONS. */
  readonly enabled: boolean;
  /** Where a token leads: the address of the page, with the token in it. */
  readonly linkOf: (token: string) => string;
}

const validMs = 7 * 86_400_000;
/** That of `randomToken`. */
const form = /^[A-Za-z0-9_-]{43}$/;

export function createInvitations(dependencies: InvitationsDependencies): Invitations {
  const { database, mailer, clock, enabled, linkOf } = dependencies;
  const mustBeOn = () => {
    if (!enabled) throw new Fault('INVITATIONS_OFF');
  };
  const find = async (db: Queryable, token: string, lock?: 'lock'): Promise<InvitationRow> => {
    const row = form.test(token) ? await findInvitation(db, tokenDigest(token), clock.now(), lock) : undefined;
    if (row === undefined || !(await isStillGranted(db, row))) throw new Fault('LINK_INVALID');
    return row;
  };
  return {
    list: (teams) => listInvitations(database, clock.now(), teams),
    create: async (caller, { role, team, send, ...wish }) => {
      mustBeOn();
      if (send === 'mail' && !mailer.enabled) throw new Fault('MAIL_OFF');
      const email = normalEmail(wish.email);
      const now = clock.now();
      const token = randomToken();
      const link = new Secret(linkOf(token));
      const row = {
        id: newId('invitation', now),
        email,
        role,
        team: team ?? null,
        invited_by: caller.id,
        mailed: send === 'mail',
        created_at: now,
        expires_at: new Date(now.getTime() + validMs),
      };
      await database.transaction(async (tx) => {
        mustHold(caller, await keepRole(tx, role), team === undefined ? [] : [team]);
        if (team !== undefined && (await keepTeams(tx, [team])).length === 0)
          throw new Fault('TEAM_NOT_FOUND', { team });
        if ((await findPersonByEmail(tx, email)) !== undefined) throw new Fault('PERSON_EXISTS', { email });
        // Who is invited once more, perhaps with another role, must not come in by the older link.
        await deleteInvitationsOf(tx, email, row.team);
        await insertInvitation(tx, { ...row, hash: tokenDigest(token) });
      });
      if (send === 'mail') await mailer.send(mailOf(row, caller, link));
      return { ...row, link: send === 'mail' ? undefined : link };
    },
    remove: async (id, teams) => {
      const gone = await deleteInvitation(database, id, teams);
      if (gone === undefined) throw new Fault('INVITATION_NOT_FOUND', { invitation: id });
      return gone;
    },
    read: async (token) => {
      mustBeOn();
      return find(database, token);
    },
    accept: async (token, wish) => {
      mustBeOn();
      const { email } = await find(database, token);
      checkNewPassword(wish.password, { email, name: wish.name });
      // Before the transaction: hashing waits in line, and a transaction that waits holds a connection.
      const passwordHash = await dependencies.auth.hash(wish.password);
      return database.transaction(async (tx) => {
        const row = await find(tx, token, 'lock');
        // Who was only shown the link has not proven that the mailbox is theirs.
        const id = await makePerson(tx, dependencies, row, { ...wish, passwordHash, emailVerified: row.mailed });
        return { id, email: row.email };
      });
    },
    acceptFor: async (given, { name }) => {
      const email = normalEmail(given);
      if (!enabled || !(await isInvited(database, email, clock.now()))) return undefined;
      return database.transaction(async (tx) => {
        for (const invitation of await lockInvitationsOf(tx, email, clock.now())) {
          if (!(await isStillGranted(tx, invitation))) continue;
          return { id: await makePerson(tx, dependencies, invitation, { name, emailVerified: true }), invitation };
        }
        return undefined;
      });
    },
  };
}

/** The account first: a crash right after it leaves a person without a team, never a right without a person. */
async function makePerson(
  tx: Queryable,
  { auth, clock }: InvitationsDependencies,
  { id, email, role, team }: InvitationRow,
  { name, passwordHash, emailVerified }: { name: string; passwordHash?: string; emailVerified: boolean },
): Promise<string> {
  const userId = await auth.addPerson({ email, name, role, emailVerified, passwordHash });
  if (userId === undefined) throw new Fault('PERSON_EXISTS', { email });
  if (team !== null) await saveMember(tx, { team, userId, role: null, source: 'manual' });
  await useInvitation(tx, id, userId, clock.now());
  await deleteInvitationsOf(tx, email);
  return userId;
}

/** Whether the one who invited could still do it: present, active, and holding all that it grants. */
async function isStillGranted(db: Queryable, { invited_by, role, team }: InvitationRow): Promise<boolean> {
  const row = await findPrincipal(db, invited_by);
  const may = row === undefined || row.disabled ? undefined : principalOf(row)?.may;
  if (may?.get('invitation:write') === undefined) return false;
  try {
    mustHold({ may }, await keepRole(db, role), team === null ? [] : [team]);
    return team === null || (await keepTeams(db, [team])).length === 1;
  } catch (error) {
    if (Fault.is(error, 'GRANT_BEYOND_OWN') || Fault.is(error, 'ROLE_NOT_FOUND')) return false;
    throw error;
  }
}

function mailOf({ email, team }: InvitationRow, by: Caller, link: Secret) {
  const where = team === null ? '' : `, to begin in team ${team}`;
  return {
    to: email,
    subject: 'You are invited to Plinth',
    text: new Secret(
      `${by.name} invites you to Plinth${where}.\n\nMake your account within 7 days:\n${link.reveal()}\n\n` +
        'The link works once. If you expected no invitation, leave it alone.\n',
    ),
    uselessAfterMs: validMs,
  };
}
