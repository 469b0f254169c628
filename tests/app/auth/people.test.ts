import { Secret as OtpSecret, TOTP } from 'otpauth';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAccessHandlers } from '#auth/access.ts';
import { findCredential } from '#auth/store.ts';
import { newId } from '#base/ids.ts';
import { goodPassword, type Office, openAccess, openOffice, type Sent, type TestAccess } from '#support/access.ts';
import { useDatabase } from '#support/postgres.ts';
import { factsOf } from '#support/sign-in.ts';

const db = useDatabase();
const ghost = (kind: 'user' | 'serviceAccount' | 'invitation' | 'token') => newId(kind, new Date());

let access: TestAccess;
let office: Office;
let root: Sent;
let rootId: string;
const send: Office['send'] = (...given) => office.send(...given);
const newcomer: Office['newcomer'] = (...given) => office.newcomer(...given);
const signedIn: Office['signedIn'] = (id) => office.signedIn(id);

beforeAll(async () => {
  access = await openAccess(db);
  office = await openOffice(access);
  ({ root, rootId } = office);
});
afterAll(() => access.close());

const put = async (name: string, grants: object) =>
  expect(await send(root, 'PUT', `/roles/${name}`, { grants })).toMatchObject({ status: 200 });

describe('people', () => {
  test('one is made, read, changed and deleted; addresses are one whatever their case', async () => {
    const made = await send(root, 'POST', '/users', { email: ' Bob@Example.COM ', name: 'Bob', role: 'viewer' });
    expect(made).toMatchObject({ status: 201, json: { email: 'bob@example.com', role: 'viewer', disabled: false } });
    const again = await send(root, 'POST', '/users', { email: 'BOB@example.com', name: 'Bob', role: 'viewer' });
    expect([again.status, again.code]).toEqual([409, 'PERSON_EXISTS']);
    const { id } = made.json;
    expect((await send(root, 'PATCH', `/users/${id}`, { name: 'Robert', role: 'editor' })).json).toMatchObject({
      name: 'Robert',
      role: 'editor',
    });
    expect((await send(root, 'DELETE', `/users/${id}`)).status).toBe(204);
    expect((await send(root, 'GET', `/users/${id}`)).code).toBe('PERSON_NOT_FOUND');
    expect((await send(root, 'DELETE', `/users/${id}`)).code).toBe('PERSON_NOT_FOUND');
  });

  test('nobody gives themselves a role by the way: fields that are no wish are refused', async () => {
    const weak = { email: 'eve@example.com', name: 'Eve', role: 'viewer', emailVerified: true };
    expect((await send(root, 'POST', '/users', weak)).code).toBe('REQUEST_INVALID');
    const { id, headers } = await newcomer('viewer');
    expect((await send(headers, 'PATCH', `/users/${id}`, { role: 'admin' })).code).toBe('FORBIDDEN');
    expect((await send(root, 'PATCH', `/users/${id}`, { id: rootId })).code).toBe('REQUEST_INVALID');
  });

  test('a password that is easy to guess is refused, a good one opens the account', async () => {
    const wish = { email: 'pat@example.com', name: 'Pat', role: 'viewer' };
    expect((await send(root, 'POST', '/users', { ...wish, password: 'password1234' })).code).toBe('PASSWORD_WEAK');
    expect((await send(root, 'POST', '/users', { ...wish, password: goodPassword })).status).toBe(201);
    expect((await findCredential(db.database, 'pat@example.com'))?.hash).toBeTypeOf('string');
  });

  test('who reads people of their teams only, sees these, themselves, and no other team of theirs', async () => {
    const one = await newcomer('viewer', { shop: null });
    const two = await newcomer('viewer', { shop: null, blog: null });
    const three = await newcomer('viewer', { blog: null });
    const seen = (await send(one.headers, 'GET', '/users')).json.items;
    expect(seen.map(({ id }: { id: string }) => id).sort()).toEqual([one.id, two.id].sort());
    const teamsOfTwo = (await send(one.headers, 'GET', `/users/${two.id}`)).json.teams;
    expect(teamsOfTwo.map(({ team }: { team: string }) => team)).toEqual(['shop']);
    expect((await send(one.headers, 'GET', `/users/${three.id}`)).code).toBe('PERSON_NOT_FOUND');
    const lonely = await newcomer('viewer');
    expect((await send(lonely.headers, 'GET', '/users')).json.items).toMatchObject([{ id: lonely.id }]);
  });

  test('lists come in pages', async () => {
    const ids: string[] = [];
    for (let after = ''; ; ) {
      const { items, next } = (await send(root, 'GET', `/users?limit=3${after}`)).json;
      ids.push(...items.map(({ id }: { id: string }) => id));
      if (next === null) break;
      after = `&after=${next}`;
    }
    const { rows } = await db.database.query<{ id: string }>('select id from auth."user" order by id');
    expect(ids).toEqual(rows.map(({ id }) => id));
  });

  test('deleting one ends sessions and tokens and all by which they came in, and keeps the record', async () => {
    const { id, headers, email } = await newcomer('editor', { shop: null });
    const token = await access.tokenOf(id);
    await db.database.query(
      `insert into changes (id, kind, environment, actor) values ('chg_kept', 'put', 'local', $1)`,
      [email],
    );
    expect((await send(root, 'DELETE', `/users/${id}`)).status).toBe(204);
    for (const proof of [headers, token.headers])
      await expect.poll(async () => (await send(proof, 'GET', '/me')).status, { interval: 5 }).toBe(401);
    for (const table of ['tokens', 'members', 'people_state', 'totp', 'backup_codes', 'mail_codes', 'identity_links'])
      expect((await db.database.query(`select from ${table} where user_id = $1`, [id])).rowCount, table).toBe(0);
    for (const table of ['session', 'account'])
      expect((await db.database.query(`select from auth.${table} where "userId" = $1`, [id])).rowCount, table).toBe(0);
    expect((await db.database.query('select from changes where actor = $1', [email])).rowCount).toBe(1);
  });

  test('signing somebody out ends their sessions and leaves their tokens', async () => {
    const { id, headers } = await newcomer('editor');
    const token = await access.tokenOf(id);
    expect((await send(root, 'DELETE', `/users/${id}/sessions`)).status).toBe(204);
    await expect.poll(async () => (await send(headers, 'GET', '/me')).status, { interval: 5 }).toBe(401);
    expect((await send(token.headers, 'GET', '/me')).status).toBe(200);
  });
});

