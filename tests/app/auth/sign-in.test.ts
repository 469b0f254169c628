import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Secret } from '#base/secret.ts';
import { useDatabase } from '#support/postgres.ts';
import { Browser, openSignIn, type TestSignIn } from '#support/sign-in.ts';

const db = useDatabase();
const email = 'ada@example.com';
const password = 'seven silent owls';
let house: TestSignIn;
let userId: string;
let browser: Browser;

beforeAll(async () => {
  house = await openSignIn(db.database);
  userId = await house.person(email, password);
});
afterAll(() => house.close());
beforeEach(async () => {
  await db.database.query('truncate sign_in_attempts, sign_in_known');
  await house.auth.setPassword(userId, new Secret(password));
  house.time.laterMs = 0;
  house.mails.length = 0;
  house.audited.length = 0;
  browser = new Browser(house.url);
});

const me = async (who = browser) => {
  const { status, json } = await who.get('/api/v1/me');
  return [status, status === 200 ? json.id : json.code];
};
const token = async () => {
  await house.delivered();
  const link = /https:\/\/\S+/.exec(house.mails.at(-1)?.text ?? '')?.[0] ?? '';
  return new URL(link).searchParams.get('token') ?? '';
};

describe('with a password', () => {
  test('a session begins, by which the person is known; its cookies are closed', async () => {
    const reply = await browser.signIn('Ada@Example.com');
    expect(reply.status).toBe(200);
    expect(reply.json).toEqual({
      user: { id: userId },
      secondFactor: 'none',
      twoFactorRedirect: false,
      csrfToken: browser.csrf,
    });
    expect(reply.headers.getSetCookie()).toEqual([
      expect.stringMatching(/^plinth\.session=[\w-]{43}\.[\w-]{43}; Max-Age=2592000; Path=\/; HttpOnly; SameSite=Lax$/),
      expect.stringMatching(/^plinth\.csrf=[\w-]{43}; Max-Age=2592000; Path=\/; SameSite=Lax$/),
    ]);
    expect(await me()).toEqual([200, userId]);
    expect((await browser.get('/api/auth/get-session')).json).toMatchObject({
      session: { via: 'password', secondFactor: 'none', current: true },
      user: { id: userId, email },
      csrfToken: browser.csrf,
    });
    expect(house.audited).toMatchObject([
      { action: 'signIn', outcome: 'done', actor: { id: userId, name: email }, target: `people/${email}` },
    ]);
  });

  test('signing out ends it on the server too', async () => {
    await browser.signIn(email);
    const { cookie } = browser;
    expect((await browser.post('/api/auth/sign-out')).json).toEqual({ success: true });
    expect(browser.jar.size).toBe(0);
    expect((await browser.get('/api/v1/me', { Cookie: cookie })).status).toBe(401);
  });

  test('a disabled person is told so, once the password was right, and their sessions are none', async () => {
    await browser.signIn(email);
    await db.database.query('insert into people_state (user_id, disabled) values ($1, true)', [userId]);
    try {
      expect((await me())[0]).toBe(401);
      expect((await new Browser(house.url).signIn(email)).code).toBe('ACCOUNT_DISABLED');
      expect((await new Browser(house.url).signIn(email, 'wrong')).code).toBe('CREDENTIALS_WRONG');
    } finally {
      await db.database.query('delete from people_state');
    }
  });

  test('what fails is recorded, without what was typed where nobody is called so', async () => {
    await browser.signIn('my-secret-typed-here@example.com', 'wrong');
    await browser.signIn(email, 'wrong');
    expect(house.audited.map(({ action, outcome, target, detail }) => [action, outcome, target, detail?.code])).toEqual(
      [
        ['signIn', 'failed', 'people/unknown', 'CREDENTIALS_WRONG'],
        ['signIn', 'failed', `people/${email}`, 'CREDENTIALS_WRONG'],
      ],
    );
    expect(JSON.stringify(house.audited)).not.toContain('typed');
  });
});

