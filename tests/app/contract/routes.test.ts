import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { permissions } from '#contract/caller.ts';
import type { Route } from '#contract/route.ts';
import { type Handlers, routes } from '#contract/routes.ts';

const table: readonly Route[] = routes;
const folder = new URL('../../../app/contract/', import.meta.url);

test('names are unique, and no two routes share method and path', () => {
  expect(new Set(table.map(({ name }) => name)).size).toBe(table.length);
  expect(new Set(table.map(({ method, path }) => `${method} ${path}`)).size).toBe(table.length);
});

test('the parameters of a path are those that are parsed', () => {
  for (const { path, params } of table) {
    const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    expect(Object.keys(params?.shape ?? {})).toEqual(named);
  }
});

test('every permission belongs to the closed list, and only the system is public', () => {
  for (const { name, permission, path } of table) {
    expect([...permissions, 'public'], name).toContain(permission);
    expect(permission === 'public', name).toBe(!path.startsWith('/api/'));
  }
});

test('what changes something is no GET, and a GET has no body', () => {
  for (const { name, method, permission, body, bodyKinds } of table) {
    if (method === 'GET')
      expect([body, bodyKinds, permission.endsWith(':write')], name).toEqual([undefined, undefined, false]);
    if (method !== 'GET') expect(permission, name).toMatch(/:(write|delete)$/);
  }
});

test('a secret goes in and never comes out', () => {
  const secret = { name: 'a', version: 1, generated: false, updatedBy: 'ada', updatedAt: '2026-01-01T00:00:00Z' };
  const given = { ...secret, grants: [], value: 'hunter2' };
  const secretRoutes = table.filter(({ path, reply }) => path.includes('/secrets') && reply.json !== undefined);
  expect(secretRoutes.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['listSecrets', 'getSecret', 'putSecret']),
  );
  for (const { name, reply } of secretRoutes) {
    const sent = JSON.stringify(reply.json?.parse({ ...given, items: [given], next: null }));
    expect(sent, name).toContain('"updatedBy":"ada"');
    expect(sent, name).not.toContain('hunter2');
  }
});

test('a browser can import the contract: nothing in it is of Node', () => {
  const imports = readdirSync(folder)
    // For the server and the reference pages only.
    .filter((file) => file !== 'openapi.ts')
    .flatMap((file) => [...readFileSync(new URL(file, folder), 'utf8').matchAll(/from '([^']+)'/g)])
    .map(([, from]) => from)
    .filter((from) => !from?.startsWith('./'));
  expect([...new Set(imports)].sort()).toEqual(['#environments/layout.ts', 'zod']);
});

/** The compiler is the test: it complains of a directive that has nothing to silence. */
test('a missing and a wrong handler do not compile', () => {
  const handlers = (rest: Omit<Handlers, 'getMe'>) => {
    // @ts-expect-error getMe is missing
    const missing: Handlers = rest;
    // @ts-expect-error the route has YAML only
    const wrong: Handlers['getManifests'] = async () => ({ json: {} });
    // @ts-expect-error the route answers nothing
    const full: Handlers['deleteToken'] = async () => ({ json: {} });
    // @ts-expect-error a public route has no caller
    const open: Handlers['getHealth'] = async ({ caller }) => ({ json: { status: caller.name } });
    const right: Handlers['getProject'] = async ({ wanted }) => ({ yaml: wanted, etag: 'a' });
    return [missing, wrong, full, open, right];
  };
  expect(handlers).toBeTypeOf('function');
});
