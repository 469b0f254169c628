import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RequestFault } from './faults.ts';
import { cut, forward, type Passing, slowMs } from './passing.ts';

/** True for a GET of a collection. */
export function isListPath({ method }: IncomingMessage, path: string): boolean {
  return method === 'GET' && /^\/api(s\/[^/]+)?\/[^/]+\/[a-z]+\?/.test(path);
}

const before: Partial<Record<RequestFault, (passing: Passing) => void>> = {
  crowded: (passing) => refuse(passing, 429, 'TooManyRequests'),
  crowdedForASecond: (passing) => refuse(passing, 429, 'TooManyRequests', { 'retry-after': '1' }),
  error500: (passing) => refuse(passing, 500, 'InternalError'),
  error503: (passing) => refuse(passing, 503, 'ServiceUnavailable'),
  error504: (passing) => refuse(passing, 504, 'Timeout'),
  silentBefore: () => {},
  resetBefore: cut,
  missing: ({ response }) => {
    response.writeHead(404, { 'content-type': 'text/plain' }).end('404 page not found\n');
  },
};

/** Answers one request as the fault says. */
export async function answerWrongly(passing: Passing, fault: RequestFault): Promise<void> {
  const at = before[fault];
  if (at !== undefined) {
    at(passing);
    return;
  }
  if (fault === 'slow') await sleep(slowMs * (passing.door.weather?.chance() ?? 1));
  const { status, headers, body } = await forward(passing);
  const { response } = passing;
  if (fault === 'silentAfter') return;
  if (fault === 'resetAfter') return cut(passing);
  const half = body.subarray(0, body.length >> 1);
  if (fault === 'cutBody') {
    response.writeHead(status, { ...headers, 'content-length': body.length });
    response.write(half, () => cut(passing));
    return;
  }
  if (fault === 'cutJson') response.writeHead(status, headers).end(half);
  else response.writeHead(status, headers).end(fault === 'shortList' ? shortened(body, passing) : body);
}

function refuse({ response }: Passing, code: number, reason: string, headers: Record<string, string> = {}): void {
  const status = { kind: 'Status', apiVersion: 'v1', status: 'Failure', message: 'by the fault proxy', reason, code };
  response.writeHead(code, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(status));
}

function shortened(body: Buffer, { door }: Passing): string {
  const list = JSON.parse(body.toString()) as { items?: unknown[] | null };
  const chance = door.weather?.chance ?? (() => 0);
  const empty = chance() < 0.5;
  return JSON.stringify({ ...list, items: (list.items ?? []).filter(() => !empty && chance() < 0.5) });
}
