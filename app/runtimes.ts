import { lookup } from 'node:dns/promises';
import ipaddr from 'ipaddr.js';
import { mayBeAsked } from '#base/addresses.ts';
import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { Secret } from '#base/secret.ts';
import { parseExpression } from '#environments/expression.ts';
import type { Environment } from '#environments/schema.ts';
import type { EnvironmentRuntime, RuntimeChoice } from '#reconcile/controllers.ts';
import type { Cluster, Found } from '#runtime/kubernetes/connect.ts';
import { type Credentials, keptCredentials } from '#runtime/kubernetes/credentials.ts';
import { type KubeContext, parseKubeconfig } from '#runtime/kubernetes/kubeconfig.ts';
import { createKubernetesRuntime } from '#runtime/kubernetes/kubernetes.ts';
import type { CustomResource } from '#runtime/kubernetes/resources.ts';
import { createNoneRuntime } from '#runtime/none.ts';
import { type SharedRuntime, shareRuntime } from '#runtime/shared.ts';
import { organization } from '#secrets/scope.ts';
import type { Secrets } from '#secrets/secrets.ts';

export interface RuntimeOptions {
  readonly installation: string;
  readonly digestKey: Secret<Buffer>;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly secrets: Pick<Secrets, 'resolve'>;
  /** Id of this process, by which clusters tell it from other replicas. */
  readonly agent: string;
  /** Looks for the cluster of this machine, anew each time: it may have come since. */
  findCluster(): Promise<Found>;
  /** All addresses of a name; default: the system's resolver. */
  readonly resolve?: ((host: string) => Promise<readonly string[]>) | undefined;
}

/** Which runtime each environment has; environments on one cluster share its client and its watches. */
export interface Runtimes {
  choose(environment: Environment): Promise<RuntimeChoice>;
  /** Secrets may have changed: those of clusters are read again at the next look. */
  secretsChanged(): void;
}

/** A notice may get lost: then a changed kubeconfig is found by looking. */
const rereadMs = 60_000;

/** A cluster that somebody named by an organization secret. */
interface Named {
  cluster: Pick<Cluster, 'name' | 'server' | 'credentials'>;
  readAtMs: number;
}

