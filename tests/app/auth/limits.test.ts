import { afterEach, expect, test } from 'vitest';
import { createSignInLimits, type SignInLimits, type SignInLimitsOptions } from '#auth/sign-in/limits.ts';
import { startSignInSweep } from '#auth/sign-in/sweep.ts';
import { type Clock, systemClock } from '#base/clock.ts';
import { createLog } from '#base/log.ts';
import { createTestAuth } from '#support/people.ts';
import { useDatabase } from '#support/postgres.ts';

const db = useDatabase();
let laterMs = 0;
const clock: Clock = { ...systemClock, now: () => new Date(Date.now() + laterMs) };
const open = (options: Partial<SignInLimitsOptions> = {}) =>
  createSignInLimits({ database: db.database, clock, ...options });
const two = { most: 2, seconds: 60 };
const many = { most: 1000, seconds: 60 };

afterEach(async () => {
  laterMs = 0;
  await db.database.query('truncate sign_in_attempts, sign_in_known');
});

const fail = async (limits: SignInLimits, address: string, account: string) => {
  await limits.attempt(address, account);
};
const refused = (what: string) => ({ code: 'SIGN_IN_LIMITED', data: { what, seconds: expect.any(Number) } });

test('an account closes after so many failures, from wherever they come, and opens when the window ends', async () => {
  const limits = open({ perAccount: two });
  await fail(limits, '10.0.0.1', 'ada');
  await fail(limits, '10.0.0.2', 'ada');
  await expect(fail(limits, '10.0.0.3', 'ada')).rejects.toMatchObject(refused('for this account'));
  await fail(limits, '10.0.0.3', 'bob');
  laterMs = 59_000;
  await expect(fail(limits, '10.0.0.3', 'ada')).rejects.toMatchObject(refused('for this account'));
  laterMs = 61_000;
  await fail(limits, '10.0.0.3', 'ada');
});

test('an address closes for every account; of IPv6 the whole /64, of mapped IPv4 the IPv4', async () => {
  const limits = open({ perAddress: two, perAccount: many });
  for (const [first, second, third] of [
    ['10.0.0.1', '::ffff:10.0.0.1', '10.0.0.1'],
    ['2001:db8::1', '2001:db8::ffff:2', '2001:db8:0:0:1::3'],
    ['nonsense', 'x', ''],
  ] as const) {
    await fail(limits, first, 'ada');
    await fail(limits, second, 'bob');
    await expect(fail(limits, third, 'eve')).rejects.toMatchObject(refused('from this address'));
  }
  await fail(limits, '2001:db8:0:1::1', 'ada');
});

test('who is refused for the account is not counted for the address', async () => {
  const limits = open({ perAccount: two, perAddress: { most: 3, seconds: 60 } });
  for (let i = 0; i < 2; i++) await fail(limits, '10.0.0.9', 'ada');
  for (let i = 0; i < 5; i++)
    await expect(fail(limits, '10.0.0.1', 'ada')).rejects.toMatchObject(refused('for this account'));
  for (const name of ['b', 'c', 'd']) await fail(limits, '10.0.0.1', name);
  await expect(fail(limits, '10.0.0.1', 'e')).rejects.toMatchObject(refused('from this address'));
});

test('what succeeded or was not looked at is no failure', async () => {
  const limits = open({ perAccount: two, perAddress: two });
  for (let i = 0; i < 10; i++) await (await limits.attempt('10.0.0.1', 'ada')).succeeded();
  for (let i = 0; i < 10; i++) await (await limits.attempt('10.0.0.1', 'bob')).withdrawn();
});

test('many at once: as many get in as are left, each exactly once', async () => {
  const limits = open({ perAccount: { most: 7, seconds: 60 }, perAddress: many });
  const tries = await Promise.allSettled(Array.from({ length: 40 }, (_, i) => fail(limits, `10.0.0.${i}`, 'ada')));
  expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(7);
  const { rows } = await db.database.query('select count from sign_in_attempts where count > 1');
  expect(rows).toEqual([{ count: 7 }]);
});

test('a stranger does not lock the owner out of an address that was good before, nor the other way round', async () => {
  const limits = open({ perAccount: two });
  await (await limits.attempt('10.0.0.1', 'ada')).succeeded();
  for (const address of ['10.6.6.6', '10.6.6.7']) await fail(limits, address, 'ada');
  await expect(fail(limits, '10.6.6.8', 'ada')).rejects.toMatchObject(refused('for this account'));
  await (await limits.attempt('10.0.0.1', 'ada')).succeeded();
  await limits.trust('10.0.0.2', 'ada');
  for (let i = 0; i < 2; i++) await fail(limits, '10.0.0.2', 'ada');
  await expect(fail(limits, '10.0.0.2', 'ada')).rejects.toMatchObject(refused('for this account'));
  await (await limits.attempt('10.0.0.1', 'ada')).succeeded();
});

