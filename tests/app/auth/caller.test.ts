import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { goodPassword, openAccess, type TestAccess } from '#support/access.ts';
import { basic } from '#support/people.ts';
import { createTestDatabase, useDatabase } from '#support/postgres.ts';

const db = useDatabase();
const soon = { interval: 5, timeout: 1000 };

let access: TestAccess;
let admin: string;
beforeAll(async () => {
  access = await openAccess(db);
  admin = (await access.person('root@example.com', 'admin', goodPassword)).id;
  await access.teams.put('shop', '');
  await access.teams.put('blog', '');
});
afterAll(() => access.close());

const me = async (headers: Record<string, string>) => {
  const { status, code, json } = await access.send('GET', '/api/v1/me', headers);
  return status === 200 ? json : `${status} ${code}`;
};
const somebody = async (role = 'editor') => access.person(`p${Math.random()}@example.com`, role);

describe('who it is', () => {
  test('a token comes as Bearer, as the password of Basic, and alone', async () => {
    const { text } = await access.tokenOf(admin);
    for (const value of [`Bearer ${text}`, `bearer  ${text}`, text, basic('git', text).Authorization])
      expect(await me({ Authorization: value }), value).toMatchObject({
        id: admin,
        credential: 'token',
        name: 'token:test',
      });
  });

  test.each([
    'archestra_0123456789abcdef0123456789abcdef',
    'Bearer archestra_0123456789abcdef0123456789abcdef',
    `plt_${'A'.repeat(43)}`,
    `plt_${'A'.repeat(43)} `,
    'Token x',
    '',
  ])('what nobody here made is 401, with a good session beside it as well: %j', async (value) => {
    const { cookie } = await access.sessionOf(admin);
    expect(await me({ Authorization: value })).toMatch(/^401 CREDENTIALS_/);
    expect(await me({ Authorization: value, ...cookie })).toBe('401 CREDENTIALS_WRONG');
  });

  test('a session says who it is, and a token beside it goes first', async () => {
    const person = await somebody();
    const { cookie } = await access.sessionOf(person.id);
    expect(await me(cookie)).toMatchObject({ id: person.id, name: person.email, credential: 'session' });
    const { headers } = await access.tokenOf(admin);
    expect(await me({ ...cookie, ...headers })).toMatchObject({ id: admin, credential: 'token' });
  });

  test('the text of a token in a cookie is nothing, whether or not it was used before', async () => {
    const { text, headers } = await access.tokenOf(admin);
    await me(headers);
    for (const cookie of [text, `plinth.session=${text}`, `token ${text}`])
      expect(await me({ Cookie: cookie })).toBe('401 CREDENTIALS_MISSING');
  });

  test.each([
    'X-User',
    'X-Forwarded-User',
    'X-Remote-User',
    'Remote-User',
    'X-Auth-Request-Email',
    'X-Plinth-User',
    'X-Forwarded-Email',
    'X-Authenticated-User',
    'X-Original-Authorization',
    'Proxy-Authorization',
    'X-Api-Key',
  ])('no other header says who anyone is: %s', async (name) => {
    const { text, headers } = await access.tokenOf((await somebody('viewer')).id);
    for (const value of [admin, 'root@example.com', text, `Bearer ${text}`]) {
      expect(await me({ [name]: value })).toBe('401 CREDENTIALS_MISSING');
      expect(await me({ ...headers, [name]: value })).toMatchObject({ role: 'viewer' });
    }
  });

  test('a token in the address is none', async () => {
    const { text } = await access.tokenOf(admin);
    for (const query of [`token=${text}`, `access_token=${text}`])
      expect((await access.send('GET', `/api/v1/me?${query}`, {})).code).toBe('CREDENTIALS_MISSING');
  });

  test('a session that still owes its second factor is nobody', async () => {
    const careful = await openAccess(db, { mailCodes: true });
    try {
      const person = await careful.person('due@example.com', 'admin', goodPassword);
      const { cookie } = await careful.sessionOf(person.id);
      expect((await careful.send('GET', '/api/v1/me', cookie)).code).toBe('SECOND_FACTOR_DUE');
      expect((await careful.send('GET', '/api/v1/me', basic('due@example.com', goodPassword))).code).toBe(
        'SECOND_FACTOR_BY_BASIC',
      );
      const { headers } = await careful.tokenOf(person.id);
      expect((await careful.send('GET', '/api/v1/me', headers)).status).toBe(200);
    } finally {
      await careful.close();
    }
  });

  test('passwords over Basic can be turned off, tokens there cannot', async () => {
    const strict = await openAccess(db, { basicPasswords: false });
    try {
      const { text } = await strict.tokenOf(admin);
      expect((await strict.send('GET', '/api/v1/me', basic('root@example.com', goodPassword))).code).toBe(
        'PASSWORD_SIGN_IN_OFF',
      );
      expect((await strict.send('GET', '/api/v1/me', basic('git', text))).status).toBe(200);
    } finally {
      await strict.close();
    }
  });
});

