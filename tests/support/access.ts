import type { Express } from 'express';
import type { AuditEntry } from '#audit/audit.ts';
import { createAccessHandlers } from '#auth/access.ts';
import { installAccessTriggers } from '#auth/access-triggers.ts';
import { authorise } from '#auth/authorise.ts';
import type { Auth } from '#auth/better-auth.ts';
import { createCallers } from '#auth/caller.ts';
import { createCallerCache } from '#auth/caller-cache.ts';
import { createRoles } from '#auth/people/custom-roles.ts';
import { createPeopleHandlers } from '#auth/people/handlers.ts';
import { createInvitations } from '#auth/people/invitations.ts';
import { createPeople } from '#auth/people/people.ts';
import { createServiceAccounts } from '#auth/people/service-accounts.ts';
import { createTeams } from '#auth/people/teams.ts';
import { createCookies } from '#auth/sign-in/cookies.ts';
import { createSignInLimits, type SignInLimitsOptions } from '#auth/sign-in/limits.ts';
import { createMailedLinks } from '#auth/sign-in/mailed-links.ts';
import { createPasswords } from '#auth/sign-in/passwords.ts';
import { createSecondFactor } from '#auth/sign-in/second-factor.ts';
import type { Sessions } from '#auth/sign-in/sessions.ts';
import { createSessions } from '#auth/sign-in/sessions.ts';
import { createSignIn } from '#auth/sign-in/sign-in.ts';
import { createTokens, type Tokens, type TokenWish } from '#auth/tokens.ts';
import { createKeyring } from '#base/application-secret.ts';
import { type Clock, systemClock } from '#base/clock.ts';
import { createLog } from '#base/log.ts';
import { Secret } from '#base/secret.ts';
import type { Caller } from '#contract/caller.ts';
import { type Handlers, routes } from '#contract/routes.ts';
import type { Connection } from '#database/connection.ts';
import { createListener } from '#database/listen.ts';
import { channels, createNotices } from '#database/notices.ts';
import type { Database } from '#database/pool.ts';
import { mountRoutes } from '#http/route.ts';
import type { Mailer } from '#notify/mail.ts';
import { readKeyEncryption } from '#secrets/key-encryption.ts';
import { openKeys } from '#secrets/keys.ts';
import { createSecrets } from '#secrets/secrets.ts';
import { startServer } from './http.ts';
import { createTestAuth } from './people.ts';
import type { TestDatabase } from './postgres.ts';
import { factsOf } from './sign-in.ts';

export interface AccessWish {
  readonly limits?: Partial<SignInLimitsOptions>;
  readonly basicPasswords?: boolean;
  readonly mailCodes?: boolean;
  readonly invitations?: boolean;
  readonly mail?: boolean;
  /** In place of every handler: only the gate before them is asked. */
  readonly handler?: (route: string, caller: Caller | undefined) => Promise<object>;
}

/** So that every password here is easy to see and hard to guess. */
export const goodPassword = 'seven silent owls';

