import { Fault } from '#base/errors.ts';
import type { Queryable } from '#database/pool.ts';
import { deleteVaultFolder, readVaultFolder, type VaultFolder, writeVaultFolder } from './store.ts';
import { cleanPath } from './vault/reference.ts';

export type { VaultFolder } from './store.ts';

/** The folder of Vault that a team is bound to. @throws Fault VAULT_FOLDER_NOT_FOUND */
export async function vaultFolderOf(database: Queryable, team: string): Promise<VaultFolder> {
  const folder = await readVaultFolder(database, team);
  if (folder === undefined) throw new Fault('VAULT_FOLDER_NOT_FOUND', { team });
  return folder;
}

/** @throws Fault VAULT_PATH_REFUSED for what is no path */
export async function bindVaultFolder(
  database: Queryable,
  team: string,
  path: string,
  actor: string,
): Promise<VaultFolder> {
  return writeVaultFolder(database, { team, path: cleanPath(path), updatedBy: actor });
}

/** What refers to the folder already stays. @throws Fault VAULT_FOLDER_NOT_FOUND */
export async function unbindVaultFolder(database: Queryable, team: string): Promise<void> {
  if (!(await deleteVaultFolder(database, team))) throw new Fault('VAULT_FOLDER_NOT_FOUND', { team });
}

/**
 * Whoever may set a team's secrets could otherwise read all that Plinth's own token may read in Vault: their references
 * stay below the team's folder, and without one there are none.
 * @throws Fault VAULT_PATH_REFUSED
 */
export async function checkVaultFolder(database: Queryable, team: string, path: string): Promise<void> {
  const folder = await readVaultFolder(database, team);
  const clean = cleanPath(path);
  if (folder === undefined)
    throw new Fault('VAULT_PATH_REFUSED', {
      path: clean,
      why: `team ${team} is bound to no folder of Vault; an administrator does that with PUT /api/v1/teams/${team}/vault-folder`,
    });
  if (!`${clean}/`.startsWith(`${folder.path}/`))
    throw new Fault('VAULT_PATH_REFUSED', { path: clean, why: `team ${team} is bound to ${folder.path}` });
}
