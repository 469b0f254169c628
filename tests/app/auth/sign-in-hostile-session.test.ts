import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { bearer } from '#support/people.ts';
import { useDatabase } from '#support/postgres.ts';
import { Browser, factsOf, openSignIn, setUpTotp, startAnew, type TestSignIn, totpCode } from '#support/sign-in.ts';

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

describe('session fixation', () => {
  test('a session that an attacker put into the browser is ended when its victim signs in', async () => {
    await house.person('mallory@example.com', password);
    const mallory = new Browser(house.url);
    await mallory.signIn('mallory@example.com');
    const planted = mallory.jar.get('plinth.session') ?? '';
    browser.jar.set('plinth.session', planted);
    await browser.signIn(email);
    expect(browser.jar.get('plinth.session')).not.toBe(planted);
    expect(await meOf(mallory)).toBe(401);
    expect((await browser.get('/api/v1/me')).json.id).toBe(userId);
  });

  test('a value that an attacker chose never becomes a session', async () => {
    const chosen = `${'A'.repeat(43)}.${'B'.repeat(43)}`;
    browser.jar.set('plinth.session', chosen);
    await browser.signIn(email);
    expect(browser.jar.get('plinth.session')).not.toBe(chosen);
    expect((await new Browser(house.url).get('/api/v1/me', { Cookie: `plinth.session=${chosen}` })).status).toBe(401);
  });

  test('a half session is not made whole by the second factor: it ends', async () => {
    const secret = await setUpTotp(house, userId);
    await browser.signIn(email);
    const half = browser.cookie;
    await browser.post('/api/auth/two-factor/verify', { code: codeOf(secret) });
    expect((await new Browser(house.url).get('/api/auth/get-session', { Cookie: half })).json.session).toBeNull();
  });
});

describe('cookies that a page of a neighbouring host tossed', () => {
  test('a worthless one before ours does not hide ours', async () => {
    await browser.signIn(email);
    const ours = `plinth.session=${browser.jar.get('plinth.session')}`;
    for (const tossed of ['', 'x', `${'A'.repeat(43)}.${'B'.repeat(43)}`, '%00', '"', 'a=b=c'])
      expect((await browser.get('/api/v1/me', { Cookie: `plinth.session=${tossed}; ${ours}` })).status).toBe(200);
  });

  test('somebody else’s session beside ours: neither is believed', async () => {
    await house.person('mallory@example.com', password);
    const mallory = new Browser(house.url);
    await mallory.signIn('mallory@example.com');
    await browser.signIn(email);
    for (const order of [
      [mallory, browser],
      [browser, mallory],
    ]) {
      const cookie = order.map(({ jar }) => `plinth.session=${jar.get('plinth.session')}`).join('; ');
      expect((await browser.get('/api/v1/me', { Cookie: cookie })).status).toBe(401);
    }
  });

  test('so many of somebody else’s that ours comes too late: nobody is believed', async () => {
    await house.person('mallory@example.com', password);
    await browser.signIn(email);
    const sessions = [];
    for (let i = 0; i < 8; i++) {
      const { cookies } = await house.sessions.begin(await house.person('mallory@example.com'), factsOf(), 'password');
      sessions.push(cookies[0]?.split(';')[0]);
    }
    const cookie = [...sessions, `plinth.session=${browser.jar.get('plinth.session')}`].join('; ');
    expect((await browser.get('/api/v1/me', { Cookie: cookie })).status).toBe(401);
    const worthless = Array.from({ length: 60 }, () => `plinth.session=${'A'.repeat(43)}.${'B'.repeat(43)}`);
    const late = [...worthless, `plinth.session=${browser.jar.get('plinth.session')}`].join('; ');
    expect((await browser.get('/api/v1/me', { Cookie: late })).status).toBe(200);
  });

  test('a name that no page can forge goes before one that any can', async () => {
    const mallory = await house.person('mallory@example.com');
    const [planted] = (await house.sessions.begin(mallory, factsOf(), 'password')).cookies;
    const [ours] = (await house.sessions.begin(userId, factsOf({ secure: true }), 'password')).cookies;
    expect(ours).toMatch(/^__Host-/);
    const pair = (line = '') => line.split(';')[0] ?? '';
    const find = (cookie: string) => house.sessions.find(cookie);
    expect(await find(`${pair(planted)}; ${pair(ours)}`)).toMatchObject({ userId });
    const stale = `__Host-plinth.session=${'A'.repeat(43)}.${'B'.repeat(43)}`;
    expect(await find(`${stale}; ${pair(planted)}`)).toMatchObject({ userId: mallory });
  });
});

