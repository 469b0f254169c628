import { afterAll, beforeAll, expect, test } from 'vitest';
import { Secret } from '#base/secret.ts';
import { useDatabase } from '#support/postgres.ts';
import { Browser, factsOf, openSignIn, type TestSignIn } from '#support/sign-in.ts';

const db = useDatabase();
let house: TestSignIn;
let userId: string;

beforeAll(async () => {
  house = await openSignIn(db.database);
  userId = await house.person('ada@example.com');
});
afterAll(() => house.close());

test('a person has fifty sessions at most; the oldest go', async () => {
  const first = await house.sessions.begin(userId, factsOf(), 'password');
  for (let i = 0; i < 50; i++) await house.sessions.begin(userId, factsOf(), 'password');
  const all = await house.sessions.list(userId);
  expect(all).toHaveLength(50);
  expect(all.map(({ id }) => id)).not.toContain(first.session.id);
});

test('of two that show the second factor for one half session, one goes on', async () => {
  const { session } = await house.sessions.begin(userId, factsOf(), 'password');
  const both = await Promise.allSettled([
    house.sessions.pass(session, factsOf()),
    house.sessions.pass(session, factsOf()),
  ]);
  expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
});

test('a new token keeps what was shown of the second factor, no more', async () => {
  const { session } = await house.sessions.begin(userId, factsOf(), 'github');
  for (const secondFactor of ['none', 'due', 'passed'] as const) {
    const renewed = await house.sessions.renew({ ...session, secondFactor }, factsOf());
    expect(renewed.session).toMatchObject({ via: 'github', secondFactor });
    expect(renewed.session.id).not.toBe(session.id);
  }
});

test('a second factor that becomes due is asked for by the sessions of before, from their next use on', async () => {
  const later = await openSignIn(db.database, { mailCodes: true }); // the same house, started with TWO_FA_ENABLED
  const browser = new Browser(house.url);
  await house.person('before@example.com');
  expect((await browser.signIn('before@example.com')).json.secondFactor).toBe('none');
  expect((await browser.get('/api/v1/me')).status).toBe(200);
  const cookie = browser.cookie;
  const { rows } = await db.database.query<{ ends: Date }>('select max("expiresAt") as ends from auth.session');
  later.time.laterMs = 3_600_000;

  const after = new Browser(later.url);
  for (const [name, value] of browser.jar) after.jar.set(name, value);
  expect((await after.get('/api/v1/me')).code).toBe('SECOND_FACTOR_DUE');
  expect((await after.get('/api/auth/get-session')).json).toMatchObject({
    session: { secondFactor: 'due' },
    user: null,
  });
  const session = await later.sessions.find(cookie);
  expect(await later.sessions.list(session?.userId ?? '')).toMatchObject([{ secondFactor: 'due' }]);
  // Using it does not keep it alive.
  expect((await db.database.query('select max("expiresAt") as ends from auth.session')).rows).toEqual(rows);

  await after.post('/api/auth/two-factor/send-otp');
  const code = /\d{6}/.exec(later.mails.at(-1)?.text ?? '')?.[0];
  expect((await after.post('/api/auth/two-factor/verify', { code })).json.secondFactor).toBe('passed');
  expect((await after.get('/api/v1/me')).status).toBe(200);
  expect(await later.sessions.find(cookie)).toBeUndefined();
  await later.close();
});

test('a disabled person has no sessions, whoever asks', async () => {
  const id = await house.person('off@example.com');
  const { cookies } = await house.sessions.begin(id, factsOf(), 'password');
  const cookie = cookies[0]?.split(';')[0];
  expect(await house.sessions.find(cookie)).toMatchObject({ userId: id });
  await db.database.query('insert into people_state (user_id, disabled) values ($1, true)', [id]);
  expect(await house.sessions.find(cookie)).toBeUndefined();
  expect(await house.sessions.list(id)).toEqual([]);
  await expect(house.sessions.begin(id, factsOf(), 'okta')).rejects.toMatchObject({ code: 'ACCOUNT_DISABLED' });
});

test('nobody begins a session for somebody who is not there', async () => {
  await expect(house.sessions.begin('usr_none', factsOf(), 'password')).rejects.toMatchObject({
    code: 'CREDENTIALS_WRONG',
  });
});

test('a database of before has its table of sessions brought up to date; what it does not say counts as due', async () => {
  const { session, cookies } = await house.sessions.begin(userId, factsOf(), 'password');
  await db.database.query('alter table auth.session drop column via, drop column "secondFactor"');
  const later = await openSignIn(db.database);
  try {
    expect(await later.sessions.find(cookies[0]?.split(';')[0])).toMatchObject({
      id: session.id,
      via: 'password',
      secondFactor: 'due',
    });
    expect((await later.sessions.begin(userId, factsOf(), 'okta')).session).toMatchObject({ secondFactor: 'none' });
  } finally {
    await later.close();
  }
});

test('two processes that start at once both find their tables', async () => {
  await db.database.query('drop schema auth cascade');
  const both = await Promise.all([openSignIn(db.database), openSignIn(db.database)]);
  try {
    const id = await both[0].person('eve@example.com');
    await both[1].auth.setPassword(id, new Secret('nine loud herons'));
    expect(
      await both[0].auth.addPerson({ email: 'EVE@example.com', name: '', role: 'viewer', emailVerified: true }),
    ).toBe(undefined);
  } finally {
    for (const each of both) await each.close();
  }
});
