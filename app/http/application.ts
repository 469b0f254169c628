import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import helmet from 'helmet';
import { Fault } from '#base/errors.ts';
import { beginRequest, type ContextDependencies, contextOf } from './context.ts';
import { type Origins, preflightHeaders } from './origins.ts';
import { sendProblem } from './problem.ts';
import { isBrowsing } from './reply.ts';

export interface ApplicationOptions extends ContextDependencies {
  /** The rules about who may send requests from a browser; `mountRoutes` is given the same. Absent: no page may. */
  readonly origins?: Origins;
}

/**
 * An Express application that is only a router: request ids, log line, metrics and security headers are in; parsers,
 * sessions and views are not. Add routes, then call `endApplication`.
 */
export function createApplication(options: ApplicationOptions): Express {
  const app = express();
  app.disable('x-powered-by').disable('etag').set('query parser', false);
  app.enable('case sensitive routing').enable('strict routing');
  app.use(beginRequest(options));
  app.use(securityHeaders());
  if (options.origins !== undefined) app.use(answerBrowsers(options.origins));
  return app;
}

/** Last of all: what no route took is 404, and every error becomes a problem document. */
export function endApplication(app: Express): void {
  app.use((request: Request) => {
    contextOf(request).wantsPage = isBrowsing(request);
    throw new Fault('ROUTE_UNKNOWN', { method: request.method, path: request.path.slice(0, 200) });
  });
  // Express knows an error handler by its four parameters.
  app.use((error: unknown, request: Request, response: Response, _next: NextFunction) => {
    sendProblem(request, response, error);
  });
}

/**
 * What holds for every address: a project's host is not answered for, replies say which pages may read them, and a
 * browser's question whether it may ask is answered here.
 */
function answerBrowsers(origins: Origins) {
  return (request: Request, response: Response, next: NextFunction) => {
    response.vary('Origin');
    origins.checkHost(request);
    const allowed = origins.corsHeaders(request);
    for (const [name, value] of Object.entries(allowed)) response.setHeader(name, value);
    if (request.method !== 'OPTIONS' || request.headers['access-control-request-method'] === undefined) {
      next();
      return;
    }
    contextOf(request).route = 'preflight';
    if (allowed['Access-Control-Allow-Origin'] === undefined)
      throw new Fault('ORIGIN_REFUSED', { source: request.headers.origin?.slice(0, 200) ?? 'another site' });
    response.writeHead(204, preflightHeaders).end();
  };
}

/** Nothing that the API sends may be framed, run or loaded by a page; the documentation page has a policy of its own. */
function securityHeaders() {
  return helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"], baseUri: ["'none'"], formAction: ["'none'"] },
    },
    // Projects may be served below our host; what they want is theirs to say.
    strictTransportSecurity: { maxAge: 31_536_000, includeSubDomains: false },
    xFrameOptions: { action: 'deny' },
  });
}
