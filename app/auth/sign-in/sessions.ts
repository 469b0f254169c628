import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { Secret } from '#base/secret.ts';
import type { RequestFacts } from '#contract/route.ts';
import type { Database } from '#database/pool.ts';
import type { Auth } from '../better-auth.ts';
import { randomToken, tokenDigest } from '../random-token.ts';
import type { Cookies } from './cookies.ts';
import type { SecondFactor } from './second-factor.ts';
import {
  deleteSession,
  deleteSessionsByToken,
  deleteSessionsOf,
  deleteSurplusSessions,
  findById,
  findSessions,
  listSessionsOf,
  type SessionRow,
  touchSession,
} from './store.ts';

/** One sign-in of a person, on one device. */
export interface Session {
  readonly id: string;
  readonly userId: string;
  /** `password`, or the id of the identity provider. */
  readonly via: string;
  /** `due`: the person owes a second factor, also one that was asked for later; such a session may do nothing else. */
  readonly secondFactor: 'none' | 'due' | 'passed';
  readonly address: string;
  readonly userAgent: string;
  readonly createdAt: Date;
  readonly expiresAt: Date;
}

/** A session on its way to the browser. */
export interface Begun {
  readonly session: Session;
  /** `Set-Cookie` values: the session, host-only and unreadable for scripts, and the CSRF token beside it. */
  readonly cookies: readonly string[];
}

export interface Sessions {
  /**
   * Signs a person in whose identity is proven. Always a new session: the one that the request brought is ended.
   * @throws Fault ACCOUNT_DISABLED
   */
  begin(userId: string, request: RequestFacts, via: string): Promise<Begun>;
  /**
   * The session of a request's cookie; undefined for none, a forged, an ended or an expired one, and for a disabled
   * person's. One that is `due` may only verify a code, ask for one by mail, or sign out. Not cached.
   */
  find(cookieHeader: string | undefined): Promise<Session | undefined>;
  /** After the second factor: a new session that has passed, in place of this one. */
  pass(session: Session, request: RequestFacts): Promise<Begun>;
  /** A new token and id for the same sign-in, with what was shown of the second factor; `session` is ended. */
  renew(session: Session, request: RequestFacts): Promise<Begun>;
  /** Whether `given` is the CSRF token of the session; compared in constant time. */
  isCsrfToken(sessionId: string, given: string | undefined): boolean;
  /** The CSRF token for a page's hidden field. */
  csrfTokenOf(sessionId: string): string;
  list(userId: string): Promise<readonly Session[]>;
  /** @returns whether there was one */
  end(userId: string, sessionId: string): Promise<boolean>;
  endAll(userId: string, except?: string): Promise<void>;
  /** `Set-Cookie` values that take session and CSRF token away. */
  readonly farewell: readonly string[];
}

export interface SessionsDependencies {
  readonly auth: Auth;
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly cookies: Cookies;
  readonly secondFactor: SecondFactor;
  /** Signs the cookies. */
  readonly cookieKey: Secret<Buffer>;
  /** Binds CSRF tokens to their session. */
  readonly csrfKey: Secret<Buffer>;
}

const minuteMs = 60_000;
const dayMs = 86_400_000;
/** Unused for so long, a session ends. */
const idleMs = 7 * dayMs;
/** Used or not, it ends. */
const longestMs = 30 * dayMs;
/** How long a person may look for their code. */
const dueMs = 15 * minuteMs;
const touchEveryMs = 5 * minuteMs;
/** Of one person; the oldest go first. */
const mostSessions = 50;

