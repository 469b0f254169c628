import { createHmac, randomBytes } from 'node:crypto';
import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Secret } from '#base/secret.ts';
import type { Database } from '#database/pool.ts';
import type { Auth, HashingLane } from '../better-auth.ts';
import { type CredentialRow, findCredential } from '../store.ts';
import { networkOf, type SignInLimits } from './limits.ts';

const keptMs = 60_000;
const mostKept = 1000;

interface Kept {
  /** Of account and password. */
  readonly digest: string;
  /** The stored hash that the password was right for: any change of the password makes it another one. */
  readonly hash: string;
  readonly untilMs: number;
}

export interface Passwords {
  /**
   * The person, or undefined for an unknown person and a wrong password alike, after the same work. Whether they are
   * disabled, or have a second factor to show, is not looked at.
   * @throws Fault SIGN_IN_LIMITED | TOO_MANY_REQUESTS
   */
  verify(email: string, password: Secret, address: string): Promise<CredentialRow | undefined>;
}

export interface PasswordsDependencies {
  readonly auth: Pick<Auth, 'verify' | 'isBusy'>;
  readonly database: Database;
  readonly limits: Pick<SignInLimits, 'attempt'>;
  readonly clock: Clock;
}

/**
 * Checks passwords. One that was right is remembered for 60 s, for the address that it came from, as a digest under a key
 * that only this process has; each use still reads the stored hash and compares it, so that a change counts at once,
 * whichever replica made it. A wrong one from there ends the memory: guesses are always counted.
 */
export function createPasswords({ auth, database, limits, clock }: PasswordsDependencies): Passwords {
  const key = randomBytes(32);
  const kept = new Map<string, Kept>();
  const underWay = new Map<string, Promise<boolean>>();
  const unknownHash = `${randomBytes(16).toString('hex')}:${randomBytes(64).toString('hex')}`;

  const remembers = (place: string, digest: string, hash: string) => {
    const entry = kept.get(place);
    return entry?.digest === digest && entry.hash === hash && clock.monotonicMs() < entry.untilMs;
  };

  const remember = (place: string, digest: string, hash: string) => {
    kept.delete(place);
    for (const [each, { untilMs }] of kept)
      if (kept.size >= mostKept || untilMs <= clock.monotonicMs()) kept.delete(each);
      else break;
    kept.set(place, { digest, hash, untilMs: clock.monotonicMs() + keptMs });
  };

  const check = async (account: string, password: Secret, address: string, hash: string | undefined) => {
    const asked = { name: account, exists: hash !== undefined };
    const attempt = await limits.attempt(address, asked, (known) => {
      // A flood that is turned away anyway shall not cost the database a write each.
      if (auth.isBusy(laneOf(known))) throw new Fault('TOO_MANY_REQUESTS', { seconds: 2 });
    });
    const matches = await auth
      .verify(password, hash ?? unknownHash, laneOf(attempt.known))
      .catch(async (error: unknown) => {
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
      const place = `${account} ${networkOf(address)}`;
      if (hash !== undefined && remembers(place, digest, hash)) return person;
      kept.delete(place);
      // A client that sends ten requests at once signs in once; the address is its own, so that limits hold for each.
      const checking = `${digest} ${address} ${hash}`;
      let right = underWay.get(checking);
      if (right === undefined) {
        right = check(account, password, address, hash).finally(() => underWay.delete(checking));
        underWay.set(checking, right);
      }
      if (!(await right) || hash === undefined) return undefined;
      remember(place, digest, hash);
      return person;
    },
  };
}

const laneOf = (known: boolean): HashingLane => (known ? 'known' : 'stranger');
