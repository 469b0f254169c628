import type { Clock } from '#base/clock.ts';
import type { Config } from '#base/config.ts';
import { createEgress } from '#base/egress.ts';
import type { Log } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { Notices } from '#database/notices.ts';
import type { Mailer } from '#notify/mail.ts';
import { createNotifier } from '#notify/notifier.ts';
import type { Controllers } from '#reconcile/controllers.ts';
import { startAnnouncer } from '#reconcile/tell/announce.ts';
import type { Ending, Stores } from './stores.ts';

export interface TellingOptions extends Pick<Stores, 'database' | 'secrets'> {
  readonly config: Pick<Config, 'egressAllowedRanges'>;
  readonly mailer: Mailer;
  readonly environmentOf: Controllers['environmentOf'];
  readonly runtimeOf: Controllers['runtimeOf'];
  readonly notices: Notices;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Tells what becomes of projects: to those whom `notify` of environment.yaml names, and in the cluster. */
export function tellOthers(options: TellingOptions, endings: Ending[]): void {
  const { config, environmentOf, runtimeOf, notices } = options;
  const egress = createEgress({ allowedRanges: config.egressAllowedRanges ?? [] });
  const notifier = createNotifier({ ...options, egress });
  endings.push({ what: 'notifications', end: () => notifier.stop() });
  const announcer = startAnnouncer({
    ...options,
    notifier,
    notificationsOf: async (name) => (await environmentOf(name))?.notify ?? [],
    runtimeOf: (name) => {
      const runtime = runtimeOf(name)?.runtime;
      return runtime?.kind === 'none' ? undefined : runtime;
    },
  });
  endings.push({ what: 'announcer', end: () => announcer.stop() });
  notices.on('project_events', (payload) => {
    const [environment = '', team = '', project = ''] = payload.split('/');
    announcer.heard({ environment, team, project });
  });
  notices.onGap(() => announcer.heardAll());
}
