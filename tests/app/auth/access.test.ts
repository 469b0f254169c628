import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createAccessHandlers } from '#auth/access.ts';
import type { Auth } from '#auth/better-auth.ts';
import { type CallerOf, createCallers } from '#auth/caller.ts';
import { createPasswords } from '#auth/passwords.ts';
import { authorise } from '#auth/roles.ts';
import { findCredential } from '#auth/store.ts';
import { createTokens } from '#auth/tokens.ts';
import { type Clock, systemClock } from '#base/clock.ts';
import { createLog } from '#base/log.ts';
import { Secret } from '#base/secret.ts';
import type { Route } from '#contract/route.ts';
import { type Handlers, routes } from '#contract/routes.ts';
import { createSignInLimits } from '#http/limits.ts';
import { mountRoutes } from '#http/route.ts';
import { startServer, type TestServer } from '#support/http.ts';
import { basic, bearer, createTestAuth } from '#support/people.ts';
import { useDatabase } from '#support/postgres.ts';

const db = useDatabase();
const email = 'ada@example.com';
const log = createLog({ level: 'silent' });
/** Moves when told to, for what expires. */
let later = 0;
const clock: Clock = {
  ...systemClock,
  now: () => new Date(Date.now() + later),
  monotonicMs: () => systemClock.monotonicMs() + later,
};

let auth: Auth;
let hashings = 0;
let userId: string;
/** Of 'correct horse', which every test begins with. */
let hash: string;
let server: TestServer;
let callerOf: CallerOf;
let changed: string[];

beforeAll(async () => {
  const real = await createTestAuth(db.database);
  auth = {
    ...real,
    verify: (password, hash) => {
      hashings += 1;
      return real.verify(password, hash);
    },
  };
  userId = await auth.createPerson({ email, name: 'Ada', role: 'admin', password: new Secret('correct horse') });
  hash = (await findCredential(db.database, email))?.hash ?? '';
  const unfinished = Object.fromEntries(
    routes.map(({ name }) => [
      name,
      async () => {
        throw new Error(`${name} was reached`);
      },
    ]),
  );
  server = await startServer((app) => {
    const tokens = createTokens({ database: db.database, clock, log });
    // New limits and an empty memory for each test: see beforeEach.
    const passwords = { verify: (...given: Parameters<typeof current.verify>) => current.verify(...given) };
    callerOf = createCallers({ passwords, tokens });
    const access = createAccessHandlers({
      auth,
      passwords,
      tokens,
      passwordChanged: async (id) => {
        changed.push(id);
      },
    });
    const handlers = { ...unfinished, ...access } as unknown as Handlers;
    mountRoutes(app, { routes, handlers, callerOf: (request) => callerOf(request), authorise, clock });
  });
});
afterAll(() => server.close());

let current: ReturnType<typeof createPasswords>;
beforeEach(async () => {
  current = createPasswords({ auth, database: db.database, limits: createSignInLimits({ perAccount: 5 }), clock });
  await db.database.query('update auth.account set password = $1', [hash]);
  hashings = 0;
  later = 0;
  changed = [];
});

const me = (headers: Record<string, string>) => fetch(`${server.url}/api/v1/me`, { headers });
const code = async (reply: Response) => ((await reply.json()) as { code: string }).code;
const signedIn = () => basic(email, 'correct horse');
async function newToken(wish: { name: string; expiresInDays?: number } = { name: 'ci' }) {
  const reply = await fetch(`${server.url}/api/v1/tokens`, {
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
      const reply = await fetch(server.url + path.replace(/\{\w+\}/g, 'example'), { method });
      expect([reply.status, await code(reply)]).toEqual([401, 'CREDENTIALS_MISSING']);
      expect(reply.headers.get('www-authenticate')).toBeNull();
    },
  );
});

