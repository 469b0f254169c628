import ipaddr from 'ipaddr.js';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { Fault } from '#base/errors.ts';

export interface SignInLimitsOptions {
  /** Failures of one account within the window before it is closed. */
  readonly perAccount?: number;
  /** Failures from one address (of IPv6: one /64) within the window. */
  readonly perAddress?: number;
  readonly windowSeconds?: number;
}

/** One attempt, counted before the password is looked at, so that many at once cannot slip through. */
export interface Attempt {
  /** The password was right: the attempt is taken back, and the address is known as good for the account. */
  succeeded(): Promise<void>;
  /** Nobody looked at the password: the attempt is taken back. */
  withdrawn(): Promise<void>;
}

export interface SignInLimits {
  /** @throws Fault SIGN_IN_LIMITED */
  attempt(address: string, account: string): Promise<Attempt>;
}

/** How many pairs of account and address are remembered as good. */
const mostKnown = 1000;

/**
 * Slows down guessing, by address and by account. An address from which an account was signed in to before has a count
 * of its own for it, so that a stranger's guesses do not lock the owner out. Kept in memory: a restart forgets.
 */
export function createSignInLimits(options: SignInLimitsOptions = {}): SignInLimits {
  const { perAccount = 10, perAddress = 30, windowSeconds = 15 * 60 } = options;
  const accounts = new RateLimiterMemory({ keyPrefix: 'account', points: perAccount, duration: windowSeconds });
  const addresses = new RateLimiterMemory({ keyPrefix: 'address', points: perAddress, duration: windowSeconds });
  const known = new Set<string>();
  return {
    attempt: async (address, account) => {
      const place = networkOf(address);
      const pair = `${account} ${place}`;
      const accountKey = known.has(pair) ? pair : account;
      await take(addresses, place, 'from this address');
      await take(accounts, accountKey, 'for this account').catch(async (fault: unknown) => {
        await addresses.reward(place);
        throw fault;
      });
      const withdrawn = async () => {
        await Promise.all([addresses.reward(place), accounts.reward(accountKey)]);
      };
      const succeeded = () => {
        remember(known, pair);
        return withdrawn();
      };
      return { succeeded, withdrawn };
    },
  };
}

async function take(limiter: RateLimiterMemory, key: string, what: string): Promise<void> {
  try {
    await limiter.consume(key);
  } catch (refusal) {
    if (!(refusal instanceof RateLimiterRes)) throw refusal;
    throw new Fault('SIGN_IN_LIMITED', { what, seconds: Math.max(1, Math.ceil(refusal.msBeforeNext / 1000)) });
  }
}

/** The oldest is forgotten first. */
function remember(known: Set<string>, pair: string): void {
  known.delete(pair);
  known.add(pair);
  if (known.size <= mostKnown) return;
  for (const oldest of known) {
    known.delete(oldest);
    return;
  }
}

/** An IPv4 address, also where IPv6 wraps it; of IPv6 the /64, which is what one household or machine has. */
function networkOf(address: string): string {
  if (!ipaddr.isValid(address)) return 'unknown';
  const parsed = ipaddr.process(address);
  if (parsed instanceof ipaddr.IPv4) return parsed.toString();
  return `${parsed.parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(':')}::/64`;
}