/** Who may come in and what they may do, over a real database and real HTTP, with a clock that tests move. */
export async function openAccess(db: Pick<TestDatabase, 'database' | 'connection'>, wish: AccessWish = {}) {
  const time = { laterMs: 0 };
  const clock: Clock = {
    ...systemClock,
    now: () => new Date(Date.now() + time.laterMs),
    monotonicMs: () => systemClock.monotonicMs() + time.laterMs,
  };
  const proofs = await openProofs(db, wish, clock);
  const { auth, sessions, secondFactor, passwords, tokens, mailer, mails, counted, audited, signIn, links } = proofs;
  const { people, ...doors } = await openDoors(db.database, clock, proofs, wish.invitations ?? true, mailer);
  const listening = await openListener(db.connection, clock);
  const callers = createCallers({
    database: db.database,
    passwords,
    tokens,
    sessions,
    secondFactor,
    cache: createCallerCache({ notices: listening.notices, clock }),
    basicPasswords: wish.basicPasswords ?? true,
  });
  const server = await startServer((app: Express) => {
    const real = {
      ...createPeopleHandlers({ people, tokens, secondFactor, ...doors }),
      ...createAccessHandlers({ signIn, tokens }),
    };
    const handlers = { ...instead(wish.handler), ...(wish.handler === undefined ? real : {}) } as unknown as Handlers;
    mountRoutes(app, { routes, handlers, ...callers, authorise, clock });
  });
  return {
    ...doors,
    ...proofOf(tokens, sessions),
    ...listening,
    people,
    auth,
    sessions,
    secondFactor,
    tokens,
    callers,
    clock,
    time,
    mails,
    audited,
    counted,
    url: server.url,
    /** Makes somebody; without a password, which takes its time, unless it is asked for. */
    person: (email: string, role = 'editor', password?: string) => {
      const name = email.split('@')[0] ?? email;
      const secret = password === undefined ? {} : { password: new Secret(password) };
      return people.create({ email, name, role, emailVerified: true, ...secret });
    },
    /** The caller as the handlers would get it. */
    callerWith: (headers: Sent) => {
      const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
      return callers.callerOf({ headers: lower, method: 'GET', socket: {} } as never);
    },
    send: sender(server.url),
    close: async () => {
      await listening.stopListening();
      await links.stop();
      await server.close();
    },
  };
}

export type TestAccess = Awaited<ReturnType<typeof openAccess>>;
/** Headers of a request. */
export type Sent = Readonly<Record<string, string>>;

/** By which people prove who they are. */
async function openProofs({ database }: Pick<TestDatabase, 'database'>, wish: AccessWish, clock: Clock) {
  const log = createLog({ level: 'silent' });
  const mails: { to: string; text: string }[] = [];
  const mailer = {
    enabled: wish.mail ?? true,
    send: async ({ to, text }: { to: string; text: Secret }) => void mails.push({ to, text: text.reveal() }),
    wake: () => {},
  };
  const counted = { hashings: 0, changed: [] as string[] };
  const auth = countHashings(await createTestAuth(database), counted);
  await installAccessTriggers(database);
  const keyring = createKeyring(new Secret('Zp3sQ8vXz1Lr6Tn0BwEj9UhGc4MaDfRk'));
  const cookies = createCookies({ production: false, secure: false, projectsDomains: ['apps.localhost'], log });
  const limits = createSignInLimits({ database, clock, ...wish.limits });
  const key = new Secret(Buffer.alloc(32, 7));
  const keys = { cookieKey: keyring.derive('sessions'), csrfKey: keyring.derive('csrf') };
  const audited: AuditEntry[] = [];
  const audit = { record: async (entry: AuditEntry) => void audited.push(entry) };
  const mailCodes = wish.mailCodes ?? false;
  const secondFactor = createSecondFactor({ database, clock, limits, mailer, audit, key, mailCodes });
  const sessions = createSessions({ auth, database, clock, log, cookies, secondFactor, ...keys });
  const passwords = createPasswords({ auth, database, limits, clock });
  const tokens = createTokens({ database, clock, log });
  const links = createMailedLinks({ database, clock, log, mailer, baseUrl: 'https://plinth.example.com' });
  const signIn = createSignIn({
    ...{ auth, database, clock, log, passwords, limits, sessions, links, mailer, audit },
    allowRegistration: false,
    passwordsAllowed: async () => 'everyone',
    passwordChanged: async (id) => void counted.changed.push(id),
  });
  return { auth, sessions, secondFactor, passwords, tokens, signIn, links, mailer, mails, audited, counted };
}

async function openDoors(
  database: Database,
  clock: Clock,
  { auth, sessions }: { auth: Auth; sessions: Sessions },
  enabled: boolean,
  mailer: Mailer,
) {
  const linkOf = (token: string) => `https://plinth.example.com/invitation?token=${token}`;
  const log = createLog({ level: 'silent' });
  const encryption = await readKeyEncryption({ dataDirectory: '/nowhere', encryptionKey: new Secret('k'.repeat(40)) });
  const secrets = createSecrets({ database, keys: await openKeys({ database, encryption, log, clock }) });
  return {
    secrets,
    people: createPeople({ database, auth, sessions }),
    teams: createTeams({ database, secrets }),
    roles: createRoles(database),
    serviceAccounts: createServiceAccounts({ database, clock }),
    invitations: createInvitations({ database, auth, mailer, clock, enabled, linkOf }),
  };
}

