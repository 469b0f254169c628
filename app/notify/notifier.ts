import { type Clock, waitAtMost } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { newId } from '#base/ids.ts';
import type { Log } from '#base/log.ts';
import { type Loop, startLoop } from '#base/loop.ts';
import type { Metrics } from '#base/metrics.ts';
import type { Queryable } from '#database/pool.ts';
import { type DeliverDoors, deliver, type Failure } from './deliver.ts';
import {
  buryDelivery,
  claimDeliveries,
  type DeliveryRow,
  deleteDelivery,
  forgetDeliveries,
  type Held,
  insertDelivery,
  lockTarget,
  nextDeliveryMs,
  postponeDelivery,
  takeHeld,
  writeMessage,
  writeTarget,
} from './delivery-store.ts';
import { type Door, targetOf } from './door.ts';
import { bounds, cut, type Message } from './message.ts';

/** A message to one door. */
export interface Order {
  readonly door: Door;
  /** Beyond this many within an hour they are held back, and summed up in one at its end. */
  readonly mostPerHour: number;
  readonly message: Omit<Message, 'schema' | 'id' | 'counts' | 'projects'>;
}

/** Tells others by webhook, Slack and mail. */
export interface Notifier {
  /** Stores what is to be sent; it leaves when the transaction has committed. Call `wake` afterwards. */
  order(tx: Queryable, orders: readonly Order[]): Promise<void>;
  /** Says that a transaction with orders has committed; unsaid, they wait for the next look, half a minute at most. */
  wake(): void;
  /** Lets what is under way end for some seconds; the rest goes with the next start, or from another replica. */
  stop(): Promise<void>;
}

export interface NotifierOptions extends DeliverDoors {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'deliveries'>;
}

const atOnce = 10;
const ofTargetAtOnce = 3;
/** Longer than one try can take. */
const leaseMs = 60_000;
const pollMs = 30_000;
const firstPauseMs = 2_000;
const mostPauseMs = 15 * 60_000;
const mostRetryAfterMs = 3_600_000;
const triedMs = 24 * 3_600_000;
const deadKeptMs = 30 * 24 * 3_600_000;
const stopMs = 5_000;

/**
 * Notifications by an outbox in the database: what was ordered survives a kill and a receiver that is away. Replicas
 * share it. Each is sent at least once, always with the same id; it is gone from there when the receiver has taken it.
 */
export function createNotifier(options: NotifierOptions): Notifier {
  const { database, clock, log } = options;
  const stopping = new AbortController();
  /** What is under way, with its target. */
  const active = new Map<Promise<void>, string>();

  const begin = (row: DeliveryRow) => {
    const work = attempt(options, row, stopping.signal)
      .catch((error: unknown) => log.warn({ delivery: row.id, err: error }, 'a notification was left for later'))
      .finally(() => {
        active.delete(work);
        loop.wake();
      });
    active.set(work, row.target);
  };

  const loop: Loop = startLoop({
    name: 'notify',
    log,
    clock,
    everyMs: pollMs,
    run: async (signal) => {
      const most = atOnce - active.size;
      if (most === 0 || signal.aborted) return 'idle';
      const rows = await claimDeliveries(database, {
        most,
        ofTarget: ofTargetAtOnce,
        leaseMs,
        busy: [...active.values()],
      });
      rows.forEach(begin);
      if (rows.length > 0) return 'again';
      await forgetDeliveries(database, deadKeptMs);
      const ms = await nextDeliveryMs(database);
      return ms === undefined ? 'idle' : { afterMs: ms };
    },
  });

  return {
    order: (tx, orders) => store(options, tx, orders),
    wake: loop.wake,
    stop: async () => {
      await loop.stop();
      await waitAtMost(clock, stopMs, Promise.all(active.keys()));
      stopping.abort(new Fault('STOPPING'));
      await Promise.all(active.keys());
    },
  };
}

/** Targets are locked in one order, so that two replicas never wait for each other. */
async function store({ clock, metrics }: NotifierOptions, tx: Queryable, orders: readonly Order[]): Promise<void> {
  const placed = orders.map((order) => ({ ...order, target: targetOf(order.message.environment, order.door) }));
  for (const { door, target, mostPerHour, message } of placed.toSorted((a, b) => (a.target < b.target ? -1 : 1))) {
    const { environment } = message;
    const { told, held } = await lockTarget(tx, target);
    const id = newId('delivery', clock.now());
    if (told < mostPerHour && held === null) {
      const whole: Message = { schema: 'plinth.dev/notification/v1', id, ...message, counts: null, projects: null };
      await insertDelivery(tx, { id, target, environment, door, message: JSON.stringify(whole) }, triedMs);
      await writeTarget(tx, target, { told: told + 1, held: null });
      continue;
    }
    if (held === null) await insertDelivery(tx, { id, target, environment, door, message: null }, triedMs);
    await writeTarget(tx, target, { told, held: withMessage(held, message) });
    metrics.deliveries.inc({ kind: door.kind, outcome: 'held_back' });
  }
}

