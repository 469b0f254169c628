import type { Audit, AuditEntry } from '#audit/audit.ts';
import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { Secret } from '#base/secret.ts';
import type { RequestFacts } from '#contract/route.ts';
import type { Database } from '#database/pool.ts';
import type { Mailer } from '#notify/mail.ts';
import type { Auth } from '../better-auth.ts';
import type { PasswordSignIn } from '../identity/password-gate.ts';
import { claimAccount, recordClaim } from './claim.ts';
import type { SignInLimits } from './limits.ts';
import type { MailedLinks } from './mailed-links.ts';
import { checkNewPassword } from './password-rules.ts';
import type { Passwords } from './passwords.ts';
import type { Begun, Sessions } from './sessions.ts';
import { findByEmail, findById, type SignInRow } from './store.ts';

/**
 * The ways in by e-mail and password. What is wrong is never told apart: not by words, not by time. Who registers becomes
 * a person only when the mailed link is opened, so that nobody is ever signed in with an address that is not theirs.
 */
export interface SignIn {
  /** @throws Fault CREDENTIALS_WRONG | SIGN_IN_LIMITED | PASSWORD_SIGN_IN_OFF | ACCOUNT_DISABLED | TOO_MANY_REQUESTS */
  withPassword(email: string, password: Secret, request: RequestFacts): Promise<Begun>;
  /** A new account, where AUTH_ALLOW_REGISTRATION is on; the same answer for an address that has one. @throws Fault REGISTRATION_CLOSED | PASSWORD_WEAK | MAIL_OFF | TOO_MANY_REQUESTS */
  register(wish: { email: string; name: string; password: Secret }, request: RequestFacts): Promise<void>;
  /** Mails a link if there is such a person; the same answer, after the same time, if not. @throws Fault MAIL_OFF | TOO_MANY_REQUESTS */
  requestReset(email: string, request: RequestFacts): Promise<void>;
  /**
   * Ends every session. The link works once. A second factor is still asked for at the next sign-in, unless the address
   * is proven only now: then nothing of the account's past is kept (claim.ts). @throws Fault LINK_INVALID | PASSWORD_WEAK
   */
  reset(token: Secret, password: Secret, request: RequestFacts): Promise<void>;
  /** @throws Fault LINK_INVALID */
  verifyEmail(token: Secret): Promise<void>;
  /** Ends every other session and gives this one a new token. @throws Fault CREDENTIALS_WRONG | PASSWORD_WEAK */
  changePassword(userId: string, current: Secret, next: Secret, request: RequestFacts): Promise<readonly string[]>;
}

export interface SignInDependencies {
  readonly auth: Auth;
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly passwords: Passwords;
  readonly limits: SignInLimits;
  readonly sessions: Sessions;
  readonly links: MailedLinks;
  readonly mailer: Mailer;
  readonly audit: Audit;
  /** AUTH_ALLOW_REGISTRATION. */
  readonly allowRegistration: boolean;
  /** From whom passwords are taken now; with AUTH_DISABLE_BASIC_AUTH from administrators at most. */
  readonly passwordsAllowed: () => Promise<PasswordSignIn>;
  /** Called after a person's password has changed. */
  readonly passwordChanged: (userId: string) => Promise<void>;
}

/** What self-registered people begin with: they see nothing until somebody takes them into a team. */
const registeredRole = 'viewer';
const noticeMs = 24 * 60 * 60_000;

