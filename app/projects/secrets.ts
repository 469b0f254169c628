import { Fault } from '#base/errors.ts';
import type { Handlers } from '#contract/routes.ts';
import type { ProjectKey } from '#environments/layout.ts';
import { projectScope, type Scope } from '#secrets/scope.ts';
import type { SecretView } from '#secrets/secrets.ts';
import { environmentNow, type ProjectDoors } from './doors.ts';
import { checkPlace, given } from './secret-places.ts';
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
    const before = await refuseGenerated(doors, params);
    await checkPlace(doors, caller, params.team, body);
    await doors.secrets.set(projectScope(params), params.name, given(body), caller.name);
    await wakeProject(doors.database, params);
    const after = toView(await entryOf(doors, projectScope(params), params.name));
    return { json: after, audit: { before: before && toView(before), after } };
  };

export const deleteSecret =
  (doors: ProjectDoors): Handlers['deleteSecret'] =>
  async ({ params }) => {
    const before = await entryOf(doors, projectScope(params), params.name);
    await refuseGenerated(doors, params);
    await doors.secrets.remove(projectScope(params), params.name);
    await wakeProject(doors.database, params);
    return { audit: { before: toView(before) } };
  };

/**
 * A generated value stands in the data of its service since the first start; only there could it be changed.
 * @returns what there is under the name
 */
async function refuseGenerated(
  doors: ProjectDoors,
  { name, ...key }: ProjectKey & { name: string },
): Promise<SecretView | undefined> {
  const entry = (await doors.secrets.list(projectScope(key))).find((secret) => secret.name === name);
  if (entry?.generated) throw new Fault('SECRET_GENERATED', { ...key, secret: name });
  return entry;
}

/** @throws Fault SECRET_NOT_FOUND */
export async function entryOf(doors: ProjectDoors, scope: Scope, name: string): Promise<SecretView> {
  const entry = (await doors.secrets.list(scope)).find((secret) => secret.name === name);
  if (entry === undefined) throw new Fault('SECRET_NOT_FOUND', { secret: name });
  return entry;
}

export const toView = ({ name, version, generated, vault, updatedBy, updatedAt }: SecretView) => ({
  name,
  version,
  generated,
  vault,
  updatedBy,
  updatedAt: updatedAt.toISOString(),
});
