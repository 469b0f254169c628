import type { Clock } from '#base/clock.ts';
import type { Config } from '#base/config.ts';
import { newId } from '#base/ids.ts';
import type { Log } from '#base/log.ts';
import type { Loop } from '#base/loop.ts';
import type { Metrics } from '#base/metrics.ts';
import type { TraceWalk } from '#base/tracing.ts';
import { createLeases, type Leases } from '#database/leases.ts';
import { createListener } from '#database/listen.ts';
import { channels, type Notices } from '#database/notices.ts';
import { createDatabase } from '#database/pool.ts';
import { startPoll } from '#git/poll.ts';
import type { Mailer } from '#notify/mail.ts';
import type { Environments } from '#publish/environments.ts';
import { publishLease, startPublisher } from '#publish/loop.ts';
import { isRendering } from '#publish/rendering.ts';
import { type Controllers, startControllers } from '#reconcile/controllers.ts';
import { createShare, shareNames } from '#reconcile/share.ts';
import { reportToHost } from './git-host.ts';
import { createRuntimes, type RuntimeOptions } from './runtimes.ts';
import type { Ending, Stores } from './stores.ts';
import { tellOthers } from './telling.ts';

export interface LoopsOptions extends Stores, Pick<RuntimeOptions, 'findCluster'> {
  readonly config: Pick<Config, 'stateRemote' | 'egressAllowedRanges'>;
  /** Of the control plane: a newer apply door looks at old projects again. */
  readonly version: string;
  readonly mailer: Mailer;
  /** Begins the spans of publishing and reconciling, where traces are sent. */
  readonly traceWalk: TraceWalk | undefined;
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
  /** Who else lives, and who does what. */
  readonly leases: Leases;
  /** The remote may have new commits: a hint, as webhooks give it. */
  remoteMoved(): void;
}

/**
 * Projects of one environment that are reconciled at once. Most of their stages are a single request: with few projects
 * the cluster waits for us. How many requests are under way is not decided here, but by the client's lanes.
 */
const concurrency = 64;

/** Starts the writer of Git, the controllers of the environments, and the notices by which they wake each other. */
export function startLoops(options: LoopsOptions, endings: Ending[]): Loops {
  const { connection, clock, log, notices, environments } = options;
  const replica = newId('replica', clock.now());
  const leases = joinLeases(options, replica, endings);
  const runtimes = createRuntimes({ ...options, agent: replica });
  const controllers = startControllers({
    ...options,
    concurrency,
    environmentAt: environments.one,
    environmentsAt: environments.at,
    chooseRuntime: runtimes.choose,
    isRendering: (key, revision) => isRendering(options, key, revision),
    share: createShare(leases),
  });
  endings.push({ what: 'controllers', end: () => controllers.stop() });
  const { runtimeOf, environmentOf } = controllers;
  tellOthers({ ...options, runtimeOf, environmentOf }, endings);
  const publisher = startPublisher({ ...options, enter: () => leases.enter(publishLease) });
  endings.push({ what: 'publisher', end: () => publisher.stop() });
  leases.onChange(() => publisher.wake());
  const moved = () => {
    publisher.wake();
    controllers.moved();
  };
  const poll = followRemote(options, moved, endings);
  const statuses = reportToHost({ ...options, remote: options.config.stateRemote }, endings);

  notices.on('changes', () => publisher.wake());
  notices.on('leases', () => leases.wake());
  notices.on('revisions', (revision) => {
    controllers.moved();
    // Another replica may have pushed what is not here yet.
    void options.repository.describe(revision).catch(() => poll?.wake());
  });
  notices.on('project_wake', (payload) => {
    const [environment = '', team = '', project = ''] = payload.split('/');
    controllers.wake(environment, team, project);
  });
  notices.on('project_events', (payload) => {
    const [environment = '', team = '', project = ''] = payload.split('/');
    controllers.heard(environment, team, project);
  });
  for (const channel of ['revisions', 'project_events', 'change_ended'] as const)
    notices.on(channel, () => statuses?.wake());
  notices.on('signatures', (environment) => controllers.accepted(environment));
  notices.on('secrets', () => {
    runtimes.secretsChanged();
    controllers.wakeAll();
  });
  notices.onGap(() => {
    runtimes.secretsChanged();
    publisher.wake();
    controllers.wakeAll();
  });
  const { deliver: onNotice, missed: onGap, heard: onHeard } = notices;
  const listener = createListener({ connection, channels, log, clock, onNotice, onGap, onHeard });
  endings.push({ what: 'notices', end: () => listener.stop() });
  return { controllers, publisher, leases, remoteMoved: () => poll?.wake() };
}

/** A sign of life must not wait behind what goes on otherwise: it has connections of its own, and answers soon or not. */
function joinLeases(options: LoopsOptions, replica: string, endings: Ending[]): Leases {
  const { connection, clock, log, print, alone } = options;
  const database = createDatabase({ connection, log, clock, connections: 2, statementTimeoutMs: 3_000 });
  endings.push({ what: 'database of the leases', end: () => database.close() });
  const names = [publishLease, ...shareNames];
  const leases = createLeases({ database, clock, log, replica, names, print, alone });
  endings.push({ what: 'leases', end: () => leases.stop() });
  const held = () => leases.replicas().find(({ id }) => id === replica)?.leases ?? 0;
  options.metrics.leases.from(() => [{ labels: {}, value: held() }]);
  return leases;
}

/** Looks for new commits in the remote, where there is one. */
function followRemote(
  { repository, config, clock, log }: LoopsOptions,
  moved: () => void,
  endings: Ending[],
): Loop | undefined {
  const { remote } = repository;
  if (remote === undefined || config.stateRemote === undefined) return undefined;
  const poll = startPoll({ remote, everyMs: config.stateRemote.pollMs, clock, log, moved });
  endings.push({ what: 'poll of the state repository', end: () => poll.stop() });
  return poll;
}
