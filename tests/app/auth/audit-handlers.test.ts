import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAudit } from '#audit/audit.ts';
import { createAuditHandlers } from '#auth/audit-handlers.ts';
import { authorise } from '#auth/authorise.ts';
import { builtInRoles, mayOf } from '#auth/roles.ts';
import { systemClock } from '#base/clock.ts';
import { auditRoutes } from '#contract/audit-routes.ts';
import type { Caller } from '#contract/caller.ts';
import { mountRoutes } from '#http/route.ts';
import { administrator, startServer, type TestServer } from '#support/http.ts';
import { useDatabase } from '#support/postgres.ts';

const db = useDatabase();
let server: TestServer;
beforeAll(async () => {
  server = await startServer((app, log) => {
    const { database } = db;
    const audit = createAudit({ database, clock: systemClock, log });
    mountRoutes(app, {
      routes: auditRoutes,
      handlers: createAuditHandlers({ database }),
      callerOf: async ({ headers }) => {
        const role = headers['x-role'] as keyof typeof builtInRoles | undefined; // this test's own header
        const member = { teams: ['shop'], may: mayOf(builtInRoles[role ?? 'admin'], [{ team: 'shop', grants: null }]) };
        return role === undefined ? administrator : ({ ...administrator, role, ...member } satisfies Caller);
      },
      authorise,
      clock: systemClock,
      audit: audit.record,
    });
  });
});
afterAll(() => server.close());

const get = (query: string, headers: Record<string, string> = {}) =>
  fetch(`${server.url}/api/v1/audit${query}`, { headers: { 'X-Request-Id': 'r1', ...headers } });

test('administrators read what is recorded, in pages and as lines; others may not, which is recorded too', async () => {
  for (const role of ['editor', 'viewer']) expect((await get('', { 'X-Role': role })).status).toBe(403);
  const all = await get('');
  expect(all.status).toBe(200);
  const { items, next } = (await all.json()) as { items: { seq: number; outcome: string }[]; next: null };
  expect(next).toBeNull();
  expect(items).toMatchObject([2, 1].map((seq) => ({ seq, action: 'listAudit', target: 'audit', outcome: 'denied' })));
  const first = (await (await get('?limit=1')).json()) as { items: { seq: number }[]; next: string };
  expect([first.items.map(({ seq }) => seq), first.next]).toEqual([[2], '2']);
  expect(await (await get(`?limit=1&after=${first.next}`)).json()).toMatchObject({ items: [{ seq: 1 }], next: null });
  expect(await (await get('?actor=eve@example.com')).json()).toEqual({ items: [], next: null });
  expect(await (await get('?since=2020-01-01T00:00:00Z&until=2021-01-01T00:00:00Z')).json()).toMatchObject({
    items: [],
  });
  const lines = await get('', { Accept: 'text/plain' });
  expect(lines.headers.get('content-type')).toBe('text/plain; charset=utf-8');
  const text = await lines.text();
  expect(
    text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).seq),
  ).toEqual([1, 2]);
  expect((await get('?since=yesterday')).status).toBe(400);
});
