import { availableParallelism } from 'node:os';
import { betterAuth } from 'better-auth';
import { hashPassword, verifyPassword } from 'better-auth/crypto';
import { getMigrations } from 'better-auth/db/migration';
import type { BetterAuthOptions } from 'better-auth/types';
import { Kysely, PostgresDialect } from 'kysely';
import type { Clock } from '#base/clock.ts';
import { type IdKind, idPrefixes, newId } from '#base/ids.ts';
import type { Log } from '#base/log.ts';
import type { Secret } from '#base/secret.ts';
import { passwordLength } from '#contract/password.ts';
import type { Database } from '#database/pool.ts';
import { createGate } from './sign-in/gate.ts';

export interface AuthDependencies {
  readonly database: Database;
  readonly log: Log;
  readonly clock: Clock;
  /** Signs sessions; at least 32 random characters. */
  readonly secret: Secret;
  /** Where people reach the control plane. */
  readonly baseUrl: string;
}

export interface NewAccount {
  readonly email: string;
  readonly name: string;
  readonly role: string;
  readonly emailVerified: boolean;
  readonly password?: Secret | undefined;
  /** In place of `password`: what `hash` gave. */
  readonly passwordHash?: string | undefined;
}

/** What a session is made of; `token` is the digest of what the browser gets. */
export interface NewSession {
  readonly userId: string;
  readonly token: string;
  readonly via: string;
  readonly secondFactor: string;
  readonly address: string;
  readonly userAgent: string;
  readonly createdAt: Date;
  readonly expiresAt: Date;
}

/** People and their passwords. Hashing is slow on purpose; of all who ask, two hash at a time at most. */
export interface Auth {
  /** Or, where a start died half-way, finishes the person of that e-mail. @returns the person's id */
  createPerson(person: { email: string; name: string; role: string; password: Secret }): Promise<string>;
  /** @returns the person's id, or undefined: the address has an account */
  addPerson(person: NewAccount): Promise<string | undefined>;
  /** The person reads the mail of their address. */
  setEmailVerified(userId: string): Promise<void>;
  /** @returns its id */
  createSession(session: NewSession): Promise<string>;
  /** Sets the password, also the first one, and ends every session of the person. */
  setPassword(userId: string, password: Secret): Promise<void>;
  /** @throws Fault TOO_MANY_REQUESTS when too many wait already */
  hash(password: Secret, lane?: HashingLane): Promise<string>;
  /** @throws Fault TOO_MANY_REQUESTS when too many wait already */
  verify(password: Secret, hash: string, lane?: HashingLane): Promise<boolean>;
  /** Whether `hash` and `verify` would turn away whoever comes now. */
  isBusy(lane: HashingLane): boolean;
}

/**
 * For whom something is hashed. `known`, unless it is said: somebody who has proven something already, or comes from
 * where people signed in before. Strangers have a line of their own, which holds nobody else up when it is full.
 */
export type HashingLane = 'known' | 'stranger';
const waiting: Readonly<Record<HashingLane, number>> = { known: 50, stranger: 50 };

/** Any number that no other lock has. */
const migrationLock = 7_010_402;

/** The only file that knows better-auth. Makes its tables in the schema `auth`, or brings them up to date. */
export async function createAuth(dependencies: AuthDependencies): Promise<Auth> {
  // Of a small machine no more than half, so that everything else goes on while somebody guesses.
  const most = Math.max(1, Math.min(2, Math.floor(availableParallelism() / 2)));
  const gate = createGate({ most, waiting });
  const hash: Auth['hash'] = (password, lane = 'known') => gate.pass(lane, () => hashPassword(password.reveal()));
  const verify: Auth['verify'] = (password, stored, lane = 'known') =>
    gate.pass(lane, () => verifyPassword({ hash: stored, password: password.reveal() }));
  const options = optionsOf(dependencies);
  await migrateTables(dependencies.database, options);
  const { internalAdapter } = await betterAuth(options).$context;

  const savePassword = async (id: string, password: string) => {
    if ((await internalAdapter.findCredentialAccount(id)) !== null) await internalAdapter.updatePassword(id, password);
    else await internalAdapter.createAccount({ userId: id, providerId: 'credential', accountId: id, password });
  };
  return {
    hash,
    verify,
    isBusy: gate.isFull,
    createPerson: async ({ email, name, role, password }) => {
      const hashed = await hash(password);
      const left = await internalAdapter.findUserByEmail(email);
      const profile = { email, name, role, emailVerified: true };
      const { id } = left?.user ?? (await internalAdapter.createUser(profile, { method: 'email-password' }));
      await savePassword(id, hashed);
      return id;
    },
    addPerson: async ({ email, name, role, emailVerified, password, passwordHash }) => {
      const hashed = password === undefined ? passwordHash : await hash(password);
      const profile = { email, name, role, emailVerified };
      const made = await internalAdapter
        .createUser(profile, { method: 'email-password' })
        .catch(async (error: unknown) => {
          // The unique index decides between two at once.
          if ((await internalAdapter.findUserByEmail(email)) !== null) return undefined;
          throw error;
        });
      if (made !== undefined && hashed !== undefined) await savePassword(made.id, hashed);
      return made?.id;
    },
    setEmailVerified: async (userId) => {
      await internalAdapter.updateUser(userId, { emailVerified: true });
    },
    createSession: async ({ userId, address, createdAt, ...given }) => {
      const row = { ...given, ipAddress: address, createdAt, updatedAt: createdAt };
      return (await internalAdapter.createSession(userId, false, row, true)).id;
    },
    setPassword: async (userId, password) => {
      await savePassword(userId, await hash(password));
      await internalAdapter.deleteUserSessions(userId);
    },
  };
}

function optionsOf({ database, log, clock, secret, baseUrl }: AuthDependencies) {
  return {
    appName: 'Plinth',
    baseURL: baseUrl,
    secret: secret.reveal(),
    // Kysely never ends the pool unless it is told to: it is the database's.
    database: {
      db: new Kysely({ dialect: new PostgresDialect({ pool: database.pool }) }),
      type: 'postgres',
      schemaName: 'auth',
      transaction: true,
    },
    emailAndPassword: {
      enabled: true,
      disableSignUp: true,
      minPasswordLength: passwordLength.least,
      maxPasswordLength: passwordLength.most,
    },
    user: { additionalFields: { role: { type: 'string', required: true, input: false } } },
    session: {
      additionalFields: {
        via: { type: 'string', required: false, input: false },
        secondFactor: { type: 'string', required: false, input: false },
      },
    },
    // Both are off by themselves in some values of NODE_ENV.
    rateLimit: { enabled: true },
    advanced: {
      disableOriginCheck: false,
      disableCSRFCheck: false,
      cookiePrefix: 'plinth',
      database: { generateId: ({ model }: { model: string }) => newId(kindOf(model), clock.now()) },
    },
    telemetry: { enabled: false },
    logger: {
      level: 'warn',
      log: (level: string, message: string) => log[level === 'error' ? 'error' : 'warn']({ message }, 'better-auth'),
    },
  } satisfies BetterAuthOptions;
}

function kindOf(model: string): IdKind {
  if (!Object.hasOwn(idPrefixes, model)) throw new Error(`no kind of id for ${model}`);
  return model as IdKind; // it is a key of the table
}

/** better-auth takes no lock of its own: two processes at once would both create the same table. */
async function migrateTables(database: Database, options: BetterAuthOptions): Promise<void> {
  await database.transaction(async (tx) => {
    await tx.query('select pg_advisory_xact_lock($1)', [migrationLock]);
    const { runMigrations } = await getMigrations(options);
    await runMigrations();
  });
}
