import { beforeEach, expect, test } from 'vitest';
import { readRemembered } from '#reconcile/remembered.ts';
import { mostReports, type Report, readReports } from '#reconcile/reports.ts';
import { type Record, type Status, writeRecords } from '#reconcile/store.ts';
import { useDatabase } from '#support/postgres.ts';

const db = useDatabase();
const key = { environment: 'local', team: 'shop', project: 'web' };
const other = { ...key, project: 'api' };
const status: Status = {
  revision: 'r1',
  manifestsDigest: 'sha256:1',
  phase: 'failed',
  health: 'healthy',
  reasons: [],
  problem: undefined,
  origin: undefined,
};
const report = (message: string): Report => ({
  kind: 'drift',
  object: 'v1 ConfigMap local--shop--web/a',
  message,
  managers: [{ manager: 'kubectl-edit', fields: ['.data.a'] }],
});
const record = (more: Partial<Record>): Record => ({
  key,
  status,
  made: [],
  gone: [],
  asked: undefined,
  settled: undefined,
  history: undefined,
  ended: false,
  ...more,
});
const messages = async (of = key) => (await readReports(db.database, of, 1000)).map(({ message }) => message);

beforeEach(() => db.database.query('truncate project_status, inventory, reports'));

test('reports are kept in their order, each with its project', async () => {
  await writeRecords(db.database, [
    record({ reports: [report('one'), report('two')] }),
    record({ key: other, reports: [report('other')] }),
  ]);
  expect(await readReports(db.database, key, 1)).toEqual([
    { ...report('two'), number: expect.any(Number), at: expect.any(Date) },
  ]);
  expect([await messages(), await messages(other)]).toEqual([['two', 'one'], ['other']]);
  await writeRecords(db.database, [record({ ended: true })]);
  expect(await messages()).toEqual(['two', 'one']);
});

test('a project keeps the newest ones, whatever others have', async () => {
  await writeRecords(db.database, [record({ key: other, reports: [report('other')] })]);
  const many = Array.from({ length: mostReports }, (_, i) => report(`first ${i}`));
  await writeRecords(db.database, [record({ reports: many })]);
  await writeRecords(db.database, [record({ reports: [report('last')] })]);
  await writeRecords(db.database, [record({ reports: [report('very last')] })]);
  const kept = await messages();
  expect(kept.slice(0, 3)).toEqual(['very last', 'last', `first ${mostReports - 1}`]);
  expect(kept).toHaveLength(mostReports);
  expect(await messages(other)).toEqual(['other']);
});

test('tries, the next one, and what is kept are remembered', async () => {
  const entry = {
    key: { apiVersion: 'v1', kind: 'ConfigMap', namespace: 'n', name: 'a' },
    uid: 'u',
    desiredDigest: 'd',
    ownedDigest: 'o',
  };
  const failed = { ...status, attempts: 3, retryAt: '2026-11-22T11:00:00.000Z' };
  const made = [
    { ...entry, keep: true },
    { ...entry, key: { ...entry.key, name: 'b' } },
  ];
  await writeRecords(db.database, [record({ status: failed, made })]);
  expect((await readRemembered(db.database, 'local')).get('shop/web')).toEqual({ status: failed, inventory: made });
  await writeRecords(db.database, [record({ made: [entry] })]);
  const after = (await readRemembered(db.database, 'local')).get('shop/web');
  expect(after?.status).toEqual({ ...status, attempts: undefined, retryAt: undefined });
  expect(after?.inventory[0]).toEqual(entry);
});
