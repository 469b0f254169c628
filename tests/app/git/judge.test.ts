import { expect, test } from 'vitest';
import { commit } from '#git/commit.ts';
import { judgeRange } from '#git/judge.ts';
import type { Repository } from '#git/repository.ts';
import { git, newCommit, runGit, useRepository } from '#support/git.ts';

const team = 'environments/dev/web';

/** A commit upon the branch with these many files in a folder, as a remote would bring it. */
async function crowd(repository: Repository, tip: string, count: number): Promise<string> {
  const { directory } = repository.git;
  const write = async (args: readonly string[], input: string | Buffer) =>
    (await runGit(directory, ['hash-object', '-w', ...args, '--stdin'], { input })).stdout.trim();
  const tree = async (lines: readonly (readonly [mode: string, name: string, id: string])[]) =>
    await write(
      ['-t', 'tree'],
      Buffer.concat(lines.map(([mode, name, id]) => Buffer.concat([Buffer.from(`${mode} ${name}\0`), bytes(id)]))),
    );
  const bytes = (id: string) => Buffer.from(id, 'hex');
  const idOf = (path: string) => git(directory, 'rev-parse', `${tip}:${path}`);
  const blob = await write([], 'x');
  const many = await tree(
    Array.from({ length: count }, (_, i) => ['100644', String(i).padStart(8, '0'), blob] as const),
  );
  const good = await tree([['100644', 'project.yaml', await write([], 'two')]]);
  const web = await tree([
    ['40000', 'blog', await idOf(`${team}/blog`)],
    ['40000', 'many', many],
    ['40000', 'shop', good],
  ]);
  const root = await tree([
    ['40000', 'environments', await tree([['40000', 'dev', await tree([['40000', 'web', web]])]])],
  ]);
  return await git(directory, 'commit-tree', root, '-p', tip, '-m', 'Much');
}

test.each([20_001, 250_000])(
  'a folder of %i entries is passed by and told; what stands beside it counts',
  async (count) => {
    const repository = await useRepository();
    const files = { [`${team}/blog/project.yaml`]: 'one', [`${team}/shop/project.yaml`]: 'one' };
    const [tip = ''] = await commit(repository, { expected: undefined, commits: [newCommit(files)] });
    const after = await crowd(repository, tip, count);
    const { changes, faults } = await judgeRange(repository, tip, after, 'environments');
    expect(changes.map(({ path }) => path)).toEqual([`${team}/shop/project.yaml`]);
    expect(faults).toEqual([
      { path: `${team}/many`, text: `"${team}/many": the folder has too many entries; the most is 20000` },
    ]);
  },
);
