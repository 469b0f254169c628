import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Secret } from '#base/secret.ts';
import { projectScope, teamScope } from '#secrets/scope.ts';
import { bindVaultFolder, vaultFolderOf } from '#secrets/vault-folder.ts';
import { goodPassword, type Office, openAccess, openOffice, type Sent, type TestAccess } from '#support/access.ts';
import { useDatabase } from '#support/postgres.ts';

const db = useDatabase();

let access: TestAccess;
let office: Office;
let root: Sent;
const send: Office['send'] = (...given) => office.send(...given);

beforeAll(async () => {
  access = await openAccess(db);
  office = await openOffice(access);
  ({ root } = office);
});
afterAll(() => access.close());

const make = () => send(root, 'PUT', '/teams/owner', { title: 'Owners' });
const remove = () => send(root, 'DELETE', '/teams/owner');
const web = { environment: 'local', team: 'owner', project: 'web' };
const api = { environment: 'dev', team: 'owner', project: 'api' };

beforeEach(async () => {
  expect((await make()).status).toBe(200);
});
afterEach(async () => {
  await db.database.query('truncate secret_values, projects, project_status, invitations cascade');
  await remove();
});

describe('a team is not deleted while it owns something', () => {
  const left = async () => {
    const reply = await remove();
    expect([reply.status, reply.code]).toEqual([409, 'TEAM_IN_USE']);
    expect((await send(root, 'GET', '/teams/owner')).status).toBe(200);
    return reply.json.data.left;
  };

  test('projects', async () => {
    await db.database.query(
      `insert into projects (id, environment, team, project, created_by) values ('prj_1', 'local', 'owner', 'web', 'ada')`,
    );
    expect(await left()).toEqual(['1 project']);
    await db.database.query('delete from projects');
    expect((await remove()).status).toBe(204);
    expect((await send(root, 'GET', '/teams/owner')).code).toBe('TEAM_NOT_FOUND');
    expect((await remove()).code).toBe('TEAM_NOT_FOUND');
  });

  test('secrets, its own and those of its projects, which no other team’s are', async () => {
    for (const name of ['one', 'two']) await access.secrets.set(teamScope('owner'), name, new Secret('value'), 'ann');
    await access.secrets.set(web, 'token', new Secret('value'), 'ann');
    await access.secrets.set(api, 'token', new Secret('value'), 'ann');
    await access.secrets.set({ ...web, team: 'owners' }, 'token', new Secret('value'), 'ann');
    await access.secrets.set('team/owners', 'token', new Secret('value'), 'ann');
    expect(await left()).toEqual([
      '1 secret of project dev/owner/api',
      '1 secret of project local/owner/web',
      '2 secrets of its own',
    ]);
    for (const name of ['one', 'two']) await access.secrets.remove(teamScope('owner'), name);
    for (const key of [web, api]) await access.secrets.remove(key, 'token');
    expect((await remove()).status).toBe(204);
    expect(await access.secrets.list('team/owners')).toHaveLength(1);
    expect(await access.secrets.list({ ...web, team: 'owners' })).toHaveLength(1);
  });

  test('and what is refused has lost nothing', async () => {
    await access.secrets.set(teamScope('owner'), 'one', new Secret('value'), 'ann');
    await access.secrets.ensureGenerated(web, [{ name: 'made', length: 20 }], 'plinth');
    await bindVaultFolder(db.database, 'owner', 'secret/data/owner', 'ann');
    const bound = await access.tokenOf(office.rootId, { teams: ['owner'] });
    expect(await left()).toEqual(['1 secret of its own']);
    expect(await access.secrets.list(web)).toHaveLength(1);
    expect((await vaultFolderOf(db.database, 'owner')).path).toBe('secret/data/owner');
    expect((await send(bound.headers, 'GET', '/teams/owner')).status).toBe(200);
  });
});

