import { randomBytes } from 'node:crypto';
import { userInfo } from 'node:os';
import { parseArgs } from 'node:util';
import { createAudit } from '#audit/audit.ts';
import { createAuth } from '#auth/better-auth.ts';
import { recoverAdministrator } from '#auth/identity-providers.ts';
import { forgetGeneratedPassword } from '#auth/people/administrator.ts';
import { keepInFile, type PasswordKeeper } from '#auth/people/password-keeper.ts';
import { createPeople } from '#auth/people/people.ts';
import { deleteSessionsOf } from '#auth/sign-in/store.ts';
import { systemClock as clock } from '#base/clock.ts';
import { loadSettings, readEnvFile } from '#base/config.ts';
import { Fault } from '#base/errors.ts';
import { createLog } from '#base/log.ts';
import { Secret } from '#base/secret.ts';
import type { Database } from '#database/pool.ts';
import { openDatabase } from './database.ts';

const usage = `usage: npm run recover -- administrator <e-mail> [--drop-second-factor] [--create]

For who cannot get in any more, run on the server. Gives the person a new password, which is printed once, and every
right; enables the account, ends its sessions, forgets lockouts, and lets administrators use passwords again where
AUTH_DISABLE_BASIC_AUTH is set, until one of them has come in by an identity provider anew.
--drop-second-factor also takes the authenticator app and the backup codes away.
--create makes the person if there is none.
The database is that of DATA_DIR or DATABASE_URL, whether Plinth runs or not. It is recorded in the audit.`;

/** A mistake in how the command was called. */
class Misuse extends Error {}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      'drop-second-factor': { type: 'boolean', default: false },
      create: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return;
  }
  const [verb, email, ...more] = positionals;
  if (verb !== 'administrator' || email === undefined || more.length > 0) throw new Misuse(usage);
  if (!/^[^\s@]+@[^\s@]+$/.test(email)) throw new Misuse(`${email} is no e-mail address`);
  const { config } = loadSettings({ env: process.env, envFile: readEnvFile(process.cwd()) });
  const opened = await openDatabase(config);
  try {
    const wish = { email, create: values.create, dropSecondFactor: values['drop-second-factor'] };
    const password = await recover(opened.database, keepInFile(config.dataDirectory), wish);
    console.log(`${email} is an administrator. The password, shown this once:\n\n  ${password.reveal()}\n`);
    console.log('Sign in and change it.');
  } finally {
    await opened.close();
  }
}

async function recover(
  database: Database,
  keeper: PasswordKeeper,
  wish: { readonly email: string; readonly create: boolean; readonly dropSecondFactor: boolean },
): Promise<Secret> {
  const log = createLog({ level: 'warn' });
  // Only its passwords are used; it signs nothing here.
  const secret = new Secret(randomBytes(32).toString('base64url'));
  const auth = await createAuth({ database, log, clock, secret, baseUrl: 'http://localhost' });
  const sessions = { endAll: (userId: string) => deleteSessionsOf(database, userId) };
  const people = createPeople({ database, auth, sessions });
  const audit = createAudit({ database, clock, log });
  const by = userInfo().username;
  const password = await recoverAdministrator({ database, auth, people, audit, by, ...wish }).catch(
    async (error: unknown) => {
      throw Fault.is(error, 'PERSON_NOT_FOUND') ? await withAdministrators(database, error) : error;
    },
  );
  const person = await people.findByEmail(wish.email);
  // The file of a generated password would go on naming one that is none any more.
  if (person !== undefined) await forgetGeneratedPassword({ database, keeper }, person.id);
  return password;
}

/** Whoever stands at the server may know who the administrators are. */
async function withAdministrators(database: Database, { message }: Fault): Promise<Misuse> {
  const { rows } = await database.query<{ email: string }>(
    `select email from auth."user" where role = 'admin' order by email limit 20`,
  );
  const known = rows.map(({ email }) => email).join(', ');
  return new Misuse(`${message} Administrators are: ${known === '' ? 'nobody' : known}. --create makes the person.`);
}

try {
  await main();
} catch (error) {
  const isMisuse = error instanceof Misuse || (error instanceof TypeError && 'code' in error); // parseArgs
  console.error(Fault.is(error) || isMisuse ? (error as Error).message : error);
  process.exitCode = 1;
}
