import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Secret } from '#base/secret.ts';
import { basic, bearer } from '#support/people.ts';
import { useDatabase } from '#support/postgres.ts';
import { Browser, factsOf, mailedLink, openSignIn, startAnew, type TestSignIn } from '#support/sign-in.ts';

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

const link = () => mailedLink(house);
/** Everything of a reply but what is new in each: the id of the request. */
const shape = ({ status, json }: { status: number; json: object }) => [status, { ...json, request: '' }];

describe('guessing passwords', () => {
  test('closes the account with the same words for one that nobody has', async () => {
    const close = async (account: string) => {
      const replies = [];
      for (let i = 0; i < 12; i++) replies.push(await browser.signIn(account, `guess ${i}`));
      return replies.map(({ status, json }) => [status, json.code, json.detail.replace(/\d+ s/, 'N s')]);
    };
    const known = await close(email);
    await db.database.query('truncate sign_in_attempts');
    const unknown = await close('nobody@example.com');
    expect(known).toEqual(unknown);
    expect(known.at(-1)).toEqual([
      429,
      'SIGN_IN_LIMITED',
      'Too many failed sign-ins for this account; try again in N s. A token that is valid still works.',
    ]);
  });

  test('is counted for a restart and another replica too', async () => {
    for (let i = 0; i < 10; i++) await browser.signIn(email, `guess ${i}`);
    const other = await openSignIn(db.database);
    try {
      expect((await new Browser(other.url).signIn(email)).code).toBe('SIGN_IN_LIMITED');
    } finally {
      await other.close();
    }
  });

  test('by a stranger does not lock the owner out of an address that was good before', async () => {
    await browser.signIn(email);
    const stranger = factsOf({ address: '203.0.113.9' });
    for (let i = 0; i < 12; i++)
      await house.signIn.withPassword(email, new Secret(`guess ${i}`), stranger).catch(() => {});
    await expect(house.signIn.withPassword(email, new Secret(password), stranger)).rejects.toMatchObject({
      code: 'SIGN_IN_LIMITED',
    });
    expect((await new Browser(house.url).signIn(email)).status).toBe(200);
  });

  test('is counted too while the right password is remembered for somebody', async () => {
    const verify = (text: string, address: string) => house.passwords.verify(email, new Secret(text), address);
    const limited = { code: 'SIGN_IN_LIMITED' };
    expect(await verify(password, '10.0.0.1')).toMatchObject({ id: userId });
    // From elsewhere: what is remembered for an address says nothing to another one.
    for (let i = 0; i < 10; i++) expect(await verify(`guess ${i}`, `10.9.9.${i}`)).toBeUndefined();
    await expect(verify(password, '10.9.9.99')).rejects.toMatchObject(limited);
    expect(await verify(password, '10.0.0.1')).toMatchObject({ id: userId });
    await expect(verify(password, '10.9.9.99')).rejects.toMatchObject(limited);
    // From the same address: the first wrong one ends the memory, and the tenth closes.
    for (let i = 0; i < 10; i++) expect(await verify(`guess ${i}`, '10.0.0.1')).toBeUndefined();
    await expect(verify(password, '10.0.0.1')).rejects.toMatchObject(limited);
  });

  test('many at once are not hashed beyond the limit', async () => {
    const replies = await Promise.all(Array.from({ length: 25 }, (_, i) => browser.signIn(email, `guess ${i}`)));
    expect(replies.filter(({ code }) => code === 'CREDENTIALS_WRONG')).toHaveLength(10);
    expect(house.counted.hashings).toBe(10);
  });
});

test('a flood of sign-ins stands in line for the hash: whoever only asks for their session goes past it', async () => {
  await browser.signIn(email);
  let answered = 0;
  const flood = Array.from({ length: 60 }, async (_, i) => {
    const { code } = await new Browser(house.url).signIn(`${i}@example.com`, 'wrong');
    answered += 1;
    return code;
  });
  // The first one that was hashed is answered; the others hash or wait.
  await Promise.race(flood);
  for (let i = 0; i < 5; i++) expect((await browser.get('/api/v1/me')).status).toBe(200);
  expect(answered).toBeLessThan(60);
  const codes = await Promise.all(flood);
  // Each is another account, so none is turned away for good; who finds the line full comes later.
  expect(new Set([...codes, 'TOO_MANY_REQUESTS'])).toEqual(new Set(['CREDENTIALS_WRONG', 'TOO_MANY_REQUESTS']));
});

