import { createHmac, randomBytes } from 'node:crypto';
import type { Clock } from '#base/clock.ts';
import type { Secret } from '#base/secret.ts';
import type { Database } from '#database/pool.ts';
import type { SignInLimits } from '#http/limits.ts';
import type { Auth } from './better-auth.ts';
import { type CredentialRow, findCredential } from './store.ts';

const keptMs = 60_000;
const mostKept = 1000;

interface Kept {
  /** The stored hash that the password was right for: any change of the password makes it another one. */
  readonly hash: string;
  readonly untilMs: number;
}

export interface Passwords {
  /**
   * The person, or undefined for an unknown person and a wrong password alike, after the same work.
   * @throws Fault SIGN_IN_LIMITED | TOO_MANY_REQUESTS
   */
  verify(email: string, password: Secret, address: string): Promise<CredentialRow | undefined>;
}

export interface PasswordsDependencies {
  readonly auth: Auth;
  readonly database: Database;
  readonly limits: SignInLimits;
  readonly clock: Clock;
}

/**
 * Checks passwords. One that was right is remembered for 60 s, as a digest under a key that only this process has; each
 * use still reads the stored hash and compares it, so that a change counts at once, whichever replica made it.
 */
export function createPasswords({ auth, database, limits, clock }: PasswordsDependencies): Passwords {
  const key = randomBytes(32);
  const kept = new Map<string, Kept>();
  const underWay = new Map<string, Promise<boolean>>();
  const unknownHash = `${randomBytes(16).toString('hex')}:${randomBytes(64).toString('hex')}`;

  const remembers = (digest: string, hash: string) => {
    const entry = kept.get(digest);
    if (entry === undefined) return false;
    if (entry.hash === hash && clock.monotonicMs() < entry.untilMs) return true;
    kept.delete(digest);
    return false;
  };

  const remember = (digest: string, hash: string) => {
    for (const [each, { untilMs }] of kept)
      if (kept.size >= mostKept || untilMs <= clock.monotonicMs()) kept.delete(each);
      else break;
    kept.set(digest, { hash, untilMs: clock.monotonicMs() + keptMs });
  };

  const check = async (account: string, password: Secret, address: string, hash: string | undefined) => {
    const attempt = await limits.attempt(address, account);
    const matches = await auth.verify(password, hash ?? unknownHash).catch(async (error: unknown) => {
      await attempt.withdrawn();
      throw error;
    });
    const right = matches && hash !== undefined;
    if (right) await attempt.succeeded();
    return right;
  };

  return {
    verify: async (email, password, address) => {
      const account = email.trim().toLowerCase().slice(0, 254);
      const person = account.includes('\0') ? undefined : await findCredential(database, account);
      const hash = person?.hash ?? undefined;
      const digest = createHmac('sha256', key).update(`${account}\0${password.reveal()}`).digest('base64');
      if (hash !== undefined && remembers(digest, hash)) return person;
      // A client that sends ten requests at once signs in once; the address is its own, so that limits hold for each.
      const checking = `${digest} ${address} ${hash}`;
      let right = underWay.get(checking);
      if (right === undefined) {
        right = check(account, password, address, hash).finally(() => underWay.delete(checking));
        underWay.set(checking, right);
      }
      if (!(await right) || hash === undefined) return undefined;
      remember(digest, hash);
      return person;
    },
  };
}