describe('CSRF', () => {
  const make = (headers: Record<string, string>, body: unknown = { name: 'x' }) =>
    access.send('POST', '/api/v1/tokens', headers, body);

  test('a session changes something only with its own token', async () => {
    const { cookie, csrf } = await access.sessionOf(admin);
    const other = await access.sessionOf(admin);
    expect((await make(cookie)).code).toBe('CSRF_TOKEN_WRONG');
    expect((await make({ ...cookie, 'X-CSRF-Token': '' })).code).toBe('CSRF_TOKEN_WRONG');
    expect((await make({ ...cookie, ...other.csrf })).code).toBe('CSRF_TOKEN_WRONG');
    expect((await make({ ...cookie, ...csrf })).status).toBe(201);
    expect((await access.send('GET', '/api/v1/tokens', cookie)).status).toBe(200);
  });

  test('a header `Bearer x` beside the cookie opens nothing', async () => {
    const { cookie, csrf } = await access.sessionOf(admin);
    for (const more of [{}, csrf])
      expect((await make({ ...cookie, ...more, Authorization: 'Bearer x' })).code).toBe('CREDENTIALS_WRONG');
  });

  test('a form is not a way around it: not for a route that takes none, nor for one without a body', async () => {
    const { cookie } = await access.sessionOf(admin);
    const form = { ...cookie, 'Content-Type': 'application/x-www-form-urlencoded' };
    for (const [method, path] of [
      ['POST', '/api/v1/tokens'],
      ['DELETE', `/api/v1/users/${admin}`],
    ] as const) {
      const reply = await fetch(access.url + path, { method, headers: form, body: 'name=x' });
      expect([reply.status, ((await reply.json()) as { code: string }).code]).toEqual([403, 'CSRF_TOKEN_WRONG']);
    }
  });

  test('a token needs none: no page can make a browser send it', async () => {
    const { headers } = await access.tokenOf(admin);
    expect((await access.send('PUT', '/api/v1/teams/papers', headers, { title: '' })).status).toBe(200);
  });
});

describe('what a token may', () => {
  test('it is never more than its owner may at that moment', async () => {
    const person = await somebody('admin');
    const { headers } = await access.tokenOf(person.id, {
      scopes: ['audit:read', 'project:read', 'self:read'],
    });
    const all = { 'self:read': 'organization', 'project:read': 'organization', 'audit:read': 'organization' };
    expect((await me(headers)).permissions).toEqual(all);
    await access.people.setRole(person.id, 'viewer');
    await expect
      .poll(async () => (await me(headers)).permissions, soon)
      .toEqual({ 'self:read': [], 'project:read': [] });
  });

  test('scopes, teams and environments bound it', async () => {
    const { headers } = await access.tokenOf(admin, {
      scopes: ['project:write', 'self:read'],
      teams: ['shop'],
      environments: ['dev'],
    });
    expect(await me(headers)).toMatchObject({
      permissions: { 'project:write': ['shop'], 'self:read': ['shop'] },
      environments: ['dev'],
    });
  });

  test('a role that is no more makes nobody', async () => {
    const person = await somebody();
    const { headers } = await access.tokenOf(person.id);
    expect(await me(headers)).toMatchObject({ role: 'editor' });
    await db.database.query(`update auth."user" set role = 'ghost' where id = $1`, [person.id]);
    await expect.poll(() => me(headers), soon).toBe('401 CREDENTIALS_WRONG');
  });
});

