import type { IncomingMessage } from 'node:http';
import { parseCookie } from 'cookie';
import type { Express, Request, Response } from 'express';
import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Caller, Permission, Scope } from '#contract/caller.ts';
import type { AuditFacts, HandlersOf, InputOf, RequestFacts, Route } from '#contract/route.ts';
import {
  type BodyLimits,
  bodyLimits,
  createLargeBodies,
  isForm,
  type LargeBodies,
  readBody,
  readBytes,
  readForm,
} from './body.ts';
import { contextOf, type RequestContext } from './context.ts';
import { createOrigins, type Origins } from './origins.ts';
import { parsePart, parseQuery } from './parse.ts';
import { discardRest } from './problem.ts';
import { type RecordedRequest, type RequestRecord, recordOf } from './record.ts';
import { type AnyReply, isBrowsing, sendReply, statusOf, wantedForm } from './reply.ts';

export interface RoutesOptions<Table extends readonly Route[]> {
  readonly routes: Table;
  readonly handlers: HandlersOf<Table>;
  /**
   * For a session it checks the CSRF token of what changes something; where `csrf` is `form`, the token comes with the
   * body, and `checkCsrf` is asked afterwards.
   * @throws Fault CREDENTIALS_MISSING | CREDENTIALS_WRONG | BASIC_FROM_BROWSER | SIGN_IN_LIMITED | CSRF_TOKEN_WRONG
   */
  readonly callerOf: (request: IncomingMessage, how: { readonly csrf: 'header' | 'form' }) => Promise<Caller>;
  /** Throws Fault CSRF_TOKEN_WRONG. Without it no form of a caller with a session is taken. */
  readonly checkCsrf?: (caller: Caller, given: string | undefined) => void;
  /** Says false for everything that it does not know. */
  readonly authorise: (caller: Caller, permission: Permission, scope: Scope) => boolean;
  readonly clock: Clock;
  readonly limits?: BodyLimits;
  /** Default: no page of another host may send anything with credentials. */
  readonly origins?: Origins;
  /** Returns when the record is on the disk. What changed something is not confirmed before. */
  readonly audit?: (record: RequestRecord) => Promise<void>;
  /** Where a browser goes that opens a page without being signed in; `path` is the page with its query. */
  readonly signInPage?: (path: string) => string;
}

type AnyHandler = (input: InputOf<Route>) => Promise<AnyReply>;
interface Mounted {
  readonly route: Route;
  readonly handler: AnyHandler;
}
type Steps = Omit<RoutesOptions<readonly Route[]>, 'routes' | 'handlers' | 'origins'> & {
  readonly origins: Origins;
  readonly large: LargeBodies;
};

const strictOrigins = createOrigins({
  baseUrl: '',
  trustedOrigins: [],
  corsOrigins: [],
  appDomain: '',
  projectsDomain: '',
  production: true,
});

/**
 * The one way to add routes. Each request walks: origin → caller → path → may the caller → query and body → handler →
 * audit → reply. A path of the table with another method is answered with 405; whatever is in no table,
 * `endApplication` answers.
 */
export function mountRoutes<const Table extends readonly Route[]>(app: Express, options: RoutesOptions<Table>): void {
  const steps: Steps = { ...options, origins: options.origins ?? strictOrigins, large: createLargeBodies() };
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
      if (mounted !== undefined) return answer(mounted, request, response, steps);
      const { method } = request;
      contextOf(request).wantsPage = isBrowsing(request);
      throw new Fault('METHOD_UNKNOWN', { path: request.path, method, allowed: [...methods.keys()].sort() });
    });
}

async function answer({ route, handler }: Mounted, request: Request, response: Response, steps: Steps): Promise<void> {
  const context = contextOf(request);
  context.route = route.name;
  const wanted = wantedForm(route, request);
  context.wantsPage = wanted === 'html';
  steps.origins.check(request, { foreign: route.foreign, isPage: route.reply.html !== undefined });
  const form = route.form === true && isForm(request);
  const caller = await callerOf(route, request, form, steps);
  if (caller === 'elsewhere') return goToSignIn(request, response, steps);
  const params = route.params === undefined ? {} : (parsePart('path', route.params, request.params) as Params);
  const asked = { route, caller, params, context, userAgent: request.headers['user-agent'] };
  await mayOrThrow(asked, steps);
  const query = caller === undefined && route.query === undefined ? {} : parseQuery(route.query, searchOf(request));
  const ifMatch = route.conditional === true ? conditionOf(request) : undefined;
  const { body, csrf } = await bodyOf(route, request, caller, form, steps);
  const facts = factsOf(request, context, ifMatch, csrf);
  // Each part has passed the schema from which its type was made; the general InputOf<Route> cannot know which.
  const input = { caller, params, query, body, wanted, request: facts } as unknown as InputOf<Route>;
  const reply = await recorded(asked, steps, () => handler(input));
  await sendReply(route, reply, { request, response, clock: steps.clock });
}

type Params = Readonly<Record<string, unknown>>;

/** undefined for a public route; `elsewhere`: a person who wants a page, and is to sign in first. */
async function callerOf(
  route: Route,
  request: Request,
  form: boolean,
  { callerOf: find, signInPage }: Steps,
): Promise<Caller | undefined | 'elsewhere'> {
  if (route.permission === 'public') return undefined;
  try {
    return await find(request, { csrf: form ? 'form' : 'header' });
  } catch (error) {
    // A form's session may have ended while it was filled in. What names its credentials is a program.
    const visits = request.method === 'GET' || (form && request.headers.authorization === undefined);
    const isPerson = visits && contextOf(request).wantsPage;
    if (isPerson && signInPage !== undefined && Fault.is(error) && error.status === 401) return 'elsewhere';
    throw error;
  }
}

