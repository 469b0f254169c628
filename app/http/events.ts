import type { ServerResponse } from 'node:http';
import type { Clock } from '#base/clock.ts';
import { flushed } from './stream.ts';

/** One event on its way out; `data` has passed the contract. */
export interface WireEvent {
  readonly event: string;
  readonly id?: string | undefined;
  readonly data: unknown;
}

export interface EventStream {
  readonly events: AsyncIterable<WireEvent>;
  /** Ends the stream: the caller is gone, or the server stops. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** A comment is sent this often, so that proxies keep the connection and a dead reader is noticed. */
  readonly heartbeatMs?: number;
}

const defaultHeartbeatMs = 15_000;
/** How long the reader should wait before it connects again. */
const retryMs = 2000;

/** Sends server-sent events until they end or the reader leaves. The head has been written by the caller. */
export async function sendEvents(response: ServerResponse, stream: EventStream): Promise<void> {
  const { events, signal } = stream;
  const ended = new AbortController();
  response.write(`retry: ${retryMs}\n\n`);
  const beating = beat(response, stream, ended.signal);
  try {
    for await (const event of endWith(events, signal)) {
      if (!response.write(frameOf(event))) await flushed(response);
      if (response.destroyed) return;
    }
  } finally {
    ended.abort();
    await beating;
  }
  response.end();
}

function frameOf({ event, id, data }: WireEvent): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** A reader that has taken nothing between two heartbeats is gone, although its connection does not say so. */
async function beat(response: ServerResponse, stream: EventStream, ended: AbortSignal): Promise<void> {
  let stuck = false;
  while (!ended.aborted) {
    const awake = await stream.clock.sleep(stream.heartbeatMs ?? defaultHeartbeatMs, ended).then(
      () => true,
      () => false,
    );
    if (!awake) return;
    if (!response.writableNeedDrain) {
      stuck = false;
      response.write(': still here\n\n');
    } else if (stuck) response.destroy();
    else stuck = true;
  }
}

/** The events until the signal aborts; the source is told to end at once, even while it waits for its next event. */
async function* endWith<T>(events: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = events[Symbol.asyncIterator]();
  const aborted = new Promise<{ done: true; value: undefined }>((resolve) => {
    const end = () => resolve({ done: true, value: undefined });
    if (signal.aborted) end();
    signal.addEventListener('abort', end, { once: true });
  });
  try {
    while (true) {
      const next = await Promise.race([iterator.next(), aborted]);
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    // Not awaited: a generator that hangs in its own await answers only after that, and it has the signal itself.
    iterator.return?.()?.catch(() => {});
  }
}