describe('the last administrator', () => {
  test.each([
    ['demoted', 'PATCH', { role: 'viewer' }],
    ['disabled', 'PATCH', { disabled: true }],
    ['deleted', 'DELETE', undefined],
  ] as const)('is not %s', async (_what, method, body) => {
    const reply = await send(root, method, `/users/${rootId}`, body);
    expect([reply.status, reply.code]).toEqual([409, 'LAST_ADMINISTRATOR']);
    expect(reply.json.detail).toContain('root@example.com');
    expect((await send(root, 'GET', '/me')).json.role).toBe('admin');
  });

  test('a disabled one does not count, one with a password or without does', async () => {
    const other = await access.person('second@example.com', 'admin');
    await access.people.setDisabled(other.id, true);
    await expect(access.people.setRole(rootId, 'viewer')).rejects.toMatchObject({ code: 'LAST_ADMINISTRATOR' });
    await access.people.setDisabled(other.id, false);
    await access.people.setRole(rootId, 'viewer');
    await expect(access.people.remove(other.id)).rejects.toMatchObject({ code: 'LAST_ADMINISTRATOR' });
    await access.people.setRole(rootId, 'admin');
    await access.people.remove(other.id);
  });

  test('of many that go at once, one stays, whichever way each goes', async () => {
    const all = [rootId];
    for (let i = 0; i < 5; i++) all.push((await access.person(`many${i}@example.com`, 'admin')).id);
    const ends = [
      (id: string) => access.people.setRole(id, 'viewer'),
      (id: string) => access.people.setDisabled(id, true),
      (id: string) => access.people.setRole(id, 'editor'),
    ];
    const outcomes = await Promise.allSettled(all.map((id, i) => ends[i % ends.length]?.(id)));
    expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(1);
    const { rows } = await db.database.query<{ id: string }>(
      `select u.id from auth."user" u left join people_state s on s.user_id = u.id
       where u.role = 'admin' and not coalesce(s.disabled, false)`,
    );
    expect(rows).toHaveLength(1);
    const [left] = rows;
    await access.people.setDisabled(rootId, false);
    await access.people.setRole(rootId, 'admin');
    if (left !== undefined && left.id !== rootId) await access.people.setRole(left.id, 'viewer');
    root = await signedIn(rootId);
  });
});