/** And from there back: to the page that was asked for, or that the form stood on. */
function goToSignIn(request: Request, response: Response, { signInPage }: Steps): void {
  const back = request.method === 'POST' ? pathOfForm(request) : request.originalUrl;
  response.setHeader('Cache-Control', 'no-store');
  response.writeHead(303, { Location: signInPage?.(back) ?? '/' }).end();
  discardRest(request);
}

/** Nobody can open what a form is sent to. Browsers tell us on which of our pages it stood. */
function pathOfForm(request: Request): string {
  const { referer = '', host } = request.headers;
  const page = URL.canParse(referer) ? new URL(referer) : undefined;
  return page === undefined || page.host !== host ? '/' : page.pathname + page.search;
}

function factsOf(
  request: Request,
  context: RequestContext,
  ifMatch: string | undefined,
  csrf: string | undefined,
): RequestFacts {
  return {
    id: context.id,
    ifMatch,
    csrf,
    get address() {
      return context.address;
    },
    get secure() {
      return context.secure;
    },
    get signal() {
      return context.signal;
    },
    header: (name) => request.get(name),
    cookie: (name) => {
      const { cookie } = request.headers;
      return cookie === undefined ? undefined : parseCookie(cookie, { decode: (text) => text })[name];
    },
  };
}

/** Denied is whoever the rules do not name; a known caller's wish is recorded, and the refusal stands even if it cannot be. */
async function mayOrThrow(asked: RecordedRequest, { authorise, audit }: Steps): Promise<void> {
  const { route, caller, params, context } = asked;
  const { permission, reach, inPerson } = route;
  if (permission === 'public') return;
  const { environment, team, project } = params as Omit<Scope, 'reach'>; // the schemas of paths say so
  const isToken = caller?.credential.kind === 'token';
  const scope = reach === undefined ? undefined : { reach, environment, team, project };
  const may = caller !== undefined && scope !== undefined && authorise(caller, permission, scope);
  if (may && !(inPerson && isToken)) return;
  const fault = new Fault('FORBIDDEN', { actor: caller?.name ?? 'nobody', permission });
  if (caller !== undefined && route.audit !== false)
    await audit?.(recordOf(asked, { outcome: 'denied', status: fault.status, code: fault.code })).catch((error) =>
      context.log.error({ err: error }, 'a refusal is missing in the audit'),
    );
  throw fault;
}

/**
 * Runs what changes something and records how it ended. Done without a record is answered as AUDIT_UNAVAILABLE; a
 * failure stays the failure that it is, whether it was thrown or a page says it. What strangers fail at on public routes
 * is recorded by the rooms that care; and what they did only where the handler says to what, so that nobody fills the
 * disk by doing nothing.
 */
async function recorded(asked: RecordedRequest, { audit }: Steps, run: () => Promise<AnyReply>): Promise<AnyReply> {
  const { route, caller, context } = asked;
  if (audit === undefined || route.method === 'GET' || route.audit !== undefined) return run();
  const failed = async (status: number, code?: string, facts?: AuditFacts) => {
    if (caller === undefined) return;
    await audit(recordOf(asked, { outcome: 'failed', status, code }, facts)).catch((failure) =>
      context.log.error({ err: failure }, 'a failure is missing in the audit'),
    );
  };
  let reply: AnyReply;
  try {
    reply = await run();
  } catch (error) {
    const { status, code } = Fault.is(error) ? error : { status: 500, code: 'INTERNAL' };
    await failed(status, code);
    throw error;
  }
  const status = statusOf(route, reply);
  if (status >= 400) {
    await failed(status, reply.failed, reply.audit);
    return reply;
  }
  if (caller === undefined && reply.audit === undefined) return reply;
  try {
    await audit(recordOf(asked, { outcome: 'done', status }, reply.audit));
    return reply;
  } catch (error) {
    context.log.error({ err: error }, 'the audit cannot be written');
    throw new Fault('AUDIT_UNAVAILABLE', {}, { cause: error });
  }
}

interface Body {
  readonly body: unknown;
  readonly csrf: string | undefined;
}

async function bodyOf(
  route: Route,
  request: Request,
  caller: Caller | undefined,
  form: boolean,
  { clock, limits: given = bodyLimits, checkCsrf, large }: Steps,
): Promise<Body> {
  const limits = route.mostBytes === undefined ? given : { ...given, mostBytes: route.mostBytes };
  const header = request.get('X-CSRF-Token');
  if (form) {
    const { csrf = header, ...fields } = await readForm(request, clock, limits);
    if (caller?.credential.kind === 'session') {
      if (checkCsrf === undefined) throw new Fault('CSRF_TOKEN_WRONG');
      checkCsrf(caller, csrf);
    }
    return { body: route.body === undefined ? undefined : parsePart('body', route.body, fields), csrf };
  }
  if (route.bytes !== undefined)
    return { body: await readBytes(request, route.bytes, clock, { limits, large }), csrf: header };
  if (route.bodyKinds !== undefined)
    return { body: await readBody(request, route.bodyKinds, clock, limits), csrf: header };
  if (route.body === undefined) return { body: undefined, csrf: header };
  const body = await readBody(request, ['json'], clock, limits);
  return { body: parsePart('body', route.body, body.kind === 'json' ? body.value : undefined), csrf: header };
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
