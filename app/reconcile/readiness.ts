import { createBatch } from '#base/batch.ts';
import type { Database } from '#database/pool.ts';
import { type ProjectKey, projectName } from '#environments/layout.ts';
import { type Blockers, createDependencies } from './decide/dependencies.ts';
import type { ProjectState } from './run.ts';
import { readStandings, type Standing } from './standings.ts';

export interface ReadinessOptions {
  readonly database: Database;
  /** What this process knows of a project of the environment, `team/project`. */
  stateOf(name: string): ProjectState | undefined;
  /** Whether this replica reconciles it. */
  isOurs(key: ProjectKey): boolean;
  /** Asks for a run of a project. */
  mark(name: string): void;
}

/** Who waits for whom in an environment: those who wait are woken when what they wait for becomes ready, never polled. */
export interface Readiness {
  /** What a project was known to wait for before the start. */
  remember(name: string, on: readonly string[] | undefined): void;
  /** The projects that this one waits for now, by what was just read of it. */
  blockersOf(key: ProjectKey): Blockers;
  /** A project that leaves goes after those that depend on it and leave too: these, as far as they still stand. */
  leavesAfter(key: ProjectKey): readonly string[];
  /** To be called at the start of a run of the project; what it returns, at its end. */
  begin(name: string): () => void;
  /** Another replica wrote what became of a project: a hint. */
  heard(name: string): void;
  /** Projects went to other replicas, or notices may have been missed: what others wrote is read again. */
  forgetOthers(): void;
}

const mostAtOnce = 100;

export function createReadiness({ database, stateOf, isOurs, mark }: ReadinessOptions): Readiness {
  const graph = createDependencies();
  /** What other replicas wrote of projects that some of ours wait for. */
  const theirs = new Map<string, Standing>();
  /** The circle that a project was last found in. */
  const circles = new Map<string, readonly string[]>();
  const ask = createBatch(mostAtOnce, (keys: readonly ProjectKey[]) => readStandings(database, keys));

  const isReady = (name: string): boolean => {
    const state = stateOf(name);
    if (state?.blobs === undefined) return false;
    if (isOurs(state.key)) return isReadyHere(state);
    const standing = theirs.get(name);
    if (standing === undefined) void look(name, state.key);
    return standing !== undefined && isReadyThere(standing, state.blobs.manifests);
  };

  /** Reads what another replica wrote; who waits for it is woken when that says ready. */
  const look = async (name: string, key: ProjectKey) => {
    const standing = await ask(key).catch(() => undefined);
    if (standing === undefined) return; // The next notice, or the next run of who waits, asks again.
    theirs.set(name, standing);
    wake(name);
  };

  const wake = (name: string) => {
    if (isReady(name)) for (const other of graph.dependantsOf(name)) mark(other);
  };

  /** What left Git keeps what it said last: it decides who goes first. */
  const learn = (name: string, state: ProjectState | undefined) => {
    if (state === undefined) graph.set(name, []);
    else if (state.origin !== undefined) graph.set(name, state.origin.dependsOn ?? []);
  };

  /** Whoever closes a circle, or opens one, is seen by the others in it: they say so too, or no longer. */
  const tell = (name: string, circle: readonly string[]) => {
    const before = circles.get(name) ?? [];
    const now = [...new Set(circle)].sort();
    if (before.join() === now.join()) return;
    if (now.length === 0) circles.delete(name);
    else circles.set(name, now);
    for (const other of new Set([...before, ...now])) if (other !== name) mark(other);
  };

  return {
    remember: (name, on) => graph.set(name, on ?? []),
    blockersOf: (key) => {
      const name = projectName(key);
      learn(name, stateOf(name));
      const gone = stateOf(name)?.blobs === undefined;
      const blockers = gone ? { waitsFor: [], circle: [] } : graph.blockersOf(name, isReady);
      tell(name, blockers.circle);
      return blockers;
    },
    leavesAfter: (key) => graph.dependantsOf(projectName(key)).filter((name) => isLeaving(stateOf(name))),
    begin: (name) => {
      const wasReady = isReady(name);
      return () => {
        const state = stateOf(name);
        const on = graph.of(name);
        learn(name, state);
        if (!wasReady) wake(name);
        // Gone: what it depended on may leave now.
        if (state === undefined) for (const other of on) if (isLeaving(stateOf(other))) mark(other);
      };
    },
    heard: (name) => {
      const state = stateOf(name);
      if (state === undefined || isOurs(state.key) || graph.dependantsOf(name).length === 0) return;
      void look(name, state.key);
    },
    forgetOthers: () => theirs.clear(),
  };
}

/** True when the newest of a project is applied and healthy. */
const isReadyHere = ({ status, blobs, loaded }: ProjectState): boolean =>
  status?.phase === 'applied' && status.health === 'healthy' && loaded !== undefined && loaded === blobs?.manifests;

const isReadyThere = ({ phase, health, manifests, newest }: Standing, wanted: string | undefined): boolean =>
  phase === 'applied' && health === 'healthy' && (manifests === null ? newest : manifests === wanted);

/** Gone from Git, and still in the cluster. */
const isLeaving = (state: ProjectState | undefined): boolean =>
  state !== undefined && state.blobs === undefined && state.inventory.size > 0;