describe('roles', () => {
  test('the built-in ones stay as they are', async () => {
    for (const name of ['admin', 'editor', 'viewer']) {
      expect((await send(root, 'PUT', `/roles/${name}`, { grants: {} })).code).toBe('ROLE_BUILT_IN');
      expect((await send(root, 'DELETE', `/roles/${name}`)).code).toBe('ROLE_BUILT_IN');
    }
    const { items } = (await send(root, 'GET', '/roles')).json;
    expect(items.slice(0, 3).map(({ name }: { name: string }) => name)).toEqual(['admin', 'editor', 'viewer']);
  });

  test('what is no permission, or reaches nowhere, is no grant', async () => {
    for (const grants of [{ everything: 'team' }, { 'project:read': 'world' }, { constructor: 'team' }, []])
      expect((await send(root, 'PUT', '/roles/odd', { grants })).code).toBe('REQUEST_INVALID');
    expect((await send(root, 'PUT', '/roles/__proto__', { grants: {} })).code).toBe('REQUEST_INVALID');
  });

  test('one that somebody has is not deleted, and says who', async () => {
    await put('used', { 'project:read': 'team' });
    const { id, email } = await newcomer('used');
    const reply = await send(root, 'DELETE', '/roles/used');
    expect([reply.code, reply.json.data.holders]).toEqual(['ROLE_IN_USE', [email]]);
    await send(root, 'DELETE', `/users/${id}`);
    expect((await send(root, 'DELETE', '/roles/used')).status).toBe(204);
    expect((await send(root, 'GET', '/roles/used')).code).toBe('ROLE_NOT_FOUND');
    expect((await send(root, 'PATCH', `/users/${rootId}`, { role: 'used' })).code).toBe('ROLE_NOT_FOUND');
  });
});

describe('teams', () => {
  test('who belongs to it is listed, machines too, and who is not there cannot be put in', async () => {
    await send(root, 'PUT', '/teams/mixed', {});
    const { id, email } = await newcomer('viewer', { mixed: null });
    const robot = { name: 'mixer', role: 'viewer', teams: [{ team: 'mixed', role: 'editor' }] };
    const account = (await send(root, 'POST', '/service-accounts', robot)).json;
    expect((await send(root, 'GET', '/teams/mixed/members')).json.items).toMatchObject([
      { id: account.id, name: 'mixer', kind: 'service-account', role: 'editor', source: 'manual' },
      { id, name: email, kind: 'user', role: null, source: 'manual' },
    ]);
    expect((await send(root, 'PUT', `/teams/mixed/members/${ghost('user')}`, {})).code).toBe('PERSON_NOT_FOUND');
    expect((await send(root, 'PUT', `/teams/nowhere/members/${id}`, {})).code).toBe('TEAM_NOT_FOUND');
    expect((await send(root, 'DELETE', `/teams/mixed/members/${ghost('user')}`)).code).toBe('MEMBER_NOT_FOUND');
  });

  test('what an identity provider says comes and goes beside what people wrote', async () => {
    const { id } = await newcomer('viewer', { shop: 'editor' });
    const memberships = async () =>
      (await access.people.find(id))?.memberships.map(({ team, role, source }) => `${team} ${role} ${source}`);
    await access.people.syncTeams(id, 'identity:okta', ['shop', 'blog', 'nowhere']);
    expect(await memberships()).toEqual(['blog null identity:okta', 'shop null identity:okta', 'shop editor manual']);
    // One team, and the role that a person gave there.
    const { json } = await send((await access.tokenOf(id)).headers, 'GET', '/me');
    expect([json.teams, json.permissions['project:write']]).toEqual([['blog', 'shop'], ['shop']]);
    await access.people.syncTeams(id, 'identity:entra', ['blog']);
    await access.people.syncTeams(id, 'identity:okta', []);
    expect(await memberships()).toEqual(['blog null identity:entra', 'shop editor manual']);
  });
});

