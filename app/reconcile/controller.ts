import { createBatch } from '#base/batch.ts';
import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { type Loop, startLoop } from '#base/loop.ts';
import { environmentFolder, type ProjectKey, placeOf, projectName, root } from '#environments/layout.ts';
import { isFolder } from '#git/trees.ts';
import { objectText, type Runtime } from '#runtime/runtime.ts';
import { allowedNow } from './allowed.ts';
import { type Caution, createCaution } from './caution.ts';
import { createFreshness, type Freshness } from './freshness.ts';
import { createGauges } from './gauges.ts';
import { createQueue, type Lane, type Outcome, type Queue } from './queue.ts';
import { createReadiness, type Readiness } from './readiness.ts';
import { type Doors, newState, type ProjectState, reconcileProject } from './reconcile.ts';
import { type Remembered, readRemembered, readRememberedOf } from './remembered.ts';
import { type Share, wholeShare } from './share.ts';
import { createSignatureCheck, type SignatureCheck, type SignatureDoors, type Unsigned } from './signatures.ts';
import { createQuestions } from './source.ts';
import { type Record, readOrders, writeRecords } from './store.ts';

export interface ControllerOptions
  extends Omit<
      Doors,
      | 'assertSigned'
      | 'ordersFor'
      | 'write'
      | 'fenceOf'
      | 'cautious'
      | 'questions'
      | 'allowedFor'
      | 'blockersOf'
      | 'leavesAfter'
    >,
    Pick<SignatureDoors, 'isRendering'> {
  readonly environment: string;
  readonly clock: Clock;
  /** How many projects are reconciled at once. */
  readonly concurrency: number;
  /** Which projects are ours; default all of them. */
  readonly share?: Share | undefined;
}

/** Keeps one environment's runtime equal to Git. */
export interface Controller {
  readonly environment: string;
  /** Git may have moved: a hint. The poll finds it anyway. */
  moved(): void;
  /** A hold, a confirmation or a secret of this project changed, or a person wants a run now. */
  wake(project: Pick<ProjectKey, 'team' | 'project'>): void;
  /** An order for all projects of a team changed, or for all of the environment: `*` stands for every one. */
  wakeMany(projects: Pick<ProjectKey, 'team' | 'project'>): void;
  /** Another replica may have written what became of this project. */
  heard(project: Pick<ProjectKey, 'team' | 'project'>): void;
  /** What came by commits that do not count, by path. */
  unsigned(): ReadonlyMap<string, Unsigned>;
  /** A person took commits as they are. */
  accepted(): void;
  /** Everything may have changed: after a lost notification channel. */
  wakeAll(): void;
  /** For how long the project that waits longest waits for its run, in milliseconds. */
  oldestMs(): number;
  /** Resolves when Git's tip was read and nothing waits to be reconciled. */
  idle(): Promise<void>;
  stop(): Promise<void>;
}

const pollMs = 5_000;
/** What is under way may end for so long when we stop; what is aborted then, the next one does again. */
const drainMs = 5_000;
/** A commit that touches more projects than this does not go before what a person just did. */
const mostInteractive = 20;
/** Projects that are asked for, or written, in one statement. */
const mostAtOnce = 100;

/** Those who know why a project may not be dealt with as Git says, or not yet. */
interface Judges {
  readonly caution: Caution;
  readonly signatures: SignatureCheck;
  readonly freshness: Freshness;
  readonly readiness: Readiness;
}

function createJudges(
  options: ControllerOptions,
  states: ReadonlyMap<string, ProjectState>,
  mark: (name: string) => void,
): Judges {
  const { database, environment, share = wholeShare } = options;
  const isOurs = (key: ProjectKey) => share.leaseOf(key) !== undefined;
  return {
    caution: createCaution(options, environment),
    signatures: createSignatureCheck(options, environment),
    freshness: createFreshness(options, environment),
    readiness: createReadiness({ database, stateOf: (name) => states.get(name), isOurs, mark }),
  };
}

/** What runs of single projects need of the database is joined: under load one statement does it for many. */
function doorsOf(options: ControllerOptions, { caution, readiness, signatures }: Judges): Doors {
  const { database } = options;
  return {
    ...options,
    cautious: caution.isOn,
    assertSigned: signatures.assert,
    blockersOf: readiness.blockersOf,
    leavesAfter: readiness.leavesAfter,
    questions: createQuestions(options),
    fenceOf: (options.share ?? wholeShare).leaseOf,
    allowedFor: async (revision, asked) => {
      const inOrder = signatures.environmentRevision() ?? revision;
      const environment = await options.environmentAt(inOrder, options.environment);
      return allowedNow({ ...asked, environment, now: options.clock.now() });
    },
    ordersFor: createBatch(mostAtOnce, (keys) => readOrders(database, keys)),
    write: written(createBatch(mostAtOnce, (records) => writeRecords(database, records))),
  };
}

/** A record that was not written was one of a run whose project belongs to another replica by now. */
const written =
  (write: (record: Record) => Promise<boolean>): Doors['write'] =>
  async (record) => {
    if (!(await write(record))) throw new Fault('LEASE_LOST', { name: record.proof?.name });
  };

