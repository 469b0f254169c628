import { namespaceOf, type ProjectKey } from '#environments/layout.ts';
import type { SharedCluster } from '#support/cluster.ts';
import type { ControlPlane } from '#support/control-plane.ts';
import { projectPath } from '../reconcile/latency.ts';

/** What a project was told: versions in their order, and which of them were acknowledged. */
export interface Told {
  readonly key: ProjectKey;
  sent: number;
  acknowledged: { readonly version: number; readonly id: string }[];
}

/** Odd versions have a second container, which every even one takes out again: right deletions among the rest. */
const specOf = (version: number) => ({
  apiVersion: 'plinth.dev/v1',
  kind: 'Project',
  containers: {
    web: { image: `example.test/web:v${version}`, port: 8080 },
    ...(version % 2 === 1 ? { extra: { image: `example.test/extra:v${version}`, port: 9000 } } : {}),
  },
});

/** Sends the next version; false when the process is gone. */
export async function putNext(plinth: ControlPlane, told: Told): Promise<boolean> {
  told.sent += 1;
  const version = told.sent;
  try {
    const { status, body, text } = await plinth.request('PUT', projectPath(told.key), specOf(version));
    if (status === 503) return false; // The database went away before the process did.
    if (status !== 202) throw new Error(`PUT was answered ${status}: ${text}`);
    told.acknowledged.push({ version, id: body.id });
    return true;
  } catch (error) {
    if (plinth.process.exitCode !== null || plinth.process.signalCode !== null || isBroken(error)) return false;
    throw error;
  }
}

/** What fetch throws when the far side is killed in the middle. */
const isBroken = (error: unknown) => error instanceof TypeError || (error as Error).name === 'SyntaxError';

/** Why a project does not stand yet as it should, or undefined. */
export async function unlike(plinth: ControlPlane, api: SharedCluster['api'], { key, sent, acknowledged }: Told) {
  const { status, body } = await plinth.request('GET', projectPath(key));
  if (status !== 200) return `GET is answered ${status}`;
  if (body.phase !== 'applied' || body.appliedRevision !== body.revision) return `it is ${body.phase}`;
  const { body: list } = await api('GET', `/apis/apps/v1/namespaces/${namespaceOf(key)}/deployments`);
  const live = new Map<string, string>(
    (list.items ?? []).map(
      (item: { metadata: { name: string }; spec: { template: { spec: { containers: { image: string }[] } } } }) => [
        item.metadata.name,
        item.spec.template.spec.containers[0]?.image ?? '',
      ],
    ),
  );
  const version = Number(/:v(\d+)$/.exec(live.get('web') ?? '')?.[1] ?? -1);
  // What was sent last may have come in without its answer.
  if (version < (acknowledged.at(-1)?.version ?? 0) || version > sent) return `the cluster has version ${version}`;
  if (live.has('extra') !== (version % 2 === 1)) return `extra is ${live.has('extra')} at version ${version}`;
  return undefined;
}