export function createRuntimes(options: RuntimeOptions): Runtimes {
  const { clock, log, secrets, resolve = resolveBySystem } = options;
  const shared = new Map<string, SharedRuntime>();
  const named = new Map<string, Named>();
  let changedAtMs = clock.monotonicMs();
  let own: Cluster | undefined;

  /** Environments on one cluster share a runtime where they list the same kinds of other operators, mostly none. */
  const on = (
    cluster: Pick<Cluster, 'name' | 'server' | 'credentials'>,
    because: string,
    kinds: Environment['kinds'],
  ): RuntimeChoice => {
    const choice = [cluster.name, cluster.server, ...(kinds.length === 0 ? [] : [JSON.stringify(kinds)])].join(' ');
    const make = (): EnvironmentRuntime => {
      const there =
        shared.get(choice) ??
        shareRuntime(createKubernetesRuntime({ ...options, cluster, kinds: kinds.map(customResource) }), () =>
          shared.delete(choice),
        );
      shared.set(choice, there);
      return { runtime: there.join(), because };
    };
    return { choice, make };
  };

  /** The cluster of this machine. Once it was found it stays. */
  const onOwn = async ({ name, kinds }: Environment): Promise<RuntimeChoice> => {
    if (own === undefined) {
      const found = await options.findCluster();
      if (found.kind === 'none') return none(name, `no cluster was found. ${found.advice}`);
      if (found.kind === 'refused')
        return none(name, `${found.path} names ${found.context} at ${found.server}. ${found.advice}`);
      own = found;
    }
    const where = own.source === 'in-cluster' ? 'as this pod’s own cluster' : `in ${own.path}`;
    return on(own, `${own.name} at ${own.server}, found ${where}`, kinds);
  };

  /** @throws Error also where the server may not be asked: credentials go nowhere that was not looked at. */
  const contextIn = async (cluster: string): Promise<KubeContext | undefined> => {
    const secret = secretOf(cluster);
    const value = (await secrets.resolve([organization], [secret])).get(secret)?.value;
    if (value === undefined) return undefined;
    const context = parseKubeconfig(value.reveal());
    await checkServer(context.server, resolve);
    return context;
  };

  const read = async (cluster: string): Promise<Named | undefined> => {
    const known = named.get(cluster);
    const nowMs = clock.monotonicMs();
    if (known !== undefined && known.readAtMs > changedAtMs && nowMs - known.readAtMs < rereadMs) return known;
    const context = await contextIn(cluster);
    if (context === undefined) {
      named.delete(cluster);
      return undefined;
    }
    const { server } = context;
    if (known?.cluster.server === server) {
      if (await known.cluster.credentials.refresh()) log.info({ cluster, server }, 'a cluster has new credentials');
      known.readAtMs = nowMs;
      return known;
    }
    warnOf(log, cluster, server);
    const credentials: Credentials = await keptCredentials(clock, async () => {
      const now = await contextIn(cluster);
      // Another server is another cluster, which must not get what belongs to this one, nor the other way round.
      if (now?.server !== server) throw new Error('the kubeconfig is gone, or for another server');
      return now;
    });
    const made = { cluster: { name: cluster, server, credentials }, readAtMs: nowMs };
    named.set(cluster, made);
    return made;
  };

  const onNamed = async ({ name, kinds }: Environment, cluster: string): Promise<RuntimeChoice> => {
    const secret = secretOf(cluster);
    try {
      const found = await read(cluster);
      if (found !== undefined)
        return on(found.cluster, `${cluster} at ${found.cluster.server}, by secret ${secret}`, kinds);
      return none(
        name,
        `its cluster is ${cluster}, and there is no secret ${secret}: put a kubeconfig there with PUT /api/v1/secrets/${secret}.`,
      );
    } catch (error) {
      const known = named.get(cluster);
      // That secrets cannot be read at the moment says nothing about the cluster.
      if (Fault.is(error) && error.retry && known !== undefined) return on(known.cluster, '', kinds);
      return none(name, `the kubeconfig in secret ${secret} cannot be used: ${(error as Error).message}.`);
    }
  };

  return {
    choose: async (environment) => {
      const { name, runtime, cluster } = environment;
      if (runtime === 'none')
        return none(name, 'environment.yaml says so; set runtime and cluster there to change it.');
      try {
        if (cluster !== undefined && cluster !== 'local') return await onNamed(environment, cluster);
        if (runtime === 'auto' && name !== 'local') return none(name, 'auto is for the environment local only.');
        return await onOwn(environment);
      } catch (error) {
        log.error({ environment: name, err: error }, 'the runtime of an environment could not be made');
        return none(name, `its cluster could not be looked for: ${(error as Error).message}`);
      }
    },
    secretsChanged: () => {
      changedAtMs = clock.monotonicMs();
    },
  };
}

/** A kind as environment.yaml lists it, with its expressions read. */
function customResource({ health, ...kind }: Environment['kinds'][number]): CustomResource {
  const read = (text: string | undefined) => (text === undefined ? undefined : parseExpression(text));
  if (health === undefined) return kind;
  const { healthy, degraded, suspended, reason } = health;
  const rule = { healthy: read(healthy), degraded: read(degraded), suspended: read(suspended), reason: read(reason) };
  return { ...kind, health: rule };
}

const secretOf = (cluster: string) => `cluster-${cluster}`;

const resolveBySystem = async (host: string) => (await lookup(host, { all: true })).map(({ address }) => address);

/** @throws Error for a server, by address or by name, where no API server is, but credentials of this machine */
async function checkServer(server: string, resolve: Required<RuntimeOptions>['resolve']): Promise<void> {
  const { protocol, hostname } = new URL(server);
  if (protocol !== 'https:') throw new Error('the server of its cluster is no https address');
  const host = hostname.replace(/^\[|\]$/g, '');
  // A name that means nothing at the moment leads nowhere; a cluster that is known stays known meanwhile.
  const addresses = ipaddr.isValid(host) ? [host] : await resolve(host).catch(() => []);
  if (!addresses.every((each) => mayBeAsked(each, true))) throw new Error(`no API server is at ${host}`);
}

/** An operator may mean it: a tunnel, a cluster on the same machine. */
function warnOf(log: Log, cluster: string, server: string): void {
  const host = new URL(server).hostname.replace(/^\[|\]$/g, '');
  const loopback = host === 'localhost' || (ipaddr.isValid(host) && ipaddr.process(host).range() === 'loopback');
  if (loopback) log.warn({ cluster, server }, 'the kubeconfig of a cluster names this very machine');
}

const none = (environment: string, because: string): RuntimeChoice => ({
  choice: `none ${because}`,
  make: () => ({ runtime: createNoneRuntime({ environment, fix: because }), because }),
});
