import { randomBytes } from 'node:crypto';
import type { Log } from '#base/log.ts';
import { Secret } from '#base/secret.ts';
import type { Database } from '#database/pool.ts';
import type { Auth } from '../better-auth.ts';
import { findAdministrator, lockAdministrator, saveAdministrator } from '../store.ts';
import type { PasswordKeeper } from './password-keeper.ts';

export interface AdministratorOptions {
  readonly auth: Auth;
  readonly database: Database;
  readonly log: Log;
  /** AUTH_ADMIN_EMAIL, in lower case. */
  readonly email: string;
  /** AUTH_ADMIN_PASSWORD. */
  readonly password?: Secret | undefined;
  /** Where a generated password goes that no person reads on a terminal. */
  readonly keeper: PasswordKeeper;
  /** Whether a person reads what we print. */
  readonly isTerminal: boolean;
}

export interface Administrator {
  readonly email: string;
  readonly outcome: /** The setting's password was given to a new administrator. */
    | 'created'
    /** A generated password: to be printed once, then `handedOver()`. */
    | 'generated'
    /** A generated password stands in `passwordPlace`. */
    | 'written'
    /** AUTH_ADMIN_PASSWORD is another one than at the last start, and was taken over. */
    | 'changed'
    | 'unchanged';
  /** Only with 'generated'. */
  readonly password?: Secret;
  /** With 'written', and as long as it is there: nobody has changed the password yet. */
  readonly passwordPlace?: string | undefined;
  /** Say that the password was shown. A start that died before makes a new one. */
  handedOver(): Promise<void>;
}

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
  const { outcome, passwordPlace } = administrator;
  if (outcome !== 'unchanged') log.info({ email: administrator.email, outcome, passwordPlace }, 'administrator');
  return administrator;
}

async function create(options: AdministratorOptions): Promise<Administrator> {
  const { auth, database, email, keeper, isTerminal } = options;
  const password = options.password ?? new Secret(randomBytes(18).toString('base64url'));
  // Before the person exists: whatever happens in between, the password of an administrator is known to someone.
  if (options.password === undefined && !isTerminal) await keeper.write(password);
  const userId = await auth.createPerson({ email, name: 'Administrator', role: 'admin', password });
  const handedOver = async (settingHash: string | null = null) => saveAdministrator(database, userId, settingHash);
  if (options.password !== undefined) {
    await handedOver(await auth.hash(options.password));
    return { email, outcome: 'created', handedOver: nothing };
  }
  if (isTerminal) return { email, outcome: 'generated', password, handedOver: () => handedOver() };
  await handedOver();
  return { email, outcome: 'written', passwordPlace: keeper.place, handedOver: nothing };
}

/** The setting counts when it changed since it was last taken over, not when the person has changed the password since. */
async function takeOver(
  { auth, database, password, keeper }: AdministratorOptions,
  present: { user_id: string; email: string; setting_hash: string | null },
): Promise<Administrator> {
  const { email } = present;
  const known = present.setting_hash;
  if (password === undefined || (known !== null && (await auth.verify(password, known))))
    return {
      email,
      outcome: 'unchanged',
      passwordPlace: (await keeper.isThere()) ? keeper.place : undefined,
      handedOver: nothing,
    };
  await auth.setPassword(present.user_id, password);
  await saveAdministrator(database, present.user_id, await auth.hash(password));
  await keeper.remove();
  return { email, outcome: 'changed', handedOver: nothing };
}

/** Call it after a person has changed their password: the generated one has had its day. */
export async function forgetGeneratedPassword(
  { database, keeper }: Pick<AdministratorOptions, 'database' | 'keeper'>,
  userId: string,
): Promise<void> {
  if ((await findAdministrator(database))?.user_id === userId) await keeper.remove();
}

const nothing = async () => {};