describe('devices', () => {
  test('are listed and signed out one by one, or all others', async () => {
    const phone = new Browser(house.url);
    const tablet = new Browser(house.url);
    await browser.signIn(email);
    await phone.signIn(email);
    await tablet.signIn(email);
    const { items } = (await browser.get('/api/auth/list-sessions')).json;
    expect(items.map(({ current }) => current)).toEqual([false, false, true]);
    expect(JSON.stringify(items)).not.toContain(browser.jar.get('plinth.session')?.split('.')[0]);
    expect((await browser.post('/api/auth/revoke-session', { id: items[0]?.id })).status).toBe(200);
    expect([(await me(tablet))[0], (await me(phone))[0]]).toEqual([401, 200]);
    expect((await browser.post('/api/auth/revoke-other-sessions')).status).toBe(200);
    expect([(await me(phone))[0], (await me())[0]]).toEqual([401, 200]);
  });

  test('of somebody else are none of theirs', async () => {
    const other = new Browser(house.url);
    await house.person('bob@example.com');
    await other.signIn('bob@example.com');
    await browser.signIn(email);
    const [mine] = (await browser.get('/api/auth/list-sessions')).json.items;
    const reply = await other.post('/api/auth/revoke-session', { id: mine?.id });
    expect([reply.status, reply.code]).toEqual([404, 'SESSION_NOT_FOUND']);
    expect((await me())[0]).toBe(200);
  });
});

describe('sessions end', () => {
  test('after seven days without use, and after thirty with it', async () => {
    const day = 86_400_000;
    await browser.signIn(email);
    house.time.laterMs = 8 * day;
    expect((await me())[0]).toBe(401);

    house.time.laterMs = 0;
    await browser.signIn(email);
    const expiry = async () =>
      (await db.database.query<{ at: Date }>('select max("expiresAt") as at from auth.session')).rows[0]?.at.getTime();
    for (let days = 6; days < 30; days += 6) {
      const before = await expiry();
      house.time.laterMs = days * day;
      expect((await me())[0]).toBe(200);
      if (days < 29) await expect.poll(expiry, { interval: 5 }).not.toBe(before);
    }
    house.time.laterMs = 30 * day + 1000;
    expect((await me())[0]).toBe(401);
  });

  test('and are written at most every five minutes', async () => {
    await browser.signIn(email);
    const row = async () => (await db.database.query('select xmin::text from auth.session')).rows;
    const before = await row();
    for (let i = 0; i < 3; i++) await me();
    house.time.laterMs = 4 * 60_000;
    await me();
    expect(await row()).toEqual(before);
    house.time.laterMs = 6 * 60_000;
    await me();
    await expect.poll(row, { interval: 5 }).not.toEqual(before);
  });
});

describe('changing the password', () => {
  test('ends every other session and gives this one a new token', async () => {
    const phone = new Browser(house.url);
    await phone.signIn(email);
    await browser.signIn(email);
    const before = browser.jar.get('plinth.session');
    const body = { currentPassword: password, newPassword: 'nine loud herons' };
    expect((await browser.post('/api/auth/change-password', body)).status).toBe(200);
    expect(browser.jar.get('plinth.session')).not.toBe(before);
    expect(await me()).toEqual([200, userId]);
    expect((await me(phone))[0]).toBe(401);
    expect((await browser.get('/api/v1/me', { Cookie: `plinth.session=${before}` })).status).toBe(401);
    expect((await phone.signIn(email)).code).toBe('CREDENTIALS_WRONG');
    expect((await phone.signIn(email, 'nine loud herons')).status).toBe(200);
    expect(house.mails.map(({ subject }) => subject)).toEqual(['Your password at Plinth was changed']);
    expect(house.changed).toContain(userId);
  });

  test('needs the present one, and a strong new one', async () => {
    await browser.signIn(email);
    const change = (currentPassword: string, newPassword: string) =>
      browser.post('/api/auth/change-password', { currentPassword, newPassword });
    expect((await change('wrong', 'nine loud herons')).code).toBe('CREDENTIALS_WRONG');
    const weak = await change(password, 'Password1234!');
    expect([weak.status, weak.code]).toEqual([422, 'PASSWORD_WEAK']);
    expect(weak.json.detail).toBe(
      'Choose another password: it is made of words, dates or rows of keys that are tried first.',
    );
    expect((await me())[0]).toBe(200);
  });
});

