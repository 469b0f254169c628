import { type Loop, startLoop } from '#base/loop.ts';
import type { Environment } from '#environments/schema.ts';
import type { Runtime } from '#runtime/runtime.ts';
import { type Controller, type ControllerOptions, startController } from './controller.ts';
import { createSignatureCheck, type SignatureCheck, type Unsigned } from './signatures.ts';

/** How an environment runs here, and why so. */
export interface EnvironmentRuntime {
  readonly runtime: Runtime;
  /** Why it is this runtime, in a sentence. */
  readonly because: string;
}

export interface ControllersOptions extends Omit<ControllerOptions, 'environment' | 'runtime'> {
  /** The environments as Git says at a revision. */
  environmentsAt(revision: string): Promise<ReadonlyMap<string, Environment>>;
  /** Looks which runtime environment.yaml asks for at the moment; asked at every look at the environments. */
  chooseRuntime(environment: Environment): Promise<RuntimeChoice>;
}

/** The runtime that is right for an environment now. */
export interface RuntimeChoice {
  /** What it hangs on: while this stays the same, the runtime that was made stays right. */
  readonly choice: string;
  make(): EnvironmentRuntime;
}

/** One controller for each environment that has a runtime; environments come and go with Git. */
export interface Controllers {
  runtimeOf(environment: string): EnvironmentRuntime | undefined;
  runtimes(): ReadonlyMap<string, EnvironmentRuntime>;
  moved(): void;
  /** `*` stands for every project of a team, or for every team and project. */
  wake(environment: string, team: string, project: string): void;
  /** What became of a project was written, perhaps by another replica. */
  heard(environment: string, team: string, project: string): void;
  /** What of an environment came by commits that do not count, by path. */
  unsignedIn(environment: string): ReadonlyMap<string, Unsigned>;
  /** An environment as its environment.yaml says where it was last in order; undefined: Git does not know it. */
  environmentOf(environment: string): Promise<Environment | undefined>;
  /** A person took commits of an environment as they are. */
  accepted(environment: string): void;
  wakeAll(): void;
  /** Resolves when the environments of the present tip have been looked at once. */
  started: Promise<void>;
  stop(): Promise<void>;
}

const pollMs = 10_000;

interface Standing extends EnvironmentRuntime {
  readonly choice: string;
  readonly controller: Controller | undefined;
}

/**
 * Says what an environment.yaml that is not in order would say if it were: what is outside of a controller, such as
 * where the cluster stands and who is told, must not follow it either.
 */
function createJudge(options: ControllersOptions) {
  const checks = new Map<string, SignatureCheck>();
  let line: Promise<unknown> = Promise.resolve();
  const look = async (environment: Environment, tip: string): Promise<Environment> => {
    const { name } = environment;
    const check = checks.get(name) ?? createSignatureCheck(options, name);
    checks.set(name, check);
    (await check.follow(tip))();
    const revision = check.environmentRevision() ?? tip;
    return revision === tip ? environment : ((await options.environmentsAt(revision)).get(name) ?? environment);
  };
  return {
    /** One after the other: each goes on from what the one before found. */
    inOrder: (environment: Environment, tip: string): Promise<Environment> => {
      const mine = line.then(() => look(environment, tip));
      line = mine.catch(() => {});
      return mine;
    },
    forget: (name: string): void => {
      checks.delete(name);
    },
  };
}

/** Starts controllers and keeps their set equal to the environments in Git. */
export function startControllers(options: ControllersOptions): Controllers {
  const standing = new Map<string, Standing>();
  const judge = createJudge(options);
  let first = () => {};
  const started = new Promise<void>((resolve) => {
    first = resolve;
  });

  const begin = ({ name }: Environment, { choice, make }: RuntimeChoice) => {
    const made = make();
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
        const chosen = await options.chooseRuntime(await judge.inOrder(environment, tip));
        if (standing.get(environment.name)?.choice === chosen.choice) continue;
        await end(environment.name);
        begin(environment, chosen);
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
    wake: (environment, team, project) => {
      const controller = standing.get(environment)?.controller;
      if (project === '*') controller?.wakeMany({ team, project });
      else controller?.wake({ team, project });
    },
    heard: (environment, team, project) => standing.get(environment)?.controller?.heard({ team, project }),
    unsignedIn: (name) => standing.get(name)?.controller?.unsigned() ?? new Map(),
    environmentOf: async (name) => {
      const tip = await options.repository.tip();
      const environment = tip === undefined ? undefined : (await options.environmentsAt(tip)).get(name);
      return environment === undefined || tip === undefined ? undefined : await judge.inOrder(environment, tip);
    },
    accepted: (name) => {
      judge.forget(name);
      loop.wake();
      standing.get(name)?.controller?.accepted();
    },
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
