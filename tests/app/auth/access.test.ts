import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { findCredential } from '#auth/store.ts';
import { Secret } from '#base/secret.ts';
import { permissions as allPermissions } from '#contract/caller.ts';
import type { Route } from '#contract/route.ts';
import { routes } from '#contract/routes.ts';
import { openAccess, type TestAccess } from '#support/access.ts';
import { basic, bearer } from '#support/people.ts';
import { useDatabase } from '#support/postgres.ts';

const db = useDatabase();
const email = 'ada@example.com';
const password = 'correct horse of ada';
const another = 'battery staple of mine';

let access: TestAccess;
let userId: string;
/** Of `password`, which every test begins with. */
let hash: string;

beforeAll(async () => {
  access = await openAccess(db, { limits: { perAccount: { most: 5, seconds: 900 } } });
  userId = (
    await access.people.create({
      email,
      name: 'Ada',
      role: 'admin',
      emailVerified: true,
      password: new Secret(password),
    })
  ).id;
  const permissions = Object.fromEntries(allPermissions.map((permission) => [permission, 'organization']));
  ada = { id: userId, name: email, kind: 'user', role: 'admin', teams: [], environments: 'all', permissions };
  hash = (await findCredential(db.database, email))?.hash ?? '';
});
afterAll(() => access.close());

beforeEach(async () => {
  // A minute and more later nothing is remembered of the test before.
  access.time.laterMs += 61_000;
  await db.database.query('update auth.account set password = $1', [hash]);
  await db.database.query('delete from sign_in_attempts');
  await db.database.query('delete from sign_in_known');
  access.counted.hashings = 0;
  access.counted.changed = [];
});

/** Of her as /me shows her. */
let ada: Record<string, unknown>;
const me = (headers: Record<string, string>) => fetch(`${access.url}/api/v1/me`, { headers });
const code = async (reply: Response) => ((await reply.json()) as { code: string }).code;
const signedIn = () => basic(email, password);
async function newToken(wish: { name: string; expiresInDays?: number } = { name: 'ci' }) {
  const reply = await fetch(`${access.url}/api/v1/tokens`, {
    method: 'POST',
    headers: { ...signedIn(), 'Content-Type': 'application/json' },
    body: JSON.stringify(wish),
  });
  expect(reply.status).toBe(201);
  return (await reply.json()) as { id: string; token: string; expiresAt: string | null };
}

describe('every route of the table', () => {
  const table: readonly Route[] = routes;
  const closed = table.filter(({ permission }) => permission !== 'public');
  test.each(closed.map((route) => [route.method, route.path] as const))(
    '%s %s needs credentials',
    async (method, path) => {
      const reply = await fetch(access.url + path.replace(/\{\w+\}/g, 'example'), { method });
      // A page says it to people, the API to programs.
      const why = path.startsWith('/api/') ? await code(reply) : 'CREDENTIALS_MISSING';
      expect([reply.status, why]).toEqual([401, 'CREDENTIALS_MISSING']);
      expect(reply.headers.get('www-authenticate')).toBeNull();
    },
  );
});

