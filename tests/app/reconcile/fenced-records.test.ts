import { beforeEach, expect, test } from 'vitest';
import type { LeaseProof } from '#database/leases.ts';
import { readRemembered } from '#reconcile/remembered.ts';
import { type Record, type Status, writeRecords } from '#reconcile/store.ts';
import { useDatabase } from '#support/postgres.ts';
import { eventually } from '#support/walk.ts';

const db = useDatabase();
const status: Status = {
  revision: 'r1',
  manifestsDigest: 'sha256:1',
  phase: 'applied',
  health: 'healthy',
  reasons: [],
  problem: undefined,
  origin: undefined,
};
const object = (project: string) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  namespace: `local--shop--${project}`,
  name: 'a',
});
const record = (project: string, proof: LeaseProof | undefined, more: Partial<Record> = {}): Record => ({
  key: { environment: 'local', team: 'shop', project },
  status,
  made: [{ key: object(project), uid: `uid-${project}`, desiredDigest: 'd', ownedDigest: 'o' }],
  gone: [],
  asked: { digest: `sha256:${project}`, objects: ['one'] },
  settled: undefined,
  history: 'told',
  ended: false,
  proof,
  ...more,
});
const proof = (name: string, epoch: number, holder = 'me'): LeaseProof => ({ name, holder, epoch });
const rowsIn = async () => {
  const { rows } = await db.database.query<{ project: string }>(
    `select 'status' as place, project from project_status union all select 'inventory', project from inventory
     union all select 'confirmations', project from confirmations union all select 'history', project from history`,
  );
  return rows.map(({ project }) => project).sort();
};

beforeEach(async () => {
  await db.database.query('truncate project_status, inventory, confirmations, history, leases, replicas');
  await db.database.query(`insert into replicas (id) values ('me'), ('other')`);
  await db.database.query(
    `insert into leases (name, holder, epoch) values ('p/1', 'me', 4), ('p/2', 'other', 9), ('p/3', null, 2)`,
  );
});

test('of several records only those are written whose leases are still as they were', async () => {
  const written = await writeRecords(db.database, [
    record('mine', proof('p/1', 4)),
    record('older', proof('p/1', 3)),
    record('taken', proof('p/2', 8)),
    record('foreign', proof('p/2', 9)),
    record('given', proof('p/3', 2)),
    record('unknown', proof('p/4', 1)),
    record('alone', undefined),
  ]);
  expect(written).toEqual([true, false, false, false, false, false, true]);
  expect(await rowsIn()).toEqual(['alone', 'alone', 'alone', 'alone', 'mine', 'mine', 'mine', 'mine']);
});

test('a stale record neither removes nor ends anything, and nobody is told of it', async () => {
  await writeRecords(db.database, [record('web', proof('p/1', 4))]);
  const stale = record('web', proof('p/1', 3), { made: [], gone: [object('web')], ended: true, history: undefined });
  expect(await writeRecords(db.database, [stale])).toEqual([false]);
  const known = (await readRemembered(db.database, 'local')).get('shop/web');
  expect(known).toMatchObject({ status: { phase: 'applied' }, inventory: [{ uid: 'uid-web' }] });
});

test('who takes a lease over while a record is written waits for it, or the record is not written', async () => {
  const client = await db.database.pool.connect();
  try {
    await client.query('begin');
    await client.query(`update leases set holder = 'other', epoch = 5 where name = 'p/1'`);
    const writing = writeRecords(db.database, [record('web', proof('p/1', 4))]);
    await eventually(
      () =>
        db.database.query(
          `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
        ),
      ({ rowCount }) => rowCount === 1,
    );
    await client.query('commit');
    expect(await writing).toEqual([false]);
    expect(await rowsIn()).toEqual([]);
  } finally {
    client.release(true);
  }
});
