import type { Clock } from '#base/clock.ts';
import type { Metrics } from '#base/metrics.ts';
import type { Reading } from '#base/read-gauge.ts';
import { namespaceOf } from '#environments/layout.ts';
import type { Repository } from '#git/repository.ts';
import type { Runtime } from '#runtime/runtime.ts';
import type { Queue } from './queue.ts';
import type { ProjectState } from './run.ts';
import type { Share } from './share.ts';

export interface GaugesOptions {
  readonly metrics: Pick<Metrics, 'projects' | 'objects' | 'queueAge' | 'reconcileLag'>;
  readonly environment: string;
  readonly clock: Clock;
  readonly runtime: Pick<Runtime, 'observed'>;
  readonly repository: Pick<Repository, 'describe'>;
  readonly queue: Pick<Queue, 'oldestMs'>;
  /** Says which of the projects this replica reconciles. */
  readonly share: Pick<Share, 'leaseOf'>;
  states(): Iterable<ProjectState>;
}

/** What can be measured of the projects of one environment, without a name of any of them. */
export interface Gauges {
  /** The branch came to this revision, which brought something new for these projects. */
  touched(names: ReadonlySet<string>, revision: string): Promise<void>;
  /** A run of the project ended: what was touched before may be applied now. */
  ran(name: string, state: ProjectState): void;
  stop(): void;
}

/** Objects are counted at most so often, however many scrape. */
const countedMs = 10_000;

/** Begins to answer scrapes from memory: a scrape costs one walk over the states, no request and no query. */
export function createGauges(options: GaugesOptions): Gauges {
  const { metrics, environment, clock } = options;
  const since = new Map<string, number>();
  const ours = () => [...options.states()].filter(({ key }) => options.share.leaseOf(key) !== undefined);
  const objects = cached(clock, () => countObjects(options, ours()));
  const stops = [
    metrics.projects.from(() => countProjects(environment, ours())),
    metrics.objects.from(objects),
    metrics.queueAge.from(() => [{ labels: { environment }, value: options.queue.oldestMs() / 1000 }]),
  ];
  return {
    touched: async (names, revision) => {
      const fresh = [...names].filter((name) => !since.has(name));
      if (fresh.length === 0) return;
      const { date } = await options.repository.describe(revision);
      for (const name of fresh) since.set(name, date.getTime());
    },
    ran: (name, { status, blobs, loaded }) => {
      const fromMs = since.get(name);
      if (fromMs === undefined) return;
      const isApplied = status?.phase === 'applied' && loaded !== undefined && loaded === blobs?.manifests;
      if (!isApplied && blobs !== undefined) return;
      since.delete(name);
      // Another machine's clock made the commit.
      if (isApplied) metrics.reconcileLag.observe({ environment }, Math.max(0, clock.now().getTime() - fromMs) / 1000);
    },
    stop: () => {
      for (const stop of stops) stop();
    },
  };
}

function countProjects(
  environment: string,
  states: readonly ProjectState[],
): readonly Reading<'environment' | 'phase' | 'health'>[] {
  const counts = new Map<string, number>();
  for (const { status } of states) {
    const place = `${status?.phase ?? 'new'} ${status?.health ?? 'unknown'}`;
    counts.set(place, (counts.get(place) ?? 0) + 1);
  }
  return [...counts].map(([place, value]) => {
    const [phase = '', health = ''] = place.split(' ');
    return { labels: { environment, phase, health }, value };
  });
}

function countObjects(
  { environment, runtime }: GaugesOptions,
  states: readonly ProjectState[],
): readonly Reading<'environment' | 'kind' | 'health'>[] {
  const counts = new Map<string, number>();
  for (const { key } of states)
    for (const { key: object, health } of runtime.observed(namespaceOf(key))) {
      const place = `${object.kind} ${health.state}`;
      counts.set(place, (counts.get(place) ?? 0) + 1);
    }
  return [...counts].map(([place, value]) => {
    const [kind = '', health = ''] = place.split(' ');
    return { labels: { environment, kind, health }, value };
  });
}

function cached<T>(clock: Clock, read: () => T): () => T {
  let known: { readonly value: T; readonly untilMs: number } | undefined;
  return () => {
    if (known === undefined || clock.monotonicMs() >= known.untilMs)
      known = { value: read(), untilMs: clock.monotonicMs() + countedMs };
    return known.value;
  };
}
