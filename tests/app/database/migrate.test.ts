import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { createLog } from '#base/log.ts';
import { migrate } from '#database/migrate.ts';
import { createDatabase } from '#database/pool.ts';
import { useDatabase } from '#support/postgres.ts';
import { temporaryDirectory, useTemporaryDirectory } from '#support/temporary.ts';

const db = useDatabase();
const temporary = useTemporaryDirectory();
const log = createLog({ level: 'silent' });

let folder = '';
const put = (name: string, sql: string) => writeFileSync(join(folder, `${name}.sql`), sql);
const run = () => migrate({ database: db.database, log, folder });

beforeEach(async () => {
  folder = temporaryDirectory(join(temporary.slice(temporary.lastIndexOf('/') + 1), 'm')).path;
  await db.database.query('drop schema public cascade; create schema public');
  put('0001_first', 'create table first (n int);\ncreate table also_first (n int);');
  put('0002_second', 'alter table first add column word text;');
});

test('new files are applied in order, once', async () => {
  expect(await run()).toEqual(['0001_first', '0002_second']);
  expect(await run()).toEqual([]);
  put('0003_third', 'create table third (n int)');
  expect(await run()).toEqual(['0003_third']);
  const { rows } = await db.database.query('select name, length(digest) as digest from migrations order by name');
  expect(rows).toEqual(['0001_first', '0002_second', '0003_third'].map((name) => ({ name, digest: 64 })));
});

test('the migrations of the house are applied to the databases of tests already', async () => {
  rmSync(folder, { recursive: true });
  const applied = await migrate({ database: db.database, log });
  expect(applied.slice(0, 2)).toEqual(['0001_main_job', '0002_secret_grants']);
  expect(await migrate({ database: db.database, log })).toEqual([]);
});

test('a failed one leaves nothing of itself and says where', async () => {
  put('0003_third', 'create table third (n int);\n\ncreate tabel fourth (n int);');
  await expect(run()).rejects.toMatchObject({
    code: 'MIGRATION_FAILED',
    message: 'Migration 0003_third cannot be applied: syntax error at or near "tabel" (line 3).',
  });
  const { rows } = await db.database.query(`select to_regclass('third') as third, to_regclass('first') as first`);
  expect(rows).toEqual([{ third: null, first: 'first' }]);
  put('0003_third', 'create table third (n int);');
  expect(await run()).toEqual(['0003_third']);
});

test('a file that was changed after it was applied is refused by name', async () => {
  await run();
  put('0001_first', 'create table first (n bigint);');
  await expect(run()).rejects.toMatchObject({ code: 'MIGRATION_CHANGED', data: { name: '0001_first' } });
});

test('a database that is ahead of the files is refused', async () => {
  put('0003_third', 'create table third (n int)');
  await run();
  rmSync(join(folder, '0003_third.sql'));
  await expect(run()).rejects.toMatchObject({ code: 'MIGRATION_UNKNOWN', data: { name: '0003_third' } });
});

test('numbers have no gaps, no doubles, and none comes in before an applied one', async () => {
  put('0004_fourth', 'select');
  await expect(run()).rejects.toMatchObject({
    code: 'MIGRATION_FAILED',
    data: { name: '0004_fourth', why: 'its place is number 0003; numbers have no gaps' },
  });
  rmSync(join(folder, '0004_fourth.sql'));
  put('0002_another', 'select');
  await expect(run()).rejects.toMatchObject({ data: { name: '0002_second' } });
  rmSync(join(folder, '0002_another.sql'));
  await run();
  rmSync(join(folder, '0002_second.sql'));
  put('0002_before', 'select');
  put('0003_second', 'select');
  await expect(run()).rejects.toMatchObject({ code: 'MIGRATION_UNKNOWN' });
});

test('of several at once each migration is applied by one', async () => {
  put('0003_slow', 'create table slow (n int); select pg_sleep(0.1);');
  const databases = Array.from({ length: 4 }, () => createDatabase({ connection: db.connection, log }));
  const applied = await Promise.all(databases.map((database) => migrate({ database, log, folder })));
  expect(applied.flat().sort()).toEqual(['0001_first', '0002_second', '0003_slow']);
  await Promise.all(databases.map((database) => database.close()));
});