describe('Basic', () => {
  test('e-mail in any case and password say who it is', async () => {
    const reply = await me(basic('Ada@Example.com', password));
    expect([reply.status, await reply.json()]).toEqual([200, { ...ada, credential: 'password' }]);
  });

  test('a wrong password and an unknown person are answered alike, after the same work', async () => {
    const wrong = await me(basic(email, 'wrong'));
    expect(access.counted.hashings).toBe(1);
    const unknown = await me(basic('nobody@example.com', 'wrong'));
    expect(access.counted.hashings).toBe(2);
    const text = async (reply: Response) => ({ ...((await reply.json()) as object), request: '' });
    expect([wrong.status, await text(wrong)]).toEqual([unknown.status, await text(unknown)]);
    expect(wrong.status).toBe(401);
  });

  test.each([
    ['ORIGIN_REFUSED', { Origin: 'http://evil.example' }],
    ['BASIC_FROM_BROWSER', { 'Sec-Fetch-Site': 'same-origin' }],
  ] as const)('is refused from a web page: %s %j', async (why, headers) => {
    const reply = await me({ ...signedIn(), ...headers });
    expect([reply.status, await code(reply), access.counted.hashings]).toEqual([403, why, 0]);
  });

  test.each([
    'Basic',
    'Basic !!!',
    `Basic ${Buffer.from('no colon').toString('base64')}`,
    'Digest x',
    'Bearer',
    'Bearer a b',
    'x',
  ])('nonsense in Authorization: %s', async (header) => {
    const reply = await me({ Authorization: header });
    expect([reply.status, await code(reply)]).toEqual([401, 'CREDENTIALS_WRONG']);
  });

  test('names that no database takes are only unknown', async () => {
    expect((await me(basic('a\0b', 'wrong'))).status).toBe(401);
    expect((await me(basic('x'.repeat(5000), 'y'.repeat(5000)))).status).toBe(401);
  });

  test('a password that was right is not hashed again for 60 s', async () => {
    for (let i = 0; i < 3; i++) expect((await me(signedIn())).status).toBe(200);
    expect(access.counted.hashings).toBe(1);
    access.time.laterMs += 59_000;
    await me(signedIn());
    expect(access.counted.hashings).toBe(1);
    access.time.laterMs += 2_000;
    await me(signedIn());
    expect(access.counted.hashings).toBe(2);
  });

  test('ten requests at once sign in once', async () => {
    const replies = await Promise.all(Array.from({ length: 10 }, () => me(signedIn())));
    expect(replies.map(({ status }) => status)).toEqual(Array(10).fill(200));
    expect(access.counted.hashings).toBe(1);
  });

  test('a changed password counts at once, also when another process changed it', async () => {
    await me(signedIn());
    const other = await access.auth.hash(new Secret(another));
    await db.database.query('update auth.account set password = $1', [other]);
    expect((await me(signedIn())).status).toBe(401);
    expect((await me(basic(email, another))).status).toBe(200);
  });

  test('guessing closes the account, with Retry-After; the right password waits too, a token does not', async () => {
    const { token } = await newToken();
    access.time.laterMs += 61_000;
    for (let i = 0; i < 5; i++) expect((await me(basic(email, `guess ${i}`))).status).toBe(401);
    access.counted.hashings = 0;
    const reply = await me(signedIn());
    expect(reply.status).toBe(429);
    expect(Number(reply.headers.get('retry-after'))).toBeGreaterThan(100);
    const { detail } = (await reply.json()) as { detail: string };
    expect(detail).toMatch(
      /^Too many failed sign-ins for this account; try again in \d+ s\. A token that is valid still works\.$/,
    );
    expect(access.counted.hashings).toBe(0);
    expect((await me(bearer(token))).status).toBe(200);
  });

  test('many guesses at once do not slip through', async () => {
    const replies = await Promise.all(Array.from({ length: 20 }, (_, i) => me(basic(email, `guess ${i}`))));
    expect(replies.filter(({ status }) => status === 401)).toHaveLength(5);
    expect(access.counted.hashings).toBe(5);
  });
});

