import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import type { HandlersOf, RequestFacts } from '#contract/route.ts';
import type { signInRoutes } from '#contract/sign-in-routes.ts';
import type { Database } from '#database/pool.ts';
import { createPasswordProof } from './password-proof.ts';
import type { Passwords } from './passwords.ts';
import type { SecondFactor } from './second-factor.ts';
import type { Begun, Session, Sessions } from './sessions.ts';
import type { SignIn } from './sign-in.ts';
import { findById } from './store.ts';

export interface SignInDoors {
  readonly database: Database;
  readonly signIn: SignIn;
  readonly sessions: Sessions;
  readonly secondFactor: SecondFactor;
  readonly passwords: Passwords;
}

type SignInHandlers = HandlersOf<typeof signInRoutes>;
type OpenHandlers = Pick<
  SignInHandlers,
  'signIn' | 'signUp' | 'verifyEmail' | 'requestPasswordReset' | 'resetPassword' | 'getSession' | 'signOut'
>;
type DueHandlers = Pick<SignInHandlers, 'mailSecondFactorCode' | 'verifySecondFactor'>;
type SessionHandlers = Pick<
  SignInHandlers,
  'listSessions' | 'revokeSession' | 'revokeOtherSessions' | 'changePassword'
>;
type SecondFactorHandlers = Pick<
  SignInHandlers,
  'getSecondFactor' | 'beginTotp' | 'confirmTotp' | 'renewBackupCodes' | 'disableTotp'
>;

/** Sign-in as JSON, for the console and for programs; the pages of pages/ do the same with forms. */
export const createSignInHandlers = (doors: SignInDoors): SignInHandlers => ({
  ...openHandlers(doors),
  ...dueHandlers(doors),
  ...sessionHandlers(doors),
  ...secondFactorHandlers(doors),
});

const done = { json: { success: true } } as const;

function openHandlers({ database, signIn, sessions }: SignInDoors): OpenHandlers {
  return {
    signIn: async ({ body, request }) =>
      begunReply(sessions, await signIn.withPassword(body.email, new Secret(body.password), request)),
    signUp: async ({ body, request }) => {
      await signIn.register({ ...body, password: new Secret(body.password) }, request);
      return done;
    },
    verifyEmail: async ({ body }) => {
      await signIn.verifyEmail(new Secret(body.token));
      return done;
    },
    requestPasswordReset: async ({ body, request }) => {
      await signIn.requestReset(body.email, request);
      return done;
    },
    resetPassword: async ({ body, request }) => {
      await signIn.reset(new Secret(body.token), new Secret(body.newPassword), request);
      return { ...done, cookies: sessions.farewell };
    },
    getSession: async ({ request }) => {
      const session = await sessions.find(request.header('cookie'));
      if (session === undefined) return { json: { session: null, user: null, csrfToken: null } };
      const person = await findById(database, session.userId);
      const user = person === undefined ? null : { id: person.id, email: person.email, name: person.name };
      const csrfToken = sessions.csrfTokenOf(session.id);
      // Until the second factor is shown nothing is told of the person whose password was known.
      const shown = session.secondFactor === 'due' ? null : user;
      return { json: { session: viewOf(session, session.id), user: shown, csrfToken } };
    },
    signOut: async ({ request }) => {
      const session = await sessions.find(request.header('cookie'));
      if (session !== undefined) {
        checkCsrf(sessions, session, request);
        await sessions.end(session.userId, session.id);
      }
      const audit = session && { target: session.userId };
      return { ...done, cookies: sessions.farewell, ...(audit && { audit }) };
    },
  };
}

function dueHandlers({ sessions, secondFactor }: SignInDoors): DueHandlers {
  const due = async (request: RequestFacts) => {
    const session = await sessions.find(request.header('cookie'));
    if (session?.secondFactor !== 'due') throw new Fault('CREDENTIALS_MISSING');
    checkCsrf(sessions, session, request);
    return session;
  };
  return {
    mailSecondFactorCode: async ({ request }) => {
      const { userId } = await due(request);
      await secondFactor.mailCode(userId);
      return { ...done, audit: { target: userId } };
    },
    verifySecondFactor: async ({ body, request }) => {
      const session = await due(request);
      await secondFactor.verify(session.userId, body.code);
      return begunReply(sessions, await sessions.pass(session, request));
    },
  };
}

function sessionHandlers({ signIn, sessions }: SignInDoors): SessionHandlers {
  return {
    listSessions: async ({ caller }) => {
      const items = (await sessions.list(caller.id)).map((session) => viewOf(session, caller.credential.id));
      return { json: { items, next: null } };
    },
    revokeSession: async ({ caller, body }) => {
      if (!(await sessions.end(caller.id, body.id))) throw new Fault('SESSION_NOT_FOUND', { session: body.id });
      const own = body.id === caller.credential.id;
      return { ...done, ...(own ? { cookies: sessions.farewell } : {}), audit: { target: body.id } };
    },
    revokeOtherSessions: async ({ caller }) => {
      await sessions.endAll(caller.id, caller.credential.id);
      return done;
    },
    changePassword: async ({ caller, body, request }) => {
      const current = new Secret(body.currentPassword);
      const cookies = await signIn.changePassword(caller.id, current, new Secret(body.newPassword), request);
      return { ...done, cookies };
    },
  };
}

function secondFactorHandlers(doors: SignInDoors): SecondFactorHandlers {
  const { sessions, secondFactor } = doors;
  const passwordProof = createPasswordProof(doors);
  return {
    getSecondFactor: async ({ caller }) => ({ json: await secondFactor.state(caller.id) }),
    beginTotp: async ({ caller, body, request }) => {
      // Who only has somebody else's session must not lock them out with a second factor.
      await passwordProof.check(caller.id, body.password, request);
      const { secret, uri } = await secondFactor.beginTotp(caller.id);
      return { json: { secret: secret.reveal(), totpURI: uri.reveal() } };
    },
    confirmTotp: async ({ caller, body, request }) => {
      const codes = await secondFactor.confirmTotp(caller.id, body.code);
      // Who signed in without it before does so again, but for this one, which has just shown it.
      const session = await sessions.find(request.header('cookie'));
      const begun = session?.userId === caller.id ? await sessions.pass(session, request) : undefined;
      await sessions.endAll(caller.id, begun?.session.id);
      return { json: { backupCodes: codes.map((code) => code.reveal()) }, cookies: begun?.cookies ?? [] };
    },
    renewBackupCodes: async ({ caller, body }) => {
      const codes = await secondFactor.renewBackupCodes(caller.id, body.code);
      return { json: { backupCodes: codes.map((code) => code.reveal()) } };
    },
    disableTotp: async ({ caller, body }) => {
      await secondFactor.disableTotp(caller.id, body.code);
      return done;
    },
  };
}

function checkCsrf(sessions: Sessions, session: Session, request: RequestFacts): void {
  if (!sessions.isCsrfToken(session.id, request.header('x-csrf-token'))) throw new Fault('CSRF_TOKEN_WRONG');
}

function begunReply(sessions: Sessions, { session, cookies }: Begun) {
  const { id, userId, secondFactor } = session;
  const twoFactorRedirect = secondFactor === 'due';
  const csrfToken = sessions.csrfTokenOf(id);
  return { json: { user: { id: userId }, secondFactor, twoFactorRedirect, csrfToken }, cookies };
}

const viewOf = ({ userId: _, createdAt, expiresAt, ...session }: Session, current: string | undefined) => ({
  ...session,
  createdAt: createdAt.toISOString(),
  expiresAt: expiresAt.toISOString(),
  current: session.id === current,
});
