import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from '#base/log.ts';
import { readIfPresent } from '#base/once-file.ts';
import { Secret } from '#base/secret.ts';
import type { Database } from '#database/pool.ts';
import type { Auth } from './better-auth.ts';
import { findAdministrator, lockAdministrator, saveAdministrator } from './store.ts';

export interface AdministratorOptions {
  readonly auth: Auth;
  readonly database: Database;
  readonly log: Log;
  /** AUTH_ADMIN_EMAIL, in lower case. */
  readonly email: string;
  /** AUTH_ADMIN_PASSWORD. */
  readonly password?: Secret | undefined;
  readonly dataDirectory: string;
  /** Whether a person reads what we print. If not, a generated password goes into a file. */
  readonly isTerminal: boolean;
}

export interface Administrator {
  readonly email: string;
  readonly outcome: /** The setting's password was given to a new administrator. */
    | 'created'
    /** A generated password: to be printed once, then `handedOver()`. */
    | 'generated'
    /** A generated password stands in the file of `passwordFile`. */
    | 'written'
    /** AUTH_ADMIN_PASSWORD is another one than at the last start, and was taken over. */
    | 'changed'
    | 'unchanged';
  /** Only with 'generated'. */
  readonly password?: Secret;
  /** With 'written', and as long as the file is there: nobody has changed the password yet. */
  readonly passwordFile?: string;
  /** Say that the password was shown. A start that died before makes a new one. */
  handedOver(): Promise<void>;
}

const fileName = 'admin-password';

/** Makes the first administrator, once for an installation; a later start changes nothing but a changed setting. */
export async function ensureAdministrator(options: AdministratorOptions): Promise<Administrator> {
  const { database, log, email } = options;
  const administrator = await database.transaction(async (tx) => {
    await lockAdministrator(tx);
    const present = await findAdministrator(tx);
    if (present === undefined) return create(options);
    if (present.email !== email)
      log.warn({ setting: email, administrator: present.email }, 'AUTH_ADMIN_EMAIL names someone else; it is not used');
    return takeOver(options, present);
  });
  const { outcome, passwordFile } = administrator;
  if (outcome !== 'unchanged') log.info({ email: administrator.email, outcome, passwordFile }, 'administrator');
  return administrator;
}

async function create(options: AdministratorOptions): Promise<Administrator> {
  const { auth, database, email, dataDirectory, isTerminal } = options;
  const password = options.password ?? new Secret(randomBytes(18).toString('base64url'));
  const passwordFile = join(dataDirectory, fileName);
  // Before the person exists: whatever happens in between, the password of an administrator is known to someone.
  if (options.password === undefined && !isTerminal) await writePassword(passwordFile, password);
  const userId = await auth.createPerson({ email, name: 'Administrator', role: 'admin', password });
  const handedOver = async (settingHash: string | null = null) => saveAdministrator(database, userId, settingHash);
  if (options.password !== undefined) {
    await handedOver(await auth.hash(options.password));
    return { email, outcome: 'created', handedOver: nothing };
  }
  if (isTerminal) return { email, outcome: 'generated', password, handedOver: () => handedOver() };
  await handedOver();
  return { email, outcome: 'written', passwordFile, handedOver: nothing };
}

/** The setting counts when it changed since it was last taken over, not when the person has changed the password since. */
async function takeOver(
  { auth, database, password, dataDirectory }: AdministratorOptions,
  present: { user_id: string; email: string; setting_hash: string | null },
): Promise<Administrator> {
  const { email } = present;
  const known = present.setting_hash;
  if (password === undefined || (known !== null && (await auth.verify(password, known))))
    return { email, outcome: 'unchanged', passwordFile: await unreadPassword(dataDirectory), handedOver: nothing };
  await auth.setPassword(present.user_id, password);
  await saveAdministrator(database, present.user_id, await auth.hash(password));
  await removePassword(dataDirectory);
  return { email, outcome: 'changed', handedOver: nothing };
}

/** Call it after a person has changed their password: the file with the generated one has had its day. */
export async function forgetGeneratedPassword(
  { database, dataDirectory }: Pick<AdministratorOptions, 'database' | 'dataDirectory'>,
  userId: string,
): Promise<void> {
  if ((await findAdministrator(database))?.user_id === userId) await removePassword(dataDirectory);
}

async function writePassword(file: string, password: Secret): Promise<void> {
  // A file that is there may have other rights; a new one has ours from its first moment.
  await rm(file, { force: true });
  await writeFile(file, `${password.reveal()}\n`, { mode: 0o600, flag: 'wx' });
}

const unreadPassword = async (dataDirectory: string): Promise<string | undefined> => {
  const file = join(dataDirectory, fileName);
  return (await readIfPresent(file)) === undefined ? undefined : file;
};
const removePassword = (dataDirectory: string) => rm(join(dataDirectory, fileName), { force: true });
const nothing = async () => {};