describe('service accounts', () => {
  test('an editor keeps those of the own teams, and sees no other', async () => {
    const editor = await newcomer('editor', { shop: null });
    const wish = (name: string, ...teams: string[]) => ({
      name,
      role: 'viewer',
      teams: teams.map((team) => ({ team })),
    });
    const create = (body: unknown) => send(editor.headers, 'POST', '/service-accounts', body);
    const own = await create(wish('shop-ci', 'shop'));
    expect(own).toMatchObject({ status: 201, json: { name: 'shop-ci', teams: [{ team: 'shop', source: 'manual' }] } });
    expect((await create(wish('shop-ci', 'shop'))).code).toBe('SERVICE_ACCOUNT_EXISTS');
    expect((await create(wish('nobodys'))).code).toBe('FORBIDDEN');
    for (const teams of [['blog'], ['shop', 'blog']])
      expect((await create(wish('other', ...teams))).status, teams.join()).toBe(403);
    const both = (await send(root, 'POST', '/service-accounts', wish('both', 'shop', 'blog'))).json;
    const bare = (await send(root, 'POST', '/service-accounts', wish('bare'))).json;
    for (const { id } of [both, bare]) {
      expect((await send(editor.headers, 'GET', `/service-accounts/${id}`)).code).toBe('SERVICE_ACCOUNT_NOT_FOUND');
      expect((await send(editor.headers, 'POST', `/service-accounts/${id}/tokens`, { name: 'x' })).code).toBe(
        'SERVICE_ACCOUNT_NOT_FOUND',
      );
    }
    const listed = (await send(editor.headers, 'GET', '/service-accounts')).json.items;
    expect(listed.map(({ name }: { name: string }) => name)).not.toContain('both');
    expect(listed.map(({ name }: { name: string }) => name)).toContain('shop-ci');
  });

  test('its tokens act for it, outlive whoever made them, and end with it', async () => {
    const maker = await newcomer('editor', { shop: null });
    const account = (
      await send(maker.headers, 'POST', '/service-accounts', {
        name: 'lasting',
        role: 'viewer',
        teams: [{ team: 'shop' }],
      })
    ).json;
    const path = `/service-accounts/${account.id}/tokens`;
    const made = (await send(maker.headers, 'POST', path, { name: 'ci' })).json;
    expect(made).toMatchObject({ owner: account.id, createdBy: maker.email, name: 'ci' });
    const proof = { Authorization: `Bearer ${made.token}` };
    expect((await send(proof, 'GET', '/me')).json).toMatchObject({ id: account.id, name: 'token:ci', teams: ['shop'] });
    await send(root, 'DELETE', `/users/${maker.id}`);
    expect((await send(proof, 'GET', '/me')).status).toBe(200);
    expect((await send(root, 'GET', path)).json.items).toMatchObject([{ id: made.id, hint: made.token.slice(0, 8) }]);
    const second = (await send(root, 'POST', path, { name: 'two' })).json;
    expect((await send(root, 'DELETE', `${path}/${second.id}`)).status).toBe(204);
    expect((await send(root, 'DELETE', `${path}/${second.id}`)).code).toBe('TOKEN_NOT_FOUND');
    expect((await send(root, 'DELETE', `/service-accounts/${account.id}`)).status).toBe(204);
    await expect.poll(async () => (await send(proof, 'GET', '/me')).status, { interval: 5 }).toBe(401);
    expect((await db.database.query('select from tokens where id = $1', [made.id])).rowCount).toBe(0);
  });

  test('a token makes no tokens, people or invitations', async () => {
    const { headers } = await access.tokenOf(rootId);
    const account = (await send(headers, 'POST', '/service-accounts', { name: 'lazy', role: 'viewer' })).json;
    for (const [path, body] of [
      ['/tokens', { name: 'x' }],
      [`/service-accounts/${account.id}/tokens`, { name: 'x' }],
      ['/users', { email: 'x@example.com', name: 'x', role: 'viewer' }],
      ['/invitations', { email: 'x@example.com', role: 'viewer' }],
    ] as const)
      expect((await send(headers, 'POST', path, body)).code, path).toBe('FORBIDDEN');
  });
});

