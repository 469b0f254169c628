import type { z } from 'zod';
import { type Caller, mayEnter, teamsOf } from '#contract/caller.ts';
import type { environmentView } from '#contract/environments.ts';
import type { Handlers } from '#contract/routes.ts';
import { environmentFile } from '#environments/layout.ts';
import type { Environment } from '#environments/schema.ts';
import { blobIdOf } from '#git/blob-id.ts';
import { environmentNow, type ProjectDoors, tipOf } from './doors.ts';
import { countByHealth } from './store.ts';

export const listEnvironments =
  (doors: ProjectDoors): Handlers['listEnvironments'] =>
  async ({ caller }) => {
    const tip = await tipOf(doors);
    const environments = [...(await doors.environments.at(tip)).values()].filter(({ name }) => mayEnter(caller, name));
    const items = await Promise.all(environments.map((environment) => view(doors, caller, environment, tip)));
    return { json: { items, next: null } };
  };

export const getEnvironment =
  (doors: ProjectDoors): Handlers['getEnvironment'] =>
  async ({ caller, params, wanted }) => {
    const { tip, environment } = await environmentNow(doors, params.environment);
    const content = await doors.repository.read(tip, environmentFile(environment.name));
    const etag = content === undefined ? undefined : blobIdOf(content);
    if (wanted === 'yaml') return { yaml: Buffer.from(content ?? '').toString('utf8'), etag };
    const { name, ...settings } = environment;
    const signatures = {
      required: environment.signatures.required,
      ownKey: doors.repository.signer?.publicKey ?? null,
      unsigned: [...doors.unsignedIn(name)].map(([path, one]) => ({ path, ...one })),
    };
    return {
      etag,
      json: { ...(await view(doors, caller, environment, tip)), etag: etag ?? null, signatures, settings },
    };
  };

/** Only projects that the caller may see are counted. */
async function view(
  doors: ProjectDoors,
  caller: Caller,
  { name, domain, next }: Environment,
  tip: string,
): Promise<z.input<typeof environmentView>> {
  const found = doors.runtimeOf(name);
  const state = found?.runtime.state();
  const health = await countByHealth(doors.database, name, teamsOf(caller, 'project:read'));
  return {
    name,
    runtime: {
      kind: found?.runtime.kind ?? 'none',
      because: found?.because ?? 'it came after the start of this process',
      connected: state?.connected ?? false,
      reason: state?.reason ?? '',
    },
    domain,
    next: next ?? null,
    projects: { total: Object.values(health).reduce((sum, count) => sum + count, 0), health },
    revision: tip,
  };
}
