import { expect, test } from 'vitest';
import { createLog } from '#base/log.ts';
import { Secret } from '#base/secret.ts';
import { isDuplicate } from '#database/faults.ts';
import { createDatabase, type Queryable } from '#database/pool.ts';
import { captureLog } from '#support/captured-log.ts';
import { useDatabase } from '#support/postgres.ts';

const db = useDatabase();
const log = createLog({ level: 'silent' });

test('values come back in types that code can use', async () => {
  const { rows } = await db.database.query(
    `select 9007199254740991 as safe, 9007199254740992 as big, '2026-01-02'::date as day, 1.50::numeric as price,
            '2026-01-02T03:04:05Z'::timestamptz as at, timestamp '2026-01-02 03:04:05' as naive, '{"a":[1]}'::jsonb as json`,
  );
  expect(rows).toEqual([
    {
      safe: 9007199254740991,
      big: 9007199254740992n,
      day: '2026-01-02',
      price: '1.50',
      at: new Date('2026-01-02T03:04:05Z'),
      naive: new Date('2026-01-02T03:04:05Z'),
      json: { a: [1] },
    },
  ]);
});

test('a named statement is prepared once and gives the same', async () => {
  const ask = (n: number) => db.database.query('select $1::int + 1 as n', [n], 'plus-one');
  expect((await ask(1)).rows).toEqual([{ n: 2 }]);
  expect((await ask(2)).rows).toEqual([{ n: 3 }]);
  const { rows } = await db.database.query(`select name from pg_prepared_statements where name = 'plus-one'`);
  expect(rows).toEqual([{ name: 'plus-one' }]);
});

test('rowCount counts what an update touched', async () => {
  await db.database.query('create table counted (n int)');
  await db.database.query('insert into counted select generate_series(1, 5)');
  expect(await db.database.query('update counted set n = n + 1 where n > 2')).toEqual({ rows: [], rowCount: 3 });
});

test('errors of a statement come as they are', async () => {
  await expect(db.database.query('select 1 / 0')).rejects.toMatchObject({ name: 'error', code: '22012' });
  await db.database.query('create table once_only (id int constraint one_of_each unique)');
  const twice = await db.database.query('insert into once_only values (1), (1)').catch((error: unknown) => error);
  expect([isDuplicate(twice), isDuplicate(twice, 'one_of_each'), isDuplicate(twice, 'other')]).toEqual([
    true,
    true,
    false,
  ]);
});

test('a transaction commits as a whole or not at all', async () => {
  await db.database.query('create table account (id int primary key, sum int not null)');
  const move = (tx: Queryable) => tx.query('insert into account values (1, 10)');
  await expect(
    db.database.transaction(async (tx) => {
      await move(tx);
      throw new Error('changed my mind');
    }),
  ).rejects.toThrow('changed my mind');
  expect((await db.database.query('select * from account')).rows).toEqual([]);
  expect(await db.database.transaction(async (tx) => (await move(tx)).rowCount)).toBe(1);
  expect((await db.database.query('select * from account')).rows).toEqual([{ id: 1, sum: 10 }]);
});

test('a swallowed error inside a transaction is no commit', async () => {
  await db.database.query('create table swallowed (n int)');
  await expect(
    db.database.transaction(async (tx) => {
      await tx.query('insert into swallowed values (1)');
      await tx.query('select 1 / 0').catch(() => {});
    }),
  ).rejects.toThrow('its error was swallowed');
  expect((await db.database.query('select * from swallowed')).rows).toEqual([]);
});

test('serialization failures are run again where asked, and only there', async () => {
  await db.database.query('create table counter as select 0 as n');
  const increment = (retries: number) =>
    db.database.transaction(
      async (tx) => {
        const { rows } = await tx.query<{ n: number }>('select n from counter');
        await tx.query('update counter set n = $1', [(rows[0]?.n ?? 0) + 1]);
      },
      { isolation: 'serializable', retries },
    );
  await Promise.all(Array.from({ length: 8 }, () => increment(100)));
  expect((await db.database.query('select n from counter')).rows).toEqual([{ n: 8 }]);
  const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => increment(0)));
  const reasons = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason.code] : []));
  expect(new Set(reasons)).toEqual(new Set(['40001']));
});

test('a deadlock is resolved by running one side again', async () => {
  await db.database.query('create table pair as select id, 0 as n from generate_series(1, 2) as id');
  let waiting = 0;
  let bothHere = () => {};
  const together = new Promise<void>((resolve) => {
    bothHere = resolve;
  });
  const inOrder = (first: number, second: number) =>
    db.database.transaction(
      async (tx) => {
        await tx.query('update pair set n = n + 1 where id = $1', [first]);
        waiting += 1;
        if (waiting === 2) bothHere();
        await together;
        await tx.query('update pair set n = n + 1 where id = $1', [second]);
      },
      { retries: 3 },
    );
  await Promise.all([inOrder(1, 2), inOrder(2, 1)]);
  expect((await db.database.query('select n from pair order by id')).rows).toEqual([{ n: 2 }, { n: 2 }]);
  expect(waiting).toBe(3);
});

test('a statement that takes too long is cancelled and leaves the connection usable', async () => {
  const impatient = createDatabase({ connection: db.connection, log, statementTimeoutMs: 50, connections: 1 });
  await expect(impatient.query('select pg_sleep(10)')).rejects.toMatchObject({ code: '57014' });
  expect((await impatient.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  await impatient.close();
});

test('a connection that the server ends is a retryable fault, an idle one a line in the log', async () => {
  const { log: captured, lines } = captureLog();
  const database = createDatabase({ connection: db.connection, log: captured, connections: 1 });
  await expect(database.query('select pg_terminate_backend(pg_backend_pid())')).rejects.toMatchObject({
    code: 'DATABASE_UNAVAILABLE',
    retry: true,
  });
  const { rows } = await database.query<{ pid: number }>('select pg_backend_pid() as pid');
  await db.database.query('select pg_terminate_backend($1, 5000)', [rows[0]?.pid]);
  await expect.poll(() => lines().map(({ msg }) => msg), { interval: 5 }).toContain('idle database connection lost');
  expect((await database.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  const lost = database.transaction((tx) => tx.query('select pg_terminate_backend(pg_backend_pid())'));
  await expect(lost).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
  expect((await database.query('select 2 as two')).rows).toEqual([{ two: 2 }]);
  await database.close();
});

test('an absent server is a retryable fault, a wrong password is not', async () => {
  const nowhere = createDatabase({ connection: { ...db.connection, host: '/nowhere' }, log });
  await expect(nowhere.query('select')).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE', retry: true });
  await nowhere.close();
  const refused = createDatabase({ connection: { ...db.connection, host: '127.0.0.1', port: 1 }, log });
  await expect(refused.query('select')).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
  await refused.close();
  const canary = 'canary-password-7e1f';
  const wrong = createDatabase({ connection: { ...db.connection, password: new Secret(canary) }, log });
  const error = (await wrong.query('select').catch((caught: unknown) => caught)) as Error;
  expect(error).toMatchObject({ code: '28P01' });
  expect(JSON.stringify(error) + error.stack).not.toContain(canary);
  await wrong.close();
});

test('a closed database says that it is stopping', async () => {
  const database = createDatabase({ connection: db.connection, log });
  await Promise.all([database.close(), database.close()]);
  await expect(database.query('select')).rejects.toMatchObject({ code: 'STOPPING', retry: true });
  await expect(database.transaction(async () => {})).rejects.toMatchObject({ code: 'STOPPING' });
});
