import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import type { RequestFacts } from '#contract/route.ts';
import type { Database } from '#database/pool.ts';
import type { Passwords } from './passwords.ts';
import { findById } from './store.ts';

/** Asks who is signed in for their password once more: who only has somebody else's session does not know it. */
export interface PasswordProof {
  /** Whether there is anything to ask for: not where an identity provider alone says who somebody is. */
  isWanted(userId: string): Promise<boolean>;
  /** @throws Fault CREDENTIALS_WRONG | SIGN_IN_LIMITED | TOO_MANY_REQUESTS */
  check(userId: string, password: string | undefined, request: RequestFacts): Promise<void>;
}

export function createPasswordProof(doors: {
  readonly database: Database;
  readonly passwords: Pick<Passwords, 'verify'>;
}): PasswordProof {
  const { database, passwords } = doors;
  return {
    isWanted: async (userId) => typeof (await findById(database, userId))?.hash === 'string',
    check: async (userId, password, request) => {
      const person = await findById(database, userId);
      if (person === undefined) throw new Fault('CREDENTIALS_WRONG');
      if (person.hash === null) return;
      const proven = await passwords.verify(person.email, new Secret(password ?? ''), request.address);
      if (proven?.id !== userId) throw new Fault('CREDENTIALS_WRONG');
    },
  };
}