test('known are the addresses of those who signed in, for whatever account; only their own has a count of its own', async () => {
  const limits = open({ perAccount: two });
  const known = async (address: string, account: string) => (await limits.attempt(address, account)).known;
  expect(await known('10.0.0.1', 'ada')).toBe(false);
  await limits.trust('10.0.0.1', 'ada');
  expect([await known('10.0.0.1', 'ada'), await known('10.0.0.1', 'bob')]).toEqual([true, true]);
  expect([await known('10.0.0.2', 'ada'), await known('10.0.0.2', 'bob')]).toEqual([false, false]);
  await expect(limits.attempt('10.0.0.1', 'bob')).rejects.toMatchObject(refused('for this account'));
});

test('who is not admitted is not counted', async () => {
  const limits = open({ perAccount: two });
  const full = (known: boolean) => {
    throw new Error(`known: ${known}`);
  };
  for (let i = 0; i < 5; i++) await expect(limits.attempt('10.0.0.1', 'ada', full)).rejects.toThrow('known: false');
  const { rows } = await db.database.query('select from sign_in_attempts');
  expect(rows).toEqual([]);
});

test('an address sets out for identity providers so often; who arrives is not counted', async () => {
  const limits = open({ departures: two });
  for (let i = 0; i < 5; i++) {
    await limits.depart('2001:db8::1');
    await limits.arrive('2001:db8::2');
  }
  for (let i = 0; i < 2; i++) await limits.depart('2001:db8::1');
  await expect(limits.depart('2001:db8::3')).rejects.toMatchObject(refused('from this address'));
  await limits.depart('2001:db8:1::1');
  await limits.arrive('10.0.0.1'); // nobody had set out from there
  laterMs = 61_000;
  await limits.depart('2001:db8::1');
});

test('a wrong code counts in every window; a right one takes back itself alone', async () => {
  const limits = open({ codes: [two, { most: 3, seconds: 3600 }] });
  await limits.code('usr_a');
  await (await limits.code('usr_a')).succeeded();
  await limits.code('usr_a');
  await expect(limits.code('usr_a')).rejects.toMatchObject(refused('with a second factor'));
  laterMs = 61_000;
  await limits.code('usr_a');
  await expect(limits.code('usr_a')).rejects.toMatchObject({
    data: { seconds: expect.toSatisfy((s: number) => s > 3000) },
  });
  await limits.code('usr_b');
});

test('mails are counted by whom they go to, and by who asks', async () => {
  const limits = open();
  for (let i = 0; i < 5; i++) await limits.mail('reset', 'ada@example.com', `10.0.0.${i}`);
  await expect(limits.mail('reset', 'ada@example.com', '10.0.0.9')).rejects.toMatchObject({
    code: 'TOO_MANY_REQUESTS',
  });
  await limits.mail('register', 'ada@example.com', '10.0.0.9');
  for (let i = 0; i < 20; i++) await limits.mail('reset', `${i}@example.com`, '10.1.1.1');
  await expect(limits.mail('reset', 'last@example.com', '10.1.1.1')).rejects.toMatchObject({
    code: 'TOO_MANY_REQUESTS',
  });
});

test('neither accounts nor addresses can be read from what is kept', async () => {
  await (await open().attempt('10.0.0.1', 'ada@example.com')).succeeded();
  const { rows } = await db.database.query(
    'select key::text from sign_in_attempts union all select key::text from sign_in_known',
  );
  expect(rows).toHaveLength(4);
  for (const { key } of rows) expect(key).toMatch(/^\\x[0-9a-f]{64}$/);
});

test('what has had its day is deleted, and nothing else', async () => {
  await createTestAuth(db.database); // makes the table of sessions
  const limits = open({ perAccount: two });
  await fail(limits, '10.0.0.1', 'old');
  laterMs = 120_000;
  await fail(limits, '10.0.0.2', 'new');
  laterMs = 15 * 60_000 + 1000;
  const sweep = startSignInSweep({ database: db.database, clock, log: createLog({ level: 'silent' }) });
  const left = async () => (await db.database.query('select from sign_in_attempts')).rows.length;
  // Of `old` account and address ended, of `new` only the account, whose window is a minute.
  await expect.poll(left, { interval: 5 }).toBe(1);
  await sweep.stop();
});