describe('nobody learns who has an account', () => {
  test('signing in: the same words after the same work', async () => {
    const work = async (account: string) => {
      const before = house.counted.hashings;
      const reply = await browser.signIn(account, 'wrong');
      return [house.counted.hashings - before, ...shape(reply)];
    };
    const unknown = await work('nobody@example.com');
    expect(unknown[0]).toBe(1);
    expect(await work(email)).toEqual(unknown);
    const bare = await house.auth.addPerson({
      email: 'sso@example.com',
      name: 'S',
      role: 'viewer',
      emailVerified: true,
    });
    expect(bare).toMatch(/^usr_/);
    expect(await work('sso@example.com')).toEqual(unknown);
    await db.database.query('insert into people_state (user_id, disabled) values ($1, true)', [bare]);
    expect(await work('sso@example.com')).toEqual(unknown);
  });

  /** The reply, and every statement that was sent to the database for it. */
  async function watch(path: string, body: object) {
    const seen: string[] = [];
    const { query } = db.database;
    const watched = Object.assign(Object.create(db.database) as typeof db.database, {
      query: (text: string, ...rest: unknown[]) => {
        seen.push(text);
        return Reflect.apply(query, db.database, [text, ...rest]);
      },
    });
    const own = await openSignIn(watched);
    try {
      await own.delivered();
      await own.links.stop();
      seen.length = 0;
      const reply = await new Browser(own.url).post(path, body);
      return { reply: shape(reply), seen: [...seen] };
    } finally {
      await own.close();
    }
  }

  test.each([
    ['/api/auth/request-password-reset', {}, 202],
    ['/api/auth/sign-in/email', { password: 'wrong' }, 401],
    ['/api/auth/sign-up/email', { password: 'nine loud herons', name: 'X' }, 202],
  ])('%s sends the database the same statements', async (path, more, status) => {
    const known = await watch(path, { email, ...more });
    const unknown = await watch(path, { email: 'nobody@example.com', ...more });
    expect(known.reply[0]).toBe(status);
    expect(known).toEqual(unknown);
    expect(known.seen.length).toBeGreaterThan(1);
  });
});

test.each([email, 'nobody@example.com'])('mails to %s are asked for five times an hour at most', async (to) => {
  const ask = async () => (await browser.post('/api/auth/request-password-reset', { email: to })).status;
  const statuses = [];
  for (let i = 0; i < 6; i++) statuses.push(await ask());
  expect(statuses).toEqual([202, 202, 202, 202, 202, 429]);
  house.time.laterMs = 61 * 60_000;
  expect(await ask()).toBe(202);
});

describe('host header', () => {
  test.each([
    { Host: 'evil.example' },
    { 'X-Forwarded-Host': 'evil.example' },
    { Forwarded: 'host=evil.example' },
    { Origin: 'https://plinth.example.com', 'X-Original-Host': 'evil.example' },
  ] as Record<string, string>[])('%j does not get into a mailed link', async (headers) => {
    await house.signIn.requestReset(
      email,
      factsOf({
        header: (name) => Object.entries(headers).find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1],
      }),
    );
    const url = await link();
    expect([url.origin, url.pathname]).toEqual(['https://plinth.example.com', '/reset-password']);
    expect(JSON.stringify(house.mails)).not.toContain('evil');
  });

  test('nor does the Host of a real request', async () => {
    const { request } = await import('node:http');
    const { hostname, port } = new URL(house.url);
    const status = await new Promise((resolve, reject) => {
      const sending = request(
        {
          hostname,
          port,
          path: '/api/auth/request-password-reset',
          method: 'POST',
          headers: { Host: 'evil.example', 'X-Forwarded-Host': 'evil.example', 'Content-Type': 'application/json' },
        },
        (reply) => resolve(reply.resume().statusCode),
      );
      sending.once('error', reject);
      sending.end(JSON.stringify({ email }));
    });
    expect(status).toBe(202);
    expect((await link()).host).toBe('plinth.example.com');
  });
});

describe('what comes in the wrong place', () => {
  test('a token in the URL signs nobody in', async () => {
    const { token } = await house.tokens.create(userId, { name: 'ci' }, userId);
    await browser.signIn(email);
    const session = browser.jar.get('plinth.session') ?? '';
    const stranger = new Browser(house.url);
    for (const query of ['token', 'access_token', 'api_key', 'authorization', 'session', 'plinth.session'])
      for (const value of [token.reveal(), session])
        expect((await stranger.get(`/api/v1/me?${query}=${encodeURIComponent(value)}`)).status).toBe(401);
    expect((await stranger.post(`/api/auth/verify-email?token=${token.reveal()}`, {})).status).toBe(400);
  });

  test('a password in the query is refused, unread', async () => {
    const reply = await browser.post(
      `/api/auth/sign-in/email?email=${email}&password=${encodeURIComponent(password)}`,
      {},
    );
    expect([reply.status, reply.headers.getSetCookie()]).toEqual([400, []]);
    expect(reply.text).not.toContain(password);
  });

  test.each([
    ['', 'BODY_INVALID'],
    ['{', 'BODY_INVALID'],
    ['[]', 'REQUEST_INVALID'],
    ['null', 'REQUEST_INVALID'],
    ['"x"', 'REQUEST_INVALID'],
    ['{"email":{"$ne":null},"password":{"$ne":null}}', 'REQUEST_INVALID'],
    ['{"email":["ada@example.com"],"password":"x"}', 'REQUEST_INVALID'],
    ['{"email":"ada@example.com\\u0000","password":"x"}', 'BODY_INVALID'],
    ['{"email":"ada@example.com","password":""}', 'REQUEST_INVALID'],
    ['{"email":"ada@example.com","password":"x","__proto__":{"role":"admin"}}', 'REQUEST_INVALID'],
    ['{"email":"a@b.c\\r\\nBcc: x@y.z","password":"x"}', 'REQUEST_INVALID'],
  ])('a malformed body is refused before any work: %s', async (body, code) => {
    const reply = await browser.post('/api/auth/sign-in/email', body);
    expect([reply.status, reply.code, house.counted.hashings]).toEqual([400, code, 0]);
  });

  test('an oversize body is refused before any work, also where it says nothing of its size', async () => {
    const large = JSON.stringify({ email, password: 'x'.repeat(20_000) });
    expect((await browser.post('/api/auth/sign-in/email', large)).code).toBe('BODY_TOO_LARGE');
    const reply = await fetch(`${house.url}/api/auth/sign-in/email`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: new Blob([large]).stream(),
      duplex: 'half',
    } as RequestInit);
    expect(reply.status).toBe(413);
    expect(house.counted.hashings).toBe(0);
  });

  test('a very long password is hashed once at most, and is wrong', async () => {
    expect((await browser.signIn(email, 'x'.repeat(1024))).code).toBe('CREDENTIALS_WRONG');
    expect((await browser.signIn(email, 'x'.repeat(1025))).code).toBe('REQUEST_INVALID');
    expect(house.counted.hashings).toBe(1);
  });
});

