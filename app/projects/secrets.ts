import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import type { Handlers } from '#contract/routes.ts';
import { notify } from '#database/listen.ts';
import type { ProjectKey } from '#environments/layout.ts';
import { organization, projectScope, type Scope } from '#secrets/scope.ts';
import type { SecretView } from '#secrets/store.ts';
import { environmentNow, type ProjectDoors } from './doors.ts';
import { wakeProject } from './store.ts';

/** Secrets of a project may be set before the project itself, so that its first change finds them. */
export const listSecrets =
  (doors: ProjectDoors): Handlers['listSecrets'] =>
  async ({ params: key }) => {
    await environmentNow(doors, key.environment);
    const entries = await doors.secrets.list(projectScope(key));
    return { json: { items: entries.map(toView), next: null } };
  };

export const getSecret =
  (doors: ProjectDoors): Handlers['getSecret'] =>
  async ({ params }) => ({ json: toView(await entryOf(doors, projectScope(params), params.name)) });

export const putSecret =
  (doors: ProjectDoors): Handlers['putSecret'] =>
  async ({ caller, params, body }) => {
    await environmentNow(doors, params.environment);
    await refuseGenerated(doors, params);
    await doors.secrets.set(projectScope(params), params.name, new Secret(body.value), caller.name);
    await wakeProject(doors.database, params);
    return { json: toView(await entryOf(doors, projectScope(params), params.name)) };
  };

export const deleteSecret =
  (doors: ProjectDoors): Handlers['deleteSecret'] =>
  async ({ params }) => {
    await entryOf(doors, projectScope(params), params.name);
    await refuseGenerated(doors, params);
    await doors.secrets.remove(projectScope(params), params.name);
    await wakeProject(doors.database, params);
    return {};
  };

export const listOrganizationSecrets =
  (doors: ProjectDoors): Handlers['listOrganizationSecrets'] =>
  async () => {
    const entries = await doors.secrets.list(organization);
    return { json: { items: entries.map(toOrganizationView), next: null } };
  };

export const putOrganizationSecret =
  (doors: ProjectDoors): Handlers['putOrganizationSecret'] =>
  async ({ caller, params: { name }, body }) => {
    await doors.secrets.set(organization, name, new Secret(body.value), caller.name);
    if (body.grants !== undefined) await doors.secrets.grant(organization, name, body.grants, caller.name);
    await notify(doors.database, 'secrets', name);
    return { json: toOrganizationView(await entryOf(doors, organization, name)) };
  };

export const deleteOrganizationSecret =
  (doors: ProjectDoors): Handlers['deleteOrganizationSecret'] =>
  async ({ params: { name } }) => {
    await entryOf(doors, organization, name);
    await doors.secrets.remove(organization, name);
    await notify(doors.database, 'secrets', name);
    return {};
  };

/** A generated value stands in the data of its service since the first start; only there could it be changed. */
async function refuseGenerated(doors: ProjectDoors, { name, ...key }: ProjectKey & { name: string }): Promise<void> {
  const entry = (await doors.secrets.list(projectScope(key))).find((secret) => secret.name === name);
  if (entry?.generated) throw new Fault('SECRET_GENERATED', { ...key, secret: name });
}

async function entryOf(doors: ProjectDoors, scope: Scope, name: string): Promise<SecretView> {
  const entry = (await doors.secrets.list(scope)).find((secret) => secret.name === name);
  if (entry === undefined) throw new Fault('SECRET_NOT_FOUND', { secret: name });
  return entry;
}

const toView = ({ name, version, generated, updatedBy, updatedAt }: SecretView) => ({
  name,
  version,
  generated,
  updatedBy,
  updatedAt: updatedAt.toISOString(),
});

const toOrganizationView = (entry: SecretView) => ({ ...toView(entry), grants: entry.grants });
