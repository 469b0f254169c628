import { Secret as OtpSecret, TOTP } from 'otpauth';
import type { AuditEntry } from '#audit/audit.ts';
import { authorise } from '#auth/authorise.ts';
import type { Auth } from '#auth/better-auth.ts';
import { createCallers } from '#auth/caller.ts';
import type { CallerCache } from '#auth/caller-cache.ts';
import type { PasswordSignIn } from '#auth/identity/password-gate.ts';
import { type CookieOptions, createCookies } from '#auth/sign-in/cookies.ts';
import { createSignInHandlers } from '#auth/sign-in/handlers.ts';
import { createSignInLimits, type SignInLimitsOptions } from '#auth/sign-in/limits.ts';
import { createMailedLinks } from '#auth/sign-in/mailed-links.ts';
import { createPasswords } from '#auth/sign-in/passwords.ts';
import { createSecondFactor } from '#auth/sign-in/second-factor.ts';
import { createSessions } from '#auth/sign-in/sessions.ts';
import { createSignIn } from '#auth/sign-in/sign-in.ts';
import { createTokens } from '#auth/tokens.ts';
import { createKeyring } from '#base/application-secret.ts';
import { type Clock, systemClock } from '#base/clock.ts';
import { Secret } from '#base/secret.ts';
import type { Caller } from '#contract/caller.ts';
import type { RequestFacts } from '#contract/route.ts';
import { type Handlers, routes } from '#contract/routes.ts';
import type { Database } from '#database/pool.ts';
import { mountRoutes } from '#http/route.ts';
import type { Mailer } from '#notify/mail.ts';
import { captureLog } from './captured-log.ts';
import { startServer, type TestServer } from './http.ts';
import { createTestAuth } from './people.ts';

export interface SignInWish {
  readonly mailCodes?: boolean;
  readonly mail?: boolean;
  /** In place of the list. */
  readonly mailer?: Mailer;
  readonly allowRegistration?: boolean;
  readonly passwordsAllowed?: PasswordSignIn;
  readonly cookies?: Partial<CookieOptions>;
  readonly limits?: Partial<SignInLimitsOptions>;
}

const keyring = createKeyring(new Secret('Zp3sQ8vXz1Lr6Tn0BwEj9UhGc4MaDfRk'));

/** Everything about signing in, over a real database, with a clock that tests move and mails that they read. */
export async function openSignIn(database: Database, wish: SignInWish = {}) {
  const real = await createTestAuth(database);
  const parts = join(database, real, wish);
  const { doors, links, clock } = parts;
  const server = await serve(parts, (wish.passwordsAllowed ?? 'everyone') === 'everyone');
  return {
    ...parts,
    ...doors,
    url: server.url,
    /** Makes somebody with a password. */
    person: (email: string, password = 'seven silent owls', role = 'editor') =>
      real.createPerson({ email, name: email.split('@')[0] ?? email, role, password: new Secret(password) }),
    /** Every wish for a link has been looked at, and its mail is there. */
    delivered: async () => {
      while ((await links.deliver()) === 'again');
      const waiting = async () =>
        (await database.query<{ count: number }>('select count(*)::integer as count from link_wishes')).rows[0]?.count;
      while ((await waiting()) !== 0) await clock.sleep(2);
    },
    close: async () => {
      await links.stop();
      await server.close();
    },
  };
}

/** The parts as main.ts joins them, but for audit and mail, which are lists, and hashing, which is counted. */
function join(database: Database, real: Auth, wish: SignInWish) {
  const time = { laterMs: 0 };
  const clock: Clock = {
    ...systemClock,
    now: () => new Date(Date.now() + time.laterMs),
    monotonicMs: () => systemClock.monotonicMs() + time.laterMs,
  };
  const captured = captureLog();
  const { log } = captured;
  const { mails, mailer: list } = collectMails(wish.mail ?? true);
  const mailer = wish.mailer ?? list;
  const audited: AuditEntry[] = [];
  const audit = { record: async (entry: AuditEntry) => void audited.push(entry) };
  const { auth, counted } = countHashing(real);
  const projectsDomains = ['apps.localhost'];
  const cookies = createCookies({ production: false, secure: false, projectsDomains, log, ...wish.cookies });
  const limits = createSignInLimits({ database, clock, ...wish.limits });
  const key = new Secret(Buffer.alloc(32, 7));
  const keys = { cookieKey: keyring.derive('sessions'), csrfKey: keyring.derive('csrf') };
  const mailCodes = wish.mailCodes ?? false;
  const secondFactor = createSecondFactor({ database, clock, limits, mailer, audit, key, mailCodes });
  const sessions = createSessions({ auth, database, clock, log, cookies, secondFactor, ...keys });
  const passwords = createPasswords({ auth, database, limits, clock });
  const links = createMailedLinks({ database, clock, log, mailer, baseUrl: 'https://plinth.example.com' });
  const changed: string[] = [];
  const base = { auth, database, clock, log, passwords, limits, sessions, links, mailer, audit };
  const signIn = createSignIn({
    ...base,
    allowRegistration: wish.allowRegistration ?? true,
    passwordsAllowed: async () => wish.passwordsAllowed ?? 'everyone',
    passwordChanged: async (userId) => void changed.push(userId),
  });
  const tokens = createTokens({ database, clock, log });
  const doors = { database, signIn, sessions, secondFactor, passwords };
  return { ...base, doors, cookies, tokens, time, mails, audited, changed, counted, captured };
}

function collectMails(enabled: boolean) {
  const mails: { to: string; subject: string; text: string }[] = [];
  const send = async ({ to, subject, text }: { to: string; subject: string; text: Secret }) => {
    mails.push({ to, subject, text: text.reveal() });
  };
  return { mails, mailer: { enabled, send, wake: () => {} } };
}

