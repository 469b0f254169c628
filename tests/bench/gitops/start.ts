import { ownKinds } from '#runtime/kubernetes/resources.ts';
import { keyOf } from '#runtime/runtime.ts';
import { commitProjects } from '../stand/projects.ts';
import { imageOf, isDeploymentOf, type Scale, specWith } from './scale.ts';

export interface Start {
  /** Milliseconds from the start of the process until both stood right again. */
  readonly decidedMs: number;
  /** Until the whole cluster was seen and every project was looked at. */
  readonly settledMs: number;
  /** Reading every object of the cluster once, by nobody but the bench: the bound. */
  readonly listedMs: number;
  readonly processorMs: number;
}

let made = 0;

/**
 * Stops the controller, changes one project in Git and edits an object of another one by a foreign hand, and starts it
 * again: its first right decision is that these two are to be applied, and nothing else.
 */
export async function timeStart(scale: Scale): Promise<Start> {
  const { stores, bench } = scale;
  const watch = scale.watch();
  const [one, other] = scale.projects();
  if (one === undefined || other === undefined) throw new RangeError('two projects are needed');
  await scale.stopPlane();
  made += 1;
  const project = scale.project(one, specWith(`started-${made}`));
  await commitProjects(stores, [project]);
  const service = scale.project(other).objects.find(({ kind }) => kind === 'Service')!; // each has one
  const path = ownKinds.objectPath(keyOf(service));
  const uid = (await bench.cluster.api('GET', path)).body.metadata.uid;
  const edit = { spec: { selector: { 'plinth.dev/project': 'another' } } };
  await bench.cluster.api('PATCH', `${path}?fieldManager=somebody-else`, edit, 'application/merge-patch+json');
  const listedMs = await timeListing(scale);

  const isOurs = isDeploymentOf(one);
  const applied = watch.next(({ object }) => isOurs(object) && imageOf(object).endsWith(`:started-${made}`));
  const wanted = (service.spec as { selector: Record<string, string> }).selector['plinth.dev/project'];
  const healed = watch.next(
    ({ object }) => object.metadata.uid === uid && object.spec.selector['plinth.dev/project'] === wanted,
  );
  const begin = performance.now();
  const plane = await scale.startPlane();
  const decidedMs = Math.max((await applied).atMs, (await healed).atMs) - begin;
  await plane.settled();
  return { decidedMs, settledMs: performance.now() - begin, listedMs, processorMs: plane.processorMs() };
}

const kinds = [
  '/api/v1/namespaces',
  '/api/v1/serviceaccounts',
  '/api/v1/services',
  '/apis/apps/v1/deployments',
  '/apis/networking.k8s.io/v1/ingresses',
];

/** The bytes of all objects by pages, a kind beside the other, and nothing done with them. */
async function timeListing({ pool, stores }: Scale): Promise<number> {
  const selector = encodeURIComponent(`plinth.dev/installation=${stores.installation}`);
  const begin = performance.now();
  await Promise.all(
    kinds.map(async (path) => {
      for (let next: string | undefined = ''; next !== undefined; ) {
        const url: string = `${path}?limit=500&labelSelector=${selector}${next}`;
        const { body } = await pool.request({ method: 'GET', path: url });
        const token: string | undefined = /"continue":"([^"]+)"/.exec((await body.text()).slice(0, 2000))?.[1];
        next = token === undefined ? undefined : `&continue=${encodeURIComponent(token)}`;
      }
    }),
  );
  return performance.now() - begin;
}
