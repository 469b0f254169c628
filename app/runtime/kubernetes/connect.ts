import { delimiter, join } from 'node:path';
import ipaddr from 'ipaddr.js';
import type { Clock } from '#base/clock.ts';
import { accountCredentials, type Credentials, userCredentials } from './credentials.ts';
import { isFile, readKubeconfig } from './kubeconfig.ts';

/** A cluster that may be used. */
export interface Cluster {
  readonly kind: 'cluster';
  /** The context of the kubeconfig, or `in-cluster`. */
  readonly name: string;
  readonly server: string;
  readonly source: 'in-cluster' | 'kubeconfig';
  /** The file or folder it was found in. */
  readonly path: string;
  readonly credentials: Credentials;
}

export type Found =
  | Cluster
  /** `advice`: one line on what to do to get a cluster. */
  | { readonly kind: 'none'; readonly advice: string }
  /** A cluster that is not plainly local, and nobody said yes to it. `advice`: the setting that says yes. */
  | {
      readonly kind: 'refused';
      readonly context: string;
      readonly server: string;
      readonly path: string;
      readonly advice: string;
    };

/** What Kubernetes gives to a pod: KUBERNETES_SERVICE_HOST and _PORT, and the folder of its service account. */
export interface InCluster {
  readonly host: string | undefined;
  readonly port: string | undefined;
  /** Holds `token` and `ca.crt`; /var/run/secrets/kubernetes.io/serviceaccount. */
  readonly folder: string;
}

export interface FindOptions {
  /** The setting KUBECONFIG: one path, or several as kubectl takes them. */
  readonly kubeconfig?: string;
  /** The setting CLUSTER_CONSENT: the context that may be used although it is not plainly local. */
  readonly consent?: string;
  readonly dataDirectory: string;
  /** The person's home folder. */
  readonly home: string;
  readonly inCluster: InCluster;
  readonly clock: Clock;
}

/** The context of the cluster that `npm run cluster` starts. */
const ownContext = 'plinth-local';

/**
 * Finds the cluster of the environment `local`, without a request to it: the setting KUBECONFIG, the kubeconfig that
 * `npm run cluster` wrote, the account of the pod that we run in, ~/.kube/config. The first that exists decides.
 */
export async function findCluster(options: FindOptions): Promise<Found> {
  const { kubeconfig, dataDirectory, home, inCluster } = options;
  if (kubeconfig !== undefined) {
    const paths = kubeconfig.split(delimiter).filter((path) => path !== '');
    const there = (await Promise.all(paths.map(isFile))).map((is, i) => (is ? paths[i]! : undefined));
    const present = there.filter((path) => path !== undefined);
    if (present.length > 0) return await fromKubeconfig(options, present);
    return { kind: 'none', advice: `KUBECONFIG names ${kubeconfig}, which is no file; correct it or unset it.` };
  }
  const own = join(dataDirectory, 'cluster', 'kubeconfig');
  if (await isFile(own)) return await fromKubeconfig(options, [own]);
  if (inCluster.host !== undefined && (await isFile(join(inCluster.folder, 'token'))))
    return await fromAccount(options);
  const personal = join(home, '.kube', 'config');
  if (await isFile(personal)) return await fromKubeconfig(options, [personal]);
  return {
    kind: 'none',
    advice: 'Run `npm run cluster` in another terminal for a local one, or set KUBECONFIG; then start again.',
  };
}

async function fromKubeconfig({ consent, clock }: FindOptions, paths: readonly string[]): Promise<Found> {
  const path = paths.join(delimiter);
  try {
    const context = await readKubeconfig(paths);
    const { context: name, server } = context;
    if (!isPlainlyLocal(name, server) && consent !== name) {
      const advice = `It is not plainly a local one. If Plinth may use it, set CLUSTER_CONSENT=${name}.`;
      return { kind: 'refused', context: name, server, path, advice };
    }
    const credentials = await userCredentials(context, paths, clock);
    return { kind: 'cluster', name, server, source: 'kubeconfig', path, credentials };
  } catch (error) {
    // Only the first line: the parser goes on to show the text around the fault, which may be a token.
    const why = (error instanceof Error ? error.message : String(error)).split('\n')[0];
    return { kind: 'none', advice: `The kubeconfig ${path} cannot be used: ${why}` };
  }
}

async function fromAccount({ inCluster, clock }: FindOptions): Promise<Found> {
  const { host = '', port = '443', folder } = inCluster;
  const server = `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const credentials = await accountCredentials({ token: join(folder, 'token'), ca: join(folder, 'ca.crt') }, clock);
  return { kind: 'cluster', name: 'in-cluster', server, source: 'in-cluster', path: folder, credentials };
}

/**
 * Clusters that live on the person's own machine: at a loopback address, or under a name that the usual tools give and
 * at an address that is not public (a remote cluster may be called kind-of-important, too).
 */
export function isPlainlyLocal(context: string, server: string): boolean {
  const hostname = new URL(server).hostname.replace(/^\[|\]$/g, '');
  const range = ipaddr.isValid(hostname) ? ipaddr.process(hostname).range() : undefined;
  if (hostname === 'localhost' || range === 'loopback') return true;
  const named = ['minikube', 'docker-desktop', ownContext].includes(context) || /^(kind|k3d)-/.test(context);
  return named && (hostname.endsWith('.internal') || range === 'private' || range === 'uniqueLocal');
}
