import { setTimeout as sleep } from 'node:timers/promises';
import type { WatchFault } from './faults.ts';
import { cut, type Passing, slowMs } from './passing.ts';

interface WatchEvent {
  readonly type: string;
  readonly object: {
    readonly apiVersion?: string;
    readonly kind?: string;
    readonly metadata?: { readonly resourceVersion?: string; readonly annotations?: Readonly<Record<string, string>> };
  };
}

const refusals: Partial<Record<WatchFault, readonly [code: number, reason: string]>> = {
  gone: [410, 'Expired'],
  crowdedWatch: [429, 'TooManyRequests'],
  brokenWatch: [500, 'InternalError'],
};

/** Answers a watch without asking the API server. */
export function refuseWatch({ response }: Passing, fault: WatchFault): void {
  const [code, reason] = refusals[fault] ?? [500, 'InternalError'];
  const status = { kind: 'Status', apiVersion: 'v1', status: 'Failure', message: 'by the fault proxy', reason, code };
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(status));
}

/** Passes a watch on, event by event, as the fault says; a healthy one is kept alive with bookmarks. */
export async function passWatch(passing: Passing, fault: WatchFault | undefined): Promise<void> {
  const { response } = passing;
  if (fault !== undefined && refusals[fault] !== undefined) return refuseWatch(passing, fault);
  if (fault === 'silentWatch') return;
  if (fault === 'missingKind') {
    response.writeHead(404, { 'content-type': 'text/plain' }).end('404 page not found\n');
    return;
  }
  const ended = new AbortController();
  passing.door.watches.add(response);
  response.once('close', () => {
    passing.door.watches.delete(response);
    ended.abort();
  });
  try {
    await play(passing, fault, ended.signal);
  } catch (error) {
    if (!ended.signal.aborted) throw error;
  }
}

async function play(passing: Passing, fault: WatchFault | undefined, signal: AbortSignal): Promise<void> {
  const { response, upstream, path, door, bookmarkMs } = passing;
  const answer = await upstream.request({ method: 'GET', path, headers: { accept: 'application/json' }, signal });
  response.writeHead(answer.statusCode, { 'content-type': 'application/json' });
  if (answer.statusCode !== 200) {
    response.end(Buffer.from(await answer.body.arrayBuffer()));
    return;
  }
  response.flushHeaders();
  const chance = door.weather?.chance ?? (() => 0);
  const actor = createActor(passing, fault, chance);
  const heart = setInterval(() => actor.beat(), bookmarkMs);
  try {
    for await (const line of linesOf(answer.body)) if (!(await actor.line(line))) return;
    if (!actor.hangs()) response.end();
  } finally {
    clearInterval(heart);
  }
}

/** Plays one watch: `line` is false when it is over. */
function createActor(passing: Passing, fault: WatchFault | undefined, chance: () => number) {
  const { response, path } = passing;
  // Some events pass before it happens; a listing may or may not be through by then.
  let left = fault === undefined ? Number.POSITIVE_INFINITY : Math.floor(chance() ** 2 * 30);
  let version = /[?&]resourceVersion=(\d+)/.exec(path)?.[1];
  let listing = path.includes('sendInitialEvents=true');
  let type: Pick<WatchEvent['object'], 'apiVersion' | 'kind'> | undefined;
  let hung = false;
  const share = fault === 'shortWatch' ? chance() : 1;

  const write = (line: string) => {
    const event = JSON.parse(line) as WatchEvent;
    const isEnd = event.object.metadata?.annotations?.['k8s.io/initial-events-end'] === 'true';
    if (listing && !isEnd && share < 1 && chance() > share) return;
    if (isEnd) listing = false;
    version = event.object.metadata?.resourceVersion ?? version;
    type = event.object;
    response.write(`${line}\n`);
    if (fault === 'doubledWatch' && !isEnd) response.write(`${line}\n`);
  };

  /** What ends the watch when its time has come; false: it is over. */
  const happen = (line: string): boolean => {
    if (fault === 'cutWatch') response.write(line.slice(0, line.length >> 1), () => cut(passing));
    if (fault === 'endedWatch') response.end();
    if (fault === 'stalledWatch') hung = true;
    if (fault !== 'goneEvent') return fault === 'stalledWatch';
    const object = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'Expired', code: 410 };
    response.end(`${JSON.stringify({ type: 'ERROR', object })}\n`);
    return false;
  };
  const lasts = fault === undefined || ['slowWatch', 'doubledWatch', 'shortWatch'].includes(fault);

  return {
    hangs: () => hung,
    line: async (line: string): Promise<boolean> => {
      if (hung) return true;
      if (fault === 'slowWatch' && passing.door.weather !== undefined) await sleep(slowMs * chance());
      if (lasts || left > 0) {
        left -= 1;
        write(line);
        return true;
      }
      return happen(line);
    },
    beat: () => {
      if (hung || listing || version === undefined) return;
      // What ends early ends without an event, too.
      if (!lasts && chance() < 0.3) left = 0;
      if (!lasts && left <= 0 && fault !== undefined) {
        if (fault === 'stalledWatch') hung = true;
        else if (!happen('{"type":"BOOKMARK","obj')) return;
      }
      if (hung) return;
      const object = { ...pickType(type), metadata: { resourceVersion: version } };
      response.write(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`);
    },
  };
}

const pickType = (type: Pick<WatchEvent['object'], 'apiVersion' | 'kind'> | undefined) => ({
  kind: type?.kind ?? 'Unknown',
  apiVersion: type?.apiVersion ?? 'v1',
});

/** The lines of a stream, each a whole event. */
async function* linesOf(body: AsyncIterable<Uint8Array>): AsyncIterable<string> {
  let begun: Uint8Array[] = [];
  for await (const chunk of body) {
    let from = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, from)) {
      begun.push(chunk.subarray(from, end));
      const line = Buffer.concat(begun).toString();
      begun = [];
      from = end + 1;
      if (line !== '') yield line;
    }
    if (from < chunk.length) begun.push(chunk.subarray(from));
  }
}