describe('cookies that are forged', () => {
  test('a changed token, signature or order is nobody', async () => {
    await browser.signIn(email);
    const [token = '', mac = ''] = (browser.jar.get('plinth.session') ?? '').split('.');
    const flip = (text: string) => (text.startsWith('A') ? `B${text.slice(1)}` : `A${text.slice(1)}`);
    for (const value of [
      `${flip(token)}.${mac}`,
      `${token}.${flip(mac)}`,
      `${mac}.${token}`,
      token,
      `${token}.`,
      `${token}.${mac}x`,
    ])
      expect((await browser.get('/api/v1/me', { Cookie: `plinth.session=${value}` })).status).toBe(401);
  });

  test('what the database holds is no cookie: a copy of it signs nobody in', async () => {
    await browser.signIn(email);
    const { rows } = await db.database.query<{ token: string }>('select token from auth.session');
    const [token = '', mac = ''] = (browser.jar.get('plinth.session') ?? '').split('.');
    expect(rows.map((row) => row.token)).not.toContain(token);
    for (const row of rows)
      expect((await browser.get('/api/v1/me', { Cookie: `plinth.session=${row.token}.${mac}` })).status).toBe(401);
  });
});

describe('CSRF', () => {
  const withToken = (given: string | undefined): Record<string, string> =>
    given === undefined ? {} : { 'X-CSRF-Token': given };
  const posts = ['/api/auth/sign-out', '/api/auth/revoke-other-sessions'];

  test.each(posts)('POST %s without the token, or with another session’s, is refused', async (path) => {
    await browser.signIn(email);
    const other = new Browser(house.url);
    await other.signIn(email);
    const cookie = `plinth.session=${browser.jar.get('plinth.session')}`;
    const stranger = new Browser(house.url);
    for (const given of [undefined, 'x', other.csrf, `${browser.csrf}x`, 'ä'.repeat(43)].map(
      (text) => text && encodeURI(text),
    )) {
      const reply = await stranger.post(path, undefined, { Cookie: cookie, ...withToken(given) });
      expect([reply.status, reply.code]).toEqual([403, 'CSRF_TOKEN_WRONG']);
    }
    expect(await meOf(browser)).toBe(200);
    expect((await stranger.post(path, undefined, { Cookie: cookie, ...withToken(browser.csrf) })).status).toBe(200);
  });

  test('a CSRF cookie that an attacker set is worth nothing: the token is bound to the session', async () => {
    await browser.signIn(email);
    const cookie = `plinth.session=${browser.jar.get('plinth.session')}; plinth.csrf=chosen`;
    const reply = await new Browser(house.url).post('/api/auth/sign-out', undefined, {
      Cookie: cookie,
      ...withToken('chosen'),
    });
    expect(reply.code).toBe('CSRF_TOKEN_WRONG');
  });

  test('`Bearer x` beside the cookie does not turn the check off', async () => {
    await browser.signIn(email);
    const headers = { Cookie: `plinth.session=${browser.jar.get('plinth.session')}`, ...bearer('x') };
    const stranger = new Browser(house.url);
    expect((await stranger.post('/api/auth/revoke-other-sessions', undefined, headers)).status).toBe(401);
    expect((await stranger.post('/api/auth/sign-out', undefined, headers)).code).toBe('CSRF_TOKEN_WRONG');
    expect(await meOf(browser)).toBe(200);
  });

  test('a sign-in takes no form, so no page can sign its visitor in as somebody else', async () => {
    for (const type of ['application/x-www-form-urlencoded', 'text/plain', 'multipart/form-data; boundary=x']) {
      const reply = await browser.post('/api/auth/sign-in/email', JSON.stringify({ email, password }), {
        'Content-Type': type,
      });
      expect([reply.status, reply.headers.getSetCookie()]).toEqual([415, []]);
    }
  });
});
