import { beforeEach, describe, expect, test } from 'vitest';
import { claimInstallation, type InstallationOptions } from '#database/installation.ts';
import { silent } from '#support/git.ts';
import { useDatabase } from '#support/postgres.ts';

const db = useDatabase();
const claim = (more: Partial<InstallationOptions>) =>
  claimInstallation({
    database: db.database,
    log: silent,
    newId: 'ins_new',
    inGit: undefined,
    repository: 'one',
    ...more,
  });
const row = async () => (await db.database.query('select id, repository from installation')).rows;

beforeEach(() => db.database.query('truncate installation, changes'));

describe('whose a database is', () => {
  test('the first start makes the id; a kill before the first commit and a second replica find it again', async () => {
    expect(await claim({})).toBe('ins_new');
    expect(await claim({ newId: 'ins_other' })).toBe('ins_new');
    expect(await row()).toEqual([{ id: 'ins_new', repository: 'one' }]);
  });

  test('of many at the same time all get one id', async () => {
    const ids = await Promise.all(Array.from({ length: 8 }, (_, n) => claim({ newId: `ins_${n}` })));
    expect(new Set(ids).size).toBe(1);
  });

  test('another new repository is refused although nothing was committed yet', async () => {
    await claim({});
    await expect(claim({ repository: 'two' })).rejects.toMatchObject({
      code: 'INSTALLATION_MIXED',
      data: { git: '(none: it is new)', database: 'ins_new' },
    });
    expect(await row()).toEqual([{ id: 'ins_new', repository: 'one' }]);
  });

  test('a repository with another id is refused', async () => {
    await claim({ inGit: 'ins_old' });
    await expect(claim({ inGit: 'ins_foreign', repository: 'two' })).rejects.toMatchObject({
      code: 'INSTALLATION_MIXED',
      data: { git: 'ins_foreign', database: 'ins_old' },
    });
    expect(await row()).toEqual([{ id: 'ins_old', repository: 'one' }]);
  });

  test('a repository with the right id may have moved', async () => {
    await claim({ inGit: 'ins_old' });
    expect(await claim({ inGit: 'ins_old', repository: 'two' })).toBe('ins_old');
    expect(await row()).toEqual([{ id: 'ins_old', repository: 'two' }]);
  });

  test('a database of an earlier version learns its repository', async () => {
    await db.database.query(`insert into installation (id) values ('ins_old')`);
    expect(await claim({ inGit: 'ins_old' })).toBe('ins_old');
    expect(await row()).toEqual([{ id: 'ins_old', repository: 'one' }]);
  });

  test('a new repository beside a database that knows commits is refused', async () => {
    await claim({ inGit: 'ins_old' });
    await db.database.query(
      `insert into changes (id, kind, environment, actor, revision, state) values ('chg_1', 'put', 'local', 'ann', 'r', 'committed')`,
    );
    await expect(claim({})).rejects.toMatchObject({ code: 'INSTALLATION_MIXED' });
  });
});