describe('a later team of the same name gets nothing of the one before', () => {
  const again = async () => {
    expect((await remove()).status).toBe(204);
    expect((await make()).status).toBe(200);
  };

  test('no member, no folder of Vault, no value that was made for a project', async () => {
    const { id } = await office.newcomer('viewer', { owner: 'editor' });
    await bindVaultFolder(db.database, 'owner', 'secret/data/owner', 'ann');
    await bindVaultFolder(db.database, 'shop', 'secret/data/shop', 'ann');
    await access.secrets.ensureGenerated(web, [{ name: 'made', length: 20 }], 'plinth');
    await access.secrets.ensureGenerated({ ...web, team: 'shop' }, [{ name: 'made', length: 20 }], 'plinth');
    await again();
    expect((await access.people.find(id))?.memberships).toEqual([]);
    await expect(vaultFolderOf(db.database, 'owner')).rejects.toMatchObject({ code: 'VAULT_FOLDER_NOT_FOUND' });
    expect((await vaultFolderOf(db.database, 'shop')).path).toBe('secret/data/shop');
    expect(await access.secrets.list(projectScope(web))).toEqual([]);
    expect(await access.secrets.list({ ...web, team: 'shop' })).toHaveLength(1);
  });

  test('no secret of others that was granted to it', async () => {
    await access.secrets.set('organization', 'pull', new Secret('value'), 'ann');
    await access.secrets.grant('organization', 'pull', ['*/owner/*', 'local/shop/web'], 'ann');
    await access.secrets.set('environment/local', 'only', new Secret('value'), 'ann');
    await access.secrets.grant('environment/local', 'only', ['local/owner/web'], 'ann');
    await access.secrets.set('team/shop', 'all', new Secret('value'), 'ann');
    await access.secrets.grant('team/shop', 'all', ['*/*/*'], 'ann');
    expect(await access.secrets.missing(web, ['pull', 'only'])).toEqual([]);
    await again();
    expect(await access.secrets.missing(web, ['pull', 'only'])).toEqual(['pull', 'only']);
    const grants = async (scope: string) => (await access.secrets.list(scope)).map((secret) => secret.grants);
    expect([await grants('organization'), await grants('environment/local'), await grants('team/shop')]).toEqual([
      [['local/shop/web']],
      [[]],
      [['*/*/*']],
    ]);
  });

  test('no token that was bound to it', async () => {
    const bound = await access.tokenOf(office.rootId, { teams: ['owner'] });
    const both = await access.tokenOf(office.rootId, { teams: ['owner', 'shop'] });
    const free = await access.tokenOf(office.rootId);
    const teamsSeen = async ({ headers }: { headers: Sent }) =>
      (await send(headers, 'GET', '/teams')).json.items.map(({ name }: { name: string }) => name);
    expect(await teamsSeen(bound)).toEqual(['owner']);
    await again();
    await expect.poll(() => teamsSeen(bound), { interval: 5 }).toEqual([]);
    await expect.poll(() => teamsSeen(both), { interval: 5 }).toEqual(['shop']);
    expect(await teamsSeen(free)).toContain('owner');
    expect((await send(bound.headers, 'GET', '/teams/owner')).code).toBe('FORBIDDEN');
    const tokens = (await send(root, 'GET', '/tokens')).json.items as { id: string; teams: string[] | null }[];
    const teamsOf = ({ id }: { id: string }) => tokens.find((token) => token.id === id)?.teams;
    expect([teamsOf(bound), teamsOf(both), teamsOf(free)]).toEqual([[], ['shop'], null]);
  });

  test('nobody who was invited into it', async () => {
    const invite = async (email: string, team: string) => {
      const wish = { email, role: 'viewer', team, send: 'link' };
      const { link } = (await send(root, 'POST', '/invitations', wish)).json as { link: string };
      return { token: new URL(link).searchParams.get('token'), name: 'New', password: goodPassword };
    };
    const one = await invite('one@example.com', 'owner');
    const two = await invite('two@example.com', 'shop');
    await again();
    expect((await send({}, 'POST', '/invitations/accept', one)).code).toBe('LINK_INVALID');
    expect((await send({}, 'POST', '/invitations/accept', two)).status).toBe(201);
    expect((await send(root, 'GET', '/teams/owner/members')).json.items).toEqual([]);
  });
});
