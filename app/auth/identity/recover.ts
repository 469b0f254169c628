import { randomBytes } from 'node:crypto';
import type { Audit } from '#audit/audit.ts';
import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import type { Database, Queryable } from '#database/pool.ts';
import type { Auth } from '../better-auth.ts';
import type { People } from '../people/people.ts';

export interface RecoverOptions {
  readonly database: Database;
  readonly auth: Pick<Auth, 'setPassword' | 'setEmailVerified'>;
  readonly people: Pick<People, 'findByEmail' | 'create' | 'setRole' | 'setDisabled'>;
  readonly audit: Audit;
  readonly email: string;
  /** Make the person if there is none of that address. */
  readonly create: boolean;
  /** The authenticator app and the backup codes go; a code by mail, where everybody gets one, stays. */
  readonly dropSecondFactor: boolean;
  /** Who runs the command, as the operating system knows them. */
  readonly by: string;
}

/**
 * Gives a person a new password and every right, for who stands at the server: an account that is disabled, locked or
 * has no password comes back. Every session of it ends. Passwords are taken again from administrators, also where
 * AUTH_DISABLE_BASIC_AUTH is set, until one of them has come in by an identity provider anew.
 *
 * @returns the password, which is stored nowhere else
 * @throws Fault PERSON_NOT_FOUND
 */
export async function recoverAdministrator(options: RecoverOptions): Promise<Secret> {
  const { database, auth, people, audit, email, create, dropSecondFactor, by } = options;
  const password = new Secret(randomBytes(18).toString('base64url'));
  const present = await people.findByEmail(email);
  if (present === undefined && !create) throw new Fault('PERSON_NOT_FOUND', { person: email });
  const wish = { email, name: email.split('@')[0] ?? email, role: 'admin', emailVerified: true };
  const person = present ?? (await people.create(wish));
  // Before the new password counts, so that a start that dies half-way leaves nothing open that was closed.
  if (dropSecondFactor) await database.transaction((tx) => deleteSecondFactor(tx, person.id));
  await auth.setPassword(person.id, password);
  if (!person.emailVerified) await auth.setEmailVerified(person.id);
  if (person.role !== 'admin') await people.setRole(person.id, 'admin');
  if (person.disabled) await people.setDisabled(person.id, false);
  await database.transaction(reopenPasswords);
  await audit.record({
    actor: { id: 'recover', name: by, kind: 'system' },
    action: 'recover',
    target: `people/${person.id}`,
    outcome: 'done',
    before: { role: present?.role ?? null, disabled: present?.disabled ?? null },
    after: { role: 'admin', disabled: false },
    detail: { email: person.email, made: present === undefined, secondFactorDropped: dropSecondFactor },
  });
  return password;
}

async function deleteSecondFactor(tx: Queryable, userId: string): Promise<void> {
  for (const table of ['totp', 'backup_codes', 'mail_codes'])
    await tx.query(`delete from ${table} where user_id = $1`, [userId]);
}

/** No provider is proven any more, and nobody waits for the end of a lockout. */
async function reopenPasswords(tx: Queryable): Promise<void> {
  await tx.query('update identity_links set administrator_at = null where administrator_at is not null');
  await tx.query('delete from sign_in_attempts');
}
