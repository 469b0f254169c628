import { Fault } from '#base/errors.ts';
import type { Caller } from '#contract/caller.ts';
import type { Handlers } from '#contract/routes.ts';
import { notify } from '#database/listen.ts';
import { environmentScope, organization, teamScope } from '#secrets/scope.ts';
import type { SecretView } from '#secrets/secrets.ts';
import { bindVaultFolder, unbindVaultFolder, type VaultFolder, vaultFolderOf } from '#secrets/vault-folder.ts';
import { environmentNow, type ProjectDoors } from './doors.ts';
import { checkPlace, given } from './secret-places.ts';
import { entryOf, toView } from './secrets.ts';

type Body = Parameters<typeof given>[0] & { readonly grants?: readonly string[] | undefined };

/** The handlers of secrets that are wider than a project: of a team, an environment, the organization. */
export const createWideSecretHandlers = (doors: ProjectDoors) =>
  ({
    listOrganizationSecrets: () => list(doors, organization),
    putOrganizationSecret: ({ caller, params, body }) => put(doors, caller, organization, params.name, body),
    deleteOrganizationSecret: ({ params }) => remove(doors, organization, params.name),

    listTeamSecrets: ({ params }) => list(doors, teamScope(params.team)),
    putTeamSecret: async ({ caller, params, body }) => {
      await checkPlace(doors, caller, params.team, body);
      return put(doors, caller, teamScope(params.team), params.name, body);
    },
    deleteTeamSecret: ({ params }) => remove(doors, teamScope(params.team), params.name),

    listEnvironmentSecrets: async ({ params: { environment } }) => {
      await environmentNow(doors, environment);
      return list(doors, environmentScope(environment));
    },
    putEnvironmentSecret: async ({ caller, params: { environment, name }, body }) => {
      await environmentNow(doors, environment);
      return put(doors, caller, environmentScope(environment), name, body);
    },
    deleteEnvironmentSecret: ({ params: { environment, name } }) => remove(doors, environmentScope(environment), name),

    getVaultFolder: async ({ params: { team } }) => ({ json: toFolder(await vaultFolderOf(doors.database, team)) }),
    putVaultFolder: async ({ caller, params: { team }, body }) => {
      const before = await boundTo(doors, team);
      const folder = await bindVaultFolder(doors.database, team, body.path, caller.name);
      return { json: toFolder(folder), audit: { before, after: folder.path } };
    },
    deleteVaultFolder: async ({ params: { team } }) => {
      const before = await boundTo(doors, team);
      await unbindVaultFolder(doors.database, team);
      return { audit: { before } };
    },
  }) satisfies Partial<Handlers>;

async function list({ secrets }: ProjectDoors, scope: string) {
  return { json: { items: (await secrets.list(scope)).map(toGrantedView), next: null } };
}

async function put(doors: ProjectDoors, caller: Caller, scope: string, name: string, body: Body) {
  const { secrets, database } = doors;
  const before = (await secrets.list(scope)).find((entry) => entry.name === name);
  await secrets.set(scope, name, given(body), caller.name);
  if (body.grants !== undefined) await secrets.grant(scope, name, body.grants, caller.name);
  await notify(database, 'secrets', name);
  const after = await entryOf(doors, scope, name);
  return {
    json: toGrantedView(after),
    audit: { before: before && toGrantedView(before), after: toGrantedView(after) },
  };
}

async function remove(doors: ProjectDoors, scope: string, name: string) {
  const before = await entryOf(doors, scope, name);
  await doors.secrets.remove(scope, name);
  await notify(doors.database, 'secrets', name);
  return { audit: { before: toGrantedView(before) } };
}

const toGrantedView = (entry: SecretView) => ({ ...toView(entry), grants: entry.grants });

async function boundTo({ database }: ProjectDoors, team: string): Promise<string | undefined> {
  try {
    return (await vaultFolderOf(database, team)).path;
  } catch (error) {
    if (Fault.is(error, 'VAULT_FOLDER_NOT_FOUND')) return undefined;
    throw error;
  }
}

const toFolder = ({ team, path, updatedBy, updatedAt }: VaultFolder) => ({
  team,
  path,
  updatedBy,
  updatedAt: updatedAt.toISOString(),
});