describe('Basic', () => {
  test('e-mail in any case and password say who it is', async () => {
    const reply = await me(basic('Ada@Example.com', 'correct horse'));
    expect([reply.status, await reply.json()]).toEqual([
      200,
      { id: userId, name: email, kind: 'user', role: 'admin', teams: 'all' },
    ]);
  });

  test('a wrong password and an unknown person are answered alike, after the same work', async () => {
    const wrong = await me(basic(email, 'wrong'));
    expect(hashings).toBe(1);
    const unknown = await me(basic('nobody@example.com', 'wrong'));
    expect(hashings).toBe(2);
    const text = async (reply: Response) => ({ ...((await reply.json()) as object), request: '' });
    expect([wrong.status, await text(wrong)]).toEqual([unknown.status, await text(unknown)]);
    expect(wrong.status).toBe(401);
  });

  test.each([{ Origin: 'http://evil.example' }, { 'Sec-Fetch-Site': 'same-origin' }] as Record<string, string>[])(
    'is refused from a web page: %j',
    async (headers) => {
      const reply = await me({ ...signedIn(), ...headers });
      expect([reply.status, await code(reply), hashings]).toEqual([403, 'BASIC_FROM_BROWSER', 0]);
    },
  );

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
    expect(hashings).toBe(1);
    later = 59_000;
    await me(signedIn());
    expect(hashings).toBe(1);
    later = 61_000;
    await me(signedIn());
    expect(hashings).toBe(2);
  });

  test('ten requests at once sign in once', async () => {
    const replies = await Promise.all(Array.from({ length: 10 }, () => me(signedIn())));
    expect(replies.map(({ status }) => status)).toEqual(Array(10).fill(200));
    expect(hashings).toBe(1);
  });

  test('a changed password counts at once, also when another process changed it', async () => {
    await me(signedIn());
    const other = await auth.hash(new Secret('battery staple'));
    await db.database.query('update auth.account set password = $1', [other]);
    expect((await me(signedIn())).status).toBe(401);
    expect((await me(basic(email, 'battery staple'))).status).toBe(200);
  });

  test('guessing closes the account, with Retry-After; the right password waits too, a token does not', async () => {
    const { token } = await newToken();
    current = createPasswords({ auth, database: db.database, limits: createSignInLimits({ perAccount: 5 }), clock });
    for (let i = 0; i < 5; i++) expect((await me(basic(email, `guess ${i}`))).status).toBe(401);
    hashings = 0;
    const reply = await me(signedIn());
    expect(reply.status).toBe(429);
    expect(Number(reply.headers.get('retry-after'))).toBeGreaterThan(800);
    const { detail } = (await reply.json()) as { detail: string };
    expect(detail).toMatch(
      /^Too many failed sign-ins for this account; try again in \d+ s\. A token that is valid still works\.$/,
    );
    expect(hashings).toBe(0);
    expect((await me(bearer(token))).status).toBe(200);
  });

  test('many guesses at once do not slip through', async () => {
    const replies = await Promise.all(Array.from({ length: 20 }, (_, i) => me(basic(email, `guess ${i}`))));
    expect(replies.filter(({ status }) => status === 401)).toHaveLength(5);
    expect(hashings).toBe(5);
  });
});

describe('tokens', () => {
  test('one says who it is, as bearer and in the password of Basic, also from a web page as bearer', async () => {
    const { token } = await newToken({ name: 'laptop' });
    expect(token).toMatch(/^plt_[A-Za-z0-9_-]{43}$/);
    const caller = { id: userId, name: 'token:laptop', kind: 'token', role: 'admin', teams: 'all' };
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
    const list = await (await fetch(`${server.url}/api/v1/tokens`, { headers: signedIn() })).text();
    expect(list).toContain(id);
    expect(list).not.toContain('plt_');
  });

  test.each(['plt_', `plt_${'A'.repeat(43)}`, 'x', 'plt_ä'.replace('ä', 'a'.repeat(500))])(
    'an unknown one is 401: %s',
    async (token) => {
      const reply = await me(bearer(token));
      expect([reply.status, await code(reply)]).toEqual([401, 'CREDENTIALS_WRONG']);
    },
  );

  test('a revoked one ends at once', async () => {
    const { token, id } = await newToken();
    expect((await me(bearer(token))).status).toBe(200);
    const revoke = () => fetch(`${server.url}/api/v1/tokens/${id}`, { method: 'DELETE', headers: signedIn() });
    expect((await revoke()).status).toBe(204);
    expect((await me(bearer(token))).status).toBe(401);
    const again = await revoke();
    expect([again.status, await code(again)]).toEqual([404, 'TOKEN_NOT_FOUND']);
  });

  test('one expires on its day', async () => {
    const { token, expiresAt } = await newToken({ name: 'short', expiresInDays: 1 });
    expect(Math.round((Date.parse(expiresAt ?? '') - Date.now()) / 1000)).toBe(86_400);
    later = 86_300_000;
    expect((await me(bearer(token))).status).toBe(200);
    later = 86_401_000;
    expect((await me(bearer(token))).status).toBe(401);
  });

  test('one whose person is gone is none', async () => {
    const other = await auth.createPerson({
      email: 'gone@example.com',
      name: 'Gone',
      role: 'admin',
      password: new Secret('long enough'),
    });
    const { token } = await createTokens({ database: db.database, clock, log }).create(other, { name: 'left' });
    expect((await me(bearer(token.reveal()))).status).toBe(200);
    await db.database.query('delete from auth."user" where id = $1', [other]);
    expect((await me(bearer(token.reveal()))).status).toBe(401);
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
    later = 30_000;
    await me(bearer(token));
    await me(bearer(token));
    expect(await used()).toEqual(first);
    later = 61_000;
    await me(bearer(token));
    await expect.poll(used, { interval: 5 }).not.toEqual(first);
  });

  test('a token makes no tokens and changes no password', async () => {
    const { token } = await newToken();
    const send = (method: string, path: string) =>
      fetch(server.url + path, {
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
    fetch(`${server.url}/api/v1/me/password`, {
      method: 'PUT',
      headers: { ...headers, 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });

  test('takes effect at once and is told', async () => {
    expect((await change({ current: 'correct horse', next: 'battery staple' })).status).toBe(204);
    expect(changed).toEqual([userId]);
    expect((await me(signedIn())).status).toBe(401);
    expect((await me(basic(email, 'battery staple'))).status).toBe(200);
  });

  test('needs the present one and a next one of some length', async () => {
    expect((await change({ current: 'wrong', next: 'battery staple' })).status).toBe(401);
    const short = await change({ current: 'correct horse', next: 'short' });
    expect([short.status, await code(short)]).toEqual([400, 'REQUEST_INVALID']);
    expect(changed).toEqual([]);
    expect((await me(signedIn())).status).toBe(200);
  });
});
