import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Secret } from '#base/secret.ts';
import { useDatabase } from '#support/postgres.ts';
import { Browser, factsOf, openSignIn, type TestSignIn } from '#support/sign-in.ts';

const db = useDatabase();
const email = 'ada@example.com';
const password = 'seven silent owls';
let house: TestSignIn;
let userId: string;

beforeAll(async () => {
  house = await openSignIn(db.database);
  userId = await house.person(email, password, 'admin');
});
afterAll(() => house.close());
beforeEach(() => db.database.query('truncate sign_in_attempts, sign_in_known, link_wishes, mailed_links'));

describe('a stranger behind the proxy that everybody is behind', () => {
  const flood = async (own: TestSignIn, count: number) => {
    const stranger = factsOf({ address: '10.0.0.1' });
    const codes = [];
    for (let i = 0; i < count; i++)
      codes.push(
        await own.signIn.withPassword(`made-up-${i}@example.com`, new Secret('x'), stranger).catch(({ code }) => code),
      );
    return codes;
  };
  const enter = (own: TestSignIn, account: string, text = password) =>
    own.signIn.withPassword(account, new Secret(text), factsOf({ address: '10.0.0.1' }));

  test('keeps nobody out: neither who was there before nor who is new', async () => {
    const own = await openSignIn(db.database, { limits: { perAddress: { most: 5, seconds: 900 } } });
    try {
      await enter(own, email);
      await own.person('new@example.com', password, 'viewer');
      await flood(own, 40);
      expect((await enter(own, email)).session.userId).toBe(userId);
      await expect(enter(own, 'new@example.com', 'wrong')).rejects.toMatchObject({ code: 'CREDENTIALS_WRONG' });
      await expect(enter(own, 'new@example.com')).rejects.toMatchObject({ code: 'SIGN_IN_LIMITED' });
      own.time.laterMs = 5 * 60_000 + 1000;
      await flood(own, 40);
      expect((await enter(own, 'new@example.com')).session.userId).toMatch(/^usr_/);
      own.time.laterMs += 61_000; // past what is remembered of the right password
      for (let i = 0; i < 3; i++) await enter(own, 'new@example.com');
    } finally {
      await own.close();
    }
  });

  test('does not keep who was there before from a mail with a new password', async () => {
    await enter(house, email);
    const ask = (account: string) => house.signIn.requestReset(account, factsOf({ address: '10.0.0.1' }));
    for (let i = 0; i < 20; i++) await ask(`made-up-${i}@example.com`);
    await expect(ask('made-up@example.com')).rejects.toMatchObject({ code: 'TOO_MANY_REQUESTS' });
    await ask(email);
  });
});

describe('a stranger fills no disk', () => {
  test.each([
    [{ allowRegistration: false }, ['REGISTRATION_CLOSED']],
    [{ mail: false }, ['MAIL_OFF']],
    [{ passwordsAllowed: 'nobody' }, ['PASSWORD_SIGN_IN_OFF']],
    [{}, ['PASSWORD_WEAK', 'LINK_INVALID', 'CREDENTIALS_MISSING']],
  ] as const)('%j: what is refused whoever asks is not recorded', async (wish, wanted) => {
    const own = await openSignIn(db.database, wish);
    try {
      const who = new Browser(own.url);
      const codes = [
        (await who.post('/api/auth/sign-up/email', { email: 'x@example.com', name: 'X', password: 'password1' })).code,
        (await who.post('/api/auth/verify-email', { token: 'x' })).code,
        (await who.post('/api/auth/reset-password', { token: 'x', newPassword: 'nine loud herons' })).code,
        (await who.post('/api/auth/two-factor/verify', { code: '000000' })).code,
        (await who.post('/api/auth/two-factor/send-otp')).code,
      ];
      if ('mail' in wish) codes.push((await who.post('/api/auth/request-password-reset', { email })).code);
      if ('passwordsAllowed' in wish) {
        codes.push((await who.post('/api/auth/request-password-reset', { email })).code);
        codes.push((await who.signIn(email)).code);
      }
      expect(codes).toEqual(expect.arrayContaining([...wanted]));
      expect(own.audited).toEqual([]);
    } finally {
      await own.close();
    }
  });

  test('of names that nobody has so many failures are recorded; of people each', async () => {
    const limits = { recordedFrom: { most: 3, seconds: 900 }, recorded: { most: 4, seconds: 900 } };
    const own = await openSignIn(db.database, { limits });
    try {
      const guess = (account: string, address: string) =>
        own.signIn.withPassword(account, new Secret('x'), factsOf({ address })).catch(({ code }) => code);
      for (const address of ['10.0.0.1', '10.0.0.2', '10.0.0.3'])
        for (let i = 0; i < 5; i++) expect(await guess(`${i}@${address}`, address)).toBe('CREDENTIALS_WRONG');
      expect(own.audited.map(({ actor, address }) => [actor.name, address])).toEqual([
        ['unknown', '10.0.0.1'],
        ['unknown', '10.0.0.1'],
        ['unknown', '10.0.0.1'],
        ['unknown', '10.0.0.2'],
      ]);
      for (let i = 0; i < 6; i++) await guess(email, '10.0.0.1');
      expect(own.audited.filter(({ actor }) => actor.name === email)).toHaveLength(6);
    } finally {
      await own.close();
    }
  });
});
