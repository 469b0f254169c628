import type { Clock } from '#base/clock.ts';
import type { Log } from '#base/log.ts';
import type { Loop } from '#base/loop.ts';
import type { Metrics } from '#base/metrics.ts';
import type { Secret } from '#base/secret.ts';
import { type KubernetesObject, labels, type Runtime, type RuntimeEvents, type RuntimeState } from '../runtime.ts';
import { applyObject } from './apply.ts';
import { createClient } from './client.ts';
import type { Cluster } from './connect.ts';
import { createEventWriter } from './events.ts';
import { refusedBecause } from './guard.ts';
import { readLog } from './logs.ts';
import { createIndex, type Index, type Sink } from './observe.ts';
import { foreignFieldsOf } from './owners.ts';
import { refusal } from './refusal.ts';
import { removeObject } from './remove.ts';
import {
  type CustomResource,
  createKinds,
  type Kinds,
  kindText,
  podResource,
  type Resource,
  storageClassResource,
} from './resources.ts';
import { type WatchState, watchKind } from './watch.ts';

export interface KubernetesOptions {
  readonly cluster: Pick<Cluster, 'name' | 'server' | 'credentials'>;
  /** The id in the label plinth.dev/installation; objects of another installation are never touched. */
  readonly installation: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'apiCalls' | 'applySeconds'>;
  /** Keys the digests of Secrets, which are stored: the same at each start. */
  readonly digestKey: Secret<Buffer>;
  /** Kinds of other operators that objects may have. */
  readonly kinds?: readonly CustomResource[] | undefined;
  /** How long a watch may be silent. The API server sends a bookmark about once a minute. */
  readonly watchIdleMs?: number;
  /** The longest silence of the API server in a request; 30 s by default. */
  readonly requestTimeoutMs?: number;
  /** Id of this process, as the API server's audit log shows it. */
  readonly agent?: string | undefined;
}

const standardIdleMs = 90_000;

/** A Kubernetes cluster as a runtime: one client, one watch for each kind, one index in memory. */
export function createKubernetesRuntime(options: KubernetesOptions): Runtime {
  const { cluster, installation, clock, metrics } = options;
  const log = options.log.child({ cluster: cluster.name });
  const kinds = createKinds(options.kinds);
  const client = createClient({
    cluster: cluster.name,
    server: cluster.server,
    credentials: cluster.credentials,
    clock,
    timeoutMs: options.requestTimeoutMs,
    agent: options.agent,
    onRequest: (verb, status) => metrics.apiCalls.inc({ cluster: cluster.name, verb, status }),
  });
  let events: RuntimeEvents = { changed: () => {}, state: () => {} };
  const index = createIndex((namespace) => events.changed(namespace), options.digestKey, kinds.ruleOf);
  const doors = { client, index, installation, kinds };
  const eventWriter = createEventWriter({ client, index, clock, log });
  const standing = createStanding(kinds, (state) => {
    log[state.connected ? 'info' : 'warn']({ ...state }, 'the cluster is in another state');
    events.state(state);
  });
  let watches: ReadonlyMap<string, Loop> = new Map();

  const watch = ({ resource, selector, sink }: Watched): Loop =>
    watchKind({
      client,
      resource,
      selector,
      sink,
      clock,
      log,
      idleMs: options.watchIdleMs ?? standardIdleMs,
      report: (state) => {
        const better = standing.report(resource, state);
        if (better) for (const other of watches.values()) other.wake();
      },
    });

  return {
    kind: 'kubernetes',
    start: (given) => {
      events = given;
      watches = new Map(
        watchedKinds(index, installation, kinds).map((watched) => [kindText(watched.resource), watch(watched)]),
      );
    },
    stop: async () => {
      await Promise.all([...watches.values()].map((loop) => loop.stop()));
      await client.close();
    },
    state: () => standing.state(),
    observed: (namespace) => index.observed(namespace),
    unseenBecause: (key) =>
      kinds.resourceOf(key) === undefined
        ? 'environment.yaml does not list its kind'
        : standing.isUnseen(key)
          ? 'the cluster does not serve its kind, or does not show it to us'
          : undefined,
    refusedBecause: (object, allowance) => refusedBecause(object, allowance, kinds),
    apply: async (object, applied = {}) => {
      const stopTimer = metrics.applySeconds.startTimer({ cluster: cluster.name });
      let outcome = 'failed';
      try {
        const live = await applyObject(doors, object, applied);
        outcome = 'applied';
        // The cluster has this kind by now: its watch need not wait until it looks again.
        if (standing.isAbsent(object)) watches.get(kindText(object))?.wake();
        return live;
      } finally {
        stopTimer({ outcome });
      }
    },
    remove: async (object, removed = {}) => await removeObject(doors, object, removed),
    foreignFields: async (object, signal) => await foreignFieldsOf(doors, object, signal),
    tell: eventWriter.tell,
    read: async (key, signal) => {
      const answer = await client.request('GET', kinds.objectPath(key), { signal, lane: 'urgent' });
      if (answer.status === 404) return undefined;
      if (answer.status >= 300) throw refusal(key, answer);
      // The API server answers a GET of one object with that object.
      return answer.body as KubernetesObject;
    },
    logs: async (asked) => await readLog(client, installation, asked),
  };
}

