import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Route } from '#contract/route.ts';
import { routes } from '#contract/routes.ts';
import { basic } from '#support/people.ts';
import { useDatabase } from '#support/postgres.ts';
import {
  Browser,
  factsOf,
  mailedLink,
  openSignIn,
  setUpTotp,
  startAnew,
  type TestSignIn,
  totpCode,
} from '#support/sign-in.ts';

const db = useDatabase();
const email = 'ada@example.com';
const password = 'seven silent owls';
let house: TestSignIn;
let userId: string;
let browser: Browser;

beforeAll(async () => {
  house = await openSignIn(db.database);
  userId = await house.person(email, password, 'admin');
});
afterAll(() => house.close());
beforeEach(async () => {
  browser = await startAnew(db.database, house, userId, password);
});

const codeOf = (secret: string) => totpCode(house, secret);
const meOf = async (who: Browser) => (await who.get('/api/v1/me')).status;
const link = () => mailedLink(house);

describe('no path leads around the second factor', () => {
  test('a half session reaches none of the closed routes', async () => {
    await setUpTotp(house, userId);
    await browser.signIn(email);
    const closed = (routes as readonly Route[]).filter(({ permission }) => permission !== 'public');
    expect(closed.length).toBeGreaterThan(30);
    for (const { method, path, reply: kinds } of closed) {
      const reply = await browser.send(method, path.replace(/\{\w+\}/g, 'example'));
      expect([method, path, reply.status]).toEqual([method, path, 401]);
      if (kinds.html === undefined) expect([path, reply.code]).toEqual([path, 'SECOND_FACTOR_DUE']);
    }
    expect((await browser.get('/api/auth/get-session')).json).toMatchObject({
      session: { secondFactor: 'due' },
      user: null,
    });
  });

  test.each(['password', 'github', 'idp_00000000000000000000000000'])(
    'signing in by %s begins a half session',
    async (via) => {
      await setUpTotp(house, userId);
      const { session } = await house.sessions.begin(userId, factsOf(), via);
      expect(session.secondFactor).toBe('due');
    },
  );

  test('nor does a reset of the password', async () => {
    await setUpTotp(house, userId);
    await browser.post('/api/auth/request-password-reset', { email });
    const token = (await link()).searchParams.get('token');
    const reply = await browser.post('/api/auth/reset-password', { token, newPassword: 'nine loud herons' });
    expect([reply.status, browser.jar.size]).toEqual([200, 0]);
    expect((await browser.signIn(email, 'nine loud herons')).json.secondFactor).toBe('due');
    expect(await meOf(browser)).toBe(401);
  });

  test('nor the password over HTTP Basic; a token goes on', async () => {
    const { token } = await house.tokens.create(userId, { name: 'ci' }, userId);
    await setUpTotp(house, userId);
    const reply = await browser.get('/api/v1/me', basic(email, password));
    expect([reply.status, reply.code]).toEqual([403, 'SECOND_FACTOR_BY_BASIC']);
    expect((await browser.get('/api/v1/me', basic(email, token.reveal()))).status).toBe(200);
  });

  test('a half session ends after a quarter of an hour, and is not prolonged', async () => {
    const secret = await setUpTotp(house, userId);
    await browser.signIn(email);
    house.time.laterMs += 14 * 60_000;
    await browser.get('/api/auth/get-session');
    house.time.laterMs += 2 * 60_000;
    expect((await browser.post('/api/auth/two-factor/verify', { code: codeOf(secret) })).code).toBe(
      'CREDENTIALS_MISSING',
    );
  });

  test('the password alone does not take it away, nor give new backup codes', async () => {
    await setUpTotp(house, userId);
    await browser.signIn(email);
    for (const path of ['disable', 'generate-backup-codes', 'enable', 'confirm'])
      expect((await browser.post(`/api/auth/two-factor/${path}`, { code: '000000' })).code).toBe('SECOND_FACTOR_DUE');
  });

  test('a whole session has nothing to verify: its codes stay good', async () => {
    const secret = await setUpTotp(house, userId);
    await browser.signIn(email);
    await browser.post('/api/auth/two-factor/verify', { code: codeOf(secret) });
    house.time.laterMs += 30_000;
    for (const path of ['verify', 'send-otp'])
      expect((await browser.post(`/api/auth/two-factor/${path}`, { code: codeOf(secret) })).code).toBe(
        'CREDENTIALS_MISSING',
      );
    const other = new Browser(house.url);
    await other.signIn(email);
    expect((await other.post('/api/auth/two-factor/verify', { code: codeOf(secret) })).status).toBe(200);
  });

  test('a half session verifies only for its own person, with its own CSRF token', async () => {
    const secret = await setUpTotp(house, userId);
    await browser.signIn(email);
    const cookie = `plinth.session=${browser.jar.get('plinth.session')}`;
    const reply = await new Browser(house.url).post(
      '/api/auth/two-factor/verify',
      { code: codeOf(secret) },
      { Cookie: cookie },
    );
    expect(reply.code).toBe('CSRF_TOKEN_WRONG');
    expect((await new Browser(house.url).post('/api/auth/two-factor/verify', { code: codeOf(secret) })).code).toBe(
      'CREDENTIALS_MISSING',
    );
  });
});

