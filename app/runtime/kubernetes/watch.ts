import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { type Loop, startLoop } from '#base/loop.ts';
import { type Answer, type Client, isSilence, type Stream } from './client.ts';
import { at, listOf, textOf } from './fields.ts';
import { isNewer, type Sink } from './observe.ts';
import { collectionPath, type Resource } from './resources.ts';

/** How one kind's watch stands. */
export type WatchState =
  /** The watch runs; everything is known. */
  | { readonly kind: 'following' }
  /** The cluster does not have this kind (yet). */
  | { readonly kind: 'absent' }
  | { readonly kind: 'failed'; readonly reason: string }
  /** A complete listing is needed again: what is known may hold objects that are gone. */
  | { readonly kind: 'listing' };

export interface WatchOptions {
  readonly client: Client;
  readonly resource: Resource;
  /** Label selector; empty for all objects. */
  readonly selector: string;
  readonly sink: Sink;
  readonly clock: Clock;
  readonly log: Log;
  /**
   * Bookmarks come about once a minute: a stream that is silent for longer may be dead, whatever TCP says, and is opened
   * again. (Where etcd reports its progress rarely, kinds that nobody uses have no bookmarks: one request then, no more.)
   */
  readonly idleMs: number;
  report(state: WatchState): void;
}

/** Absent kinds are asked for again this often. */
const absentEveryMs = 60_000;
const pageSize = 500;
const endOfList = 'k8s.io/initial-events-end';
/** A stream that ends sooner than this is a fault of what lies between, and is not opened again at once. */
const leastStreamMs = 1000;

/**
 * Follows all objects of one kind for ever: lists once (as a stream where the server offers it, else in pages), then
 * resumes from the last version it saw after every end, error, silence or restart; lists again only when the server
 * has forgotten that version (410) or its own history (a restored store).
 */
