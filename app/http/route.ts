import type { IncomingMessage } from 'node:http';
import type { Express, Request, Response } from 'express';
import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Caller, Permission, Scope } from '#contract/caller.ts';
import type { HandlersOf, InputOf, Route } from '#contract/route.ts';
import { type BodyLimits, bodyLimits, readBody } from './body.ts';
import { contextOf } from './context.ts';
import { parsePart, parseQuery } from './parse.ts';
import { type AnyReply, sendReply, wantedForm } from './reply.ts';

export interface RoutesOptions<Table extends readonly Route[]> {
  readonly routes: Table;
  readonly handlers: HandlersOf<Table>;
  /** @throws Fault CREDENTIALS_MISSING | CREDENTIALS_WRONG | BASIC_FROM_BROWSER | SIGN_IN_LIMITED */
  readonly callerOf: (request: IncomingMessage) => Promise<Caller>;
  /** Says false for everything that it does not know. */
  readonly authorise: (caller: Caller, permission: Permission, scope: Scope) => boolean;
  readonly clock: Clock;
  readonly limits?: BodyLimits;
}

type AnyHandler = (input: InputOf<Route>) => Promise<AnyReply>;
interface Mounted {
  readonly route: Route;
  readonly handler: AnyHandler;
}
type Steps = Pick<RoutesOptions<readonly Route[]>, 'callerOf' | 'authorise' | 'clock' | 'limits'>;

/**
 * The one way to add routes. Each request walks: caller → path → may the caller → query and body → handler → reply. A
 * path of the table with another method is answered with 405; whatever is in no table, `endApplication` answers.
 */
export function mountRoutes<const Table extends readonly Route[]>(app: Express, options: RoutesOptions<Table>): void {
  const paths = new Map<string, Map<string, Mounted>>();
  for (const route of options.routes) {
    // The table's types are checked where handlers are given; from here on every route is treated alike.
    const handler = (options.handlers as Readonly<Record<string, unknown>>)[route.name] as AnyHandler | undefined;
    if (handler === undefined) throw new Error(`route ${route.name} has no handler`);
    const methods = paths.get(route.path) ?? new Map<string, Mounted>();
    paths.set(route.path, methods.set(route.method, { route, handler }));
  }
  for (const [path, methods] of paths)
    app.all(expressPath(path), (request, response) => {
      const mounted = methods.get(request.method === 'HEAD' ? 'GET' : request.method);
      if (mounted !== undefined) return answer(mounted, request, response, options);
      const { method } = request;
      throw new Fault('METHOD_UNKNOWN', { path: request.path, method, allowed: [...methods.keys()].sort() });
    });
}

async function answer({ route, handler }: Mounted, request: Request, response: Response, steps: Steps): Promise<void> {
  const context = contextOf(request);
  context.route = route.name;
  const caller = route.permission === 'public' ? undefined : await steps.callerOf(request);
  const params = route.params === undefined ? {} : parsePart('path', route.params, request.params);
  mayOrThrow(route, caller, params as Scope, steps);
  const query = caller === undefined && route.query === undefined ? {} : parseQuery(route.query, searchOf(request));
  const ifMatch = route.conditional === true ? conditionOf(request) : undefined;
  const body = await bodyOf(route, request, steps);
  const facts = {
    id: context.id,
    address: request.socket.remoteAddress ?? '',
    ifMatch,
    get signal() {
      return context.signal;
    },
    header: (name: string) => request.get(name),
  };
  const wanted = wantedForm(route, request);
  // Each part has passed the schema from which its type was made; the general InputOf<Route> cannot know which.
  const input = { caller, params, query, body, wanted, request: facts } as unknown as InputOf<Route>;
  await sendReply(route, await handler(input), { request, response, clock: steps.clock });
}

function mayOrThrow(route: Route, caller: Caller | undefined, params: Scope, { authorise }: Steps): void {
  const { permission } = route;
  if (permission === 'public') return;
  const { environment, team, project } = params;
  if (caller !== undefined && authorise(caller, permission, { environment, team, project })) return;
  throw new Fault('FORBIDDEN', { actor: caller?.name ?? 'nobody', permission });
}

async function bodyOf(route: Route, request: Request, { clock, limits = bodyLimits }: Steps): Promise<unknown> {
  if (route.bodyKinds !== undefined) return readBody(request, route.bodyKinds, clock, limits);
  if (route.body === undefined) return undefined;
  const body = await readBody(request, ['json'], clock, limits);
  return parsePart('body', route.body, body.kind === 'json' ? body.value : undefined);
}

/** @throws Fault REQUEST_INVALID for anything but one entity tag, `*`, or `If-None-Match: *`. */
function conditionOf(request: Request): string | undefined {
  const match = request.headers['if-match'];
  const none = request.headers['if-none-match'];
  if (match === undefined && none === undefined) return undefined;
  if (match === undefined && none?.trim() === '*') return '';
  const tag = /^(?:W\/)?"([\x21\x23-\x7e]{1,128})"$|^(\*)$/.exec(match?.trim() ?? '');
  if (tag !== null && none === undefined) return tag[1] ?? tag[2];
  const message = 'wanted is one of: If-Match with one entity tag in quotes, If-Match: *, If-None-Match: *';
  throw new Fault('REQUEST_INVALID', { findings: [{ file: 'headers', path: 'If-Match', message }] });
}

/** What follows the question mark. */
function searchOf(request: Request): string {
  const at = request.url.indexOf('?');
  return at < 0 ? '' : request.url.slice(at + 1);
}

/** `/changes/{id}` → `/changes/:id`. */
const expressPath = (path: string) => path.replace(/\{(\w+)\}/g, ':$1');