interface Watched {
  readonly resource: Resource;
  readonly selector: string;
  readonly sink: Sink;
}

function watchedKinds(index: Index, installation: string, { resources }: Kinds): readonly Watched[] {
  const selector = `${labels.installation}=${installation}`;
  return [
    ...resources.map((resource) => ({ resource, selector, sink: index.objects(resource) })),
    { resource: podResource, selector, sink: index.pods() },
    { resource: storageClassResource, selector: '', sink: index.storageClasses() },
  ];
}

/** Sums the watches up: connected when none fails, complete when every kind has been listed. */
function createStanding({ resources }: Kinds, changed: (state: RuntimeState) => void) {
  const kinds = new Map<string, { state: WatchState; complete: boolean; unseen: boolean }>();
  const count = resources.length + 2;
  let now: RuntimeState = { connected: false, complete: false, reason: 'connecting' };

  const sum = (): RuntimeState => {
    const all = [...kinds.values()];
    const failed = all.find(({ state }) => state.kind === 'failed');
    const complete = all.length === count && all.every((kind) => kind.complete);
    if (failed?.state.kind === 'failed') return { connected: false, complete, reason: failed.state.reason };
    const reached = all.filter(({ state }) => state.kind === 'following' || state.kind === 'absent').length;
    // Before the first complete listing nothing may be taken for missing, so the connection is not announced.
    return complete || (now.connected && reached > 0)
      ? { connected: true, complete, reason: '' }
      : { connected: false, complete, reason: now.connected ? now.reason : now.reason || 'connecting' };
  };

  return {
    state: () => now,
    isAbsent: (kind: Pick<Resource, 'apiVersion' | 'kind'>) => kinds.get(kindText(kind))?.state.kind === 'absent',
    /** True from when a kind is found absent until all of it has been listed again. */
    isUnseen: (kind: Pick<Resource, 'apiVersion' | 'kind'>) => kinds.get(kindText(kind))?.unseen === true,
    /** True when a kind works again that had failed: the others should try at once. */
    report: (resource: Resource, state: WatchState): boolean => {
      const before = kinds.get(kindText(resource));
      const complete =
        state.kind === 'following' || state.kind === 'absent' || (state.kind === 'failed' && before?.complete === true);
      const unseen = state.kind === 'absent' || (state.kind !== 'following' && before?.unseen === true);
      kinds.set(kindText(resource), { state, complete, unseen });
      const next = sum();
      if (next.connected !== now.connected || next.complete !== now.complete || next.reason !== now.reason) {
        now = next;
        changed(now);
      } else if (before !== undefined && before.unseen !== unseen) changed(now);
      return before?.state.kind === 'failed' && (state.kind === 'following' || state.kind === 'absent');
    },
  };
}
