import { createHash } from 'node:crypto';
import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { Telling } from '../runtime.ts';
import type { Client } from './client.ts';
import { at } from './fields.ts';
import type { Index } from './observe.ts';

export interface EventWriterOptions {
  readonly client: Pick<Client, 'request'>;
  readonly index: Pick<Index, 'find'>;
  readonly clock: Clock;
  readonly log: Log;
}

export interface EventWriter {
  /** Writes an event, or counts one up that says the same. Never rejects. */
  tell(telling: Telling): Promise<void>;
}

/** Events of a namespace that may be written at once, and how soon there is room for one more. */
const burst = 20;
const refillMs = 60_000;
/** API servers forget events after an hour; before that the same one is counted up. */
const rememberedMs = 50 * 60_000;
/** The most that is remembered, over all namespaces. */
const mostRemembered = 2_000;
/** The most that waits to be written; where the API server does not keep up, the rest is not told. */
const mostWaiting = 1_000;
const timeoutMs = 5_000;
const mostMessage = 1024;

/** An event that was written. */
interface Written {
  readonly first: string;
  count: number;
  atMs: number;
}

/** What a namespace may still write; the count of what it could not. */
interface Room {
  tokens: number;
  atMs: number;
}

/**
 * Events of core/v1 about the Namespace object, in that namespace, so that `kubectl get events -n` shows them beside
 * those of the workloads. The same telling again counts the same event up; a namespace that has much to tell is slowed
 * down, and what it says meanwhile is only counted.
 */
export function createEventWriter(options: EventWriterOptions): EventWriter {
  const { clock, log } = options;
  const written = new Map<string, Written>();
  const rooms = new Map<string, Room>();
  /** One after the other: of two at once both would be the first. */
  let last: Promise<void> = Promise.resolve();
  let waiting = 0;

  const write = async (telling: Telling) => {
    const name = nameOf(telling);
    const id = `${telling.namespace}/${name}`;
    const nowMs = clock.monotonicMs();
    const known = written.get(id);
    const fresh = known !== undefined && nowMs - known.atMs < rememberedMs ? known : undefined;
    const event = fresh ?? { first: timeOf(clock), count: 0, atMs: nowMs };
    event.count += 1;
    event.atMs = nowMs;
    // Re-inserted, so that the oldest stand first.
    written.delete(id);
    written.set(id, event);
    forget(written, mostRemembered);
    if (!takeRoom(rooms, telling.namespace, nowMs)) return;
    event.count = await send(options, telling, { name, ...event });
  };

  return {
    tell: (telling) => {
      const { namespace, reason } = telling;
      if (waiting >= mostWaiting) return last;
      waiting += 1;
      last = last
        .then(() => write(telling))
        .catch((error: unknown) => log.warn({ namespace, reason, err: error }, 'an event could not be written'))
        .finally(() => {
          waiting -= 1;
        });
      return last;
    },
  };
}

/** The same for all that say the same, across restarts: another process counts up what this one wrote. */
function nameOf({ reason, type, message }: Telling): string {
  const digest = createHash('sha256').update(`${type}\n${reason}\n${message}`).digest('hex').slice(0, 16);
  return `plinth-${reason.toLowerCase().replace(/[^a-z0-9]+/g, '-')}.${digest}`;
}

function takeRoom(rooms: Map<string, Room>, namespace: string, nowMs: number): boolean {
  const before = rooms.get(namespace) ?? { tokens: burst, atMs: nowMs };
  const tokens = Math.min(burst, before.tokens + (nowMs - before.atMs) / refillMs);
  rooms.delete(namespace);
  rooms.set(namespace, { tokens: tokens >= 1 ? tokens - 1 : tokens, atMs: nowMs });
  forget(rooms, mostRemembered);
  return tokens >= 1;
}

function forget(map: Map<string, unknown>, most: number): void {
  for (const oldest of map.keys()) {
    if (map.size <= most) return;
    map.delete(oldest);
  }
}

const timeOf = (clock: Clock) =>
  clock
    .now()
    .toISOString()
    .replace(/\.\d+Z$/, 'Z');

/** Makes the event, or counts up the one that is there. @returns its count @throws Fault RUNTIME_UNAVAILABLE, EVENT_REFUSED */
async function send(
  { client, index, clock }: EventWriterOptions,
  { namespace, type, reason, message }: Telling,
  { name, first, count }: { readonly name: string; readonly first: string; readonly count: number },
): Promise<number> {
  const path = `/api/v1/namespaces/${namespace}/events`;
  const uid = index.find({ apiVersion: 'v1', kind: 'Namespace', namespace: '', name: namespace })?.uid;
  const asked = { timeoutMs, lane: 'bulk' } as const;
  const lastTimestamp = timeOf(clock);
  const body = {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name, namespace },
    // It stands in the namespace that it is about: only then do both agree, as the API server wants it.
    involvedObject: { apiVersion: 'v1', kind: 'Namespace', name: namespace, namespace, uid },
    type,
    reason,
    message: message.slice(0, mostMessage),
    source: { component: 'plinth' },
    firstTimestamp: first,
    lastTimestamp,
    count,
  };
  const countUp = async (to: number) =>
    await client.request('PATCH', `${path}/${name}`, {
      ...asked,
      body: { count: to, lastTimestamp },
      contentType: 'application/merge-patch+json',
    });
  if (count > 1) {
    const { status } = await countUp(count);
    if (status !== 404) return writtenWith(status, count);
  }
  const made = await client.request('POST', path, { ...asked, body });
  if (made.status !== 409) return writtenWith(made.status, count);
  // Another process, or another life of this one, has told the same.
  const there = at((await client.request('GET', `${path}/${name}`, asked)).body, 'count');
  const next = (typeof there === 'number' ? there : 1) + 1;
  return writtenWith((await countUp(next)).status, next);
}

function writtenWith(status: number, count: number): number {
  if (status >= 300) throw new Fault('EVENT_REFUSED', { status });
  return count;
}