/** Starts to watch the runtime and the repository, and reconciles every project of the environment. */
export function startController(options: ControllerOptions): Controller {
  const { environment, runtime, log, metrics, database, share = wholeShare } = options;
  const states = new Map<string, ProjectState>();
  let tip: string | undefined;
  const view = createView(options);

  const stateOf = (team: string, project: string): ProjectState => {
    const name = projectName({ team, project });
    const state = states.get(name) ?? newState({ environment, team, project });
    states.set(name, state);
    return state;
  };

  const judges = createJudges(options, states, (name) => mark(name, 'heal'));
  const { caution, signatures, freshness, readiness } = judges;
  const doors = doorsOf(options, judges);
  const rememberAgain = createBatch(mostAtOnce, (keys: readonly ProjectKey[]) => readRememberedOf(database, keys));

  const run = async (name: string, signal: AbortSignal) => {
    const state = states.get(name);
    const turn = state && share.enter(state.key);
    if (state === undefined || turn === undefined || tip === undefined) {
      turn?.end();
      if (state !== undefined && turn === undefined) letGo(state, share);
      return { kind: 'settled' } as const;
    }
    const { lease } = turn;
    if (state.epoch !== lease.epoch && !freshness.covers(lease)) {
      turn.end();
      freshness.want(lease.sinceMs);
      loop.wake();
      return { kind: 'settled' } as const;
    }
    const endRun = readiness.begin(name);
    let outcome: Outcome;
    try {
      if (state.epoch !== lease.epoch) {
        // Another replica had the project: what is known here is old.
        renew(state, await rememberAgain(state.key));
        state.epoch = lease.epoch;
      }
      const stopTimer = metrics.reconcileSeconds.startTimer({ environment });
      const write: Doors['write'] = (record) => doors.write({ ...record, proof: lease.proof });
      const ending = AbortSignal.any([signal, lease.lost]);
      outcome = await reconcileProject({ ...doors, fenceOf: () => lease, write }, state, tip, ending);
      stopTimer({ outcome: outcome.kind });
    } finally {
      turn.end();
    }
    // What was done without a record is read again before the next run: by whoever has the project then.
    if (!lease.holds()) state.epoch = undefined;
    if (state.blobs === undefined && state.status === undefined && state.inventory.size === 0) states.delete(name);
    endRun();
    gauges.ran(name, state);
    metrics.queue.set({ environment }, queue.size());
    return outcome;
  };
  const queue: Queue = createQueue({ clock: options.clock, concurrency: options.concurrency, run });
  const gauges = createGauges({ ...options, share, queue, states: () => states.values() });
  const mark = (name: string, lane: Lane) => queue.mark(name, lane);

  const remember = async () => {
    const epochOf = share.epochs();
    for (const [name, remembered] of await readRemembered(database, environment)) {
      const [team = '', project = ''] = name.split('/');
      const state = stateOf(team, project);
      state.epoch = epochOf(state.key);
      // Of another replica's projects it is enough to know that they are there.
      renew(state, state.epoch === undefined ? nothingRemembered : remembered);
      readiness.remember(name, remembered.status?.origin?.dependsOn);
    }
  };

  const follow = async () => {
    // What changed between the last tip and this one; the first time, everything.
    const now = await options.repository.tip();
    if (now === undefined || now === tip) return;
    const all = await options.repository.entry(now, root);
    // Something else in its place says nothing about projects, and nothing leaves because of it.
    if (all !== undefined && !isFolder(all)) return log.warn({ environment, now }, `${root} in Git is no folder`);
    const changes = (await options.repository.changed(tip, now, environmentFolder(environment))).map(
      ({ path, after }) => ({ place: placeOf(path), after }),
    );
    const touched = new Set(changes.flatMap(({ place }) => ('key' in place ? [projectName(place.key)] : [])));
    const whole = changes.some(({ place }) => place.kind === 'environment');
    const first = tip === undefined;
    if (first || !(await options.repository.isAncestor(tip ?? now, now))) await caution.begin(now);
    if (!first) await gauges.touched(touched, now);
    const takeSignatures = await signatures.follow(now);
    // From here on without a pause: a run in between would read the old revision and take it for the new one, and what
    // fails in between would leave projects that nobody marks.
    for (const { place, after } of changes) {
      if (place.kind !== 'spec' && place.kind !== 'manifests') continue;
      const state = stateOf(place.key.team, place.key.project);
      const blobs = { spec: state.blobs?.spec, manifests: state.blobs?.manifests, [place.kind]: after };
      state.blobs = blobs.spec === undefined && blobs.manifests === undefined ? undefined : blobs;
    }
    takeSignatures();
    tip = now;
    if (first) beginAll();
    else for (const name of touched) mark(name, touched.size > mostInteractive ? 'bulk' : 'heal');
    if (whole && !first) markAll();
  };

  const beginAll = () => {
    // Of what came to rest before the start nothing can be said before the cluster is known; the rest begins now.
    for (const [name, state] of states) if (view.judged() || !wasAtRest(state)) mark(name, 'bulk');
  };

  const isAtRest = () => {
    // Nothing to do, nothing open, and the cluster seen whole.
    if (!runtime.state().complete || queue.size() > 0) return false;
    return [...states.values()].every((state) => isDone(state, share));
  };

  let remembered = false;
  let accepted = false;
  const loop: Loop = startLoop({
    name: `reconcile ${environment}`,
    log,
    clock: options.clock,
    everyMs: pollMs,
    run: async () => {
      if (!share.begun()) return 'idle';
      if (!remembered) {
        await remember();
        remembered = true;
        runtime.start({ changed, state: reconnected });
      }
      if (await freshness.look(follow)) markAll();
      if (accepted && tip !== undefined) {
        await signatures.recall(tip);
        accepted = false;
        markAll();
      }
      if (tip !== undefined) await caution.advance(tip, isAtRest);
      return 'idle';
    },
  });

  const changed = (namespace: string) => {
    if (!view.judged()) return; // The first listing: everything is looked at when it is complete.
    const [place, team, project, ...more] = namespace.split('--');
    if (place !== environment || team === undefined || project === undefined || more.length > 0) return;
    const name = projectName({ team, project });
    if (states.has(name) || isStray(runtime, namespace)) mark(projectName(stateOf(team, project).key), 'heal');
  };

  const markAll = () => {
    for (const name of states.keys()) mark(name, 'bulk');
  };
  const reconnected = () => {
    if (view.changed()) markAll();
  };

  share.onChange(() => {
    // What came can only be acted on after a look at Git: it begins at once.
    freshness.want(options.clock.monotonicMs());
    loop.wake();
    readiness.forgetOthers();
    markAll();
  });

  return {
    environment,
    moved: () => loop.wake(),
    wake: ({ team, project }) => {
      const state = states.get(projectName({ team, project }));
      if (state === undefined) return loop.wake();
      state.stale = true;
      mark(projectName({ team, project }), 'heal');
    },
    wakeMany: ({ team, project }) => {
      for (const [name, state] of states) {
        if (team !== '*' && state.key.team !== team) continue;
        if (project !== '*' && state.key.project !== project) continue;
        state.stale = true;
        mark(name, 'bulk');
      }
    },
    heard: (project) => readiness.heard(projectName(project)),
    oldestMs: () => queue.oldestMs(),
    unsigned: () => signatures.unsigned(),
    accepted: () => {
      accepted = true;
      loop.wake();
    },
    wakeAll: () => {
      readiness.forgetOthers();
      for (const state of states.values()) state.stale = true;
      loop.wake();
      markAll();
    },
    idle: () => queue.idle(),
    stop: async () => {
      await loop.stop();
      await queue.stop(drainMs);
      gauges.stop();
      await runtime.stop();
    },
  };
}

