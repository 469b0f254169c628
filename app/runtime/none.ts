import { Fault } from '#base/errors.ts';
import type { Runtime, RuntimeState } from './runtime.ts';

/**
 * The runtime of an environment without a cluster of ours: Git is written, nothing is applied or seen.
 * `fix` says in one line what to do to get a cluster.
 */
export function createNoneRuntime({
  environment,
  fix,
}: {
  readonly environment: string;
  readonly fix: string;
}): Runtime {
  const refuse = async (): Promise<never> => {
    throw new Fault('RUNTIME_NONE', { environment, fix });
  };
  const state: RuntimeState = Object.freeze({
    connected: false,
    complete: false,
    reason: `environment ${environment} has runtime none. ${fix}`.trim(),
  });
  return {
    kind: 'none',
    start: () => {},
    stop: async () => {},
    state: () => state,
    observed: () => [],
    unseenBecause: () => undefined,
    refusedBecause: () => undefined,
    apply: refuse,
    remove: refuse,
    foreignFields: refuse,
    tell: async () => {},
    read: refuse,
    logs: refuse,
  };
}
