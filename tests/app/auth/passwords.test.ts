import { expect, test } from 'vitest';
import { createGate } from '#auth/sign-in/gate.ts';
import { createSignInLimits } from '#auth/sign-in/limits.ts';
import { createPasswords } from '#auth/sign-in/passwords.ts';
import { systemClock as clock } from '#base/clock.ts';
import { Secret } from '#base/secret.ts';
import { createTestAuth } from '#support/people.ts';
import { useDatabase } from '#support/postgres.ts';

const db = useDatabase();
const email = 'ada@example.com';
const right = 'seven silent owls';

/** Passwords whose hashing, one at a time and one waiting in each lane, goes on when the test says so. */
function openPasswords() {
  const gate = createGate({ most: 1, waiting: { known: 1, stranger: 1 } });
  const looked: string[] = [];
  const ends: (() => void)[] = [];
  const limits = createSignInLimits({ database: db.database, clock });
  const passwords = createPasswords({
    database: db.database,
    limits,
    clock,
    auth: {
      isBusy: gate.isFull,
      verify: (password, _hash, lane = 'known') =>
        gate.pass(lane, async () => {
          looked.push(password.reveal());
          await new Promise<void>((resolve) => ends.push(resolve));
          return password.reveal() === right;
        }),
    },
  });
  return {
    limits,
    isFull: gate.isFull,
    /** In the order in which they were looked at. */
    looked,
    endOne: () => ends.shift()?.(),
    verify: (address: string, password: string, account = email) =>
      passwords.verify(account, new Secret(password), address),
  };
}
const counted = async () => {
  const { rows } = await db.database.query<{ sum: number }>(
    'select count(*)::integer as sum from sign_in_attempts where ends_at > now()',
  );
  return rows[0]?.sum ?? 0;
};
const soon = { interval: 5, timeout: 10_000 };

test('strangers who fill their line keep nobody waiting who comes from a known address, and cost no write', async () => {
  const auth = await createTestAuth(db.database);
  await auth.createPerson({ email, name: 'Ada', role: 'viewer', password: new Secret(right) });
  const { limits, isFull, looked, endOne, verify } = openPasswords();
  await limits.trust('10.0.0.1', email);

  const first = verify('10.6.6.1', 'guess 1', 'p1@example.com');
  await expect.poll(() => looked, soon).toEqual(['guess 1']);
  const second = verify('10.6.6.2', 'guess 2', 'p2@example.com');
  await expect.poll(() => isFull('stranger'), soon).toBe(true);
  const busy = { code: 'TOO_MANY_REQUESTS', data: { seconds: 2 } };
  for (let i = 3; i < 9; i++) await expect(verify(`10.6.6.${i}`, 'guess')).rejects.toMatchObject(busy);
  expect(await counted()).toBe(4);

  const ada = verify('10.0.0.1', right);
  await expect.poll(() => isFull('known'), soon).toBe(true);
  expect(await counted()).toBe(5);
  endOne();
  expect(await first).toBeUndefined();
  await expect.poll(() => looked, soon).toEqual(['guess 1', right]);
  endOne();
  expect(await ada).toMatchObject({ email });
  await expect.poll(() => looked, soon).toEqual(['guess 1', right, 'guess 2']);
  endOne();
  expect(await second).toBeUndefined();
});
