import type { Database } from '#database/pool.ts';
import { InvalidInput } from '#environments/finding.ts';
import { keyText, type ProjectKey } from '#environments/layout.ts';
import type { Environment } from '#environments/schema.ts';
import { renderSpec } from './prepare.ts';
import { readHosts } from './store.ts';

export interface HostDoors {
  readonly database: Database;
  readonly environments: ReadonlyMap<string, Environment>;
  /** A project's spec as it will stand; undefined for a project that is gone. */
  specOf(key: ProjectKey): Promise<string | Uint8Array | undefined>;
}

/**
 * Who else serves one of these hosts, as `[host, owner]`. The index answers nearly always; whom it names is looked at
 * in Git, since the very push or group that gives a host to one project may have taken it from another.
 */
export async function otherOwner(
  doors: HostDoors,
  key: ProjectKey,
  hosts: readonly string[],
): Promise<readonly [host: string, owner: ProjectKey] | undefined> {
  for (const [host, owner] of await readHosts(doors.database, hosts))
    if (keyText(owner) !== keyText(key) && (await serves(doors, owner, host))) return [host, owner];
  return undefined;
}

async function serves({ environments, specOf }: HostDoors, key: ProjectKey, host: string): Promise<boolean> {
  const environment = environments.get(key.environment);
  const spec = await specOf(key);
  if (environment === undefined || spec === undefined) return false;
  try {
    return renderSpec(key, spec, environment).hosts.includes(host);
  } catch (error) {
    if (error instanceof InvalidInput) return true; // What cannot be rendered stays as it was.
    throw error;
  }
}