export function createSignIn(dependencies: SignInDependencies): SignIn {
  const { auth, database, passwords, limits, sessions, links, passwordsAllowed, passwordChanged } = dependencies;
  const { mailer, audit, log } = dependencies;
  const recorder = createRecorder(dependencies);

  /** Before a password is looked at nobody's role is known, and afterwards it counts. */
  const wantPasswords = async (person?: Pick<SignInRow, 'role'>) => {
    const from = await passwordsAllowed();
    const allowed = from === 'everyone' || (from === 'administrators' && (person?.role ?? 'admin') === 'admin');
    if (!allowed) throw new Fault('PASSWORD_SIGN_IN_OFF');
  };
  /** The password is changed whatever becomes of the mail. */
  const tellPerson = async ({ email }: SignInRow) => {
    if (!mailer.enabled) return;
    const notice = { to: email, subject: 'Your password at Plinth was changed', uselessAfterMs: noticeMs };
    await mailer.send({ ...notice, text: new Secret(changedText) }).catch((error: unknown) => {
      log.warn({ err: error }, 'notice of a changed password not stored');
    });
  };
  const setPassword = async (person: SignInRow, password: Secret) => {
    await auth.setPassword(person.id, password);
    await links.forget(person.id);
    await passwordChanged(person.id);
    await tellPerson(person);
  };

  return {
    withPassword: async (email, password, request) => {
      await wantPasswords();
      return recorder.around('signIn', email, request, async () => {
        const person = await passwords.verify(email, password, request.address);
        if (person === undefined) throw new Fault('CREDENTIALS_WRONG');
        await wantPasswords(person);
        return sessions.begin(person.id, request, 'password');
      });
    },
    register: async ({ email, name, password }, request) => {
      if (!dependencies.allowRegistration) throw new Fault('REGISTRATION_CLOSED');
      await wantPasswords({ role: registeredRole });
      if (!mailer.enabled) throw new Fault('MAIL_OFF');
      checkNewPassword(password, { email, name });
      await recorder.around('register', email, request, async () => {
        await limits.mail('register', accountOf(email), request.address);
        const passwordHash = await auth.hash(password, 'stranger');
        await links.wish({ kind: 'register', email: accountOf(email), name, passwordHash });
      });
    },
    requestReset: async (email, request) => {
      await wantPasswords();
      if (!mailer.enabled) throw new Fault('MAIL_OFF');
      await recorder.around('requestReset', email, request, async () => {
        await limits.mail('reset', accountOf(email), request.address);
        await links.wish({ kind: 'reset', email: accountOf(email) });
      });
    },
    reset: async (token, password, request) => {
      await wantPasswords();
      const { email } = await links.look('reset', token);
      await recorder.around('resetPassword', email, request, async () => {
        const person = await findByEmail(database, email);
        if (person === undefined || person.disabled) throw new Fault('LINK_INVALID');
        await wantPasswords(person);
        // Before the link is used up: a person whose password is too weak tries another one.
        checkNewPassword(password, person);
        const link = await links.take('reset', token);
        if (link.user_id !== person.id) throw new Fault('LINK_INVALID');
        const claimed = await database.transaction((tx) => claimAccount(tx, person.id));
        await recordClaim(audit, { person, claimed, by: 'mailed link', request });
        await setPassword(person, password);
        await limits.trust(request.address, email);
      });
    },
    verifyEmail: async (token) => {
      const { email, name, password_hash: passwordHash } = await links.take('register', token);
      if (passwordHash === null) throw new Fault('LINK_INVALID');
      const profile = { email, name: name ?? email, role: registeredRole, emailVerified: true };
      const id = await auth.addPerson({ ...profile, passwordHash });
      if (id === undefined) throw new Fault('LINK_INVALID');
      const actor = { id, name: email, kind: 'user' } as const;
      await audit.record({ actor, action: 'verifyEmail', target: `people/${email}`, outcome: 'done' });
    },
    changePassword: async (userId, current, next, request) => {
      const person = await findById(database, userId);
      if (person === undefined) throw new Fault('CREDENTIALS_WRONG');
      return recorder.around('changePassword', person.email, request, async () => {
        const proven = await passwords.verify(person.email, current, request.address);
        if (proven?.id !== userId) throw new Fault('CREDENTIALS_WRONG');
        checkNewPassword(next, person);
        const session = await sessions.find(request.header('cookie'));
        await setPassword(person, next);
        if (session?.userId !== userId) return [];
        return (await sessions.renew(session, request)).cookies;
      });
    },
  };
}

/** As the database has it, whatever was typed. */
const accountOf = (email: string) => email.trim().toLowerCase();

/**
 * Tells the audit of sign-ins and passwords, those that failed too. What the settings alone refuse is none of its
 * business, and of what strangers make up it is told so much: nobody fills the disk.
 */
function createRecorder({ audit, database, limits, log }: SignInDependencies) {
  /** What nobody's address is, was perhaps typed into the wrong field: it is not written down. */
  const actorOf = async (email: string): Promise<AuditEntry['actor']> => {
    const account = accountOf(email);
    const person = account.includes('\0') ? undefined : await findByEmail(database, account);
    if (person === undefined) return { id: '', name: 'unknown', kind: 'anonymous' };
    return { id: person.id, name: person.email, kind: 'user' };
  };
  return {
    around: async <T>(action: string, email: string, request: RequestFacts, work: () => Promise<T>): Promise<T> => {
      const record = async (end: Pick<AuditEntry, 'outcome' | 'detail'>) => {
        const actor = await actorOf(email);
        const { address, id: requestId } = request;
        if (!(await limits.isRecorded(address, actor.kind === 'user')))
          return log.info({ action, ...end, address, request: requestId }, 'more of strangers than is recorded');
        const userAgent = request.header('user-agent')?.slice(0, 200) ?? '';
        await audit.record({ actor, action, target: `people/${actor.name}`, address, userAgent, requestId, ...end });
      };
      try {
        const result = await work();
        await record({ outcome: 'done' });
        return result;
      } catch (error) {
        // Of those that came too often the ones before are recorded.
        if (Fault.is(error) && error.status !== 429) await record({ outcome: 'failed', detail: { code: error.code } });
        throw error;
      }
    },
  };
}

const changedText = `The password of your account at Plinth was changed just now, and every device was signed out.

If it was not you, ask an administrator at once, or set a new password from the sign-in page.
`;
