import { z } from 'zod';
import { createDocument } from 'zod-openapi';
import { projectSchema } from '#synth/project.ts';
import { problem } from './problem.ts';
import { specBody } from './projects.ts';
import type { ReplyKinds, Route } from './route.ts';

/** Left to zod-openapi: its types for single operations and replies are not exported under stable names. */
type Paths = NonNullable<Parameters<typeof createDocument>[0]['paths']>;
type Operation = NonNullable<Paths[string]['get']>;
type Responses = Operation['responses'];

const mediaTypes = {
  json: 'application/json',
  yaml: 'application/yaml',
  text: 'text/plain',
  html: 'text/html',
  events: 'text/event-stream',
} as const satisfies Record<keyof ReplyKinds, string>;

const ifMatch = z.object({
  'If-Match': z.string().optional().meta({ description: 'ETag of the spec that the change is meant for; *: any.' }),
  'If-None-Match': z.literal('*').optional().meta({ description: 'The project must not exist yet.' }),
});

const securitySchemes = {
  bearer: { type: 'http', scheme: 'bearer' },
  basic: { type: 'http', scheme: 'basic' },
  session: {
    type: 'apiKey',
    in: 'cookie',
    name: '__Host-plinth.session',
    description: 'Set by signing in. Over plain HTTP, outside production, its name is plinth.session.',
  },
  csrf: {
    type: 'apiKey',
    in: 'header',
    name: 'X-CSRF-Token',
    description: 'The CSRF token of the session; forms send it as their field `csrf`.',
  },
} as const;

type Way = Record<string, string[]>;
const reading: readonly Way[] = [{ bearer: [] }, { basic: [] }, { session: [] }];
/** A session also shows its CSRF token where something is changed. */
const changing: readonly Way[] = [{ bearer: [] }, { basic: [] }, { session: [], csrf: [] }];

const spec = projectSchema.meta({ id: 'Spec' });

/** OpenAPI 3.1 of a table of routes: the same table gives the same document, byte for byte. */
export function openApiDocument(routes: readonly Route[], version: string): Record<string, unknown> {
  const paths: Paths = {};
  for (const route of routes)
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operationOf(route) };
  return createDocument({
    openapi: '3.1.0',
    info: {
      title: 'Plinth',
      version,
      description:
        'Send a bearer token, or HTTP Basic with e-mail and password (not from a web page), or the cookie of a ' +
        'session; with that, whatever changes something also needs X-CSRF-Token. ' +
        'Errors are problem documents (RFC 9457).',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    tags: [...new Set(routes.map(({ tag }) => tag))].map((name) => ({ name })),
    security: [...reading],
    paths,
    components: { securitySchemes },
  }) as unknown as Record<string, unknown>; // a plain JSON object whatever its declared type
}

function operationOf(route: Route): Operation {
  return {
    operationId: route.name,
    tags: [route.tag],
    summary: route.summary,
    ...securityOf(route),
    requestParams: {
      ...(route.params === undefined ? {} : { path: route.params }),
      ...(route.query === undefined ? {} : { query: route.query }),
      ...(route.conditional === true ? { header: ifMatch } : {}),
    },
    ...(route.body === undefined ? {} : { requestBody: { required: true, content: bodyOf(route, route.body) } }),
    responses: responsesOf(route),
  };
}

function securityOf({ permission, method, inPerson }: Route): Pick<Operation, 'security'> {
  if (permission === 'public') return { security: [] };
  const ways = method === 'GET' ? reading : changing;
  if (inPerson === true) return { security: ways.filter((way) => !('bearer' in way)) };
  return method === 'GET' ? {} : { security: [...ways] };
}

function bodyOf(route: Route, schema: z.ZodType) {
  const shown = schema === specBody ? spec : schema;
  const types = [...(route.bytes ?? (route.bodyKinds ?? ['json']).map((kind) => mediaTypes[kind]))];
  if (route.form === true) types.push('application/x-www-form-urlencoded');
  return Object.fromEntries(types.map((type) => [type, { schema: shown }]));
}

function responsesOf(route: Route): Responses {
  const kinds = Object.keys(route.reply) as (keyof ReplyKinds)[];
  const status = String(route.status ?? (kinds.length === 0 ? 204 : 200));
  const responses: Record<string, unknown> = {
    [status]: {
      description: kinds.length === 0 ? 'Done.' : aboutReply(route),
      ...(kinds.length === 0 ? {} : { content: contentOf(route, kinds) }),
    },
    default: { description: 'A problem.', content: { 'application/problem+json': { schema: problem } } },
  };
  if (route.also !== undefined) {
    const { status: other, about, json } = route.also;
    responses[String(other)] = { description: about, content: { 'application/json': { schema: json } } };
  }
  return responses as Responses;
}

function aboutReply({ reply, summary }: Route): string {
  const { yaml, text, html, events } = reply;
  const eventNames = events === undefined ? undefined : `Server-sent events: ${Object.keys(events).join(', ')}.`;
  return [yaml, text, html, eventNames].filter((part) => part !== undefined).join(' ') || summary;
}

function contentOf({ reply }: Route, kinds: readonly (keyof ReplyKinds)[]) {
  return Object.fromEntries(kinds.map((kind) => [mediaTypes[kind], { schema: schemaOf(reply, kind) }]));
}

/** Of server-sent events the data of any one event; the names stand in the description. */
function schemaOf(reply: ReplyKinds, kind: keyof ReplyKinds): z.ZodType {
  if (kind === 'json') return reply.json ?? z.unknown();
  return kind === 'events' ? z.union(Object.values(reply.events ?? {})) : z.string();
}
