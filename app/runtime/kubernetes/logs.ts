import { Fault } from '#base/errors.ts';
import { labels } from '../runtime.ts';
import type { Answer, Client } from './client.ts';
import { at, listOf, textOf } from './fields.ts';
import { collectionPath, podResource } from './resources.ts';
import { ownersOf } from './trouble.ts';

export interface LogRequest {
  readonly namespace: string;
  readonly workload: string;
  readonly container: string;
  readonly follow: boolean;
  readonly tailLines: number;
  readonly signal: AbortSignal;
}

/** A log that is followed may be silent for long; one that is only read may not. */
const readIdleMs = 30_000;

/**
 * The log of a container in the newest pod of a workload, as it comes.
 * @throws Fault CONTAINER_NOT_FOUND when no pod of the workload runs (or ran) such a container
 */
export async function readLog(
  client: Client,
  installation: string,
  asked: LogRequest,
): Promise<AsyncIterable<Uint8Array>> {
  const selector = encodeURIComponent(`${labels.installation}=${installation}`);
  const pods = collectionPath(podResource, asked.namespace);
  const listing = await client.request('GET', `${pods}?labelSelector=${selector}`, {
    signal: asked.signal,
    lane: 'urgent',
  });
  const pod = newest(listing, asked);
  if (pod === undefined) throw notFound(asked, 'no pod of it exists');
  const query = `container=${asked.container}&follow=${asked.follow}&tailLines=${asked.tailLines}`;
  const stream = await client.stream(`${pods}/${pod}/log?${query}`, {
    signal: asked.signal,
    idleMs: asked.follow ? 0 : readIdleMs,
  });
  if (stream.status === 200) return stream.body;
  const { status, body } = await stream.answer();
  if (status === 204) throw notFound(asked, 'its pod waits for a node');
  throw notFound(asked, textOf(at(body, 'message')) || String(body).trim());
}

/** The newest pod that has the container, ending ones last. */
function newest(listing: Answer, { workload, container }: LogRequest): string | undefined {
  const pods = listOf(at(listing.body, 'items')).filter(
    (pod) => ownersOf(pod).some(({ name }) => name === workload) && containersOf(pod).includes(container),
  );
  const age = (pod: unknown) =>
    `${at(pod, 'metadata', 'deletionTimestamp') === undefined ? '1' : '0'} ${textOf(at(pod, 'metadata', 'creationTimestamp'))}`;
  const [first] = pods.sort((a, b) => (age(a) < age(b) ? 1 : -1));
  return first === undefined ? undefined : textOf(at(first, 'metadata', 'name'));
}

const containersOf = (pod: unknown) =>
  ['containers', 'initContainers'].flatMap((list) =>
    listOf(at(pod, 'spec', list)).map((entry) => textOf(at(entry, 'name'))),
  );

function notFound({ namespace, workload, container }: LogRequest, why: string): Fault {
  // Namespaces are <environment>--<team>--<project>; see environments/layout.ts.
  const [environment, team = '', project = namespace] = namespace.split('--');
  return new Fault('CONTAINER_NOT_FOUND', { environment, team, project, workload, container, why });
}
