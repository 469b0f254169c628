import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Clock, systemClock } from '#base/clock.ts';
import { createLog } from '#base/log.ts';
import { beat, freeDead, proveLease } from '#database/lease-store.ts';
import { createLeases, type Leases } from '#database/leases.ts';
import { startProcess, type TestProcess } from '#support/child-process.ts';
import { createTestDatabase, type TestDatabase } from '#support/postgres.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';
import { eventually } from '#support/walk.ts';

const log = createLog({ level: 'silent' });
const names = Array.from({ length: 16 }, (_, number) => `part/${number}`);

/** A database of the test's own: leases are of everybody who shares one. */
async function newDatabase(): Promise<TestDatabase> {
  const made = await createTestDatabase();
  onTestFinished(() => made.drop());
  return made;
}

function enrol(db: TestDatabase, replica: string, options: { clock?: Clock; alone?: boolean } = {}): Leases {
  const { clock = slowClock(), alone = false } = options;
  const leases = createLeases({ database: db.database, clock, log, replica, names, alone });
  onTestFinished(() => leases.stop());
  return leases;
}

const heldBy = (leases: Leases) => names.filter((name) => leases.lease(name) !== undefined);
const all = async (...replicas: readonly Leases[]) =>
  await eventually(
    async () => replicas.map(heldBy),
    (held) => held.flat().length === names.length && held.every((some) => some.length > 0),
  );

/**
 * Time that passes slowly, so that no test hangs on how busy the machine is, and that a test moves by hand. Pauses are
 * as ever.
 */
function slowClock(): Clock & { move(ms: number): void } {
  let offsetMs = 0;
  const monotonicMs = () => systemClock.monotonicMs() / 50 + offsetMs;
  return {
    now: () => new Date(0),
    monotonicMs,
    sleep: (ms, signal) => systemClock.sleep(ms, signal),
    move: (ms) => {
      offsetMs += ms;
    },
  };
}

describe('leases of replicas in one process', () => {
  test('one replica holds all; a second one gets its share, and each name has one holder', async () => {
    const db = await newDatabase();
    const first = enrol(db, 'a');
    await all(first);
    const epochs = new Map(names.map((name) => [name, first.lease(name)?.epoch]));
    const second = enrol(db, 'b');
    const [ofFirst = [], ofSecond = []] = await all(first, second);
    expect([...ofFirst, ...ofSecond].sort()).toEqual([...names].sort());
    for (const name of ofFirst) expect(first.lease(name)?.epoch).toBe(epochs.get(name));
    for (const name of ofSecond) expect(second.lease(name)?.epoch).toBe((epochs.get(name) ?? 0) + 1);
    expect(second.replicas().map(({ id }) => id)).toEqual(['b', 'a']);
  });

  test('what is in use moves only when its work has ended, and no new work begins meanwhile', async () => {
    const db = await newDatabase();
    const first = enrol(db, 'a');
    await all(first);
    const turns = names.map((name) => first.enter(name));
    const second = enrol(db, 'b');
    const [leaving = ''] = await eventually(
      async () => names.filter((name) => first.lease(name) === undefined),
      (gone) => gone.length > 0,
    );
    expect(first.enter(leaving)).toBeUndefined();
    const turn = turns[names.indexOf(leaving)];
    expect(turn?.lease.holds()).toBe(true);
    expect(heldBy(second)).toEqual([]);
    turn?.end();
    await eventually(
      async () => second.lease(leaving)?.epoch,
      (epoch) => epoch === 2,
    );
    expect(turn?.lease.holds()).toBe(false);
    expect(turn?.lease.lost.aborted).toBe(true);
  });

  test('stop gives everything back: the other one has it without waiting for the end of its time', async () => {
    const db = await newDatabase();
    const first = enrol(db, 'a');
    const second = enrol(db, 'b');
    await all(first, second);
    await first.stop();
    expect(heldBy(first)).toEqual([]);
    const { rows } = await db.database.query(`select from leases where holder = 'a'`);
    expect(rows).toEqual([]);
    second.wake();
    await all(second);
  });

  test('alone: what a killed process left is taken over at once, and nothing is written while it is held', async () => {
    const db = await newDatabase();
    await db.database.query(`insert into replicas (id) values ('killed')`);
    await db.database.query(`insert into leases (name, holder, epoch) select unnest($1::text[]), 'killed', 7`, [names]);
    const only = enrol(db, 'new', { alone: true });
    await all(only);
    expect(only.lease('part/0')?.epoch).toBe(8);
    const state = async () => (await db.database.query('select id, beat from replicas')).rows;
    const before = await state();
    await sleep(700);
    expect(await state()).toEqual(before);
  });

  test('the wall clock counts nothing; a stall of our own ends our leases before anything else happens', async () => {
    const db = await newDatabase();
    const clock = slowClock();
    const leases = enrol(db, 'a', { clock });
    await all(leases);
    const lease = leases.lease('part/3');
    expect(lease?.holds()).toBe(true);
    clock.move(1_500); // as after SIGSTOP: the clock went on, and no timer of ours has run yet
    expect(lease?.holds()).toBe(false);
    expect(() => lease?.assert()).toThrow(expect.objectContaining({ code: 'LEASE_LOST' }));
    expect(heldBy(leases)).toEqual([]);
    await all(leases); // nobody else was there
    expect(lease?.lost.aborted).toBe(true);
  });

  test('database away: leases end by themselves, and come back with it', async () => {
    const db = await newDatabase();
    const leases = enrol(db, 'a', { clock: systemClock });
    await all(leases);
    const lease = leases.lease('part/0');
    const locker = await db.database.pool.connect();
    await locker.query('begin');
    await locker.query('lock table replicas in access exclusive mode');
    await eventually(
      async () => heldBy(leases),
      (held) => held.length === 0,
    );
    expect(lease?.holds()).toBe(false);
    await locker.query('rollback');
    locker.release();
    await all(leases);
  });

  test('a replica that gave a sign of life since is not taken for dead, however late the other one looks', async () => {
    const db = await newDatabase();
    const leases = enrol(db, 'a');
    await all(leases);
    const { others } = await beat(db.database, 'nobody');
    await eventually(
      () => beat(db.database, 'nobody'),
      (now) => now.others[0]?.beat !== others[0]?.beat,
    );
    expect(await freeDead(db.database, others)).toEqual([]);
    expect(heldBy(leases)).toEqual(names);
  });

  test('a stale holder proves nothing in a transaction', async () => {
    const db = await newDatabase();
    const leases = enrol(db, 'a');
    await all(leases);
    const proof = leases.lease('part/0')?.proof;
    expect(proof).toEqual({ name: 'part/0', holder: 'a', epoch: 1 });
    if (proof === undefined) return;
    await db.database.transaction((tx) => proveLease(tx, proof));
    await db.database.query(`update leases set epoch = 2 where name = 'part/0'`);
    await expect(db.database.transaction((tx) => proveLease(tx, proof))).rejects.toMatchObject({ code: 'LEASE_LOST' });
  });
});