describe('tokens', () => {
  test('one says who it is, as bearer and in the password of Basic, also from a web page as bearer', async () => {
    const { token } = await newToken({ name: 'laptop' });
    expect(token).toMatch(/^plt_[A-Za-z0-9_-]{43}$/);
    const caller = { ...ada, name: 'token:laptop', credential: 'token' };
    expect(await (await me(bearer(token))).json()).toEqual(caller);
    expect(await (await me(basic('whoever', token))).json()).toEqual(caller);
    expect((await me({ ...bearer(token), Origin: 'http://127.0.0.1:3000' })).status).toBe(200);
    expect((await me({ ...basic('whoever', token), Origin: 'http://127.0.0.1:3000' })).status).toBe(403);
  });

  test('only its digest is kept, and no list shows it', async () => {
    const { token, id } = await newToken({ name: 'kept' });
    const { rows } = await db.database.query('select * from tokens where id = $1', [id]);
    expect(JSON.stringify(rows)).not.toContain(token);
    expect(Buffer.from(rows[0]?.hash as Buffer)).toHaveLength(32);
    const list = await (await fetch(`${access.url}/api/v1/tokens`, { headers: signedIn() })).text();
    expect(list).toContain(id);
    expect(list).not.toContain(token);
    expect(list).toContain(`"hint":"${token.slice(0, 8)}"`);
  });

  test.each(['plt_', `plt_${'A'.repeat(43)}`, 'x', 'plt_ä'.replace('ä', 'a'.repeat(500))])(
    'an unknown one is 401: %s',
    async (token) => {
      const reply = await me(bearer(token));
      expect([reply.status, await code(reply)]).toEqual([401, 'CREDENTIALS_WRONG']);
    },
  );

  test('a revoked one ends within a second', async () => {
    const { token, id } = await newToken();
    expect((await me(bearer(token))).status).toBe(200);
    const revoke = () => fetch(`${access.url}/api/v1/tokens/${id}`, { method: 'DELETE', headers: signedIn() });
    expect((await revoke()).status).toBe(204);
    await expect.poll(async () => (await me(bearer(token))).status, { interval: 5, timeout: 1000 }).toBe(401);
    const again = await revoke();
    expect([again.status, await code(again)]).toEqual([404, 'TOKEN_NOT_FOUND']);
  });

  test('one expires on its day', async () => {
    const { token, expiresAt } = await newToken({ name: 'short', expiresInDays: 1 });
    expect(Math.round((Date.parse(expiresAt ?? '') - access.clock.now().getTime()) / 1000)).toBe(86_400);
    access.time.laterMs += 86_300_000;
    expect((await me(bearer(token))).status).toBe(200);
    access.time.laterMs += 101_000;
    expect((await me(bearer(token))).status).toBe(401);
  });

  test('one whose person is gone is none', async () => {
    const { id: other } = await access.person('gone@example.com', 'admin');
    const { headers } = await access.tokenOf(other);
    expect((await me(headers)).status).toBe(200);
    await db.database.query('delete from auth."user" where id = $1', [other]);
    await expect.poll(async () => (await me(headers)).status, { interval: 5, timeout: 1000 }).toBe(401);
  });

  test('its last use is written at most once a minute', async () => {
    const { token, id } = await newToken();
    const used = async () => {
      const { rows } = await db.database.query<{ last_used_at: Date | null }>(
        'select last_used_at from tokens where id = $1',
        [id],
      );
      return rows[0]?.last_used_at ?? null;
    };
    expect(await used()).toBeNull();
    await me(bearer(token));
    await expect.poll(used, { interval: 5 }).not.toBeNull();
    const first = await used();
    access.time.laterMs += 30_000;
    await me(bearer(token));
    await me(bearer(token));
    expect(await used()).toEqual(first);
    access.time.laterMs += 31_000;
    await me(bearer(token));
    await expect.poll(used, { interval: 5 }).not.toEqual(first);
  });

  test('a token makes no tokens and changes no password', async () => {
    const { token } = await newToken();
    const send = (method: string, path: string) =>
      fetch(access.url + path, {
        method,
        body: '{"name":"x"}',
        headers: { ...bearer(token), 'Content-Type': 'application/json' },
      });
    expect((await send('POST', '/api/v1/tokens')).status).toBe(403);
    expect((await send('PUT', '/api/v1/me/password')).status).toBe(403);
  });
});

describe('changing the password', () => {
  const change = (body: unknown, headers: Record<string, string> = signedIn()) =>
    fetch(`${access.url}/api/v1/me/password`, {
      method: 'PUT',
      headers: { ...headers, 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });

  test('takes effect at once and is told', async () => {
    expect((await change({ current: password, next: another })).status).toBe(204);
    expect(access.counted.changed).toEqual([userId]);
    expect((await me(signedIn())).status).toBe(401);
    expect((await me(basic(email, another))).status).toBe(200);
  });

  test('signs every other device out, gives this one a new session, tells the person and the audit', async () => {
    const [here, there] = [await access.sessionOf(userId), await access.sessionOf(userId)];
    access.mails.length = 0;
    access.audited.length = 0;
    const reply = await change({ current: password, next: another }, { ...here.cookie, ...here.csrf });
    expect(reply.status).toBe(204);
    const jar = reply.headers.getSetCookie().map((line) => line.split('; ')[0]);
    expect((await me({ Cookie: jar.join('; ') })).status).toBe(200);
    expect(jar.join('; ')).not.toBe(here.cookie.Cookie);
    for (const { cookie } of [here, there])
      await expect.poll(async () => (await me(cookie)).status, { interval: 5, timeout: 1000 }).toBe(401);
    expect(access.mails.map(({ to, text }) => [to, text.split('\n')[0]])).toEqual([
      [email, expect.stringContaining('was changed just now')],
    ]);
    expect(access.audited).toMatchObject([
      { action: 'changePassword', actor: { id: userId, name: email }, target: `people/${email}`, outcome: 'done' },
    ]);
  });

  test('needs the present one and a next one of some length', async () => {
    expect((await change({ current: 'wrong', next: another })).status).toBe(401);
    const short = await change({ current: password, next: 'short' });
    expect([short.status, await code(short)]).toEqual([422, 'PASSWORD_WEAK']);
    expect(access.counted.changed).toEqual([]);
    expect((await me(signedIn())).status).toBe(200);
  });
});
