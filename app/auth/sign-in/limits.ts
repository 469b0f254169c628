import { createHash } from 'node:crypto';
import ipaddr from 'ipaddr.js';
import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Database, Queryable } from '#database/pool.ts';
import { type Allowance, type Count, type Full, putBack, release, takeBuckets, takeWindows } from './counts.ts';

/** One attempt, counted before the password is looked at, so that many at once cannot slip through. */
export interface Attempt {
  /** The address is good: for the account, or for somebody else who signed in from there, and it is not overrun now. */
  readonly known: boolean;
  /** The password was right: the attempt is taken back, and the address is known as good for the account. */
  succeeded(): Promise<void>;
  /** Nobody looked at the password: the attempt is taken back. */
  withdrawn(): Promise<void>;
}

export interface SignInLimits {
  /**
   * @param account may be nobody's: whether it is one (`exists`) shows in no answer
   * @param admit asked before anything is counted, once for each way in; what it throws ends the attempt
   * @throws Fault SIGN_IN_LIMITED
   */
  attempt(
    address: string,
    account: { readonly name: string; readonly exists: boolean },
    admit?: (known: boolean) => void,
  ): Promise<Attempt>;
  /** What was proven otherwise (a mailed link): the address is good for the account. */
  trust(address: string, account: string): Promise<void>;
  /**
   * Whether the audit is told of one more failure. Those of people who exist always are: their accounts have limits. Of
   * what strangers make up it is told so many.
   */
  isRecorded(address: string, ofPerson: boolean): Promise<boolean>;
  /**
   * A code of the second factor, counted for the person wherever it comes from. Nothing but time takes a failure back.
   * @throws Fault SIGN_IN_LIMITED
   */
  code(userId: string): Promise<Pick<Attempt, 'succeeded'>>;
  /** A mail that somebody asks for. @throws Fault TOO_MANY_REQUESTS */
  mail(what: MailKind, to: string, address?: string): Promise<void>;
}

export type MailKind = 'code' | 'reset' | 'register';

export interface SignInLimitsOptions {
  readonly database: Database;
  readonly clock: Clock;
  /** Failures of one account. Default: 10, and as many again in 15 minutes. */
  readonly perAccount?: Allowance;
  /** Failures from one address (of IPv6: one /64). Default: 30, and as many again in 15 minutes. */
  readonly perAddress?: Allowance;
  /** Beyond that, failures of accounts that exist and are new to the address. Default: 60, and as many in 15 minutes. */
  readonly beyond?: Allowance;
  /** And of each account there. Default: 1, and another one in 5 minutes. */
  readonly beyondEach?: Allowance;
  /** Failures of strangers from one address that are recorded. Default: 60 in an hour. */
  readonly recordedFrom?: Allowance;
  /** The same from all addresses together. Default: 1000 in an hour. */
  readonly recorded?: Allowance;
  /** Wrong codes of one person; every one of them holds. Default: 5 in 15 minutes and 20 in a day. */
  readonly codes?: readonly Allowance[];
}

const quarterOfAnHour = 15 * 60;
const hour = 60 * 60;
const mailsTo: Allowance = { most: 5, seconds: hour };
const mailsFrom: Allowance = { most: 20, seconds: hour };
const here = 'from this address';

/**
 * Slows down guessing, by address and by account; what was used up comes back evenly. Kept in the database: neither a
 * restart nor another replica forgets.
 *
 * Behind a proxy whose word is not believed everybody has one address, and a stranger among them uses up its count. So:
 * - An account that was signed in to from there before has a count of its own there, and no other one.
 * - Beyond the count of the address each other account still gets through there now and then. What is made up costs the
 *   others nothing: only accounts that exist use up what there is of that. Both are refused, hashed and answered alike.
 */