function countHashing(real: Auth): { auth: Auth; counted: { hashings: number } } {
  const counted = { hashings: 0 };
  const hash: Auth['hash'] = (password) => {
    counted.hashings += 1;
    return real.hash(password);
  };
  const verify: Auth['verify'] = (password, stored) => {
    counted.hashings += 1;
    return real.verify(password, stored);
  };
  return { auth: { ...real, hash, verify }, counted };
}

/** Every route of the table; those that have nothing to do with signing in say that they were reached. */
function serve({ doors, clock, tokens }: ReturnType<typeof join>, basicPasswords: boolean): Promise<TestServer> {
  const cache: CallerCache = { get: async (_proof, read) => (await read())?.caller };
  const unfinished = Object.fromEntries(
    routes.map(({ name }) => [name, async () => Promise.reject(new Error(`${name} was reached`))]),
  );
  const getMe = async ({ caller }: { caller: Caller }) => ({
    json: { ...caller, credential: caller.credential.kind, permissions: {} },
  });
  const handlers = { ...unfinished, ...createSignInHandlers(doors), getMe } as unknown as Handlers;
  return startServer((app) => {
    const callers = createCallers({ ...doors, tokens, cache, basicPasswords });
    mountRoutes(app, { routes, handlers, ...callers, authorise, clock });
  });
}

export type TestSignIn = Awaited<ReturnType<typeof openSignIn>>;

/** What a handler knows of a request, for calls that go past HTTP. */
export function factsOf(given: Partial<RequestFacts> & { readonly cookie_?: string } = {}): RequestFacts {
  const headers: Record<string, string | undefined> = { cookie: given.cookie_, 'user-agent': 'test' };
  return {
    id: 'req_test',
    address: '192.0.2.7',
    signal: new AbortController().signal,
    secure: false,
    header: (name) => headers[name.toLowerCase()],
    cookie: () => undefined,
    ...given,
  };
}

/** As at its first moment, but for the people: no counts, codes, links or mails, this password; and a new browser. */
export async function startAnew(database: Database, house: TestSignIn, userId: string, password: string) {
  await database.query(
    'truncate sign_in_attempts, sign_in_known, totp, backup_codes, mail_codes, tokens, link_wishes, mailed_links',
  );
  await house.auth.setPassword(userId, new Secret(password));
  house.time.laterMs = 0;
  house.mails.length = 0;
  house.counted.hashings = 0;
  return new Browser(house.url);
}

/** The code that an authenticator app would show now, by the house's clock. */
export const totpCode = (house: TestSignIn, secret: string): string =>
  new TOTP({ secret: OtpSecret.fromBase32(secret) }).generate({ timestamp: house.clock.now().getTime() });

/** Sets an authenticator app up, and waits until its next code. @returns its secret */
export async function setUpTotp(house: TestSignIn, userId: string): Promise<string> {
  const { secret } = await house.secondFactor.beginTotp(userId);
  await house.secondFactor.confirmTotp(userId, totpCode(house, secret.reveal()));
  house.time.laterMs += 30_000;
  return secret.reveal();
}

/** The link of the last mail. */
export async function mailedLink(house: TestSignIn): Promise<URL> {
  await house.delivered();
  return new URL(/https?:\/\/\S+/.exec(house.mails.at(-1)?.text ?? '')?.[0] ?? 'http://none');
}

/** Fields of the replies that tests read, whichever reply they are in. */
export interface Answer {
  readonly code?: string;
  readonly detail: string;
  readonly id: string;
  readonly items: readonly { readonly id: string; readonly current: boolean }[];
  readonly secondFactor: string;
  readonly csrfToken: string;
  readonly secret: string;
  readonly totpURI: string;
  readonly backupCodes: readonly string[];
  readonly session: { readonly id: string; readonly secondFactor: string } | null;
  readonly user: { readonly id: string } | null;
}

/** A browser, as far as cookies go: it keeps what it is given, and sends X-CSRF-Token with what changes something. */
export class Browser {
  readonly jar = new Map<string, string>();
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  get cookie(): string {
    return [...this.jar].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  get csrf(): string {
    return this.jar.get('plinth.csrf') ?? '';
  }

  async send(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const reply = await fetch(this.#url + path, {
      method,
      redirect: 'manual',
      headers: {
        ...(this.jar.size === 0 ? {} : { Cookie: this.cookie }),
        ...(method === 'GET' || this.csrf === '' ? {} : { 'X-CSRF-Token': this.csrf }),
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    for (const line of reply.headers.getSetCookie()) this.#keep(line);
    const text = await reply.text();
    // Only that which the tests of signing in look at.
    const isJson = /json/.test(reply.headers.get('content-type') ?? '');
    const json = (isJson ? JSON.parse(text) : {}) as Answer;
    return { status: reply.status, json, text, headers: reply.headers, code: json.code };
  }

  post(path: string, body?: unknown, headers?: Record<string, string>) {
    return this.send('POST', path, body, headers);
  }

  get(path: string, headers?: Record<string, string>) {
    return this.send('GET', path, undefined, headers);
  }

  signIn(email: string, password = 'seven silent owls') {
    return this.post('/api/auth/sign-in/email', { email, password });
  }

  #keep(line: string): void {
    const [pair = '', ...attributes] = line.split('; ');
    const at = pair.indexOf('=');
    const [name, value] = [pair.slice(0, at), pair.slice(at + 1)];
    // A browser takes such a name over TLS only; these tests speak plain HTTP.
    if (name.startsWith('__')) return;
    if (attributes.includes('Max-Age=0')) this.jar.delete(name);
    else this.jar.set(name, value);
  }
}
