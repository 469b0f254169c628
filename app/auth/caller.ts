import type { IncomingMessage } from 'node:http';
import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import { type Caller, type Role, roles } from '#contract/caller.ts';
import type { Passwords } from './passwords.ts';
import { isToken, type Tokens } from './tokens.ts';

/** What /git adds to a 401: only there does a client wait to be asked. In the API it would open a browser's dialog. */
export const gitChallenge = { 'WWW-Authenticate': 'Basic realm="Plinth", charset="UTF-8"' } as const;

/**
 * Says who sends a request: by `Authorization: Bearer <token>`, or Basic with e-mail and password, or with a token in
 * the password's place, as git clients do.
 *
 * @throws Fault CREDENTIALS_MISSING | CREDENTIALS_WRONG | BASIC_FROM_BROWSER | SIGN_IN_LIMITED | TOO_MANY_REQUESTS
 */
export type CallerOf = (request: IncomingMessage) => Promise<Caller>;

export function createCallers({ passwords, tokens }: { passwords: Passwords; tokens: Tokens }): CallerOf {
  const byToken = async (token: Secret) => {
    const row = await tokens.verify(token);
    if (row === undefined) throw new Fault('CREDENTIALS_WRONG');
    return callerFrom({ id: row.user_id, name: `token:${row.name}`, kind: 'token', role: row.role });
  };
  const byPassword = async (email: string, password: Secret, address: string) => {
    const person = await passwords.verify(email, password, address);
    if (person === undefined) throw new Fault('CREDENTIALS_WRONG');
    return callerFrom({ id: person.id, name: person.email, kind: 'user', role: person.role });
  };
  return async (request) => {
    const { scheme, credentials } = authorizationOf(request);
    if (scheme === 'bearer') return byToken(new Secret(credentials));
    // A page can make a browser send Basic that it remembers; no page can make it send a bearer token.
    if (request.headers.origin !== undefined || request.headers['sec-fetch-site'] !== undefined)
      throw new Fault('BASIC_FROM_BROWSER');
    const { name, password } = basicOf(credentials);
    if (isToken(password)) return byToken(new Secret(password));
    return byPassword(name, new Secret(password), request.socket.remoteAddress ?? '');
  };
}

function authorizationOf(request: IncomingMessage): { scheme: 'bearer' | 'basic'; credentials: string } {
  const header = request.headers.authorization;
  if (header === undefined) throw new Fault('CREDENTIALS_MISSING');
  const [, scheme, credentials] = /^(bearer|basic) +([\x21-\x7e]+) *$/i.exec(header) ?? [];
  if (scheme === undefined || credentials === undefined) throw new Fault('CREDENTIALS_WRONG');
  return { scheme: scheme.toLowerCase() === 'bearer' ? 'bearer' : 'basic', credentials };
}

function basicOf(credentials: string): { name: string; password: string } {
  const text = Buffer.from(credentials, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 0) throw new Fault('CREDENTIALS_WRONG');
  return { name: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** A role that this version does not know gives no rights, and no caller. */
function callerFrom(row: { id: string; name: string; kind: Caller['kind']; role: string }): Caller {
  const role = roles.find((each) => each === row.role);
  if (role === undefined) throw new Fault('CREDENTIALS_WRONG');
  return { ...row, role, teams: teamsOf(role) };
}

/** The administrator has all teams; others get theirs with access control. */
const teamsOf = (role: Role): Caller['teams'] => (role === 'admin' ? 'all' : []);