describe("everybody's tokens", () => {
  test('are listed and revoked with the permission over the organization only', async () => {
    const { id, headers } = await newcomer('editor');
    const mine = await access.tokenOf(id);
    const roots = await access.tokenOf(rootId);
    expect((await send(headers, 'GET', '/tokens')).json.items).toMatchObject([{ id: mine.id, owner: id }]);
    expect((await send(headers, 'GET', '/tokens?all')).code).toBe('FORBIDDEN');
    expect((await send(headers, 'DELETE', `/tokens/${roots.id}`)).code).toBe('TOKEN_NOT_FOUND');
    const all = (await send(root, 'GET', '/tokens?all')).json.items.map((token: { id: string }) => token.id);
    expect(all).toEqual(expect.arrayContaining([mine.id, roots.id]));
    expect((await send(root, 'GET', '/tokens')).json.items.map((token: { id: string }) => token.id)).not.toContain(
      mine.id,
    );
    expect((await send(root, 'DELETE', `/tokens/${mine.id}`)).status).toBe(204);
  });

  test('stand above the environments: who is bound to some reaches their own only', async () => {
    const theirs = await access.tokenOf((await newcomer('editor')).id);
    const bound = await access.tokenOf(rootId, { environments: ['dev'] });
    expect((await send(bound.headers, 'GET', '/tokens?all')).code).toBe('FORBIDDEN');
    expect((await send(bound.headers, 'GET', '/tokens')).json.items.map(({ id }: { id: string }) => id)).toContain(
      bound.id,
    );
    const free = await access.tokenOf(rootId);
    expect((await send(free.headers, 'GET', '/tokens?all')).status).toBe(200);
    for (const { headers } of [bound, free])
      expect((await send(headers, 'DELETE', `/tokens/${theirs.id}`)).code).toBe('FORBIDDEN');
    const caller = await access.callerWith(bound.headers);
    const { deleteToken } = createAccessHandlers({ signIn: { changePassword: async () => [] }, tokens: access.tokens });
    await expect(
      deleteToken({ caller, params: { id: theirs.id } } as Parameters<typeof deleteToken>[0]),
    ).rejects.toMatchObject({ code: 'TOKEN_NOT_FOUND' });
  });
});

describe("somebody's second factor", () => {
  const drop = (headers: Sent, id: string) => send(headers, 'DELETE', `/users/${id}/second-factor`);
  /** Somebody with an authenticator app and backup codes. */
  const careful = async (role: string, teams: Readonly<Record<string, string | null>> = {}) => {
    const person = await newcomer(role, teams);
    const { secret } = await access.secondFactor.beginTotp(person.id);
    const totp = new TOTP({ secret: OtpSecret.fromBase32(secret.reveal()) });
    await access.secondFactor.confirmTotp(person.id, totp.generate({ timestamp: access.clock.now().getTime() }));
    const { session } = await access.sessions.begin(person.id, factsOf(), 'password');
    const passed = await access.sessions.pass(session, factsOf());
    const jar = passed.cookies.map((line) => line.split('; ')[0]).join('; ');
    const headers = { Cookie: jar, 'X-CSRF-Token': access.sessions.csrfTokenOf(passed.session.id) };
    expect((await send(headers, 'GET', '/me')).status).toBe(200);
    return { ...person, headers };
  };
  const stateOf = async (id: string) => {
    const { totp, backupCodesLeft } = await access.secondFactor.state(id);
    return [totp, backupCodesLeft];
  };

  test('is taken away by an administrator, with every session that they have', async () => {
    const { id, headers } = await careful('editor');
    expect(await stateOf(id)).toEqual([true, 10]);
    expect((await drop(root, id)).status).toBe(204);
    expect(await stateOf(id)).toEqual([false, 0]);
    const who = async () => (await send(headers, 'GET', '/me')).code;
    await expect.poll(who, { interval: 5 }).toBe('CREDENTIALS_MISSING');
    expect((await send(root, 'GET', '/me')).status).toBe(200);
    expect((await drop(root, id)).status).toBe(204);
    expect((await drop(root, ghost('user'))).code).toBe('PERSON_NOT_FOUND');
  });

  test('stays where who asks may do less than the person, comes with a token, or asks for themselves', async () => {
    await put('desk', { 'user:read': 'organization', 'user:write': 'organization' });
    const desk = await newcomer('desk');
    const editor = await careful('editor', { shop: null });
    expect((await drop(desk.headers, editor.id)).code).toBe('GRANT_BEYOND_OWN');
    expect((await drop((await access.tokenOf(rootId)).headers, editor.id)).code).toBe('FORBIDDEN');
    expect((await drop(editor.headers, editor.id)).code).toBe('FORBIDDEN');
    expect(await stateOf(editor.id)).toEqual([true, 10]);
    expect((await send(editor.headers, 'GET', '/me')).status).toBe(200);
    const second = await careful('admin');
    expect((await drop(second.headers, second.id)).code).toBe('SECOND_FACTOR_OWN');
    expect(await stateOf(second.id)).toEqual([true, 10]);
    const equal = await careful('desk');
    expect((await drop(desk.headers, equal.id)).status).toBe(204);
    await access.people.setRole(second.id, 'viewer');
  });
});
