import { createBatch } from '#base/batch.ts';
import type { Clock } from '#base/clock.ts';
import { type Loop, startLoop } from '#base/loop.ts';
import { environmentFolder, namespaceOf, type ProjectKey, placeOf, projectName } from '#environments/layout.ts';
import { objectText } from '#runtime/runtime.ts';
import { type Caution, createCaution } from './caution.ts';
import { createQueue, type Lane, type Queue } from './queue.ts';
import { type Doors, newState, type ProjectState, reconcileProject } from './reconcile.ts';
import { readOrders, readRemembered, writeRecords } from './store.ts';

export interface ControllerOptions extends Omit<Doors, 'ordersFor' | 'write' | 'cautious'> {
  readonly environment: string;
  readonly clock: Clock;
  /** How many projects are reconciled at once. */
  readonly concurrency: number;
}

/** Keeps one environment's runtime equal to Git. */
export interface Controller {
  readonly environment: string;
  /** Git may have moved: a hint. The poll finds it anyway. */
  moved(): void;
  /** A hold, a confirmation or a secret of this project changed, or a person wants a run now. */
  wake(project: Pick<ProjectKey, 'team' | 'project'>): void;
  /** Everything may have changed: after a lost notification channel. */
  wakeAll(): void;
  /** Resolves when Git's tip was read and nothing waits to be reconciled. */
  idle(): Promise<void>;
  stop(): Promise<void>;
}

const pollMs = 5_000;
/** A commit that touches more projects than this does not go before what a person just did. */
const mostInteractive = 20;
/** Projects that are asked for, or written, in one statement. */
const mostAtOnce = 100;

/** What runs of single projects need of the database is joined: under load one statement does it for many. */
function doorsOf(options: ControllerOptions, caution: Caution): Doors {
  return {
    ...options,
    cautious: caution.isOn,
    ordersFor: createBatch(mostAtOnce, (keys) => readOrders(options.database, keys)),
    write: createBatch(mostAtOnce, async (records) => {
      await writeRecords(options.database, records);
      return records;
    }),
  };
}

/** Starts to watch the runtime and the repository, and reconciles every project of the environment. */
export function startController(options: ControllerOptions): Controller {
  const { environment, runtime, log, metrics } = options;
  const states = new Map<string, ProjectState>();
  const byNamespace = new Map<string, string>();
  let tip: string | undefined;

  const stateOf = (team: string, project: string): ProjectState => {
    const name = projectName({ team, project });
    const there = states.get(name);
    if (there !== undefined) return there;
    const made = newState({ environment, team, project });
    states.set(name, made);
    byNamespace.set(namespaceOf(made.key), name);
    return made;
  };

  const caution = createCaution(options, environment);
  const doors = doorsOf(options, caution);
  const queue: Queue = createQueue({
    clock: options.clock,
    concurrency: options.concurrency,
    run: async (name, signal) => {
      const state = states.get(name);
      if (state === undefined || tip === undefined) return { kind: 'settled' };
      const stopTimer = metrics.reconcileSeconds.startTimer({ environment });
      const outcome = await reconcileProject(doors, state, tip, signal);
      stopTimer({ outcome: outcome.kind });
      if (state.blobs === undefined && state.status === undefined && state.inventory.size === 0) forget(name, state);
      metrics.queue.set({ environment }, queue.size());
      return outcome;
    },
  });

  const forget = (name: string, state: ProjectState) => {
    states.delete(name);
    byNamespace.delete(namespaceOf(state.key));
  };

  const mark = (name: string, lane: Lane) => queue.mark(name, lane);

  const remember = async () => {
    for (const [name, { status, inventory }] of await readRemembered(options.database, environment)) {
      const [team = '', project = ''] = name.split('/');
      const state = stateOf(team, project);
      state.status = status;
      state.inventory = new Map(inventory.map((entry) => [objectText(entry.key), entry]));
    }
  };

  /** Reads what changed between the last tip and this one; the first time, everything. */
  const follow = async () => {
    const now = await options.repository.tip();
    if (now === undefined || now === tip) return;
    const touched = new Set<string>();
    for (const { path, after } of await options.repository.changed(tip, now, environmentFolder(environment))) {
      const place = placeOf(path);
      if (place.kind !== 'spec' && place.kind !== 'manifests') continue;
      const state = stateOf(place.key.team, place.key.project);
      const blobs = { spec: state.blobs?.spec, manifests: state.blobs?.manifests, [place.kind]: after };
      state.blobs = blobs.spec === undefined && blobs.manifests === undefined ? undefined : blobs;
      touched.add(projectName(place.key));
    }
    const first = tip === undefined;
    if (first) await caution.begin(now);
    tip = now;
    for (const name of first ? states.keys() : touched) mark(name, touched.size > mostInteractive ? 'bulk' : 'heal');
  };

  /** Nothing to do, nothing open, and the cluster seen whole. */
  const isAtRest = () =>
    runtime.state().complete &&
    queue.size() === 0 &&
    [...states.values()].every(({ status }) => status?.phase === 'applied' || status?.phase === 'held');

  let remembered = false;
  const loop: Loop = startLoop({
    name: `reconcile ${environment}`,
    log,
    clock: options.clock,
    everyMs: pollMs,
    run: async () => {
      if (!remembered) {
        await remember();
        remembered = true;
        runtime.start({ changed, state: reconnected });
      }
      await follow();
      if (tip !== undefined) await caution.advance(tip, isAtRest);
      return 'idle';
    },
  });

  const changed = (namespace: string) => {
    const name = byNamespace.get(namespace) ?? strayOf(namespace);
    if (name !== undefined) mark(name, 'heal');
  };

  /** A namespace of ours that neither Git nor the record knows: what a crash left of a project that is gone. */
  const strayOf = (namespace: string): string | undefined => {
    const [place, team, project, ...more] = namespace.split('--');
    if (place !== environment || team === undefined || project === undefined || more.length > 0) return undefined;
    if (!runtime.observed(namespace).some((object) => object.ownedDigest !== '')) return undefined;
    return projectName(stateOf(team, project).key);
  };

  const markAll = () => {
    for (const name of states.keys()) mark(name, 'bulk');
  };

  let wasReady = false;
  const reconnected = () => {
    const state = runtime.state();
    const ready = state.connected && state.complete;
    if (ready !== wasReady)
      log.info({ environment, ...state }, ready ? 'cluster is watched' : 'cluster is not watched');
    wasReady = ready;
    markAll();
  };

  return {
    environment,
    moved: () => loop.wake(),
    wake: ({ team, project }) => {
      const state = states.get(projectName({ team, project }));
      if (state === undefined) return loop.wake();
      state.stale = true;
      mark(projectName({ team, project }), 'heal');
    },
    wakeAll: () => {
      for (const state of states.values()) state.stale = true;
      loop.wake();
      markAll();
    },
    idle: () => queue.idle(),
    stop: async () => {
      await loop.stop();
      await queue.stop();
      await runtime.stop();
    },
  };
}
