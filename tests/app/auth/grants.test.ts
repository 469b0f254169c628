import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Office, openAccess, openOffice, type Sent, type TestAccess } from '#support/access.ts';
import { useDatabase } from '#support/postgres.ts';

const db = useDatabase();

let access: TestAccess;
let office: Office;
let root: Sent;
const send: Office['send'] = (...given) => office.send(...given);
const newcomer: Office['newcomer'] = (...given) => office.newcomer(...given);

beforeAll(async () => {
  access = await openAccess(db);
  office = await openOffice(access);
  ({ root } = office);
});
afterAll(() => access.close());

const put = async (name: string, grants: object) =>
  expect(await send(root, 'PUT', `/roles/${name}`, { grants })).toMatchObject({ status: 200 });

describe('nobody grants what they do not hold', () => {
  /** May do all about people, and little else. */
  const manager = {
    'user:read': 'organization',
    'user:write': 'organization',
    'team:read': 'organization',
    'team:write': 'organization',
    'role:read': 'organization',
    'role:write': 'organization',
    'invitation:read': 'organization',
    'invitation:write': 'organization',
    'service-account:read': 'organization',
    'service-account:write': 'organization',
    'token:read': 'organization',
    'token:write': 'personal',
    'project:read': 'organization',
  };
  let someone: Awaited<ReturnType<typeof newcomer>>;
  let viewer: Awaited<ReturnType<typeof newcomer>>;
  beforeAll(async () => {
    await put('manager', manager);
    await put('reader', { 'project:read': 'team' });
    await put('writer', { 'project:read': 'team', 'project:write': 'team' });
    someone = await newcomer('manager');
    viewer = await newcomer('reader');
  });
  const beyond = async (method: string, path: string, body: unknown, missing: readonly string[]) => {
    const reply = await send(someone.headers, method, path, body);
    expect([reply.status, reply.code, reply.json?.data?.missing]).toEqual([403, 'GRANT_BEYOND_OWN', missing]);
  };

  test('making a role', async () => {
    expect(
      (await send(someone.headers, 'PUT', '/roles/fine', { grants: { 'project:read': 'organization' } })).status,
    ).toBe(200);
    await beyond(
      'PUT',
      '/roles/bad',
      { grants: { 'project:read': 'team', 'secret:read': 'team', 'audit:read': 'organization' } },
      ['secret:read', 'audit:read'],
    );
    // A personal right does not become one over all.
    await beyond('PUT', '/roles/bad', { grants: { 'token:write': 'organization' } }, ['token:write']);
    await beyond('PUT', '/roles/bad', { grants: { 'token:write': 'team' } }, ['token:write']);
  });

  test('changing a role, up and down', async () => {
    await beyond('PUT', '/roles/reader', { grants: { 'project:read': 'team', 'log:read': 'team' } }, ['log:read']);
    await beyond('PUT', '/roles/writer', { grants: { 'project:read': 'team' } }, ['project:write']);
    await beyond('DELETE', '/roles/writer', undefined, ['project:write']);
  });

  test('giving a role', async () => {
    await beyond('PATCH', `/users/${viewer.id}`, { role: 'writer' }, ['project:write']);
    await beyond('PATCH', `/users/${someone.id}`, { role: 'writer' }, ['project:write']);
    expect((await send(someone.headers, 'PATCH', `/users/${someone.id}`, { role: 'admin' })).code).toBe(
      'GRANT_BEYOND_OWN',
    );
    const user = { email: 'new@example.com', name: 'New' };
    await beyond('POST', '/users', { ...user, role: 'writer' }, ['project:write']);
    expect((await send(someone.headers, 'POST', '/users', { ...user, role: 'reader' })).status).toBe(201);
  });

  test('a membership', async () => {
    await beyond('PUT', `/teams/shop/members/${viewer.id}`, { role: 'writer' }, ['project:write']);
    expect((await send(someone.headers, 'PUT', `/teams/shop/members/${viewer.id}`, {})).status).toBe(200);
    // In a team the role of the organization counts: putting an editor in grants what editors may do there.
    const editor = await newcomer('editor');
    const { code, json } = await send(someone.headers, 'PUT', `/teams/shop/members/${editor.id}`, {});
    expect([code, json.data.missing]).toEqual([
      'GRANT_BEYOND_OWN',
      ['environment:read', 'project:write', 'project:delete', 'log:read', 'secret:read', 'secret:write', 'state:write'],
    ]);
  });

  test('a team leader gives in the own team what they may do there, and nothing elsewhere', async () => {
    await put('leader', { 'team:read': 'team', 'team:write': 'team', 'project:read': 'team', 'project:write': 'team' });
    const leader = await newcomer('viewer', { shop: 'leader' });
    const { id } = await newcomer('reader');
    const join = (team: string, role: string) => send(leader.headers, 'PUT', `/teams/${team}/members/${id}`, { role });
    expect((await join('shop', 'writer')).status).toBe(200);
    expect((await join('shop', 'leader')).status).toBe(200);
    expect((await join('shop', 'editor')).code).toBe('GRANT_BEYOND_OWN');
    expect((await join('shop', 'admin')).code).toBe('GRANT_BEYOND_OWN');
    expect((await join('blog', 'writer')).code).toBe('FORBIDDEN');
    expect((await send(leader.headers, 'DELETE', `/teams/shop/members/${id}`)).status).toBe(204);
    expect((await send(leader.headers, 'PUT', '/teams/mine', {})).code).toBe('FORBIDDEN');
  });

  test('a team leader takes nobody down or out who may do more there, for whichever reason they do', async () => {
    const held = { 'team:write': 'team', 'team:read': 'team', 'project:read': 'team' };
    await put('teamlead', held);
    const leader = await newcomer('reader', { shop: 'teamlead' });
    const path = (id: string) => `/teams/shop/members/${id}`;
    const rolesOf = async (id: string) =>
      (await send(root, 'GET', '/teams/shop/members')).json.items
        .filter((member: { id: string }) => member.id === id)
        .map(({ role }: { role: string | null }) => role);
    const stays = async (id: string) => {
      const before = await rolesOf(id);
      for (const [method, body] of [
        ['PUT', { role: 'reader' }],
        ['PUT', { role: 'teamlead' }],
        ['DELETE', undefined],
      ] as const)
        expect((await send(leader.headers, method, path(id), body)).code, method).toBe('GRANT_BEYOND_OWN');
      expect(await rolesOf(id)).toEqual(before);
    };
    await stays((await newcomer('reader', { shop: 'editor' })).id);
    // By the role of the organization.
    await stays((await newcomer('editor', { shop: null })).id);
    // For two reasons, of which the one that comes first in a list may less.
    const twice = await newcomer('reader', { shop: 'editor' });
    await access.people.syncTeams(twice.id, 'identity:okta', ['shop']);
    expect(await rolesOf(twice.id)).toEqual([null, 'editor']);
    await stays(twice.id);
    const equal = await newcomer('reader', { shop: 'teamlead' });
    expect((await send(leader.headers, 'PUT', path(equal.id), { role: 'reader' })).status).toBe(200);
    expect((await send(leader.headers, 'DELETE', path(equal.id))).status).toBe(204);
  });

  test('nor while somebody else lifts them up', async () => {
    await put('teamlead', { 'team:write': 'team', 'team:read': 'team', 'project:read': 'team' });
    const leader = await newcomer('reader', { shop: 'teamlead' });
    const people = await Promise.all(Array.from({ length: 8 }, () => newcomer('reader', { shop: 'reader' })));
    await Promise.all(
      people.flatMap(({ id }) => [
        send(root, 'PUT', `/teams/shop/members/${id}`, { role: 'editor' }),
        send(leader.headers, 'PUT', `/teams/shop/members/${id}`, { role: 'teamlead' }),
        send(leader.headers, 'DELETE', `/teams/shop/members/${id}`),
      ]),
    );
    const { items } = (await send(root, 'GET', '/teams/shop/members')).json;
    const roleOf = (id: string) => items.find((member: { id: string }) => member.id === id)?.role;
    expect(people.map(({ id }) => roleOf(id))).toEqual(people.map(() => 'editor'));
  });

  test('nor a service account, while somebody else lifts it up', async () => {
    await put('keeper', {
      'service-account:read': 'organization',
      'service-account:write': 'organization',
      'project:read': 'organization',
    });
    const keeper = await newcomer('keeper');
    const wish = { name: 'lifted', role: 'reader', teams: [{ team: 'shop' }] };
    const { id } = (await send(root, 'POST', '/service-accounts', wish)).json;
    const waiting = async () => {
      const sql = `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`;
      return (await db.database.query(sql)).rowCount;
    };
    const held = await db.database.transaction(async (tx) => {
      await tx.query(`update service_accounts set role = 'writer' where id = $1`, [id]);
      const lowered = send(keeper.headers, 'PATCH', `/service-accounts/${id}`, { role: 'reader' });
      await expect.poll(waiting, { interval: 5 }).toBe(1);
      return { lowered };
    });
    expect((await held.lowered).code).toBe('GRANT_BEYOND_OWN');
    expect((await send(root, 'GET', `/service-accounts/${id}`)).json.role).toBe('writer');
  });

  test('an invitation', async () => {
    const invite = (role: string) => ({ email: 'guest@example.com', role, team: 'shop' });
    await beyond('POST', '/invitations', invite('writer'), ['project:write']);
    expect((await send(someone.headers, 'POST', '/invitations', invite('reader'))).status).toBe(201);
  });

  test('a service account and its tokens', async () => {
    const wish = (name: string, role: string, inTeam: string | null = null) => ({
      name,
      role,
      teams: [{ team: 'shop', role: inTeam }],
    });
    await beyond('POST', '/service-accounts', wish('robot', 'writer'), ['project:write']);
    await beyond('POST', '/service-accounts', wish('robot', 'reader', 'writer'), ['project:write']);
    const strong = (await send(root, 'POST', '/service-accounts', wish('strong', 'writer'))).json.id;
    await beyond('POST', `/service-accounts/${strong}/tokens`, { name: 'x' }, ['project:write']);
    await beyond('PATCH', `/service-accounts/${strong}`, { disabled: true }, ['project:write']);
    await beyond('DELETE', `/service-accounts/${strong}`, undefined, ['project:write']);
    const weak = (await send(someone.headers, 'POST', '/service-accounts', wish('weak', 'reader'))).json.id;
    await beyond('PATCH', `/service-accounts/${weak}`, { role: 'writer' }, ['project:write']);
    expect((await send(someone.headers, 'POST', `/service-accounts/${weak}/tokens`, { name: 'x' })).status).toBe(201);
  });

  test('scopes of a token', async () => {
    await beyond('POST', '/tokens', { name: 'x', scopes: ['project:read', 'secret:read'] }, ['secret:read']);
    const leader = await newcomer('editor', { shop: null });
    const make = (wish: object) => send(leader.headers, 'POST', '/tokens', { name: 'x', ...wish });
    expect((await make({ scopes: ['project:write', 'self:read'], teams: ['shop'] })).status).toBe(201);
    expect((await make({ scopes: ['project:write'], teams: ['shop', 'blog'] })).json.data).toEqual({
      missing: ['project:write'],
    });
    expect((await make({ scopes: [] })).code).toBe('REQUEST_INVALID');
  });

  test('somebody who may do more is not touched', async () => {
    const editor = await newcomer('editor', { blog: null });
    for (const [method, path, body] of [
      ['PATCH', '', { disabled: true }],
      ['PATCH', '', { name: 'Mallory' }],
      ['DELETE', '', undefined],
      ['DELETE', '/sessions', undefined],
    ] as const) {
      const reply = await send(someone.headers, method, `/users/${editor.id}${path}`, body);
      expect(reply.code, `${method} ${path}`).toBe('GRANT_BEYOND_OWN');
    }
    expect((await send(someone.headers, 'PATCH', `/users/${viewer.id}`, { name: 'Vera' })).status).toBe(200);
  });
});
