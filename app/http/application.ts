import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import helmet from 'helmet';
import { Fault } from '#base/errors.ts';
import { beginRequest, type ContextDependencies } from './context.ts';
import { sendProblem } from './problem.ts';

/**
 * An Express application that is only a router: request ids, log line, metrics and security headers are in; parsers,
 * sessions and views are not. Add routes, then call `endApplication`.
 */
export function createApplication(dependencies: ContextDependencies): Express {
  const app = express();
  app.disable('x-powered-by').disable('etag').set('query parser', false);
  app.enable('case sensitive routing').enable('strict routing');
  app.use(beginRequest(dependencies));
  app.use(securityHeaders());
  return app;
}

/** Last of all: what no route took is 404, and every error becomes a problem document. */
export function endApplication(app: Express): void {
  app.use((request: Request) => {
    throw new Fault('ROUTE_UNKNOWN', { method: request.method, path: request.path.slice(0, 200) });
  });
  // Express knows an error handler by its four parameters.
  app.use((error: unknown, request: Request, response: Response, _next: NextFunction) => {
    sendProblem(request, response, error);
  });
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
