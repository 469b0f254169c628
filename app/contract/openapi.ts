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
  events: 'text/event-stream',
} as const satisfies Record<keyof ReplyKinds, string>;

const ifMatch = z.object({
  'If-Match': z.string().optional().meta({ description: 'ETag of the spec that the change is meant for; *: any.' }),
  'If-None-Match': z.literal('*').optional().meta({ description: 'The project must not exist yet.' }),
});

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
        'Send a bearer token, or HTTP Basic with e-mail and password (not from a web page). ' +
        'Errors are problem documents (RFC 9457).',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    tags: [...new Set(routes.map(({ tag }) => tag))].map((name) => ({ name })),
    security: [{ bearer: [] }, { basic: [] }],
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' }, basic: { type: 'http', scheme: 'basic' } },
    },
  }) as unknown as Record<string, unknown>; // a plain JSON object whatever its declared type
}

function operationOf(route: Route): Operation {
  return {
    operationId: route.name,
    tags: [route.tag],
    summary: route.summary,
    ...(route.permission === 'public' ? { security: [] } : {}),
    requestParams: {
      ...(route.params === undefined ? {} : { path: route.params }),
      ...(route.query === undefined ? {} : { query: route.query }),
      ...(route.conditional === true ? { header: ifMatch } : {}),
    },
    ...(route.body === undefined ? {} : { requestBody: { required: true, content: bodyOf(route, route.body) } }),
    responses: responsesOf(route),
  };
}

function bodyOf(route: Route, schema: z.ZodType) {
  const shown = schema === specBody ? spec : schema;
  return Object.fromEntries((route.bodyKinds ?? ['json']).map((kind) => [mediaTypes[kind], { schema: shown }]));
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
  const { yaml, text, events } = reply;
  const eventNames = events === undefined ? undefined : `Server-sent events: ${Object.keys(events).join(', ')}.`;
  return [yaml, text, eventNames].filter((part) => part !== undefined).join(' ') || summary;
}

function contentOf({ reply }: Route, kinds: readonly (keyof ReplyKinds)[]) {
  return Object.fromEntries(kinds.map((kind) => [mediaTypes[kind], { schema: schemaOf(reply, kind) }]));
}

/** Of server-sent events the data of any one event; the names stand in the description. */
function schemaOf(reply: ReplyKinds, kind: keyof ReplyKinds): z.ZodType {
  if (kind === 'json') return reply.json ?? z.unknown();
  return kind === 'events' ? z.union(Object.values(reply.events ?? {})) : z.string();
}
