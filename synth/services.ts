import { type CatalogueEntry, entryOf } from './catalogue.ts';
import type { Check, ClaimPlan, Mount, Variable, WorkloadPlan } from './plan.ts';
import { resourcesOf } from './resources.ts';
import type { Project } from './schema.ts';
import { claimOf, passwordSecret } from './variables.ts';

/** A service of the catalogue as a workload. */
export function resolveService(
  name: string,
  service: Project['services'][string],
  claims: ReadonlyMap<string, ClaimPlan>,
): WorkloadPlan {
  const said = typeof service === 'string' ? undefined : service;
  const entry = entryOf(typeof service === 'string' ? service : service.kind);
  const claim = claimOf(name, service);
  const mounts = claims.has(claim) && entry.data !== undefined ? [mountOf(entry.data, claim)] : [];
  const lost = entry.data !== undefined && mounts.length === 0 ? [entry.data.path] : [];
  const args = [...(entry.args ?? []), ...(said?.args ?? [])];
  return {
    name,
    component: 'service',
    image: entry.image.replace('{version}', said?.version ?? entry.version),
    args: args.length > 0 ? args : undefined,
    variables: variablesOf(entry, (suffix) => passwordSecret(name, service, suffix), said?.env ?? {}),
    ports: [
      { name: 'main', port: entry.port },
      ...Object.entries(entry.morePorts ?? {}).map(([port, number]) => ({ name: port, port: number })),
    ],
    mounts,
    scratch: [...entry.scratch, ...lost].sort(),
    sharedMemory: entry.sharedMemory ?? false,
    files: [],
    resources: resourcesOf(said?.resources ?? {}, entry.resources),
    user: entry.user,
    group: entry.group,
    readOnlyRoot: entry.readOnlyRoot,
    check: checkOf(entry),
    stopSeconds: 60,
    dependsOn: [],
    stateful: mounts.length > 0,
    replicas: 1,
  };
}

const mountOf = ({ path, subPath }: NonNullable<CatalogueEntry['data']>, claim: string): Mount => ({
  path,
  claim,
  subPath,
  readOnly: false,
});

function variablesOf(
  entry: CatalogueEntry,
  secretNamed: (suffix: string) => string,
  more: Readonly<Record<string, string | number | boolean>>,
): Variable[] {
  const secrets = Object.entries(entry.secrets).map(([suffix, variable]) => ({
    name: variable,
    secret: secretNamed(suffix),
  }));
  const plain = Object.entries({ ...more, ...entry.env }).map(([variable, value]) => ({
    name: variable,
    value: String(value),
  }));
  return [...secrets, ...plain].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function checkOf({ health, port }: CatalogueEntry): Check {
  const times = { startSeconds: 600, everySeconds: 10, timeoutSeconds: 5, restart: true };
  if (health.command !== undefined) return { ...times, kind: 'command', command: health.command };
  if (health.path !== undefined) return { ...times, kind: 'http', path: health.path, port: health.port ?? port };
  return { ...times, kind: 'tcp', port };
}