describe('leases of processes that are frozen, killed and started', () => {
  const directory = useTemporaryDirectory('plinth-leases');

  test('one that is frozen in the middle of a transaction under its lease is taken over from as ever', async () => {
    const db = await newDatabase();
    const { password, ...address } = db.connection;
    const connection = JSON.stringify({ ...address, password: password.reveal() });
    const frozen = startProcess(new URL('./lease-freeze.process.ts', import.meta.url), [connection, 'part/0']);
    expect(await frozen.line()).toBe('inside');
    const second = enrol(db, 'b', { clock: systemClock });
    await all(second);
    expect(second.lease('part/0')?.epoch).toBe(2);
    process.kill(frozen.pid, 'SIGCONT');
    // The server ended its connection, and the pool makes another one.
    expect(await frozen.line()).toBe('DATABASE_UNAVAILABLE');
    expect(await frozen.line()).toBe('then 1');
    const { rows } = await db.database.query(`select epoch from leases where name = 'part/0'`);
    expect(rows).toEqual([{ epoch: 2 }]);
  });

  test('never two holders by their own deadlines, and epochs grow', async () => {
    const db = await newDatabase();
    const { password, ...address } = db.connection;
    const connection = JSON.stringify({ ...address, password: password.reveal() });
    const file = join(directory, 'beliefs');
    const script = new URL('./leases.process.ts', import.meta.url);
    let count = 0;
    const start = async (): Promise<TestProcess> => {
      count += 1;
      const child = startProcess(script, [connection, `replica-${count}`, file, names.join()]);
      await child.line();
      return child;
    };
    const replicas = [await start(), await start(), await start()];
    const any = () => replicas[Math.floor(Math.random() * replicas.length)] as TestProcess; // there are always three
    for (let round = 0; round < 10; round++) {
      const chosen = any();
      const act = round % 5;
      if (act < 3) {
        process.kill(chosen.pid, 'SIGSTOP');
        await sleep([300, 1_700, 3_500][act]);
        process.kill(chosen.pid, 'SIGCONT');
      } else {
        await chosen.kill(act === 3 ? 'SIGKILL' : 'SIGTERM');
        replicas[replicas.indexOf(chosen)] = await start();
      }
      await sleep(Math.random() * 400);
    }
    // Everything has a holder in the end.
    const since = process.hrtime.bigint();
    await eventually(
      async () => new Set(beliefs(file).flatMap(({ at, name }) => (at > since + 3_000_000_000n ? [name] : []))).size,
      (held) => held === names.length,
    );
    const seen = beliefs(file);
    expect(seen.length).toBeGreaterThan(1_000);
    for (const name of names) {
      const ofName = seen.filter((one) => one.name === name).sort((a, b) => (a.at < b.at ? -1 : 1));
      const holders = new Map<number, string>();
      let newest = 0;
      for (const { epoch, replica } of ofName) {
        expect(epoch).toBeGreaterThanOrEqual(newest);
        newest = epoch;
        expect(holders.get(epoch) ?? replica).toBe(replica);
        holders.set(epoch, replica);
      }
    }
  }, 90_000);
});

function beliefs(file: string) {
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
  return lines.map((line) => {
    const [at = '', name = '', epoch = '', replica = ''] = line.split(' ');
    return { at: BigInt(at), name, epoch: Number(epoch), replica };
  });
}