/** A namespace of ours that neither Git nor the record knows: what a crash left of a project that is gone. */
const isStray = (runtime: Runtime, namespace: string): boolean =>
  runtime.observed(namespace).some((object) => object.ownedDigest !== '');

/** How the cluster is seen, and who has to know when that changes. */
function createView({ runtime, log, environment }: Pick<ControllerOptions, 'runtime' | 'log' | 'environment'>) {
  let judged = false;
  let wasReady = false;
  let wasConnected: boolean | undefined;
  return {
    /** True once the cluster was found, or found to be out of reach: before, nothing can be said about health. */
    judged: () => judged,
    /** To be called when its state changed. True: every project is to be looked at. */
    changed: (): boolean => {
      const state = runtime.state();
      const ready = state.connected && state.complete;
      if (ready !== wasReady)
        log.info({ environment, ...state }, ready ? 'cluster is watched' : 'cluster is not watched');
      wasReady = ready;
      judged = true;
      // That a kind has to be listed again lets nobody do or say more than before.
      const news = state.complete || state.connected !== wasConnected;
      wasConnected = state.connected;
      return news;
    },
  };
}

/** Of what is ours. */
const isDone = ({ key, epoch, status }: ProjectState, share: Share): boolean =>
  share.leaseOf(key) === undefined ||
  (epoch !== undefined && (status?.phase === 'applied' || status?.phase === 'held'));

/** What another replica has now is only known to be there; where all leases have ended, they may come back at once. */
function letGo(state: ProjectState, share: Share): void {
  if (state.epoch === undefined || !share.parts.some(share.has)) return;
  renew(state, nothingRemembered);
  state.epoch = undefined;
}

const nothingRemembered: Remembered = { status: undefined, inventory: [] };

/** Takes what the database knows of a project in place of what was known here. */
function renew(state: ProjectState, { status, inventory }: Remembered): void {
  state.status = status;
  state.unsure = false;
  state.inventory = new Map(inventory.map((entry) => [objectText(entry.key), entry]));
  state.wanted = [];
  state.loaded = undefined;
  state.origin = undefined;
  state.stale = true;
}

/** True when Git still says what the project came to rest with. */
const wasAtRest = ({ status, blobs }: ProjectState): boolean =>
  status?.origin !== undefined && status.origin.spec === blobs?.spec && status.origin.manifests === blobs.manifests;
