import type { Clock } from '#base/clock.ts';
import type { Log } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { Secret } from '#base/secret.ts';
import type { Environment } from '#environments/schema.ts';
import type { EnvironmentRuntime } from '#reconcile/controllers.ts';
import type { Found } from '#runtime/kubernetes/connect.ts';
import { createKubernetesRuntime } from '#runtime/kubernetes/kubernetes.ts';
import { createNoneRuntime } from '#runtime/none.ts';

export interface RuntimeOptions {
  readonly installation: string;
  readonly digestKey: Secret<Buffer>;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Looks for the cluster of this machine, anew each time: it may have come since. */
  findCluster(): Promise<Found>;
}

/** Makes the runtime that environment.yaml asks for, with the reason that a person is told. */
export async function makeRuntime(options: RuntimeOptions, environment: Environment): Promise<EnvironmentRuntime> {
  try {
    return await choose(options, environment);
  } catch (error) {
    options.log.error({ environment: environment.name, err: error }, 'the runtime of an environment could not be made');
    return none(environment.name, `its cluster could not be looked for: ${(error as Error).message}`);
  }
}

async function choose(options: RuntimeOptions, environment: Environment): Promise<EnvironmentRuntime> {
  const { name, runtime, cluster } = environment;
  if (runtime === 'none') return none(name, 'environment.yaml says so; set runtime and cluster there to change it.');
  if (cluster !== undefined && cluster !== 'local')
    return none(
      name,
      `the credentials of cluster ${cluster} are not here yet: only the cluster of this machine can be used.`,
    );
  if (runtime === 'auto' && name !== 'local') return none(name, 'auto is for the environment local only.');
  const found = await options.findCluster();
  if (found.kind === 'none') return none(name, `no cluster was found. ${found.advice}`);
  if (found.kind === 'refused')
    return none(name, `${found.path} names ${found.context} at ${found.server}. ${found.advice}`);
  return {
    runtime: createKubernetesRuntime({ ...options, cluster: found }),
    because: `${found.name} at ${found.server}, found ${found.source === 'in-cluster' ? 'as this pod’s own cluster' : `in ${found.path}`}`,
  };
}

const none = (environment: string, because: string): EnvironmentRuntime => ({
  runtime: createNoneRuntime({ environment, fix: because }),
  because,
});
