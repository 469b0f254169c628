import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { permissions } from '#contract/caller.ts';
import { newProviderBody } from '#contract/identity.ts';
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

test('every permission belongs to the closed list, and only signing in, webhooks and the system are public', () => {
  const invitations = ['readInvitation', 'acceptInvitation'];
  const isOpen = ({ name, path, tag }: Route) =>
    ['Pages', 'System', 'Webhooks'].includes(tag) || path.startsWith('/api/auth/') || invitations.includes(name);
  for (const route of table) {
    const { name, permission } = route;
    expect([...permissions, 'public'], name).toContain(permission);
    if (permission === 'public') expect(isOpen(route), name).toBe(true);
    else expect(route.reach, `${name} says what it acts on`).toBeDefined();
  }
});

test('what changes something is no GET, and a GET has no body', () => {
  // It tries a mapping on what the caller sends, and keeps nothing.
  const onlyAsk = ['tryIdentityMapping'];
  for (const { name, method, permission, body, bodyKinds } of table) {
    if (method === 'GET')
      expect([body, bodyKinds, permission.endsWith(':write')], name).toEqual([undefined, undefined, false]);
    else if (permission !== 'public' && !onlyAsk.includes(name)) expect(permission, name).toMatch(/:(write|delete)$/);
  }
});

test('only what proves itself comes from pages of other sites, and only where nobody is signed in by it', () => {
  for (const { name, foreign, permission, path } of table)
    if (foreign === true)
      expect([permission, /^\/api\/(auth|v1\/webhooks)\//.test(path)], name).toEqual(['public', true]);
});

test('a route of a team names the team, and no path takes a proof: it would stand in every log on the way', () => {
  const proof = `plt_${'a'.repeat(43)}`;
  for (const { name, reach, params } of table) {
    const named = Object.keys(params?.shape ?? {});
    if (reach === 'team') expect(named, name).toContain('team');
    for (const each of named.filter((part) => /token|code|password|link/.test(part)))
      expect(params?.shape[each]?.safeParse(proof).success, `${name} {${each}}`).toBe(false);
  }
});

test('a secret goes in and never comes out', () => {
  const secret = { name: 'a', version: 1, generated: false, updatedBy: 'ada', updatedAt: '2026-01-01T00:00:00Z' };
  const given = { ...secret, grants: [], vault: null, value: 'hunter2' };
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

test('no identity provider can be named like a neighbour of its addresses', () => {
  const nameIn = (path: string, other: string) => {
    const [own, its] = [path.split('/'), other.split('/')];
    const at = own.indexOf('{provider}');
    const fits = own.every((part, index) => index === at || part === its[index] || part.startsWith('{'));
    return own.length === its.length && fits && !its[at]?.startsWith('{') ? its[at] : undefined;
  };
  const withName = table.filter(({ path, params }) => path.includes('{provider}') && isFree(params));
  const taken = withName.flatMap(({ path }) => table.map((other) => nameIn(path, other.path)).filter(isText));
  expect(taken).toContain('email');
  const wish = { kind: 'github', label: 'X', clientId: 'x', clientSecret: 'x' };
  const allows = (name: string) => newProviderBody.safeParse({ ...wish, name }).success;
  expect(allows('mail')).toBe(true);
  for (const name of new Set(taken)) expect([allows(name), allows(name.toUpperCase())], name).toEqual([false, false]);
});

const isText = (value: string | undefined) => value !== undefined;
/** Not where only certain names are taken anyway. */
const isFree = (params: Route['params']) => params?.safeParse({ provider: 'anything' }).success === true;
