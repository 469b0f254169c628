import { Secret } from '#base/secret.ts';
import type { Caller } from '#contract/caller.ts';
import { checkVaultFolder } from '#secrets/vault-folder.ts';
import type { ProjectDoors } from './doors.ts';

/** The body of a PUT: exactly one of both, as the contract checks. */
interface ValueOrPlace {
  readonly value?: string | undefined;
  readonly vault?: { readonly path: string; readonly key: string } | undefined;
}

/** The body as the store takes it. */
export const given = ({ value, vault }: ValueOrPlace) => vault ?? new Secret(value ?? '');

/**
 * Who sets secrets for all of the organization may refer to all that Plinth may read in Vault; others stay below their
 * team's folder.
 * @throws Fault VAULT_PATH_REFUSED
 */
export async function checkPlace(
  { database }: ProjectDoors,
  caller: Caller,
  team: string,
  { vault }: ValueOrPlace,
): Promise<void> {
  if (vault === undefined || caller.may.get('secret:write') === 'organization') return;
  await checkVaultFolder(database, team, vault.path);
}
