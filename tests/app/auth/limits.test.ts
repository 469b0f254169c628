import { afterEach, describe, expect, test } from 'vitest';
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

const person = (name: string) => ({ name, exists: true });
const madeUp = (name: string) => ({ name, exists: false });
const fail = async (limits: SignInLimits, address: string, account: string, exists = true) => {
  await limits.attempt(address, { name: account, exists });
};
const refused = (what: string) => ({ code: 'SIGN_IN_LIMITED', data: { what, seconds: expect.any(Number) } });

const never = { most: 1, seconds: 1_000_000 };

test('an account closes after so many failures, from wherever they come; each comes back in its time', async () => {
  const limits = open({ perAccount: two });
  await fail(limits, '10.0.0.1', 'ada');
  await fail(limits, '10.0.0.2', 'ada');
  await expect(fail(limits, '10.0.0.3', 'ada')).rejects.toMatchObject(refused('for this account'));
  await fail(limits, '10.0.0.3', 'bob');
  laterMs = 25_000;
  await expect(fail(limits, '10.0.0.3', 'ada')).rejects.toMatchObject({
    data: { seconds: expect.toSatisfy((seconds: number) => seconds >= 1 && seconds <= 5) },
  });
  laterMs = 31_000;
  await fail(limits, '10.0.0.3', 'ada');
  await expect(fail(limits, '10.0.0.3', 'ada')).rejects.toMatchObject(refused('for this account'));
  laterMs = 120_000; // never more than there were
  for (let i = 0; i < 2; i++) await fail(limits, '10.0.0.3', 'ada');
  await expect(fail(limits, '10.0.0.3', 'ada')).rejects.toMatchObject(refused('for this account'));
});

test('an address closes for every account; of IPv6 the whole /64, of mapped IPv4 the IPv4', async () => {
  const limits = open({ perAddress: two, perAccount: many, beyond: never });
  for (const [first, second, third] of [
    ['10.0.0.1', '::ffff:10.0.0.1', '10.0.0.1'],
    ['2001:db8::1', '2001:db8::ffff:2', '2001:db8:0:0:1::3'],
    ['nonsense', 'x', ''],
  ] as const) {
    await fail(limits, first, 'ada');
    await fail(limits, second, 'bob');
    await fail(limits, second, 'bob'); // the one beyond
    await expect(fail(limits, third, 'eve')).rejects.toMatchObject(refused('from this address'));
  }
  await fail(limits, '2001:db8:0:1::1', 'ada');
});

describe('a stranger floods an address that everybody has', () => {
  const flood = async (limits: SignInLimits) => {
    for (let i = 0; i < 20; i++) await fail(limits, '10.0.0.1', `made-up-${i}`, false);
  };

  test('who signed in from there before comes in as always, and has a count of their own', async () => {
    const limits = open({ perAddress: two, perAccount: { most: 3, seconds: 900 }, beyond: never });
    await limits.trust('10.0.0.1', 'ada');
    await flood(limits);
    for (let i = 0; i < 5; i++) await (await limits.attempt('10.0.0.1', person('ada'))).succeeded();
    for (let i = 0; i < 3; i++) await fail(limits, '10.0.0.1', 'ada');
    await expect(fail(limits, '10.0.0.1', 'ada')).rejects.toMatchObject(refused('for this account'));
  });

  test('who is new there comes in too, slowly; what is made up uses nothing up', async () => {
    const limits = open({ perAddress: two, beyond: two, beyondEach: { most: 1, seconds: 60 } });
    await flood(limits);
    const attempt = await limits.attempt('10.0.0.1', person('new'));
    expect(attempt.known).toBe(false);
    const again = fail(limits, '10.0.0.1', 'new');
    await expect(again).rejects.toMatchObject(refused('from this address'));
    await attempt.succeeded();
    for (let i = 0; i < 5; i++) await fail(limits, '10.0.0.1', 'new');
  });

  test('accounts that exist are guessed there so often, and then the answer is the same for all', async () => {
    const limits = open({ perAddress: { most: 2, seconds: 100_000 }, beyond: { most: 3, seconds: 180 } });
    await flood(limits);
    for (const name of ['a', 'b', 'c']) await fail(limits, '10.0.0.1', name);
    const answers = [];
    for (const account of [person('d'), madeUp('e')])
      answers.push(await limits.attempt('10.0.0.1', account).catch(({ data }) => data.what));
    expect(answers).toEqual(['from this address', 'from this address']);
    laterMs = 61_000;
    await fail(limits, '10.0.0.1', 'd');
    await expect(fail(limits, '10.0.0.1', 'f')).rejects.toMatchObject(refused('from this address'));
  });

  test('nobody learns there which accounts exist: each is let through as often', async () => {
    const limits = open({ perAddress: two, beyond: many });
    await flood(limits);
    const tries = async (account: { name: string; exists: boolean }) => {
      let passed = 0;
      for (let i = 0; i < 4; i++)
        await limits.attempt('10.0.0.1', account).then(
          () => passed++,
          () => {},
        );
      return passed;
    };
    expect([await tries(person('g')), await tries(madeUp('h'))]).toEqual([1, 1]);
  });

  test('its guesses go into the line of strangers, though the address is a good one', async () => {
    const limits = open({ perAddress: two, beyond: many });
    await limits.trust('10.0.0.1', 'ada');
    const lanes: boolean[] = [];
    for (let i = 0; i < 4; i++) await limits.attempt('10.0.0.1', madeUp(`${i}`), (known) => lanes.push(known));
    expect(lanes).toEqual([true, true, true, false, true, false]);
  });
});

