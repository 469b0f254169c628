import { fileURLToPath } from 'node:url';
import type { Express } from 'express';
import { Fault } from '#base/errors.ts';
import { openApiDocument } from '#contract/openapi.ts';
import { type Handlers, routes } from '#contract/routes.ts';

export interface DocumentationOptions {
  /** Of Plinth, for the head of the document. */
  readonly version: string;
  /** File name → JSON Schema, for /schemas/. */
  readonly schemas: Readonly<Record<string, object>>;
}

/** /openapi.json and /schemas/*: what machines read. The document is made at the first request. */
export function createDocumentHandlers(options: DocumentationOptions): Pick<Handlers, 'getOpenApi' | 'getSchema'> {
  let document: Record<string, unknown> | undefined;
  return {
    getOpenApi: async () => {
      document ??= openApiDocument(routes, options.version);
      return { json: document };
    },
    getSchema: async ({ params: { file } }) => {
      const schema = Object.hasOwn(options.schemas, file) ? options.schemas[file] : undefined;
      if (schema === undefined) throw new Fault('ROUTE_UNKNOWN', { method: 'GET', path: `/schemas/${file}` });
      return { json: { ...schema } };
    },
  };
}

const at = '/documentation/';

/** Only our own files may run; styles inside of elements are what Swagger UI is made of. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Plinth API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="favicon-32x32.png">
<link rel="stylesheet" href="swagger-ui.css">
</head>
<body>
<div id="documentation"></div>
<script src="swagger-ui-bundle.js"></script>
<script src="start.js"></script>
</body>
</html>
`;

/** Without validatorUrl it would ask a foreign server whether the document is valid. */
const start = `SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#documentation',
  deepLinking: true,
  validatorUrl: null,
  persistAuthorization: false,
  displayRequestDuration: true,
});
`;

/** The documentation page, all of it from this machine, at /documentation/. */
export function mountDocumentation(app: Express): void {
  app.get('/documentation', (_request, response) => response.redirect(301, at));
  const own = { '': ['text/html', page], 'start.js': ['text/javascript', start] } as const;
  for (const [name, [type, text]] of Object.entries(own))
    app.get(at + name, (_request, response) => {
      response.setHeader('Content-Security-Policy', policy);
      response.setHeader('Content-Type', `${type}; charset=utf-8`);
      response.end(text);
    });
  for (const name of ['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png']) {
    const file = fileURLToPath(import.meta.resolve(`swagger-ui-dist/${name}`));
    app.get(at + name, (_request, response) => response.sendFile(file, { maxAge: '1h' }));
  }
}
