import { expect, test } from 'vitest';
import { z } from 'zod';
import { openApiDocument } from '#contract/openapi.ts';
import { defineRoute, type Route } from '#contract/route.ts';
import { routes } from '#contract/routes.ts';
import { projectSchema } from '#synth/project.ts';

interface Operation {
  readonly operationId: string;
  readonly security?: readonly unknown[];
  readonly parameters?: readonly { readonly in: string; readonly name: string; readonly required?: boolean }[];
  readonly requestBody?: { readonly content: Record<string, unknown> };
  readonly responses: Record<string, { readonly description: string; readonly content?: Record<string, unknown> }>;
}

const document = openApiDocument(routes, '1.0.0');
const paths = document.paths as Record<string, Record<string, Operation>>;
const operation = (route: Route) => paths[route.path]?.[route.method.toLowerCase()] as Operation;
const table: readonly Route[] = routes;

test('the same table gives the same bytes', () => {
  expect(JSON.stringify(openApiDocument(routes, '1.0.0'))).toBe(JSON.stringify(document));
});

test('every route is one operation, with its parameters and replies', () => {
  expect(Object.values(paths).flatMap((item) => Object.keys(item))).toHaveLength(table.length);
  for (const route of table) {
    const { operationId, parameters = [], responses, security } = operation(route);
    expect(operationId).toBe(route.name);
    const inPath = parameters.filter((parameter) => parameter.in === 'path');
    expect(inPath.map(({ name }) => name)).toEqual(Object.keys(route.params?.shape ?? {}));
    expect(inPath.every(({ required }) => required)).toBe(true);
    expect(parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name)).toEqual(
      Object.keys(route.query?.shape ?? {}),
    );
    const statuses = [route.status ?? (Object.keys(route.reply).length === 0 ? 204 : 200), route.also?.status];
    expect(Object.keys(responses).sort()).toEqual(
      [...statuses.filter((status) => status !== undefined).map(String), 'default'].sort(),
    );
    if (route.permission === 'public') expect(security).toEqual([]);
    else if (route.method !== 'GET') expect(security).toContainEqual({ session: [], csrf: [] });
    expect(security?.some((way) => 'bearer' in (way as object)) ?? true).toBe(
      route.permission !== 'public' && route.inPerson !== true,
    );
  }
});

test('a form is shown beside JSON, a page as HTML, a session with its CSRF token', () => {
  const route = defineRoute({
    name: 'patchThing',
    tag: 'Test',
    method: 'PATCH',
    path: '/thing',
    summary: 'Change a thing',
    permission: 'self:write',
    reach: 'personal',
    inPerson: true,
    form: true,
    body: z.strictObject({ name: z.string() }),
    reply: { html: 'The thing.' },
  });
  const patched = openApiDocument([route], '1.0.0');
  const { patch } = (patched.paths as Record<string, Record<string, Operation>>)['/thing']!;
  expect(Object.keys(patch!.requestBody!.content)).toEqual(['application/json', 'application/x-www-form-urlencoded']);
  expect(patch!.responses['200']).toEqual({
    description: 'The thing.',
    content: { 'text/html': { schema: { type: 'string' } } },
  });
  expect(patch!.security).toEqual([{ basic: [] }, { session: [], csrf: [] }]);
  const schemes = (patched.components as { securitySchemes: Record<string, { type: string; name?: string }> })
    .securitySchemes;
  expect(Object.keys(schemes)).toEqual(['bearer', 'basic', 'session', 'csrf']);
});

test('the spec is taken as YAML and JSON, under a condition', () => {
  const put = operation(table.find(({ name }) => name === 'putProject')!);
  expect(Object.keys(put.requestBody?.content ?? {})).toEqual(['application/yaml', 'application/json']);
  const { Spec } = (document.components as { schemas: Record<string, { properties?: Record<string, unknown> }> })
    .schemas;
  expect(Object.keys(Spec?.properties ?? {})).toEqual(Object.keys(projectSchema.shape));
  expect(put.parameters?.filter((parameter) => parameter.in === 'header').map(({ name }) => name)).toEqual([
    'If-Match',
    'If-None-Match',
  ]);
});

test('every reference leads somewhere, and every component is used', () => {
  const text = JSON.stringify(document);
  const referred = new Set([...text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name));
  const { schemas } = document.components as { schemas: Record<string, unknown> };
  expect([...referred].sort()).toEqual(Object.keys(schemas).sort());
});

test('it keeps to what OpenAPI 3.1 says of its objects', () => {
  expect(Object.keys(document).sort()).toEqual([
    'components',
    'info',
    'openapi',
    'paths',
    'security',
    'servers',
    'tags',
  ]);
  expect(document.openapi).toBe('3.1.0');
  const ids = table.map((route) => operation(route).operationId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const route of table) {
    for (const [status, { description }] of Object.entries(operation(route).responses)) {
      expect(status).toMatch(/^([1-5]\d\d|default)$/);
      expect(description).not.toBe('');
    }
  }
});
