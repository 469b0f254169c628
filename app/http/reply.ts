import type { ServerResponse } from 'node:http';
import type { Request } from 'express';
import type { Clock } from '#base/clock.ts';
import type { AuditFacts, PageNeeds, ReplyKinds, Route, Stream } from '#contract/route.ts';
import { contextOf } from './context.ts';
import { sendEvents, type WireEvent } from './events.ts';
import { setPageHeaders } from './page.ts';
import { sendStream } from './stream.ts';

/** A handler's reply once the table's types are behind us. */
export interface AnyReply {
  readonly status?: number;
  readonly etag?: string | undefined;
  readonly location?: string;
  readonly cookies?: readonly string[];
  readonly page?: PageNeeds;
  readonly audit?: AuditFacts;
  readonly failed?: string;
  readonly retryAfterSeconds?: number | undefined;
  readonly json?: unknown;
  readonly yaml?: Stream | string;
  readonly text?: Stream | string;
  readonly html?: string;
  readonly events?: AsyncIterable<WireEvent>;
}

const mediaTypes = {
  json: ['application/json'],
  yaml: ['application/yaml', 'application/x-yaml', 'text/yaml', 'text/x-yaml'],
  text: ['text/plain'],
  html: ['text/html'],
  events: ['text/event-stream'],
} as const satisfies Record<keyof ReplyKinds, readonly string[]>;

/** The form that the caller would like best; the route's first one when it says nothing that fits. */
export function wantedForm(route: Route, request: Request): keyof ReplyKinds {
  const kinds = Object.keys(route.reply) as (keyof ReplyKinds)[];
  const first = kinds[0] ?? 'json';
  const accept = request.headers.accept;
  if (kinds.length < 2 || accept === undefined || accept === '*/*') return first;
  const best = request.accepts(kinds.flatMap((kind) => mediaTypes[kind]));
  return kinds.find((kind) => (mediaTypes[kind] as readonly string[]).includes(String(best))) ?? first;
}

/**
 * Whether a person sees what is answered where no route says in which form: a browser names HTML; what asks for anything
 * or for JSON is a program.
 */
export const isBrowsing = (request: Request): boolean => request.accepts(['json', 'html']) === 'html';

/** With which status a reply leaves. A page's route that only says where to go on sends the browser there. */
export function statusOf(route: Route, reply: AnyReply): number {
  if (reply.status !== undefined) return reply.status;
  const kind = kindOf(route, reply);
  if (kind === undefined && reply.location !== undefined && route.reply.html !== undefined) return 303;
  return route.status ?? (kind === undefined ? 204 : 200);
}

const kindOf = (route: Route, reply: AnyReply) =>
  (Object.keys(route.reply) as (keyof ReplyKinds)[]).find((each) => reply[each] !== undefined);

/** Sends a reply in its form. JSON and events pass the contract first: what it does not name does not leave. */
export async function sendReply(
  route: Route,
  reply: AnyReply,
  { request, response, clock }: { request: Request; response: ServerResponse; clock: Clock },
): Promise<void> {
  const kind = kindOf(route, reply);
  if (reply.etag !== undefined) response.setHeader('ETag', `"${reply.etag}"`);
  if (reply.location !== undefined) response.setHeader('Location', reply.location);
  if (reply.retryAfterSeconds !== undefined) response.setHeader('Retry-After', String(reply.retryAfterSeconds));
  if (reply.cookies !== undefined && reply.cookies.length > 0) response.setHeader('Set-Cookie', reply.cookies);
  response.setHeader('Cache-Control', 'no-store');
  response.statusCode = statusOf(route, reply);
  if (kind === undefined) {
    response.end();
    return;
  }
  if (kind === 'json') return sendJson(route, reply, response);
  response.setHeader('Content-Type', `${mediaTypes[kind][0]}; charset=utf-8`);
  if (kind === 'html') setPageHeaders(response, reply.page);
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  if (kind !== 'events') return sendStream(response, reply[kind] ?? '');
  response.setHeader('X-Accel-Buffering', 'no');
  response.flushHeaders();
  const { signal } = contextOf(request);
  await sendEvents(response, { events: checked(route, reply.events ?? nothing()), signal, clock });
}

function sendJson(route: Route, reply: AnyReply, response: ServerResponse): void {
  const other = route.also?.status === response.statusCode ? route.also.json : undefined;
  const text = JSON.stringify((other ?? route.reply.json)?.parse(reply.json));
  response.setHeader('Content-Type', 'application/json; charset=utf-8');
  response.end(text);
}

async function* checked(route: Route, events: AsyncIterable<WireEvent>): AsyncGenerator<WireEvent> {
  for await (const { event, id, data } of events) {
    const schema = route.reply.events?.[event];
    if (schema === undefined) throw new Error(`route ${route.name} has no event ${event}`);
    yield { event, id, data: schema.parse(data) };
  }
}

async function* nothing(): AsyncGenerator<never> {}