export function createSignInLimits(options: SignInLimitsOptions): SignInLimits {
  const { database, clock } = options;
  const {
    perAccount = { most: 10, seconds: quarterOfAnHour },
    perAddress = { most: 30, seconds: quarterOfAnHour },
    beyond = { most: 60, seconds: quarterOfAnHour },
    beyondEach = { most: 1, seconds: 5 * 60 },
    recordedFrom = { most: 60, seconds: hour },
    recorded = { most: 1000, seconds: hour },
  } = options;
  const codes = options.codes ?? [
    { most: 5, seconds: quarterOfAnHour },
    { most: 20, seconds: 24 * hour },
  ];
  const count = async (counts: readonly Count[]) => takeWindows(database, clock.now(), counts);
  const draw = async (counts: readonly Count[]) => takeBuckets(database, clock.now(), counts);
  const trust = (address: string, account: string) => know(database, goodKeysOf(address, account), clock.now());

  /** The counts of an attempt, in the order in which they are tried: the next only where an address was overrun. */
  const waysOf = (good: GoodKeys, network: string, account: { name: string; exists: boolean }, isOwn: boolean) => {
    const forAccount = { key: keyOf('account', account.name), allowance: perAccount, what: 'for this account' };
    if (isOwn) return [[{ ...forAccount, key: good.pair }]];
    const each = { key: keyOf('beyond', network, account.name), allowance: beyondEach, what: here };
    const all = { key: keyOf('beyond', network), allowance: beyond, what: here, cost: account.exists ? 1 : 0 };
    return [
      [{ key: keyOf('address', network), allowance: perAddress, what: here }, forAccount],
      [each, all, forAccount],
    ];
  };

  return {
    attempt: async (address, account, admit = () => {}) => {
      const good = goodKeysOf(address, account.name);
      const found = await findKnown(database, good);
      const isOwn = found.some((key) => key.equals(good.pair));
      let full: Full | undefined;
      for (const [at, counts] of waysOf(good, networkOf(address), account, isOwn).entries()) {
        const known = found.length > 0 && at === 0;
        admit(known);
        full = await draw(counts);
        if (full !== undefined && full.what !== here) break;
        if (full !== undefined) continue;
        const withdrawn = () => putBack(database, counts);
        const succeeded = async () => {
          await withdrawn();
          await trust(address, account.name);
        };
        return { known, succeeded, withdrawn };
      }
      throw new Fault('SIGN_IN_LIMITED', { what: full?.what ?? here, seconds: full?.seconds ?? 1 });
    },
    trust,
    isRecorded: async (address, ofPerson) => {
      const cost = ofPerson ? 0 : 1;
      const counts = [
        { key: keyOf('recorded', networkOf(address)), allowance: recordedFrom, what: here, cost },
        { key: keyOf('recorded'), allowance: recorded, what: '', cost },
      ];
      const full = await draw(counts);
      return ofPerson || full === undefined;
    },
    code: async (userId) => {
      const counts = codes.map((allowance) => ({
        key: keyOf('code', userId, String(allowance.seconds)),
        allowance,
        what: 'with a second factor',
      }));
      const full = await count(counts);
      if (full !== undefined) throw new Fault('SIGN_IN_LIMITED', { what: full.what, seconds: full.seconds });
      return { succeeded: () => release(database, counts) };
    },
    mail: async (what, to, address) => {
      const good = address === undefined ? undefined : goodKeysOf(address, to);
      const found = good === undefined ? [] : await findKnown(database, good);
      const isOwn = found.some((key) => good?.pair.equals(key));
      const counts = [{ key: keyOf('mail', what, to), allowance: mailsTo, what: '' }];
      // Strangers behind the same proxy do not keep anybody from a new password.
      if (address !== undefined && !isOwn)
        counts.push({ key: keyOf('mail', what, 'from', networkOf(address)), allowance: mailsFrom, what: '' });
      const full = await count(counts);
      if (full !== undefined) throw new Fault('TOO_MANY_REQUESTS', { seconds: full.seconds });
    },
  };
}

/** What is kept of a sign-in: that the account was signed in to from there, and that somebody was. */
interface GoodKeys {
  readonly pair: Buffer;
  readonly place: Buffer;
}

function goodKeysOf(address: string, account: string): GoodKeys {
  const network = networkOf(address);
  return { pair: keyOf('known', account, network), place: keyOf('place', network) };
}

async function findKnown(db: Queryable, { pair, place }: GoodKeys): Promise<readonly Buffer[]> {
  const { rows } = await db.query<{ key: Buffer }>(
    'select key from sign_in_known where key in ($1, $2)',
    [pair, place],
    'sign_in_find_known',
  );
  return rows.map(({ key }) => key);
}

/** Written at most once a day. */
async function know(db: Queryable, { pair, place }: GoodKeys, now: Date): Promise<void> {
  await db.query(
    `insert into sign_in_known as k (key, seen_at) select key, $2 from unnest($1::bytea[]) as t (key) order by key
     on conflict (key) do update set seen_at = excluded.seen_at where k.seen_at < $2::timestamptz - interval '1 day'`,
    [[pair, place], now],
    'sign_in_know',
  );
}

const keyOf = (...parts: readonly string[]) => createHash('sha256').update(JSON.stringify(parts)).digest();

/** An IPv4 address, also where IPv6 wraps it; of IPv6 the /64, which is what one household or machine has. */
export function networkOf(address: string): string {
  if (!ipaddr.isValid(address)) return 'unknown';
  const parsed = ipaddr.process(address);
  if (parsed instanceof ipaddr.IPv4) return parsed.toString();
  return `${parsed.parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(':')}::/64`;
}
