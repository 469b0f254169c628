import { beforeEach, expect, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { newId } from '#base/ids.ts';
import { underLease } from '#database/lease-store.ts';
import type { Lease } from '#database/leases.ts';
import { type PublishDoors, publishDue } from '#publish/publish.ts';
import { beginScan } from '#publish/scan.ts';
import { acceptChange, readChange } from '#publish/store.ts';
import { useDatabase } from '#support/postgres.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';
import { openPublisher } from './stand.ts';

const db = useDatabase();
const folder = useTemporaryDirectory();
const local = `apiVersion: plinth.dev/v1
kind: Environment
runtime: none
domain: apps.localhost
`;
const spec = `apiVersion: plinth.dev/v1
kind: Project
containers:
  web: { image: "nginx:1", port: 8080 }
`;

/** What a holder believes: that it holds, until it is told otherwise. */
const leaseOf = (epoch: number): Lease => ({
  name: 'publish',
  epoch,
  sinceMs: 0,
  holds: () => true,
  assert: () => {},
  lost: new AbortController().signal,
  proof: { name: 'publish', holder: 'a', epoch },
});

async function begin() {
  const doors = await openPublisher({ database: db.database, dataDirectory: folder, local });
  const { repository } = doors;
  const under = (epoch: number): PublishDoors => {
    const lease = leaseOf(epoch);
    return { ...doors, lease, database: underLease(db.database, lease) };
  };
  const change = {
    id: newId('change', systemClock.now()),
    kind: 'put',
    environment: 'local',
    team: 'shop',
    project: 'web',
    actor: 'ada@example.com',
    message: '',
    content: spec,
  } as const;
  await db.database.transaction((tx) => acceptChange(tx, change));
  return { repository, under, change };
}

const takeOver = () => db.database.query(`update leases set epoch = epoch + 1 where name = 'publish'`);

beforeEach(async () => {
  await db.database.query('truncate changes, projects, hosts, renders, cursors, secret_values, leases, replicas');
  await db.database.query(`insert into replicas (id) values ('a')`);
  await db.database.query(`insert into leases (name, holder, epoch) values ('publish', 'a', 1)`);
});

test('a publisher whose lease was taken over claims nothing', async () => {
  const { under, change, repository } = await begin();
  await takeOver();
  expect(await publishDue(under(1), undefined)).toMatchObject({ ended: 0 });
  expect(await readChange(db.database, change.id)).toMatchObject({ state: 'accepted', attempts: 0 });
  expect(await repository.history('', { limit: 9 })).toHaveLength(1);
});

test('one that stood still between its last look and the move writes nothing into Git', async () => {
  const { under, change, repository } = await begin();
  const late = under(1);
  let looks = 0;
  const lease: Lease = {
    ...leaseOf(1),
    assert: () => {
      looks += 1;
      if (looks > 1) throw new Fault('LEASE_LOST', { name: 'publish' });
    },
  };
  const before = await repository.tip();
  await expect(publishDue({ ...late, lease }, undefined)).rejects.toMatchObject({ code: 'LEASE_LOST' });
  expect([looks, await repository.tip()]).toEqual([2, before]);
  expect(await readChange(db.database, change.id)).toMatchObject({ state: 'accepted', revision: undefined });
});

test('one that lost it between commit and record records nothing; the next one finds the commit and writes no second', async () => {
  const { under, change, repository } = await begin();
  const late = under(1);
  const { transaction } = late.database;
  const overtaken: PublishDoors = {
    ...late,
    database: {
      ...late.database,
      transaction: async (work, options) => {
        await takeOver();
        return await transaction(work, options);
      },
    },
  };
  await expect(publishDue(overtaken, undefined)).rejects.toMatchObject({ code: 'LEASE_LOST' });
  expect(await readChange(db.database, change.id)).toMatchObject({ state: 'accepted', revision: undefined });
  expect(await repository.history('', { limit: 9 })).toHaveLength(2);

  expect(await publishDue(under(2), undefined)).toMatchObject({ ended: 1 });
  const ended = await readChange(db.database, change.id);
  expect(ended).toMatchObject({ state: 'committed', revision: await repository.tip() });
  expect(await repository.history('', { limit: 9 })).toHaveLength(2);
});

test('a scan that was overtaken moves neither index nor cursor', async () => {
  const { under } = await begin();
  expect(await publishDue(under(1), undefined)).toMatchObject({ ended: 1 });
  await db.database.query('truncate cursors, projects');
  const scan = await beginScan(under(1), undefined);
  await takeOver();
  await expect(scan?.step()).rejects.toMatchObject({ code: 'LEASE_LOST' });
  expect((await db.database.query('select from projects')).rowCount).toBe(0);
  expect((await db.database.query('select from cursors')).rowCount).toBe(0);
});
