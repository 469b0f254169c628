import { betterAuth } from 'better-auth';
import { hashPassword, verifyPassword } from 'better-auth/crypto';
import { getMigrations } from 'better-auth/db/migration';
import type { BetterAuthOptions } from 'better-auth/types';
import { Kysely, PostgresDialect } from 'kysely';
import type { Clock } from '#base/clock.ts';
import { type IdKind, idPrefixes, newId } from '#base/ids.ts';
import type { Log } from '#base/log.ts';
import type { Secret } from '#base/secret.ts';
import type { Role } from '#contract/caller.ts';
import type { Database } from '#database/pool.ts';
import { createGate } from './gate.ts';

export interface AuthDependencies {
  readonly database: Database;
  readonly log: Log;
  readonly clock: Clock;
  /** Signs sessions; at least 32 random characters. */
  readonly secret: Secret;
  /** Where people reach the control plane. */
  readonly baseUrl: string;
}

/** People and their passwords. Hashing is slow on purpose; of all who ask, two hash at a time. */
export interface Auth {
  /** Or, where a start died half-way, finishes the person of that e-mail. @returns the person's id */
  createPerson(person: { email: string; name: string; role: Role; password: Secret }): Promise<string>;
  /** Sets the password and ends every session of the person. */
  setPassword(userId: string, password: Secret): Promise<void>;
  hash(password: Secret): Promise<string>;
  /** @throws Fault TOO_MANY_REQUESTS when too many wait already */
  verify(password: Secret, hash: string): Promise<boolean>;
}

/** Any number that no other lock has. */
const migrationLock = 7_010_402;

/** The only file that knows better-auth. Makes its tables in the schema `auth`, or brings them up to date. */
export async function createAuth(dependencies: AuthDependencies): Promise<Auth> {
  const gate = createGate({ most: 2, mostWaiting: 50 });
  const hash = (password: Secret) => gate(() => hashPassword(password.reveal()));
  const verify = (password: Secret, stored: string) =>
    gate(() => verifyPassword({ hash: stored, password: password.reveal() }));
  const options = optionsOf(dependencies);
  await migrateTables(dependencies.database, options);
  const context = await betterAuth(options).$context;
  return {
    hash,
    verify,
    createPerson: async ({ email, name, role, password }) => {
      const hashed = await hash(password);
      const { internalAdapter } = context;
      const left = await internalAdapter.findUserByEmail(email, { includeAccounts: true });
      const profile = { email, name, role, emailVerified: true };
      const { id } = left?.user ?? (await internalAdapter.createUser(profile, { method: 'email-password' }));
      if (left?.accounts.some(({ providerId }) => providerId === 'credential'))
        await internalAdapter.updatePassword(id, hashed);
      else
        await internalAdapter.createAccount({ userId: id, providerId: 'credential', accountId: id, password: hashed });
      return id;
    },
    setPassword: async (userId, password) => {
      await context.internalAdapter.updatePassword(userId, await hash(password));
      await context.internalAdapter.deleteUserSessions(userId);
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
    emailAndPassword: { enabled: true, disableSignUp: true, minPasswordLength: 8, maxPasswordLength: 128 },
    user: { additionalFields: { role: { type: 'string', required: true, input: false } } },
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
