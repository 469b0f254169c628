import { execFileSync } from 'node:child_process';
import { beforeAll, expect, test } from 'vitest';
import { openRepository, type Repository } from '#git/repository.ts';
import { git, silent } from '#support/git.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';

const directory = useTemporaryDirectory('plinth-steps');
let repository: Repository;
const at: Record<string, string> = {};

beforeAll(async () => {
  const work = `${directory}/work`;
  execFileSync('git', ['init', '-q', '-b', 'main', work]);
  await git(work, 'config', 'user.email', 'ada@example.com');
  await git(work, 'config', 'user.name', 'Ada');
  const commit = async (name: string) => {
    await git(work, 'commit', '-q', '--allow-empty', '-m', name);
    at[name] = await git(work, 'rev-parse', 'HEAD');
  };
  for (const name of ['base', 'one', 'two']) await commit(name);
  // Somebody worked beside them and merged them into theirs: the way of first parents passes `one` and `two` by.
  await git(work, 'checkout', '-q', '-b', 'beside', at.base ?? '');
  await commit('mine');
  await git(work, 'merge', '-q', '--no-ff', '-m', 'merge', at.two ?? '');
  at.merge = await git(work, 'rev-parse', 'HEAD');
  await commit('three');
  await git(work, 'checkout', '-q', '--orphan', 'other');
  await commit('orphan');
  execFileSync('git', ['clone', '-q', '--bare', work, `${directory}/state.git`]);
  repository = await openRepository({ directory: `${directory}/state.git`, branch: 'main', log: silent });
  return () => repository.close();
});

const steps = async (from: string, to: string, most = 100) =>
  (await repository.steps(at[from] ?? from, at[to] ?? to, most))?.map(({ before, revision }) =>
    [before, revision].map((id) => Object.keys(at).find((name) => at[name] === id)),
  );

test('the branch moved commit by commit', async () => {
  expect(await steps('base', 'two')).toEqual([
    ['base', 'one'],
    ['one', 'two'],
  ]);
  expect(await steps('two', 'two')).toEqual([]);
});

test('a merge answers for all that it brings, in whichever order its parents stand', async () => {
  expect(await steps('two', 'three')).toEqual([
    ['two', 'merge'],
    ['merge', 'three'],
  ]);
  expect(await steps('mine', 'merge')).toEqual([['mine', 'merge']]);
});

test('what does not descend, is not there or is too far gives nothing', async () => {
  expect(await steps('two', 'orphan')).toBeUndefined();
  expect(await steps('two', 'one')).toBeUndefined();
  expect(await steps('0'.repeat(40), 'two')).toBeUndefined();
  expect(await steps('base', 'two', 1)).toBeUndefined();
  await expect(steps('--output=/tmp/x', 'two')).rejects.toMatchObject({ code: 'REVISION_UNKNOWN' });
});
