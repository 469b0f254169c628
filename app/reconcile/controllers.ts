import { type Loop, startLoop } from '#base/loop.ts';
import type { Environment } from '#environments/schema.ts';
import type { Runtime } from '#runtime/runtime.ts';
import { type Controller, type ControllerOptions, startController } from './controller.ts';

/** How an environment runs here, and why so. */
export interface EnvironmentRuntime {
  readonly runtime: Runtime;
  /** Why it is this runtime, in a sentence. */
  readonly because: string;
}

export interface ControllersOptions extends Omit<ControllerOptions, 'environment' | 'runtime'> {
  /** The environments as Git says at a revision. */
  environmentsAt(revision: string): Promise<ReadonlyMap<string, Environment>>;
  /** Makes the runtime that environment.yaml asks for. */
  makeRuntime(environment: Environment): Promise<EnvironmentRuntime>;
}

/** One controller for each environment that has a runtime; environments come and go with Git. */
export interface Controllers {
  runtimeOf(environment: string): EnvironmentRuntime | undefined;
  runtimes(): ReadonlyMap<string, EnvironmentRuntime>;
  moved(): void;
  wake(environment: string, team: string, project: string): void;
  wakeAll(): void;
  /** Resolves when the environments of the present tip have been looked at once. */
  started: Promise<void>;
  stop(): Promise<void>;
}

const pollMs = 10_000;

interface Standing extends EnvironmentRuntime {
  /** What of environment.yaml chose the runtime. */
  readonly choice: string;
  readonly controller: Controller | undefined;
}

/** Starts controllers and keeps their set equal to the environments in Git. */
export function startControllers(options: ControllersOptions): Controllers {
  const standing = new Map<string, Standing>();
  let first = () => {};
  const started = new Promise<void>((resolve) => {
    first = resolve;
  });

  const begin = async (environment: Environment, choice: string) => {
    const made = await options.makeRuntime(environment);
    const { name } = environment;
    const controller =
      made.runtime.kind === 'none'
        ? undefined
        : startController({ ...options, environment: name, runtime: made.runtime });
    standing.set(name, { ...made, choice, controller });
    options.log.info(
      { environment: name, runtime: made.runtime.kind, because: made.because },
      'environment has its runtime',
    );
  };

  const end = async (name: string) => {
    const there = standing.get(name);
    standing.delete(name);
    await there?.controller?.stop();
  };

  const loop: Loop = startLoop({
    name: 'environments',
    log: options.log,
    clock: options.clock,
    everyMs: pollMs,
    run: async () => {
      const tip = await options.repository.tip();
      if (tip === undefined) return 'idle';
      const environments = await options.environmentsAt(tip);
      for (const name of [...standing.keys()]) if (!environments.has(name)) await end(name);
      for (const environment of environments.values()) {
        const choice = `${environment.runtime} ${environment.cluster ?? ''}`;
        if (standing.get(environment.name)?.choice === choice) continue;
        await end(environment.name);
        await begin(environment, choice);
      }
      first();
      return 'idle';
    },
  });

  const controllers = () =>
    [...standing.values()].map(({ controller }) => controller).filter((one) => one !== undefined);
  return {
    started,
    runtimeOf: (name) => standing.get(name),
    runtimes: () => standing,
    moved: () => {
      loop.wake();
      for (const controller of controllers()) controller.moved();
    },
    wake: (environment, team, project) => standing.get(environment)?.controller?.wake({ team, project }),
    wakeAll: () => {
      loop.wake();
      for (const controller of controllers()) controller.wakeAll();
    },
    stop: async () => {
      await loop.stop();
      await Promise.all([...standing.keys()].map(end));
    },
  };
}
