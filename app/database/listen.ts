import { Client, type Notification } from 'pg';
import type { Clock } from '#base/clock.ts';
import type { Log } from '#base/log.ts';
import { startLoop } from '#base/loop.ts';
import { type Connection, clientConfig } from './connection.ts';
import { databaseFault } from './faults.ts';
import type { Queryable } from './pool.ts';

export interface ListenerOptions {
  readonly connection: Connection;
  readonly channels: readonly string[];
  readonly log: Log;
  readonly clock: Clock;
  /** A notice came. A hint: read the table. */
  onNotice(channel: string, payload: string): void;
  /** It listens, from now on: at first and after each lost connection. What was said before is unknown: read all. */
  onGap(): void;
  /** The server answered what it was asked at this moment (of the monotonic clock): what it had said before has come. */
  onHeard?(atMs: number): void;
}

export interface Listener {
  stop(): Promise<void>;
}

/** Often enough for those who trust what they know only for seconds after the server was last heard. */
const heartbeatMs = 1_500;
const answerMs = 5_000;
const mostPauseMs = 2_000;

/** Listens on a connection of its own, asks now and then whether it still lives, and connects again when it does not. */
export function createListener(options: ListenerOptions): Listener {
  const { log, clock } = options;
  let failures = 0;
  const loop = startLoop({
    name: 'listen',
    log,
    clock,
    everyMs: mostPauseMs,
    run: async (signal) => {
      const config = clientConfig(options.connection, 'plinth-listen');
      const client = new Client({ ...config, connectionTimeoutMillis: answerMs });
      try {
        const lost = await listen(client, options);
        failures = 0;
        await stayAlive(client, lost, options, signal);
      } catch (error) {
        if (!signal.aborted) log.warn({ err: databaseFault(error), failures }, 'listening for notices interrupted');
      } finally {
        hangUp(client);
      }
      failures += 1;
      // Not the loop's own backoff, which may be 30 s: a listener that is away delays everything that waits for it.
      await clock.sleep(Math.random() * Math.min(mostPauseMs, 25 * 2 ** failures), signal).catch(() => {});
      return 'again';
    },
  });
  return { stop: () => loop.stop() };
}

/** A notice to everyone who listens, sent when the transaction commits; equal ones of one transaction are sent once. */
export async function notify(tx: Queryable, channel: string, payload: string): Promise<void> {
  await tx.query('select pg_notify($1, $2)', [channel, payload], 'notify');
}

/** Returns when it listens; `lost` rejects when the connection ends. */
async function listen(
  client: Client,
  { channels, onNotice, onGap, onHeard, clock }: ListenerOptions,
): Promise<{ lost: Promise<never> }> {
  const lost = new Promise<never>((_, reject) => {
    client.on('error', reject);
    client.on('end', () => reject(new Error('Connection terminated')));
  });
  lost.catch(() => {}); // it is looked at later, or not at all
  client.on('notification', ({ channel, payload }: Notification) => onNotice(channel, payload ?? ''));
  await client.connect();
  for (const channel of channels) await client.query(`listen ${client.escapeIdentifier(channel)}`);
  const askedMs = clock.monotonicMs();
  await client.query('select');
  onGap();
  onHeard?.(askedMs);
  return { lost };
}

/** Ends by throwing when the connection is lost or silent, or by returning when the signal says so. */
async function stayAlive(
  client: Client,
  { lost }: { lost: Promise<never> },
  { clock, onHeard }: ListenerOptions,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await Promise.race([lost, clock.sleep(heartbeatMs, signal).catch(() => {})]);
    if (signal.aborted) return;
    const enough = new AbortController();
    const silent = clock.sleep(answerMs, AbortSignal.any([signal, enough.signal])).then(
      () => Promise.reject(new Error('Connection terminated: no answer to the heartbeat')),
      () => false,
    );
    const askedMs = clock.monotonicMs();
    const answered = client.query('select').then(() => true);
    const heard = await Promise.race([lost, answered, silent]);
    enough.abort();
    if (heard) onHeard?.(askedMs);
  }
}

/** At once and without a farewell, which a dead connection would never answer. */
function hangUp(client: Client): void {
  client.removeAllListeners('notification');
  client.connection.stream.destroy();
}