function withMessage(held: Held | null, { event, team, project }: Order['message']): Held {
  const { counts, projects } = held ?? { counts: {}, projects: [] };
  const name = `${team}/${project}`;
  const isNew = !projects.includes(name) && projects.length < bounds.projects;
  return {
    counts: { ...counts, [event]: (counts[event] ?? 0) + 1 },
    projects: isNew ? [...projects, name] : projects,
  };
}

/** One try. Whatever comes of it, the row says so. */
async function attempt(options: NotifierOptions, row: DeliveryRow, signal: AbortSignal): Promise<void> {
  const { database, log, metrics } = options;
  const { id, environment, door, attempts } = row;
  const text = row.message ?? (await sumUp(options, row));
  if (text === undefined) return deleteDelivery(database, id);
  const about = { delivery: id, environment, kind: door.kind, attempts };
  const failure = row.late ? tooLate(row) : await sendOne(options, row, text, signal);
  if (failure === undefined) {
    await deleteDelivery(database, id);
    metrics.deliveries.inc({ kind: door.kind, outcome: 'sent' });
    log.debug(about, 'notification sent');
    return;
  }
  if (failure.final) {
    await buryDelivery(database, id, failure.reason);
    metrics.deliveries.inc({ kind: door.kind, outcome: 'given_up' });
    log.error({ ...about, reason: failure.reason }, 'a notification was given up');
    return;
  }
  await postponeDelivery(database, row, {
    ms: signal.aborted ? 0 : pauseMs(attempts, failure),
    reason: failure.reason,
  });
  metrics.deliveries.inc({ kind: door.kind, outcome: 'retried' });
  log.warn({ ...about, reason: failure.reason }, 'a notification could not be sent yet');
}

const tooLate = ({ reason }: DeliveryRow): Failure => ({
  reason: `it could not be sent within a day${reason === '' ? '' : `: ${reason}`}`,
  final: true,
});

async function sendOne(
  options: NotifierOptions,
  row: DeliveryRow,
  text: string,
  signal: AbortSignal,
): Promise<Failure | undefined> {
  try {
    return await deliver(options, row, text, signal);
  } catch (error) {
    if (signal.aborted) return { reason: 'the control plane stopped', final: false };
    throw error;
  }
}

/** With full jitter up to 2 s, 4 s, 8 s … 15 minutes; never earlier than the receiver asks for. */
const pauseMs = (attempts: number, { retryAfterMs = 0 }: Failure) =>
  Math.max(
    Math.random() * Math.min(mostPauseMs, firstPauseMs * 2 ** Math.min(attempts - 1, 20)),
    Math.min(retryAfterMs, mostRetryAfterMs),
  );

/** Writes the summary of a target into its delivery, once: each try sends the same. */
async function sumUp({ database, clock }: NotifierOptions, row: DeliveryRow): Promise<string | undefined> {
  return await database.transaction(async (tx) => {
    const held = await takeHeld(tx, row.target);
    if (held === undefined) return undefined;
    const text = JSON.stringify(summaryOf(row, held, clock.now()));
    await writeMessage(tx, row.id, text);
    return text;
  });
}

function summaryOf({ id, environment }: DeliveryRow, { counts, projects }: Held, now: Date): Message {
  const changes = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const parts = Object.entries(counts)
    .toSorted(([a, most], [b, least]) => least - most || (a < b ? -1 : 1))
    .map(([event, count]) => `${count} × ${event}`);
  return {
    schema: 'plinth.dev/notification/v1',
    id,
    event: 'summary',
    says: ['summary'],
    at: now.toISOString(),
    environment,
    team: null,
    project: null,
    revision: null,
    phase: null,
    health: null,
    summary: cut(`${changes} more in ${environment} within the last hour: ${parts.join(', ')}`),
    details:
      projects.length === 0
        ? []
        : [cut(`About ${projects.join(', ')}${projects.length === bounds.projects ? ' …' : ''}`)],
    changes: Math.max(1, changes),
    counts,
    projects: [...projects],
    url: null,
  };
}