describe('what ends it, ends it within a second', () => {
  const remembered = async (headers: Record<string, string>) => {
    for (let i = 0; i < 3; i++) expect(await me(headers)).toMatchObject({ environments: 'all' });
  };

  test('revoking a token', async () => {
    const { headers, id } = await access.tokenOf(admin);
    await remembered(headers);
    await access.tokens.revoke(id);
    await expect.poll(() => me(headers), soon).toBe('401 CREDENTIALS_WRONG');
  });

  test('ending a session', async () => {
    const { cookie, session } = await access.sessionOf(admin);
    await remembered(cookie);
    await access.sessions.end(admin, session.id);
    await expect.poll(() => me(cookie), soon).toBe('401 CREDENTIALS_MISSING');
  });

  test('disabling a person, for session and token alike; neither comes back to life of itself', async () => {
    const person = await somebody();
    const { headers } = await access.tokenOf(person.id);
    const { cookie } = await access.sessionOf(person.id);
    await remembered(headers);
    await remembered(cookie);
    await access.people.setDisabled(person.id, true);
    await expect.poll(() => me(headers), soon).toBe('401 CREDENTIALS_WRONG');
    await expect.poll(() => me(cookie), soon).toBe('401 CREDENTIALS_MISSING');
    await access.people.setDisabled(person.id, false);
    await expect.poll(() => me(headers), soon).toMatchObject({ id: person.id });
    expect(await me(cookie)).toBe('401 CREDENTIALS_MISSING');
  });

  test('deleting a person', async () => {
    const person = await somebody();
    const { headers } = await access.tokenOf(person.id);
    await remembered(headers);
    await access.people.remove(person.id);
    await expect.poll(() => me(headers), soon).toBe('401 CREDENTIALS_WRONG');
  });

  test('leaving a team, a changed role, a deleted team', async () => {
    const root = await access.callerWith((await access.tokenOf(admin)).headers);
    const person = await somebody('viewer');
    const { headers } = await access.tokenOf(person.id);
    const may = async () => (await me(headers)).permissions['secret:read'];
    await access.roles.put(root, { name: 'keeper', about: '', grants: { 'secret:read': 'team' } });
    await access.teams.put('brief', '');
    expect(await may()).toBeUndefined();
    await access.teams.putMember(root, { team: 'shop', userId: person.id, role: 'keeper' });
    await access.teams.putMember(root, { team: 'brief', userId: person.id, role: 'keeper' });
    await expect.poll(may, soon).toEqual(['brief', 'shop']);
    await access.teams.remove('brief');
    await expect.poll(may, soon).toEqual(['shop']);
    await access.roles.put(root, { name: 'keeper', about: '', grants: { 'log:read': 'team' } });
    await expect.poll(may, soon).toBeUndefined();
    expect((await me(headers)).permissions['log:read']).toEqual(['shop']);
    await access.teams.removeMember(root, 'shop', person.id);
    await expect.poll(async () => (await me(headers)).permissions['log:read'], soon).toEqual([]);
  });

  test('disabling a service account, or giving it another role', async () => {
    const root = await access.callerWith((await access.tokenOf(admin)).headers);
    const account = await access.serviceAccounts.create(root, { name: 'ci-one', role: 'admin', teams: [] });
    const { headers } = await access.tokenOf(account.id);
    expect(await me(headers)).toMatchObject({ id: account.id, kind: 'service-account', role: 'admin' });
    await access.serviceAccounts.change(root, account.id, { role: 'viewer' });
    await expect.poll(async () => (await me(headers)).role, soon).toBe('viewer');
    await access.serviceAccounts.change(root, account.id, { disabled: true });
    await expect.poll(() => me(headers), soon).toBe('401 CREDENTIALS_WRONG');
  });

  test('told by another replica', async () => {
    const other = await openAccess(db);
    try {
      const ask = async (proof: Record<string, string>) => (await other.send('GET', '/api/v1/me', proof)).status;
      const person = await somebody();
      const { headers } = await access.tokenOf(person.id);
      const { cookie } = await access.sessionOf(person.id);
      for (let i = 0; i < 3; i++) expect([await ask(headers), await ask(cookie)]).toEqual([200, 200]);
      await access.people.setDisabled(person.id, true);
      await expect.poll(async () => [await ask(headers), await ask(cookie)], soon).toEqual([401, 401]);
    } finally {
      await other.close();
    }
  });

  test('its own day', async () => {
    const { headers } = await access.tokenOf(admin, { expiresInDays: 1 });
    await remembered(headers);
    access.time.laterMs += 86_401_000;
    expect(await me(headers)).toBe('401 CREDENTIALS_WRONG');
  });
});

describe('without notices', () => {
  test('a lost listener: a revocation counts after 5 s at the latest, and memory serves again after it is back', async () => {
    const { headers, id } = await access.tokenOf(admin);
    await me(headers);
    await access.stopListening();
    await access.tokens.revoke(id);
    // Nobody told us, so for at most 5 s more it may still count.
    access.time.laterMs += 5_001;
    expect(await me(headers)).toBe('401 CREDENTIALS_WRONG');
    access.listenAgain();
    const before = access.notices.heardAtMs();
    await expect.poll(() => access.notices.heardAtMs() > before, { interval: 5, timeout: 5000 }).toBe(true);
    const next = await access.tokenOf(admin);
    expect(await me(next.headers)).toMatchObject({ id: admin });
    await access.tokens.revoke(next.id);
    await expect.poll(() => me(next.headers), soon).toBe('401 CREDENTIALS_WRONG');
  });

  test('a lost database as well: what was remembered is no answer, and the request fails', async () => {
    const own = await createTestDatabase();
    const lost = await openAccess(own);
    try {
      const { id } = await lost.person('ada@example.com', 'admin');
      const { headers } = await lost.tokenOf(id);
      const { cookie } = await lost.sessionOf(id);
      const ask = async (proof: Record<string, string>) => (await lost.send('GET', '/api/v1/me', proof)).status;
      expect([await ask(headers), await ask(cookie)]).toEqual([200, 200]);
      await lost.stopListening();
      await own.database.close();
      expect([await ask(headers), await ask(cookie)]).toEqual([200, 200]);
      lost.time.laterMs += 5_001;
      expect([await ask(headers), await ask(cookie)]).toEqual([503, 503]);
    } finally {
      await lost.close();
      await own.drop();
    }
  });
});
