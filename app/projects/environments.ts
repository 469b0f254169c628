import type { z } from 'zod';
import type { environmentView } from '#contract/environments.ts';
import type { Handlers } from '#contract/routes.ts';
import { environmentFile } from '#environments/layout.ts';
import type { Environment } from '#environments/schema.ts';
import { blobIdOf } from '#git/blob-id.ts';
import { environmentNow, type ProjectDoors, tipOf } from './doors.ts';
import { countByHealth } from './store.ts';

export const listEnvironments =
  (doors: ProjectDoors): Handlers['listEnvironments'] =>
  async () => {
    const tip = await tipOf(doors);
    const environments = await doors.environments.at(tip);
    const items = await Promise.all([...environments.values()].map((environment) => view(doors, environment, tip)));
    return { json: { items, next: null } };
  };

export const getEnvironment =
  (doors: ProjectDoors): Handlers['getEnvironment'] =>
  async ({ params, wanted }) => {
    const { tip, environment } = await environmentNow(doors, params.environment);
    const content = await doors.repository.read(tip, environmentFile(environment.name));
    const etag = content === undefined ? undefined : blobIdOf(content);
    if (wanted === 'yaml') return { yaml: Buffer.from(content ?? '').toString('utf8'), etag };
    const { name, ...settings } = environment;
    return { etag, json: { ...(await view(doors, environment, tip)), etag: etag ?? null, settings } };
  };

async function view(
  doors: ProjectDoors,
  { name, domain, next }: Environment,
  tip: string,
): Promise<z.input<typeof environmentView>> {
  const found = doors.runtimeOf(name);
  const state = found?.runtime.state();
  const health = await countByHealth(doors.database, name);
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
