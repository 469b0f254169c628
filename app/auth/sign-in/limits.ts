import { createHash } from 'node:crypto';
import ipaddr from 'ipaddr.js';
import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Database, Queryable } from '#database/pool.ts';

/** So many in so long. A window begins with its first try and ends by itself; nothing prolongs it. */
export interface Allowance {
  readonly most: number;
  readonly seconds: number;
}

/** One attempt, counted before the password is looked at, so that many at once cannot slip through. */
export interface Attempt {
  /** The address is good: for the account, or for somebody else who signed in from there. */
  readonly known: boolean;
  /** The password was right: the attempt is taken back, and the address is known as good for the account. */
  succeeded(): Promise<void>;
  /** Nobody looked at the password: the attempt is taken back. */
  withdrawn(): Promise<void>;
}

export interface SignInLimits {
  /**
   * @param admit asked before anything is counted; what it throws ends the attempt
   * @throws Fault SIGN_IN_LIMITED
   */
  attempt(address: string, account: string, admit?: (known: boolean) => void): Promise<Attempt>;
  /** What was proven otherwise (a mailed link): the address is good for the account. */
  trust(address: string, account: string): Promise<void>;
  /** Somebody sets out for an identity provider; what is kept of it costs room. @throws Fault SIGN_IN_LIMITED */
  depart(address: string): Promise<void>;
  /** They came back as somebody: it counts no more. */
  arrive(address: string): Promise<void>;
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
  /** Failures of one account. Default: 10 in 15 minutes. */
  readonly perAccount?: Allowance;
  /** Failures from one address (of IPv6: one /64). Default: 30 in 15 minutes. */
  readonly perAddress?: Allowance;
  /** Sign-ins by an identity provider that one address begins and does not end. Default: 60 in 15 minutes. */
  readonly departures?: Allowance;
  /** Wrong codes of one person; every one of them holds. Default: 5 in 15 minutes and 20 in a day. */
  readonly codes?: readonly Allowance[];
}

const quarterOfAnHour = 15 * 60;
const hour = 60 * 60;
const mailsTo: Allowance = { most: 5, seconds: hour };
const mailsFrom: Allowance = { most: 20, seconds: hour };

interface Count {
  readonly key: Buffer;
  readonly allowance: Allowance;
  /** How the fault names it. */
  readonly what: string;
}

/**
 * Slows down guessing, by address and by account. An address from which an account was signed in to before has a count
 * of its own for it, so that a stranger's guesses do not lock the owner out. Kept in the database: neither a restart nor
 * another replica forgets.
 */
export function createSignInLimits(options: SignInLimitsOptions): SignInLimits {
  const { database, clock } = options;
  const perAccount = options.perAccount ?? { most: 10, seconds: quarterOfAnHour };
  const perAddress = options.perAddress ?? { most: 30, seconds: quarterOfAnHour };
  const departures = options.departures ?? { most: 60, seconds: quarterOfAnHour };
  const codes = options.codes ?? [
    { most: 5, seconds: quarterOfAnHour },
    { most: 20, seconds: 24 * hour },
  ];
  const take = async (counts: readonly Count[]) => takeAll(database, clock.now(), counts);
  const giveBack = (counts: readonly Count[]) => release(database, counts);
  const trust = (address: string, account: string) => know(database, goodKeysOf(address, account), clock.now());
  const departuresOf = (address: string): readonly Count[] => [
    { key: keyOf('departure', networkOf(address)), allowance: departures, what: 'from this address' },
  ];
  const refusal = (full: Full) => new Fault('SIGN_IN_LIMITED', { what: full.what, seconds: full.seconds });

  return {
    attempt: async (address, account, admit = () => {}) => {
      const good = goodKeysOf(address, account);
      const found = await findKnown(database, good);
      const known = found.length > 0;
      admit(known);
      const isOwn = found.some((key) => key.equals(good.pair));
      const counts = [
        { key: keyOf('address', networkOf(address)), allowance: perAddress, what: 'from this address' },
        { key: isOwn ? good.pair : keyOf('account', account), allowance: perAccount, what: 'for this account' },
      ];
      const full = await take(counts);
      if (full !== undefined) throw refusal(full);
      const withdrawn = () => giveBack(counts);
      const succeeded = async () => {
        await withdrawn();
        await trust(address, account);
      };
      return { known, succeeded, withdrawn };
    },
    trust,
    depart: async (address) => {
      const full = await take(departuresOf(address));
      if (full !== undefined) throw refusal(full);
    },
    arrive: (address) => giveBack(departuresOf(address)),
    code: async (userId) => {
      const counts = codes.map((allowance) => ({
        key: keyOf('code', userId, String(allowance.seconds)),
        allowance,
        what: 'with a second factor',
      }));
      const full = await take(counts);
      if (full !== undefined) throw refusal(full);
      return { succeeded: () => giveBack(counts) };
    },
    mail: async (what, to, address) => {
      const place = address === undefined ? undefined : networkOf(address);
      const counts = [
        { key: keyOf('mail', what, to), allowance: mailsTo, what: '' },
        ...(place === undefined ? [] : [{ key: keyOf('mail', what, 'from', place), allowance: mailsFrom, what: '' }]),
      ];
      const full = await take(counts);
      if (full !== undefined) throw new Fault('TOO_MANY_REQUESTS', { seconds: full.seconds });
    },
  };
}

interface Full {
  readonly what: string;
  /** Until the window ends. */
  readonly seconds: number;
}

/** One of each, or none at all. @returns the first one that is full */
async function takeAll(database: Database, now: Date, counts: readonly Count[]): Promise<Full | undefined> {
  const taken = await takeEach(database, now, counts);
  const at = counts.findIndex(({ allowance }, index) => taken[index]!.count > allowance.most);
  if (at < 0) return undefined;
  await release(database, counts);
  const leftMs = taken[at]!.ends_at.getTime() - now.getTime();
  return { what: counts[at]!.what, seconds: Math.max(1, Math.ceil(leftMs / 1000)) };
}

async function takeEach(db: Queryable, now: Date, counts: readonly Count[]) {
  const sorted = [...counts].sort((a, b) => a.key.compare(b.key)); // no two callers wait for each other
  const { rows } = await db.query<{ key: Buffer; count: number; ends_at: Date }>(
    `insert into sign_in_attempts as a (key, count, ends_at)
     select key, 1, $2::timestamptz + make_interval(secs => seconds)
       from unnest($1::bytea[], $3::integer[]) as t (key, seconds)
     on conflict (key) do update set
       count = case when a.ends_at <= $2 then 1 else a.count + 1 end,
       ends_at = case when a.ends_at <= $2 then excluded.ends_at else a.ends_at end
     returning key, count, ends_at`,
    [sorted.map(({ key }) => key), now, sorted.map(({ allowance }) => allowance.seconds)],
    'sign_in_take',
  );
  return counts.map(({ key }) => rows.find((row) => row.key.equals(key))!);
}

async function release(db: Queryable, counts: readonly Count[]): Promise<void> {
  if (counts.length === 0) return;
  await db.query(
    `update sign_in_attempts set count = count - 1 where count > 0 and key in
       (select key from sign_in_attempts where key = any($1) order by key for update)`,
    [counts.map(({ key }) => key)],
    'sign_in_release',
  );
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