async function openListener(connection: Connection, clock: Clock) {
  const notices = createNotices();
  const { deliver: onNotice, missed: onGap, heard: onHeard } = notices;
  const log = createLog({ level: 'silent' });
  const listen = () => createListener({ connection, channels, log, clock, onNotice, onGap, onHeard });
  let listener = listen();
  while (notices.heardAtMs() < 0) await clock.sleep(5);
  return {
    notices,
    stopListening: () => listener.stop(),
    listenAgain: () => {
      listener = listen();
    },
  };
}

const proofOf = (tokens: Tokens, sessions: Sessions) => ({
  /** A token that acts for somebody, as a header. */
  tokenOf: async (owner: string, bounds: Partial<TokenWish> = {}) => {
    const { id, token } = await tokens.create(owner, { name: 'test', ...bounds }, 'a test');
    return { id, text: token.reveal(), headers: { Authorization: `Bearer ${token.reveal()}` } };
  },
  /** A session of somebody, as headers of their browser. */
  sessionOf: async (userId: string) => {
    const begun = await sessions.begin(userId, factsOf(), 'password');
    const jar = begun.cookies.map((line) => line.split('; ')[0]);
    const csrf = sessions.csrfTokenOf(begun.session.id);
    return { session: begun.session, cookie: { Cookie: jar.join('; ') }, csrf: { 'X-CSRF-Token': csrf } };
  },
});

/** A handler for every route: the one given, or one that nobody should reach. */
const instead = (handler: AccessWish['handler']) =>
  Object.fromEntries(
    routes.map(({ name }) => [
      name,
      async ({ caller }: { caller: Caller | undefined }) => {
        if (handler === undefined) throw new Error(`${name} was reached`);
        return handler(name, caller);
      },
    ]),
  );

const sender = (url: string) => async (method: string, path: string, headers: Sent, body?: unknown) => {
  const reply = await fetch(url + path, {
    method,
    headers: { ...headers, ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await reply.text();
  // biome-ignore lint/suspicious/noExplicitAny: replies are looked at field by field in assertions
  const json: any = text.startsWith('{') ? JSON.parse(text) : undefined;
  return { status: reply.status, json, text, code: json?.code as string | undefined };
};

function countHashings(real: Auth, counted: { hashings: number }): Auth {
  return {
    ...real,
    verify: (password, hash) => {
      counted.hashings += 1;
      return real.verify(password, hash);
    },
  };
}

/** An administrator in a browser, the teams shop and blog, and a way to hire others. */
export async function openOffice(access: TestAccess) {
  const signedIn = async (id: string): Promise<Sent> => {
    const { cookie, csrf } = await access.sessionOf(id);
    return { ...cookie, ...csrf };
  };
  const send = (headers: Sent, method: string, path: string, body?: unknown) =>
    access.send(method, `/api/v1${path}`, headers, body);
  const rootId = (await access.person('root@example.com', 'admin')).id;
  const root = await signedIn(rootId);
  const caller = await access.callerWith(root);
  for (const team of ['shop', 'blog']) await access.teams.put(team, '');
  let count = 0;
  return {
    rootId,
    root,
    signedIn,
    send,
    /** Somebody new; `teams`: name → role there, null: that of the organization. */
    newcomer: async (role: string, teams: Readonly<Record<string, string | null>> = {}) => {
      count += 1;
      const { id, email } = await access.person(`p${count}@example.com`, role);
      for (const [team, inTeam] of Object.entries(teams))
        await access.teams.putMember(caller, { team, userId: id, role: inTeam });
      return { id, email, headers: await signedIn(id) };
    },
  };
}

export type Office = Awaited<ReturnType<typeof openOffice>>;