describe('a mailed link', () => {
  const ask = (to: string) => browser.post('/api/auth/request-password-reset', { email: to });

  test('sets a new password, once, and ends every session', async () => {
    await browser.signIn(email);
    expect((await ask('ADA@example.com')).status).toBe(202);
    const given = await token();
    expect(given).toMatch(/^[\w-]{43}$/);
    expect(house.mails).toMatchObject([{ to: email, subject: 'A new password for Plinth' }]);
    const stored = await db.database.query('select * from mailed_links');
    expect(JSON.stringify(stored.rows)).not.toContain(given);

    const other = new Browser(house.url);
    const reset = (newPassword: string) => other.post('/api/auth/reset-password', { token: given, newPassword });
    expect((await reset('too short')).code).toBe('PASSWORD_WEAK');
    const reply = await reset('nine loud herons');
    expect([reply.status, other.jar.size]).toEqual([200, 0]);
    expect((await me())[0]).toBe(401);
    expect((await other.signIn(email, 'nine loud herons')).status).toBe(200);
    expect((await reset('eight calm storks')).code).toBe('LINK_INVALID');
  });

  test('works for an hour, only the newest one, and not after the password was changed', async () => {
    const reset = (given: string) =>
      browser.post('/api/auth/reset-password', { token: given, newPassword: 'nine loud herons' });
    await ask(email);
    const first = await token();
    await ask(email);
    const second = await token();
    expect(second).not.toBe(first);
    expect((await reset(first)).code).toBe('LINK_INVALID');
    house.time.laterMs = 61 * 60_000;
    expect((await reset(second)).code).toBe('LINK_INVALID');
    house.time.laterMs = 0;
    await browser.signIn(email);
    await browser.post('/api/auth/change-password', { currentPassword: password, newPassword: 'eight calm storks' });
    expect((await reset(second)).code).toBe('LINK_INVALID');
  });

  test('of two who open it at once one sets the password', async () => {
    await ask(email);
    const given = await token();
    const replies = await Promise.all(
      ['nine loud herons', 'eight calm storks'].map((newPassword) =>
        new Browser(house.url).post('/api/auth/reset-password', { token: given, newPassword }),
      ),
    );
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 400]);
  });

  test('is for one person: not for a later one of the same address', async () => {
    const first = await house.person('moved@example.com');
    await ask('moved@example.com');
    const given = await token();
    await db.database.query('delete from auth.account where "userId" = $1', [first]);
    await db.database.query('delete from auth."user" where id = $1', [first]);
    await house.person('moved@example.com');
    const reply = await browser.post('/api/auth/reset-password', { token: given, newPassword: 'nine loud herons' });
    expect(reply.code).toBe('LINK_INVALID');
    expect((await browser.signIn('moved@example.com')).status).toBe(200);
  });

  test('is not for who signs in with an identity provider', async () => {
    const id = await house.auth.addPerson({ email: 'sso@example.com', name: 'S', role: 'viewer', emailVerified: true });
    await db.database.query("insert into identity_links (provider, subject, user_id) values ('idp_x', 'x', $1)", [id]);
    await ask('sso@example.com');
    await house.delivered();
    expect(house.mails).toMatchObject([{ to: 'sso@example.com', subject: 'Signing in to Plinth' }]);
    expect(house.mails[0]?.text).not.toContain('token');
  });
});

describe('registering', () => {
  const register = (body: Record<string, unknown>) => browser.post('/api/auth/sign-up/email', body);
  const wish = { email: 'new@example.com', name: 'New', password: 'nine loud herons' };

  test('makes a viewer without a team, once the address is confirmed', async () => {
    expect((await register(wish)).status).toBe(202);
    expect((await browser.signIn(wish.email, wish.password)).code).toBe('CREDENTIALS_WRONG');
    const given = await token();
    expect((await browser.post('/api/auth/verify-email', { token: given })).status).toBe(200);
    expect((await browser.signIn(wish.email, wish.password)).status).toBe(200);
    expect((await browser.get('/api/v1/me')).json).toMatchObject({ name: wish.email, role: 'viewer', teams: [] });
    expect((await browser.post('/api/auth/verify-email', { token: given })).code).toBe('LINK_INVALID');
  });

  test('is answered alike for an address that has an account, whose owner is told', async () => {
    const before = house.counted.hashings;
    const known = await register({ ...wish, email });
    expect(house.counted.hashings - before).toBe(1);
    const unknown = await register({ ...wish, email: 'fresh@example.com' });
    expect(house.counted.hashings - before).toBe(2);
    expect([known.status, known.text]).toEqual([unknown.status, unknown.text]);
    await house.delivered();
    expect(house.mails.map(({ to, subject }) => [to, subject])).toEqual([
      [email, 'You have an account at Plinth already'],
      ['fresh@example.com', 'Confirm your e-mail address for Plinth'],
    ]);
    expect((await browser.signIn(email, wish.password)).code).toBe('CREDENTIALS_WRONG');
  });

  test('cannot choose a role: mass assignment', async () => {
    for (const more of [{ role: 'admin' }, { emailVerified: true }, { id: 'usr_x' }, { team: 'core' }]) {
      const reply = await register({ ...wish, email: 'mass@example.com', ...more });
      expect([reply.status, reply.code]).toEqual([400, 'REQUEST_INVALID']);
    }
    const { rows } = await db.database.query(`select from link_wishes where email = 'mass@example.com'`);
    expect(rows).toEqual([]);
  });
});