describe('guessing codes', () => {
  test('five wrong ones close the second factor; signing in anew, resetting or a right one do not open it', async () => {
    const secret = await setUpTotp(house, userId);
    const guess = async () => {
      const each = new Browser(house.url);
      await each.signIn(email);
      return (await each.post('/api/auth/two-factor/verify', { code: 'aaaaa-aaaaa' })).code;
    };
    for (let i = 0; i < 4; i++) expect(await guess()).toBe('CODE_WRONG');
    await browser.signIn(email);
    expect((await browser.post('/api/auth/two-factor/verify', { code: codeOf(secret) })).status).toBe(200);
    expect(await guess()).toBe('CODE_WRONG');
    expect(await guess()).toBe('SIGN_IN_LIMITED');
    house.time.laterMs += 30_000;
    await browser.signIn(email);
    const right = await browser.post('/api/auth/two-factor/verify', { code: codeOf(secret) });
    expect([right.status, right.code]).toEqual([429, 'SIGN_IN_LIMITED']);
    expect(right.json.detail).toMatch(/^Too many failed sign-ins with a second factor; try again in \d+ s\./);
    house.time.laterMs += 15 * 60_000;
    await browser.signIn(email);
    expect((await browser.post('/api/auth/two-factor/verify', { code: codeOf(secret) })).status).toBe(200);
  });

  test('many at once do not slip through, and a restart forgets nothing', async () => {
    await setUpTotp(house, userId);
    await browser.signIn(email);
    const replies = await Promise.all(
      Array.from({ length: 20 }, () => browser.post('/api/auth/two-factor/verify', { code: 'bbbbb-bbbbb' })),
    );
    expect(replies.filter(({ code }) => code === 'CODE_WRONG')).toHaveLength(5);
    const other = await openSignIn(db.database);
    try {
      await expect(other.secondFactor.verify(userId, 'ccccc-ccccc')).rejects.toMatchObject({ code: 'SIGN_IN_LIMITED' });
    } finally {
      await other.close();
    }
  });

  test('twenty in a day are the most, however long somebody waits in between', async () => {
    await setUpTotp(house, userId);
    let wrong = 0;
    for (let i = 0; i < 30; i++) {
      const failure = await house.secondFactor
        .verify(userId, 'ddddd-ddddd')
        .catch((error: { code: string }) => error.code);
      if (failure === 'CODE_WRONG') wrong += 1;
      else house.time.laterMs += 15 * 60_000;
    }
    expect(wrong).toBe(20);
  });
});
