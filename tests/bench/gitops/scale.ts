import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'undici';
import { namespaceOf, type ProjectKey } from '#environments/layout.ts';
import { ownKinds } from '#runtime/kubernetes/resources.ts';
import { keyOf } from '#runtime/runtime.ts';
import { type Manifest, writeManifests } from '#synth/manifests.ts';
import { requestOf, scriptOf, sendAll } from '../stand/bare-loop.ts';
import { type BenchCluster, startBenchCluster } from '../stand/cluster.ts';
import { makeNamespaces } from '../stand/namespaces.ts';
import { type Plane, startPlane } from '../stand/plane.ts';
import { type BenchProject, benchKeys, commitProjects, plainProject, renamed, routedSpec } from '../stand/projects.ts';
import { type BenchStores, openStores } from '../stand/stores.ts';
import { type ClusterWatch, watchCluster } from '../stand/watch.ts';

/** Objects of one project of this stand. */
export const objectsEach = 4;
/** Projects that nobody but the bench itself looks after: what the bound is measured on. */
const bareCount = 20;
const bareInstallation = 'ins_bare';

/** One installation that grows: a controller in a process of its own, a cluster, and a repository with its projects. */
export interface Scale {
  readonly stores: BenchStores;
  readonly bench: BenchCluster;
  readonly pool: Pool;
  /** Deployments, Services and Ingresses of all projects. */
  watch(): ClusterWatch;
  /** Looks anew, after the API server was away. */
  watchAgain(): Promise<void>;
  /** The present process; `restart` takes another one. */
  plane(): Plane;
  projects(): readonly ProjectKey[];
  project(key: ProjectKey, spec?: string): BenchProject;
  readonly bare: readonly BenchProject[];
  /** Applies an object of a bare project as the bare loop does. */
  applyBare(object: Manifest): Promise<void>;
  /** Adds projects until there are so many. Resolves when all are applied and healthy; with the milliseconds. */
  grow(to: number): Promise<number>;
  stopPlane(): Promise<void>;
  startPlane(): Promise<Plane>;
  stop(): Promise<void>;
}

/**
 * What makes Deployments and their like healthy. The other controllers write as much again, or more: at
 * 10,000 projects that takes minutes, and none of it is looked at here.
 */
const fewControllers = [
  'deployment-controller',
  'node-lifecycle-controller',
  'replicaset-controller',
  'serviceaccount-controller',
];

/** @param controllers `few` where many projects only have to be there; `all` where the cluster's own work counts */
export async function startScale(most: number, controllers: 'few' | 'all' = 'few'): Promise<Scale> {
  const stores = await openStores();
  const bench = await startBenchCluster({
    audit: true,
    controllers: controllers === 'few' ? fewControllers : undefined,
  });
  const pool = bench.pool(64);
  const keys = benchKeys('local', 'scale', most);
  const [first] = keys;
  if (first === undefined) throw new RangeError('no projects');
  const plain = plainProject(stores, first, routedSpec);
  const model = controllers === 'few' ? withoutAddress(plain) : plain;
  const project: Scale['project'] = (key, spec = routedSpec) => renamed(changed(model, spec), key);
  const bare = benchKeys('bare', 'scale', bareCount).map((key) => project(key));
  await makeNamespaces(bench.cluster.api, bare, bareInstallation);
  await sendAll(
    pool,
    bare.map((one) => scriptOf(one, bareInstallation)),
  );
  let plane = await startPlane(stores, bench);
  await plane.settled();
  const looked = ownKinds.resources.filter(({ kind }) => ['Deployment', 'Service', 'Ingress'].includes(kind));
  let watch = await watchCluster(pool, 'plinth.dev/team', looked);
  let count = 0;
  return {
    stores,
    bench,
    pool,
    watch: () => watch,
    watchAgain: async () => {
      watch.stop();
      watch = await watchCluster(pool, 'plinth.dev/team', looked);
    },
    bare,
    project,
    plane: () => plane,
    projects: () => keys.slice(0, count),
    applyBare: async (object) => {
      const { path, body } = requestOf(object, bareInstallation, {});
      const headers = { 'content-type': 'application/apply-patch+yaml' };
      const answer = await pool.request({ method: 'PATCH', path: `${path}&force=true`, headers, body });
      const text = await answer.body.text();
      if (answer.statusCode !== 200)
        throw new Error(`${ownKinds.objectPath(keyOf(object))}: ${answer.statusCode} ${text}`);
    },
    grow: async (to) => {
      const added = keys.slice(count, to).map((key) => project(key));
      await makeNamespaces(bench.cluster.api, added, stores.installation);
      await commitProjects(stores, added);
      const begin = performance.now();
      await plane.moved();
      count = to;
      while ((await countHealthy(stores)) < to) await sleep(50);
      const ms = performance.now() - begin;
      await plane.settled();
      return ms;
    },
    stopPlane: () => plane.stop(),
    startPlane: async () => {
      plane = await startPlane(stores, bench);
      return plane;
    },
    stop: async () => {
      watch.stop();
      await plane.stop();
      await pool.destroy();
      await bench.cluster.stop();
      await stores.close();
    },
  };
}

/**
 * A Service without an address of its own: for each other one the API server counts all addresses that are given away,
 * which at 10,000 of them is half of all its work.
 */
function withoutAddress(project: BenchProject): BenchProject {
  const objects = project.objects.map((object) =>
    object.kind === 'Service' ? { ...object, spec: { ...(object.spec as object), clusterIP: 'None' } } : object,
  );
  return { ...project, objects, manifests: writeManifests(objects) };
}

const imageIn = (spec: string) => /image: "([^"]+)"/.exec(spec)?.[1] ?? '';

/** A project of which another spec asks for another image. */
const changed = (model: BenchProject, spec: string): BenchProject => ({
  ...model,
  spec,
  manifests: model.manifests.replaceAll(imageIn(model.spec), imageIn(spec)),
});

/** The spec with another image. */
export const specWith = (tag: string): string => routedSpec.replace(':1.29"', `:${tag}"`);

/** A Deployment's first image. */
export const imageOf = (object: Manifest): string =>
  (object.spec as { template: { spec: { containers: readonly { image: string }[] } } }).template.spec.containers[0]
    ?.image ?? '';

export const isDeploymentOf = (key: ProjectKey) => {
  const namespace = namespaceOf(key);
  return (object: Manifest) => object.kind === 'Deployment' && object.metadata.namespace === namespace;
};

async function countHealthy({ database }: BenchStores): Promise<number> {
  const { rows } = await database.query<{ count: number }>(
    `select count(*)::integer as count from project_status where phase = 'applied' and health = 'healthy'`,
  );
  return rows[0]?.count ?? 0;
}