export function watchKind(options: WatchOptions): Loop {
  const { client, resource, sink, clock } = options;
  const log = options.log.child({}, { level: 'silent' }); // The runtime tells once for all kinds; see kubernetes.ts.
  const path = collectionPath(resource);
  const query = options.selector === '' ? '' : `&labelSelector=${encodeURIComponent(options.selector)}`;
  let version: string | undefined;
  let streamsLists = true;
  let broken = false;
  let following = false;
  let absent = false;

  const open = async (more: string, signal: AbortSignal): Promise<Stream> => {
    const seconds = Math.round(300 + Math.random() * 300);
    const url = `${path}?watch=1&allowWatchBookmarks=true&timeoutSeconds=${seconds}${query}${more}`;
    return await client.stream(url, { signal, idleMs: options.idleMs });
  };

  const take = (event: unknown) => {
    const type = at(event, 'type');
    const object = at(event, 'object');
    if (type === 'ERROR') throw refusedBecause(resource, { status: Number(at(object, 'code')), body: object });
    if (type === 'ADDED' || type === 'MODIFIED') sink.put(object);
    if (type === 'DELETED') sink.remove(object);
    const seen = textOf(at(object, 'metadata', 'resourceVersion'));
    if (type !== 'BOOKMARK') {
      if (version !== undefined) version = seen;
      return;
    }
    sink.reached(seen);
    if (version === undefined && at(object, 'metadata', 'annotations', endOfList) !== 'true') return;
    if (version === undefined) listed(seen);
    version = seen;
  };

  const listed = (seen: string) => {
    sink.end();
    version = seen;
    absent = false;
    options.report({ kind: 'following' });
  };

  const follow = async (stream: Stream) => {
    const startedMs = clock.monotonicMs();
    following = true;
    for await (const event of eventsOf(stream.body)) take(event);
    if (clock.monotonicMs() - startedMs < leastStreamMs)
      throw new Broken(`the watch of ${resource.plural} ends at once`);
  };

  const listByStream = async (signal: AbortSignal): Promise<boolean> => {
    const stream = await open('&sendInitialEvents=true&resourceVersionMatch=NotOlderThan', signal);
    if (stream.status === 400 || stream.status === 422) {
      await stream.answer();
      return false; // An API server before 1.32 or with the feature off.
    }
    if (stream.status !== 200) throw refusedBecause(resource, await stream.answer());
    sink.begin();
    await follow(stream);
    return true;
  };

  const listByPages = async (signal: AbortSignal) => {
    sink.begin();
    for (let next = ''; ; ) {
      const page = await client.request('GET', `${path}?limit=${pageSize}${query}${next}`, { signal });
      if (page.status !== 200) throw refusedBecause(resource, page);
      for (const item of listOf(at(page.body, 'items'))) sink.put(item);
      const more = textOf(at(page.body, 'metadata', 'continue'));
      if (more === '') {
        const seen = textOf(at(page.body, 'metadata', 'resourceVersion'));
        sink.reached(seen);
        listed(seen);
        return;
      }
      next = `&continue=${encodeURIComponent(more)}`;
    }
  };

  /** A store that was restored from a backup counts lower than we remember: a watch from there would wait for ever. */
  const forgetIfRestored = async (signal: AbortSignal) => {
    const answer = await client.request('GET', `${path}?limit=1${query}`, { signal });
    const now = textOf(at(answer.body, 'metadata', 'resourceVersion'));
    if (answer.status === 200 && version !== undefined && isNewer(version, now)) version = undefined;
  };

  const once = async (signal: AbortSignal) => {
    following = false;
    if (broken && version !== undefined) await forgetIfRestored(signal);
    broken = false;
    if (version === undefined) {
      if (!absent) options.report({ kind: 'listing' });
      if (streamsLists) streamsLists = await listByStream(signal);
      if (!streamsLists) await listByPages(signal);
      return;
    }
    const stream = await open(`&resourceVersion=${version}`, signal);
    if (stream.status !== 200) throw refusedBecause(resource, await stream.answer());
    options.report({ kind: 'following' });
    await follow(stream);
  };

  return startLoop({
    name: `watch ${resource.plural}`,
    log,
    clock,
    everyMs: absentEveryMs,
    run: async (signal) => {
      try {
        await once(signal);
        return 'again';
      } catch (error) {
        if (signal.aborted) throw error;
        if (isSilence(error)) return 'again';
        broken = true;
        if (error instanceof Absent) {
          version = undefined;
          absent = true;
          options.report({ kind: 'absent' });
          return 'idle';
        }
        if (error instanceof Expired) version = undefined;
        // A stream that breaks is nothing to tell: only when the next one cannot be opened, something is wrong.
        else if (following) following = false;
        else options.report({ kind: 'failed', reason: reasonOf(error) });
        throw error;
      }
    },
  });
}

/** The kind comes with an extension that the cluster lacks. A built-in kind that is not found is a broken cluster. */
class Absent extends Error {}
/** The version that a watch would resume from is forgotten. */
class Expired extends Error {}
/** A stream that did not last. */
class Broken extends Error {}

function reasonOf(error: unknown): string {
  if (Fault.is(error, 'RUNTIME_UNAVAILABLE')) return String(error.data.why);
  return error instanceof Error ? error.message : String(error);
}

function refusedBecause(resource: Resource, { status, body }: Answer): Error {
  const message = textOf(at(body, 'message')) || String(body).trim();
  if (status === 404 && resource.extension === true) return new Absent(message);
  if (status === 403 && resource.custom === true) return new Absent(message);
  if (status === 410) return new Expired(message);
  return new Error(`watching ${resource.plural} is refused (${status}): ${message}`);
}

/** The events of a watch: one JSON document a line, cut anywhere by the network. */
export async function* eventsOf(body: AsyncIterable<Uint8Array>): AsyncIterable<unknown> {
  let begun: Uint8Array[] = [];
  for await (const chunk of body) {
    let from = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, from)) {
      begun.push(chunk.subarray(from, end));
      const line = Buffer.concat(begun).toString();
      begun = [];
      from = end + 1;
      if (line !== '') yield JSON.parse(line);
    }
    if (from < chunk.length) begun.push(chunk.subarray(from));
  }
}
