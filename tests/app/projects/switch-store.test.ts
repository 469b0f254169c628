import { beforeEach, expect, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { createListener } from '#database/listen.ts';
import { askRun, listSwitches, readSwitch, removeSwitch, switchesOf, writeSwitch } from '#projects/switch-store.ts';
import { readOrders, writeRecords } from '#reconcile/store.ts';
import { silent } from '#support/git.ts';
import { useDatabase } from '#support/postgres.ts';
import { eventually } from '#support/walk.ts';

const db = useDatabase();
const now = new Date('2026-11-22T10:00:00Z');
const later = new Date('2026-11-22T11:00:00Z');
const web = { environment: 'local', team: 'shop', project: 'web' };
const shop = { ...web, project: '' };
const everywhere = { ...shop, team: '' };
const wish = { action: 'apply', reason: 'an incident', actor: 'ada@example.com', until: undefined } as const;
const write = (place: typeof web, more: Partial<typeof wish> | { until: Date } = {}, expected?: string) =>
  writeSwitch(db.database, { ...place, ...wish, ...more }, expected, now);
const orders = async (key = web) => (await readOrders(db.database, [key]))[0];

beforeEach(async () => {
  await db.database.query('truncate switches, asked_runs');
});

test('what is off for a project comes with its orders: its own, its team’s, its environment’s, and nobody else’s', async () => {
  await write(web);
  await write(shop, { until: later });
  await write(everywhere);
  await write({ ...web, project: 'api' });
  await write({ ...shop, team: 'blog' });
  await write({ ...everywhere, environment: 'dev' });
  const { until: _, ...given } = wish;
  expect(await orders()).toEqual({
    hold: undefined,
    confirmation: undefined,
    asked: undefined,
    switches: [
      { ...given, until: undefined, wide: 'environment' },
      { ...given, until: later, wide: 'team' },
      { ...given, until: undefined, wide: undefined },
    ],
  });
  expect((await orders({ ...web, team: 'other' }))?.switches).toHaveLength(1);
});

test('the orders of many are one statement, each with its own', async () => {
  await write(web);
  await askRun(db.database, { ...web, project: 'api' }, 'blob', 'ada@example.com', now);
  const keys = ['api', 'web', 'none'].map((project) => ({ ...web, project }));
  const all = await readOrders(db.database, keys);
  expect(all.map(({ switches, asked }) => [switches.length, asked?.manifests, asked?.at])).toEqual([
    [0, 'blob', now],
    [1, undefined, undefined],
    [0, undefined, undefined],
  ]);
});

test('compare-and-set: only on top of what was read, never over what came meanwhile', async () => {
  const first = await write(web, {}, '');
  expect(first?.version).toBeDefined();
  expect(await write(web, {}, '')).toBeUndefined();
  expect(await write(web, {}, '999999')).toBeUndefined();
  const second = await write(web, { until: later }, String(first?.version));
  expect(second?.until).toEqual(later);
  expect(await write(web, {}, String(first?.version))).toBeUndefined();
  expect(await removeSwitch(db.database, web, 'apply', String(first?.version))).toBe(false);
  expect(await removeSwitch(db.database, web, 'apply', String(second?.version))).toBe(true);
  expect(await removeSwitch(db.database, web, 'apply', undefined)).toBe(false);
  expect(await write(web, {}, '*')).toBeUndefined();
  // The same switch again is another one.
  expect((await write(web, {}, ''))?.version).not.toBe(second?.version);
  expect(await write(web, {}, '*')).toBeDefined();
});

test('of twenty who all saw none, one sets it', async () => {
  const all = await Promise.all(Array.from({ length: 20 }, () => write(web, {}, '')));
  expect(all.filter((row) => row !== undefined)).toHaveLength(1);
});

test('one that has ended is as good as none', async () => {
  await write(web, { until: new Date(now.getTime() - 1) });
  expect(await switchesOf(db.database, web, now)).toEqual([]);
  expect(await write(web, {}, '')).toBeDefined();
});

test('a list is cut to teams; what is off everywhere is everybody’s', async () => {
  await write(web);
  await write({ ...shop, team: 'blog' });
  await write(everywhere, { until: later });
  const names = async (teams: 'all' | string[], at = now) =>
    (await listSwitches(db.database, 'local', { teams }, at)).map(({ team, project }) => `${team}/${project}`);
  expect(await names('all')).toEqual(['/', 'blog/', 'shop/web']);
  expect(await names(['shop'])).toEqual(['/', 'shop/web']);
  expect(await names([], later)).toEqual([]);
  expect((await readSwitch(db.database, web, 'apply'))?.reason).toBe('an incident');
});

test('whoever it is about is told at once', async () => {
  const told: string[] = [];
  let listens = false;
  const listener = createListener({
    connection: db.connection,
    channels: ['project_wake'],
    log: silent,
    clock: systemClock,
    onNotice: (_, payload) => told.push(payload),
    onGap: () => {
      listens = true;
    },
  });
  try {
    await eventually(async () => listens, Boolean);
    await write(web);
    await write(shop);
    await write(everywhere);
    await write(web, {}, '999999');
    await removeSwitch(db.database, web, 'apply', undefined);
    await eventually(
      async () => told,
      ({ length }) => length >= 4,
    );
    expect(told).toEqual(['local/shop/web', 'local/shop/*', 'local/*/*', 'local/shop/web']);
  } finally {
    await listener.stop();
  }
});

test('the orders for a project end with it; those for its team and its environment stay', async () => {
  for (const place of [web, shop, everywhere]) await write(place);
  await askRun(db.database, web, 'blob', 'ada@example.com', now);
  const status = { revision: undefined, manifestsDigest: undefined, phase: 'applied', health: 'unknown', reasons: [] };
  await writeRecords(db.database, [
    {
      key: web,
      status: { ...status, problem: undefined, origin: undefined } as never,
      made: [],
      gone: [],
      asked: undefined,
      settled: undefined,
      history: undefined,
      ended: true,
    } as never,
  ]);
  const left = await orders();
  expect(left?.switches.map(({ wide }) => wide)).toEqual(['environment', 'team']);
  expect(left?.asked).toBeUndefined();
});
