import { randomBytes } from 'node:crypto';
import { afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { type Clock, systemClock } from '#base/clock.ts';
import { createEgress } from '#base/egress.ts';
import { createMetrics } from '#base/metrics.ts';
import { Secret } from '#base/secret.ts';
import type { ProjectKey } from '#environments/layout.ts';
import { type Notification, notifySchema } from '#environments/operations.ts';
import { createMailer } from '#notify/mail.ts';
import { type Message, messageSchema } from '#notify/message.ts';
import { createNotifier, type Notifier } from '#notify/notifier.ts';
import type { Phase, Problem, Reason } from '#reconcile/store.ts';
import { type Announcer, type AnnouncerOptions, startAnnouncer } from '#reconcile/tell/announce.ts';
import type { Telling } from '#runtime/runtime.ts';
import { type OpenSecrets, openSecrets } from '#secrets/open.ts';
import { organization } from '#secrets/scope.ts';
import { captureLog } from '#support/captured-log.ts';
import { useDatabase } from '#support/postgres.ts';
import { type Receiver, startReceiver } from '#support/receiver.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';

export const soon = { interval: 5, timeout: 20_000 };

export const web: ProjectKey = { environment: 'production', team: 'shop', project: 'web' };

/** What a run writes of a project; without anything it is applied and healthy. */
export interface Written {
  readonly revision?: string;
  readonly phase?: Phase;
  readonly health?: string;
  readonly reasons?: readonly Reason[];
  readonly problem?: Problem;
}

export const degradedBecause = (reason: string): Written => ({
  health: 'degraded',
  reasons: [{ object: 'Deployment/web', state: 'degraded', reason }],
});

/** An announcer over a real database, a real outbox and a real receiver, with what came out at each end. */
export function useAnnouncer() {
  const db = useDatabase();
  const dataDirectory = useTemporaryDirectory('plinth-announce');

  let opened: OpenSecrets;
  let captured = captureLog();
  let endings: (() => Promise<unknown>)[] = [];
  let receiver: Receiver;
  let notify: readonly Notification[];
  let events: Telling[] = [];
  let shiftMs = 0;
  /** A wall clock that a test puts forward. */
  const clock: Clock = { ...systemClock, now: () => new Date(Date.now() + shiftMs) };

  beforeAll(async () => {
    opened = await openSecrets({ database: db.database, log: captured.log, clock, encryption: { dataDirectory } });
    return () => opened.stop();
  });
  beforeEach(async () => {
    captured = captureLog();
    events = [];
    shiftMs = 0;
    receiver = await startReceiver();
    endings.push(() => receiver.close());
    notify = await notifying({
      on: ['applied', 'healthy', 'failed', 'degraded', 'recovered', 'needs-confirmation', 'held'],
    });
  });
  afterEach(async () => {
    for (const end of endings.reverse()) await end();
    endings = [];
    for (const table of [
      'announced',
      'deliveries',
      'delivery_targets',
      'project_status',
      'confirmations',
      'secret_values',
      'reports',
    ])
      await db.database.query(`delete from ${table}`);
  });

  /** A notification to the receiver, as environment.yaml has it. */
  async function notifying(more: Record<string, unknown>): Promise<readonly Notification[]> {
    const name = `s-${randomBytes(6).toString('hex')}`;
    await opened.secrets.set(organization, name, new Secret(`${receiver.url}/${name}`), 'ada');
    return notifySchema.parse([{ kind: 'webhook', url: name, ...more }]);
  }

  function startNotifier(): Notifier {
    const common = { database: db.database, clock: systemClock, log: captured.log };
    const notifier = createNotifier({
      ...common,
      secrets: opened.secrets,
      metrics: createMetrics(),
      mailer: createMailer({ ...common, key: new Secret(randomBytes(32)) }),
      egress: createEgress({ allowedRanges: ['127.0.0.0/8'] }),
    });
    endings.push(() => notifier.stop());
    return notifier;
  }

  function start(options: Partial<AnnouncerOptions> = {}): Announcer {
    const announcer = startAnnouncer({
      database: db.database,
      clock,
      log: captured.log,
      secrets: opened.secrets,
      notifier: options.notifier ?? startNotifier(),
      notificationsOf: async () => notify,
      runtimeOf: () => ({
        tell: async (telling) => {
          events.push(telling);
        },
      }),
      ...options,
    });
    endings.push(() => announcer.stop());
    return announcer;
  }

  /** Writes a status as a run of reconcile does. */
  async function write({ environment, team, project }: ProjectKey, status: Written): Promise<void> {
    const { revision = 'a'.repeat(40), phase = 'applied', health = 'healthy', reasons = [], problem } = status;
    await db.database.query(
      `insert into project_status (environment, team, project, revision, phase, health, reasons, problem)
       values ($1, $2, $3, $4, $5, $6, $7::jsonb, $8::jsonb)
       on conflict (environment, team, project) do update set revision = excluded.revision, phase = excluded.phase,
         health = excluded.health, reasons = excluded.reasons, problem = excluded.problem, updated_at = clock_timestamp()`,
      [
        environment,
        team,
        project,
        revision,
        phase,
        health,
        JSON.stringify(reasons),
        problem ? JSON.stringify(problem) : null,
      ],
    );
  }

  const messages = (): Message[] => receiver.received.map(({ body }) => messageSchema.parse(JSON.parse(body)));
  const arrived = (...summaries: string[]) =>
    expect
      .poll(
        () =>
          messages()
            .map(({ summary }) => summary)
            .sort(),
        soon,
      )
      .toEqual(summaries.sort());

  async function hear(announcer: Announcer, key: ProjectKey, status: Written): Promise<void> {
    await write(key, status);
    announcer.heard(key);
    await announcer.idle();
  }

  return {
    db,
    clock,
    notifying,
    startNotifier,
    start,
    write,
    hear,
    messages,
    arrived,
    secrets: () => opened.secrets,
    log: () => captured,
    receiver: () => receiver,
    /** What was told beside the objects. */
    events: () => events,
    /** Who is told from now on. */
    tell: (to: readonly Notification[]) => {
      notify = to;
    },
    /** Puts the wall clock forward. */
    wait: (ms: number) => {
      shiftMs += ms;
    },
  };
}