describe('what is turned off', () => {
  test('registration is closed unless it was opened', async () => {
    const closed = await openSignIn(db.database, { allowRegistration: false });
    try {
      const wish = { email: 'x@example.com', name: 'X', password: 'nine loud herons' };
      const reply = await new Browser(closed.url).post('/api/auth/sign-up/email', wish);
      expect([reply.status, reply.code, closed.counted.hashings]).toEqual([403, 'REGISTRATION_CLOSED', 0]);
    } finally {
      await closed.close();
    }
  });

  test('with passwords off neither form nor Basic nor reset take one; tokens go on', async () => {
    const { token } = await house.tokens.create(userId, { name: 'ci' }, userId);
    const off = await openSignIn(db.database, { passwordsAllowed: 'nobody' });
    try {
      const who = new Browser(off.url);
      const codes = [
        (await who.signIn(email)).code,
        (await who.get('/api/v1/me', basic(email, password))).code,
        (await who.post('/api/auth/request-password-reset', { email })).code,
        (await who.post('/api/auth/reset-password', { token: 'x', newPassword: 'nine loud herons' })).code,
        (await who.post('/api/auth/sign-up/email', { email: 'x@example.com', name: 'X', password: 'nine loud herons' }))
          .code,
      ];
      expect(codes).toEqual(Array(5).fill('PASSWORD_SIGN_IN_OFF'));
      expect((await who.get('/api/v1/me', bearer(token.reveal()))).status).toBe(200);
    } finally {
      await off.close();
    }
  });

  test('with passwords for administrators alone, others learn so only once theirs was right', async () => {
    const bob = 'bob@example.com';
    await house.person(bob, password, 'editor');
    const some = await openSignIn(db.database, { passwordsAllowed: 'administrators' });
    try {
      const who = new Browser(some.url);
      expect((await who.signIn(bob, 'wrong')).code).toBe('CREDENTIALS_WRONG');
      expect((await who.signIn(bob)).code).toBe('PASSWORD_SIGN_IN_OFF');
      expect((await who.signIn(email)).status).toBe(200);
      const wish = { email: 'x@example.com', name: 'X', password: 'nine loud herons' };
      expect((await who.post('/api/auth/sign-up/email', wish)).code).toBe('PASSWORD_SIGN_IN_OFF');
      for (const to of [bob, email])
        expect((await who.post('/api/auth/request-password-reset', { email: to })).status).toBe(202);
      await some.delivered();
      const codes = [];
      // Two houses over one database: either may have mailed it.
      for (const { text } of [...house.mails, ...some.mails].sort((a, b) =>
        a.to === bob ? -1 : b.to === bob ? 1 : 0,
      )) {
        const token = new URL(/https:\/\/\S+/.exec(text)?.[0] ?? '').searchParams.get('token');
        codes.push((await who.post('/api/auth/reset-password', { token, newPassword: 'nine loud herons' })).status);
      }
      expect(codes).toEqual([403, 200]);
    } finally {
      await some.close();
    }
  });

  test('without mail nothing is promised', async () => {
    const mute = await openSignIn(db.database, { mail: false });
    try {
      const reply = await new Browser(mute.url).post('/api/auth/request-password-reset', { email });
      expect([reply.status, reply.code]).toEqual([409, 'MAIL_OFF']);
    } finally {
      await mute.close();
    }
  });

  test('better-auth’s own endpoints are not there', async () => {
    for (const path of [
      'sign-in/social',
      'update-user',
      'update-session',
      'delete-user',
      'change-email',
      'ok',
      'error',
      'revoke-sessions',
      'link-social',
    ])
      for (const method of ['POST', 'PUT'])
        expect([path, (await browser.send(method, `/api/auth/${path}`)).code]).toEqual([
          path,
          // The name of an identity provider could stand here.
          path.startsWith('sign-in/') ? 'METHOD_UNKNOWN' : 'ROUTE_UNKNOWN',
        ]);
  });
});
