import { beforeAll, expect, test } from 'vitest';
import { readChanges } from '#publish/store.ts';
import { useDatabase } from '#support/postgres.ts';

const db = useDatabase();

beforeAll(async () => {
  // One of shop after every nine of bank.
  for (let i = 0; i < 50; i++)
    await db.database.query(
      `insert into changes (id, kind, environment, team, project, actor) values ($1, 'put', $2, $3, 'web', 'ada')`,
      [`chg_${i}`, i % 20 === 9 ? 'dev' : 'local', i % 10 === 9 ? 'shop' : 'bank'],
    );
});

const ids = async (filter: Partial<Parameters<typeof readChanges>[1]>) =>
  (await readChanges(db.database, { limit: 4, ...filter })).map(({ id }) => id);

test('teams and environments cut the list before its limit does', async () => {
  expect(await ids({ teams: ['shop'] })).toEqual(['chg_49', 'chg_39', 'chg_29', 'chg_19']);
  expect(await ids({ teams: ['shop'], before: 'chg_19' })).toEqual(['chg_9']);
  expect(await ids({ teams: ['shop'], environments: ['dev'] })).toEqual(['chg_49', 'chg_29', 'chg_9']);
  expect(await ids({ teams: 'all', environments: ['dev'], limit: 2 })).toEqual(['chg_49', 'chg_29']);
  expect(await ids({ teams: 'all', environments: 'all' })).toEqual(['chg_49', 'chg_48', 'chg_47', 'chg_46']);
  expect(await ids({ teams: [] })).toEqual([]);
});