test('failures of people are always recorded; of strangers so many from an address, and from all together', async () => {
  const limits = open({ recordedFrom: two, recorded: { most: 3, seconds: 60 } });
  const ask = async (address: string) => limits.isRecorded(address, false);
  expect([await ask('10.0.0.1'), await ask('10.0.0.1'), await ask('10.0.0.1')]).toEqual([true, true, false]);
  expect([await ask('10.0.0.2'), await ask('10.0.0.2'), await ask('10.0.0.3')]).toEqual([true, false, false]);
  for (let i = 0; i < 5; i++) expect(await limits.isRecorded('10.0.0.1', true)).toBe(true);
  laterMs = 61_000;
  expect(await ask('10.0.0.1')).toBe(true);
});

test('who is refused for the account is not counted for the address', async () => {
  const limits = open({ perAccount: two, perAddress: { most: 3, seconds: 60 }, beyond: never });
  for (let i = 0; i < 2; i++) await fail(limits, '10.0.0.9', 'ada');
  for (let i = 0; i < 5; i++)
    await expect(fail(limits, '10.0.0.1', 'ada')).rejects.toMatchObject(refused('for this account'));
  for (const name of ['b', 'c', 'd']) await fail(limits, '10.0.0.1', name);
  await fail(limits, '10.0.0.1', 'e'); // the one beyond
  await expect(fail(limits, '10.0.0.1', 'f')).rejects.toMatchObject(refused('from this address'));
});

test('what succeeded or was not looked at is no failure', async () => {
  const limits = open({ perAccount: two, perAddress: two });
  for (let i = 0; i < 10; i++) await (await limits.attempt('10.0.0.1', person('ada'))).succeeded();
  for (let i = 0; i < 10; i++) await (await limits.attempt('10.0.0.1', person('bob'))).withdrawn();
});

test('many at once: as many get in as are left, each exactly once', async () => {
  const limits = open({ perAccount: { most: 7, seconds: 60 }, perAddress: many });
  const tries = await Promise.allSettled(Array.from({ length: 40 }, (_, i) => fail(limits, `10.0.0.${i}`, 'ada')));
  expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(7);
  await expect(fail(limits, '10.0.0.99', 'ada')).rejects.toMatchObject(refused('for this account'));
  laterMs = 60_000 / 7 + 100;
  await fail(limits, '10.0.0.99', 'ada');
});

test('a stranger does not lock the owner out of an address that was good before, nor the other way round', async () => {
  const limits = open({ perAccount: two });
  await (await limits.attempt('10.0.0.1', person('ada'))).succeeded();
  for (const address of ['10.6.6.6', '10.6.6.7']) await fail(limits, address, 'ada');
  await expect(fail(limits, '10.6.6.8', 'ada')).rejects.toMatchObject(refused('for this account'));
  await (await limits.attempt('10.0.0.1', person('ada'))).succeeded();
  await limits.trust('10.0.0.2', 'ada');
  for (let i = 0; i < 2; i++) await fail(limits, '10.0.0.2', 'ada');
  await expect(fail(limits, '10.0.0.2', 'ada')).rejects.toMatchObject(refused('for this account'));
  await (await limits.attempt('10.0.0.1', person('ada'))).succeeded();
});

test('known are the addresses of those who signed in, for whatever account; only their own has a count of its own', async () => {
  const limits = open({ perAccount: two });
  const known = async (address: string, account: string) => (await limits.attempt(address, person(account))).known;
  expect(await known('10.0.0.1', 'ada')).toBe(false);
  await limits.trust('10.0.0.1', 'ada');
  expect([await known('10.0.0.1', 'ada'), await known('10.0.0.1', 'bob')]).toEqual([true, true]);
  expect([await known('10.0.0.2', 'ada'), await known('10.0.0.2', 'bob')]).toEqual([false, false]);
  await expect(limits.attempt('10.0.0.1', person('bob'))).rejects.toMatchObject(refused('for this account'));
});

test('who is not admitted is not counted', async () => {
  const limits = open({ perAccount: two });
  const full = (known: boolean) => {
    throw new Error(`known: ${known}`);
  };
  for (let i = 0; i < 5; i++)
    await expect(limits.attempt('10.0.0.1', person('ada'), full)).rejects.toThrow('known: false');
  const { rows } = await db.database.query('select from sign_in_attempts');
  expect(rows).toEqual([]);
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
  // Who signed in from there is not counted with the strangers who did not.
  await limits.trust('10.1.1.1', 'own@example.com');
  await limits.mail('reset', 'own@example.com', '10.1.1.1');
});

test('neither accounts nor addresses can be read from what is kept', async () => {
  await (await open().attempt('10.0.0.1', person('ada@example.com'))).succeeded();
  const { rows } = await db.database.query(
    'select key::text from sign_in_attempts union all select key::text from sign_in_known',
  );
  expect(rows).toHaveLength(4);
  for (const { key } of rows) expect(key).toMatch(/^\\x[0-9a-f]{64}$/);
});

test('what has had its day is deleted, and nothing else', async () => {
  await createTestAuth(db.database); // makes the table of sessions
  const limits = open({ perAccount: { most: 2, seconds: 600 } });
  await fail(limits, '10.0.0.1', 'old');
  laterMs = 120_000;
  await fail(limits, '10.0.0.2', 'new');
  laterMs = 310_000;
  const sweep = startSignInSweep({ database: db.database, clock, log: createLog({ level: 'silent' }) });
  const left = async () => (await db.database.query('select from sign_in_attempts')).rows.length;
  // What is whole again is no row: of `old` account and address, of `new` the address.
  await expect.poll(left, { interval: 5 }).toBe(1);
  await sweep.stop();
});
