import { setTimeout as sleep } from 'node:timers/promises';
import { namespaceOf, type ProjectKey } from '#environments/layout.ts';
import type { ControlPlane } from '#support/control-plane.ts';
import { type BenchProject, benchKeys, fullProject } from '../stand/projects.ts';
import type { BenchStores } from '../stand/stores.ts';
import type { ClusterWatch } from '../stand/watch.ts';

export interface Latencies {
  /** From the acknowledged PUT of a new project until the last of its objects stands in the cluster. */
  readonly create: readonly number[];
  /** From the acknowledged PUT of another image until the Deployment has it. */
  readonly change: readonly number[];
  readonly projects: readonly BenchProject[];
}

export const projectPath = ({ environment, team, project }: ProjectKey) =>
  `/api/v1/environments/${environment}/projects/${team}/${project}`;

const warmUps = 5;
/** So long the system does nothing before each call. */
const idleMs = 100;

/** One project after the other through the whole control plane, over HTTP, the system idle before each. */
export async function timeProjects(
  plinth: ControlPlane,
  watch: ClusterWatch,
  stores: Pick<BenchStores, 'environment'>,
  { spec, count }: { readonly spec: string; readonly count: number },
): Promise<Latencies> {
  const create: number[] = [];
  const change: number[] = [];
  const projects = benchKeys('local', 'lat', count + warmUps).map((key) => fullProject(stores, key, spec));
  for (const [index, project] of projects.entries()) {
    const created = await timeCreate(plinth, watch, project, spec);
    await settled(plinth, project.key);
    const changed = await timeChange(plinth, watch, project, spec.replace(':1.29', ':1.30'));
    await settled(plinth, project.key);
    if (index < warmUps) continue;
    create.push(created);
    change.push(changed);
  }
  return { create, change, projects };
}

async function timeCreate(plinth: ControlPlane, watch: ClusterWatch, { key, objects }: BenchProject, spec: string) {
  const namespace = namespaceOf(key);
  const missing = new Set(objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`));
  const last = watch.next(({ type, object }) => {
    const { name, namespace: home = name } = object.metadata;
    if (type === 'ADDED' && home === namespace) missing.delete(`${object.kind}/${name}`);
    return missing.size === 0;
  });
  return await timeFrom(plinth, key, spec, last);
}

async function timeChange(plinth: ControlPlane, watch: ClusterWatch, { key }: BenchProject, spec: string) {
  const namespace = namespaceOf(key);
  const changed = watch.next(
    ({ object }) =>
      object.kind === 'Deployment' &&
      object.metadata.namespace === namespace &&
      object.spec.template.spec.containers[0].image.endsWith(':1.30'),
  );
  return await timeFrom(plinth, key, spec, changed);
}

async function timeFrom(plinth: ControlPlane, key: ProjectKey, spec: string, end: Promise<{ readonly atMs: number }>) {
  const { status, text } = await plinth.request('PUT', projectPath(key), spec);
  const acknowledged = performance.now();
  if (status !== 202) throw new Error(`PUT was answered ${status}: ${text}`);
  return Math.max(0, (await end).atMs - acknowledged);
}

async function settled(plinth: ControlPlane, key: ProjectKey): Promise<void> {
  await plinth.until(
    projectPath(key),
    (body) => body.phase === 'applied' && body.health === 'healthy' && body.appliedRevision === body.revision,
  );
  await sleep(idleMs);
}
