import { expect, test } from 'vitest';
import { readCursor, writeCursor } from '#database/cursors.ts';
import { commit } from '#git/commit.ts';
import { createCaution, reconcileCursor } from '#reconcile/caution.ts';
import { newCommit, silent, useRepository } from '#support/git.ts';
import { useDatabase } from '#support/postgres.ts';

const db = useDatabase();
const name = reconcileCursor('local');
const yes = () => true;
const no = () => false;

/** A repository that was put back from its second commit to its first one, after the second came to rest. */
async function restored() {
  await db.database.query('truncate cursors');
  const repository = await useRepository();
  const [older = ''] = await commit(repository, { expected: undefined, commits: [newCommit({ 'a.txt': '1' })] });
  const [newer = ''] = await commit(repository, { expected: older, commits: [newCommit({ 'a.txt': '2' })] });
  await writeCursor(db.database, name, newer);
  const caution = (parts?: readonly string[], ours: readonly string[] = []) =>
    createCaution(
      {
        database: db.database,
        repository,
        log: silent,
        share: parts && { parts, has: (part) => ours.includes(part) },
      },
      'local',
    );
  return { older, newer, caution };
}

test('it is on while Git does not descend from what was reconciled, and ends when everything is at rest', async () => {
  const { older, newer, caution } = await restored();
  const usual = caution();
  await usual.begin(newer);
  expect(usual.isOn()).toBe(false);
  const one = caution();
  await one.begin(older);
  expect(one.isOn()).toBe(true);
  await one.advance(older, no);
  expect(one.isOn()).toBe(true);
  await one.advance(older, yes);
  expect(one.isOn()).toBe(false);
  expect(await readCursor(db.database, name)).toBe(older);
});

test('of several replicas it ends for all when the parts of all are at rest, whoever had them', async () => {
  const { older, newer, caution } = await restored();
  const parts = ['p/0', 'p/1', 'p/2'];
  const first = caution(parts, ['p/0', 'p/1']);
  const second = caution(parts, ['p/2']);
  for (const one of [first, second]) await one.begin(older);
  await first.advance(older, yes);
  expect([first.isOn(), second.isOn()]).toEqual([true, true]);
  // A replica that starts now, or takes a part over, is as careful as the others.
  expect(await readCursor(db.database, name)).toBe(newer);
  await second.advance(older, no);
  expect(second.isOn()).toBe(true);
  await second.advance(older, yes);
  expect(second.isOn()).toBe(false);
  expect(first.isOn()).toBe(true);
  await first.advance(older, no);
  expect(first.isOn()).toBe(false);
  const { rows } = await db.database.query<{ name: string }>('select name from cursors');
  expect(rows).toEqual([{ name }]);
});
