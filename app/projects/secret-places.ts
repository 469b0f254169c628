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

/** A token bound to some environments sets no secret of the organization: what holds for teams holds for it. */
const mayEverywhere = (caller: Caller) =>
  caller.may.get('secret:write') === 'organization' && caller.environments === 'all';

/**
 * Who sets secrets for all of the organization may refer to all that Plinth may read in Vault; others stay below their
 * team's folder.
 * @throws Fault VAULT_PATH_REFUSED
 */
export async function checkPlace(
  { database }: Pick<ProjectDoors, 'database'>,
  caller: Caller,
  team: string,
  { vault }: ValueOrPlace,
): Promise<void> {
  if (vault === undefined || mayEverywhere(caller)) return;
  await checkVaultFolder(database, team, vault.path);
}
