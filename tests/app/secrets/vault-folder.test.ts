import { beforeEach, expect, test } from 'vitest';
import { bindVaultFolder, checkVaultFolder, unbindVaultFolder, vaultFolderOf } from '#secrets/vault-folder.ts';
import { useDatabase } from '#support/postgres.ts';

const db = useDatabase();
const check = (path: string, team = 'shop') => checkVaultFolder(db.database, team, path);

beforeEach(async () => {
  await db.database.query('truncate team_vault_folders');
});

test('a team without a folder refers to nothing, and is told who binds it', async () => {
  await expect(check('secret/data/teams/shop/web')).rejects.toMatchObject({
    code: 'VAULT_PATH_REFUSED',
    data: { why: expect.stringContaining('PUT /api/v1/teams/shop/vault-folder') },
  });
  await expect(vaultFolderOf(db.database, 'shop')).rejects.toMatchObject({ code: 'VAULT_FOLDER_NOT_FOUND' });
});

test('a team with one refers to what is in it, whatever way a path tries to get out', async () => {
  const bound = await bindVaultFolder(db.database, 'shop', '/secret/data/teams/shop/', 'ann');
  expect(bound).toMatchObject({ team: 'shop', path: 'secret/data/teams/shop', updatedBy: 'ann' });
  for (const path of ['secret/data/teams/shop', 'secret/data/teams/shop/web', '/secret/data/teams/shop/a/b/'])
    await check(path);
  for (const path of [
    'secret/data/teams/shopping',
    'secret/data/teams',
    'secret/data/teams/other/web',
    'secret/metadata/teams/shop/web',
    'secret/data/teams/shop/../other/web',
    'secret/data/teams/shop/./web',
    'secret/data/teams/shop//web',
    'secret/data/teams/shop/%2e%2e/other',
    'secret/data/teams/shop/web?version=1',
    'SECRET/data/teams/shop/web',
  ])
    await expect(check(path), path).rejects.toMatchObject({ code: 'VAULT_PATH_REFUSED' });
  await expect(check('secret/data/teams/shop/web', 'other')).rejects.toMatchObject({ code: 'VAULT_PATH_REFUSED' });
});

test('it is bound anew and taken away', async () => {
  await bindVaultFolder(db.database, 'shop', 'secret/data/a', 'ann');
  await bindVaultFolder(db.database, 'shop', 'kv/b', 'bob');
  expect(await vaultFolderOf(db.database, 'shop')).toMatchObject({ path: 'kv/b', updatedBy: 'bob' });
  await unbindVaultFolder(db.database, 'shop');
  await expect(unbindVaultFolder(db.database, 'shop')).rejects.toMatchObject({ code: 'VAULT_FOLDER_NOT_FOUND' });
  await expect(bindVaultFolder(db.database, 'shop', '..', 'ann')).rejects.toMatchObject({ code: 'VAULT_PATH_REFUSED' });
});
