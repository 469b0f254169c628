import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import type { Handlers } from '#contract/routes.ts';
import type { ProjectKey } from '#environments/layout.ts';
import { projectScope } from '#secrets/scope.ts';
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
  async ({ params }) => ({ json: toView(await entryOf(doors, params, params.name)) });

export const putSecret =
  (doors: ProjectDoors): Handlers['putSecret'] =>
  async ({ caller, params, body }) => {
    await environmentNow(doors, params.environment);
    await doors.secrets.set(projectScope(params), params.name, new Secret(body.value), caller.name);
    await wakeProject(doors.database, params);
    return { json: toView(await entryOf(doors, params, params.name)) };
  };

export const deleteSecret =
  (doors: ProjectDoors): Handlers['deleteSecret'] =>
  async ({ params }) => {
    await entryOf(doors, params, params.name);
    await doors.secrets.remove(projectScope(params), params.name);
    await wakeProject(doors.database, params);
    return {};
  };

async function entryOf(doors: ProjectDoors, key: ProjectKey, name: string): Promise<SecretView> {
  const entry = (await doors.secrets.list(projectScope(key))).find((secret) => secret.name === name);
  if (entry === undefined) throw new Fault('SECRET_NOT_FOUND', { ...key, secret: name });
  return entry;
}

const toView = ({ name, version, generated, updatedBy, updatedAt }: SecretView) => ({
  name,
  version,
  generated,
  updatedBy,
  updatedAt: updatedAt.toISOString(),
});
