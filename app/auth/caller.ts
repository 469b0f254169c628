import { hash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import type { Caller, Credential } from '#contract/caller.ts';
import type { Database } from '#database/pool.ts';
import type { CallerCache, Proven } from './caller-cache.ts';
import { type Principal, principalOf, within } from './principal.ts';
import { findPrincipal } from './principal-store.ts';
import type { Passwords } from './sign-in/passwords.ts';
import type { SecondFactor } from './sign-in/second-factor.ts';
import type { Sessions } from './sign-in/sessions.ts';
import { isToken, type Tokens } from './tokens.ts';

/** What /git adds to a 401: only there does a client wait to be asked. In the API it would open a browser's dialog. */
export const gitChallenge = { 'WWW-Authenticate': 'Basic realm="Plinth", charset="UTF-8"' } as const;

export interface Callers {
  /**
   * Says who sends a request. An Authorization header alone decides where there is one: `Bearer <token>`, the token
   * itself, or Basic with a token as password (as git sends it), or with e-mail and password. Else it is the session of
   * the cookie; what changes something must then bring the session's CSRF token as X-CSRF-Token. Only for a route that
   * takes forms it may come with the body (`csrf: 'form'`): `checkCsrf` is asked then. No other header says who anyone is.
   *
   * @throws Fault CREDENTIALS_MISSING | CREDENTIALS_WRONG | BASIC_FROM_BROWSER | SECOND_FACTOR_DUE | CSRF_TOKEN_WRONG |
   *   SECOND_FACTOR_BY_BASIC | PASSWORD_SIGN_IN_OFF | SIGN_IN_LIMITED | TOO_MANY_REQUESTS | DATABASE_UNAVAILABLE
   */
  callerOf(request: IncomingMessage, how?: { readonly csrf: 'header' | 'form' }): Promise<Caller>;
  /**
   * For what changes something: `given` is the header X-CSRF-Token, or the field `csrf` of a form. Callers who came
   * without a session need none. @throws Fault CSRF_TOKEN_WRONG
   */
  checkCsrf(caller: Caller, given: string | undefined): void;
}

export interface CallersDependencies {
  readonly database: Database;
  readonly passwords: Pick<Passwords, 'verify'>;
  readonly tokens: Pick<Tokens, 'find'>;
  readonly sessions: Pick<Sessions, 'find' | 'isCsrfToken'>;
  readonly secondFactor: Pick<SecondFactor, 'isDue'>;
  readonly cache: CallerCache;
  /** Whether passwords are taken over Basic: not with AUTH_DISABLE_BASIC_AUTH. */
  readonly basicPasswords: boolean;
  /** Where the request comes from, for the limits of guessing; default: the other end of the connection. */
  readonly addressOf?: (request: IncomingMessage) => string;
}

export function createCallers(dependencies: CallersDependencies): Callers {
  const { database, passwords, tokens, sessions, secondFactor, cache, basicPasswords } = dependencies;
  const { addressOf = (request) => request.socket.remoteAddress ?? '' } = dependencies;

  /** What is so of them now; a disabled one, and one without a role, is nobody. */
  const principal = async (id: string): Promise<Principal | undefined> => {
    const row = await findPrincipal(database, id);
    return row === undefined || row.disabled ? undefined : principalOf(row);
  };
  const readToken = async (token: Secret): Promise<Proven | undefined> => {
    const row = await tokens.find(token);
    const owner = row && (await principal(row.owner));
    if (row === undefined || owner === undefined) return undefined;
    const teams = row.teams === null ? owner.teams : owner.teams.filter((team) => row.teams?.includes(team));
    const bounded = { ...owner, name: `token:${row.name}`, teams, may: within(owner.may, row) };
    const caller = callerFrom(bounded, { kind: 'token', id: row.id }, row.environments ?? 'all');
    return { caller, expiresAt: row.expires_at };
  };
  const readSession = async (cookies: string): Promise<Proven | undefined> => {
    const session = await sessions.find(cookies);
    if (session === undefined) return undefined;
    if (session.secondFactor === 'due') throw new Fault('SECOND_FACTOR_DUE');
    const person = await principal(session.userId);
    if (person === undefined) return undefined;
    return { caller: callerFrom(person, { kind: 'session', id: session.id }), expiresAt: session.expiresAt };
  };

  const byToken = async (text: string) => {
    if (!isToken(text)) throw new Fault('CREDENTIALS_WRONG');
    const caller = await cache.get(proofOf('token', text), () => readToken(new Secret(text)));
    if (caller === undefined) throw new Fault('CREDENTIALS_WRONG');
    return caller;
  };
  const byPassword = async (email: string, password: Secret, address: string) => {
    if (!basicPasswords) throw new Fault('PASSWORD_SIGN_IN_OFF');
    const person = await passwords.verify(email, password, address);
    const known = person && (await principal(person.id));
    if (known === undefined) throw new Fault('CREDENTIALS_WRONG');
    if (await secondFactor.isDue(known.id)) throw new Fault('SECOND_FACTOR_BY_BASIC');
    return callerFrom(known, { kind: 'password' });
  };
  const byAuthorization = async (header: string, request: IncomingMessage) => {
    const { scheme, credentials } = authorizationOf(header);
    if (scheme === 'token') return byToken(credentials);
    // A page can make a browser send Basic that it remembers; no page can make it send a bearer token.
    if (request.headers.origin !== undefined || request.headers['sec-fetch-site'] !== undefined)
      throw new Fault('BASIC_FROM_BROWSER');
    const { name, password } = basicOf(credentials);
    if (isToken(password)) return byToken(password);
    return byPassword(name, new Secret(password), addressOf(request));
  };
  const checkCsrf = ({ credential }: Caller, given: string | undefined) => {
    if (credential.kind !== 'session') return;
    if (credential.id === undefined || !sessions.isCsrfToken(credential.id, given)) throw new Fault('CSRF_TOKEN_WRONG');
  };

  return {
    checkCsrf,
    callerOf: async (request, { csrf } = { csrf: 'header' }) => {
      const { authorization, cookie } = request.headers;
      if (authorization !== undefined) return byAuthorization(authorization, request);
      if (cookie === undefined) throw new Fault('CREDENTIALS_MISSING');
      const caller = await cache.get(proofOf('cookie', cookie), () => readSession(cookie));
      if (caller === undefined) throw new Fault('CREDENTIALS_MISSING');
      const given = request.headers['x-csrf-token'];
      if (!isSafe(request) && (csrf === 'header' || given !== undefined)) checkCsrf(caller, onlyOne(given));
      return caller;
    },
  };
}

/** Node knows requests by their method; RFC 9110 calls these safe. */
const isSafe = ({ method }: IncomingMessage) => method === 'GET' || method === 'HEAD' || method === 'OPTIONS';

const onlyOne = (header: string | string[] | undefined) => (typeof header === 'string' ? header : undefined);

/** What is remembered of a proof; the kind keeps one from passing for another. */
const proofOf = (kind: 'token' | 'cookie', text: string) => hash('sha256', `${kind} ${text}`, 'base64url');

/** `plt_…` alone is a token as well: so the clients of another platform send theirs. */
function authorizationOf(header: string): { scheme: 'token' | 'basic'; credentials: string } {
  if (isToken(header)) return { scheme: 'token', credentials: header };
  const [, scheme, credentials] = /^(bearer|basic) +([\x21-\x7e]+) *$/i.exec(header) ?? [];
  if (scheme === undefined || credentials === undefined) throw new Fault('CREDENTIALS_WRONG');
  return { scheme: scheme.toLowerCase() === 'bearer' ? 'token' : 'basic', credentials };
}

function basicOf(credentials: string): { name: string; password: string } {
  const text = Buffer.from(credentials, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 0) throw new Fault('CREDENTIALS_WRONG');
  return { name: text.slice(0, colon), password: text.slice(colon + 1) };
}

function callerFrom(
  principal: Principal,
  credential: Credential,
  environments: Caller['environments'] = 'all',
): Caller {
  return Object.freeze({ ...principal, credential: Object.freeze(credential), environments });
}