/** Sessions in the table of better-auth. The browser has the token and its signature, the database a digest of it. */
export function createSessions(dependencies: SessionsDependencies): Sessions {
  const { auth, database, clock, log, cookies, secondFactor } = dependencies;
  const cookieKey = dependencies.cookieKey.reveal();
  const csrfKey = dependencies.csrfKey.reveal();
  const csrfTokenOf = (sessionId: string) => macOf(csrfKey, sessionId);
  /** The digests of all tokens that came and are signed by us, those of each cookie name by themselves. */
  const digestsIn = (cookieHeader: string | undefined) =>
    cookies.readEach('session', cookieHeader).map((values) => values.flatMap((value) => digestIn(value, cookieKey)));

  const create = async (
    wish: Pick<Session, 'userId' | 'via' | 'secondFactor'>,
    request: RequestFacts,
  ): Promise<Begun> => {
    const token = randomToken();
    const createdAt = clock.now();
    const due = wish.secondFactor === 'due';
    const expiresAt = new Date(createdAt.getTime() + (due ? dueMs : idleMs));
    const userAgent = (request.header('user-agent') ?? '').slice(0, 300);
    const row = { ...wish, address: request.address, userAgent, createdAt, expiresAt };
    // What the request brought ends, so that nobody goes on with a session that somebody else put into the browser.
    await deleteSessionsByToken(database, digestsIn(request.header('cookie')).flat());
    const id = await auth.createSession({ ...row, token: digestOf(token) });
    await deleteSurplusSessions(database, wish.userId, mostSessions);
    const maxAgeSeconds = (due ? dueMs : longestMs) / 1000;
    return {
      session: { ...row, id },
      cookies: [
        cookies.write({ name: 'session', value: `${token}.${macOf(cookieKey, token)}`, maxAgeSeconds }, request),
        cookies.write({ name: 'csrf', value: csrfTokenOf(id), maxAgeSeconds, readable: true }, request),
      ],
    };
  };

  /** A factor that became due after the sign-in is asked for from the next use on: nobody keeps an older right. */
  const asOfNow = async (session: Session): Promise<Session> => {
    if (session.secondFactor !== 'none' || !(await secondFactor.isDue(session.userId))) return session;
    return { ...session, secondFactor: 'due' };
  };

  const touch = (row: SessionRow) => {
    const now = clock.now();
    const before = new Date(now.getTime() - touchEveryMs);
    if (row.updated_at >= before) return;
    const until = new Date(Math.min(now.getTime() + idleMs, row.created_at.getTime() + longestMs));
    // Nobody waits for it, and nothing depends on it but how long an idle session lives.
    touchSession(database, row.id, { now, before, until }).catch((error: unknown) => {
      log.warn({ err: error }, 'last use of a session not written');
    });
  };

  return {
    begin: async (userId, request, via) => {
      const person = await findById(database, userId);
      if (person === undefined) throw new Fault('CREDENTIALS_WRONG');
      if (person.disabled) throw new Fault('ACCOUNT_DISABLED');
      const due = await secondFactor.isDue(userId);
      return create({ userId, via, secondFactor: due ? 'due' : 'none' }, request);
    },
    find: async (cookieHeader) => {
      const digests = digestsIn(cookieHeader);
      if (digests.flat().length === 0) return undefined;
      const row = believed(digests, await findSessions(database, digests.flat(), clock.now()));
      if (row === undefined) return undefined;
      const session = await asOfNow(sessionOf(row));
      if (session.secondFactor !== 'due') touch(row);
      return session;
    },
    pass: async (session, request) => {
      // Of two at once one goes on.
      if (!(await deleteSession(database, session.userId, session.id))) throw new Fault('CREDENTIALS_MISSING');
      return create({ userId: session.userId, via: session.via, secondFactor: 'passed' }, request);
    },
    renew: async ({ id, userId, via, secondFactor: shown }, request) => {
      await deleteSession(database, userId, id);
      return create({ userId, via, secondFactor: shown }, request);
    },
    isCsrfToken: (sessionId, given) => given !== undefined && isEqual(given, csrfTokenOf(sessionId)),
    csrfTokenOf,
    list: async (userId) => {
      const rows = await listSessionsOf(database, userId, clock.now());
      return Promise.all(rows.map((row) => asOfNow(sessionOf(row))));
    },
    end: (userId, sessionId) => deleteSession(database, userId, sessionId),
    endAll: (userId, except) => deleteSessionsOf(database, userId, except),
    farewell: [...cookies.erase('session'), ...cookies.erase('csrf', { readable: true })],
  };
}

/**
 * The newest session of the best guarded name under which there is one. Two people under one name: one of them was put
 * there by somebody else, and neither is believed.
 */
function believed(digests: readonly (readonly string[])[], rows: readonly SessionRow[]): SessionRow | undefined {
  const [named = []] = digests
    .map((each) => rows.filter(({ token }) => each.includes(token)))
    .filter(({ length }) => length > 0);
  const [newest] = named;
  return named.every(({ user_id }) => user_id === newest?.user_id) ? newest : undefined;
}

/** What is not known of a session counts against it. */
const sessionOf = (row: SessionRow): Session => ({
  id: row.id,
  userId: row.user_id,
  via: row.via ?? 'password',
  secondFactor: row.second_factor === 'none' || row.second_factor === 'passed' ? row.second_factor : 'due',
  address: row.address ?? '',
  userAgent: row.user_agent ?? '',
  createdAt: row.created_at,
  expiresAt: row.expires_at,
});

const digestOf = (token: string) => tokenDigest(token).toString('base64url');
const macOf = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest('base64url');

/** The digest by which the database knows the token; nothing where the signature is not ours. */
function digestIn(value: string, key: Buffer): readonly string[] {
  const [, token, mac] = /^([\w-]{43})\.([\w-]{43})$/.exec(value) ?? [];
  if (token === undefined || mac === undefined) return [];
  return isEqual(mac, macOf(key, token)) ? [digestOf(token)] : [];
}

function isEqual(given: string, wanted: string): boolean {
  const a = Buffer.from(given);
  const b = Buffer.from(wanted);
  return a.length === b.length && timingSafeEqual(a, b);
}
