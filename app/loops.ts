import type { Clock } from '#base/clock.ts';
import type { Log } from '#base/log.ts';
import type { Loop } from '#base/loop.ts';
import type { Metrics } from '#base/metrics.ts';
import { createListener } from '#database/listen.ts';
import { channels, type Notices } from '#database/notices.ts';
import type { Environments } from '#publish/environments.ts';
import { startPublisher } from '#publish/loop.ts';
import { type Controllers, startControllers } from '#reconcile/controllers.ts';
import { makeRuntime, type RuntimeOptions } from './runtimes.ts';
import type { Ending, Stores } from './stores.ts';

export interface LoopsOptions extends Stores, Pick<RuntimeOptions, 'findCluster'> {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly notices: Notices;
  readonly environments: Environments;
}

/** Everything that goes on without being asked. */
export interface Loops {
  readonly controllers: Controllers;
  readonly publisher: Loop;
}

/**
 * Projects of one environment that are reconciled at once. Most of their stages are a single request: with few projects
 * the cluster waits for us. How many requests are under way is not decided here, but by the client's lanes.
 */
const concurrency = 64;

/** Starts the writer of Git, the controllers of the environments, and the notices by which they wake each other. */
export function startLoops(options: LoopsOptions, endings: Ending[]): Loops {
  const { connection, clock, log, notices, environments } = options;
  const controllers = startControllers({
    ...options,
    concurrency,
    environmentAt: environments.one,
    environmentsAt: environments.at,
    makeRuntime: (environment) => makeRuntime(options, environment),
  });
  endings.push({ what: 'controllers', end: () => controllers.stop() });
  const publisher = startPublisher(options);
  endings.push({ what: 'publisher', end: () => publisher.stop() });

  notices.on('changes', () => publisher.wake());
  notices.on('revisions', () => controllers.moved());
  notices.on('project_wake', (payload) => {
    const [environment = '', team = '', project = ''] = payload.split('/');
    controllers.wake(environment, team, project);
  });
  notices.on('secrets', () => controllers.wakeAll());
  notices.onGap(() => {
    publisher.wake();
    controllers.wakeAll();
  });
  const { deliver: onNotice, missed: onGap, heard: onHeard } = notices;
  const listener = createListener({ connection, channels, log, clock, onNotice, onGap, onHeard });
  endings.push({ what: 'notices', end: () => listener.stop() });
  return { controllers, publisher };
}
