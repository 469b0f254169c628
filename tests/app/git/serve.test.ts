import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { commit } from '#git/commit.ts';
import { git, newCommit, runGit, serveRepository } from '#support/git.ts';

const file = 'environments/dev/web/shop/project.yaml';

async function write(clone: string, path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(join(clone, path)), { recursive: true });
  await writeFile(join(clone, path), content);
}

async function commitAll(clone: string, files: Record<string, string | Uint8Array>): Promise<void> {
  for (const [path, content] of Object.entries(files)) await write(clone, path, content);
  await git(clone, 'add', '--all');
  await git(clone, 'commit', '--quiet', '--message', 'From a clone');
}

test('clone, push and fetch with the ordinary client', async () => {
  const moves: unknown[] = [];
  const { repository, clone } = await serveRepository({ pushed: (move) => moves.push(move) });
  const [first] = await commit(repository, { expected: undefined, commits: [newCommit({ [file]: 'one' })] });
  const ours = await clone();
  const theirs = await clone();
  expect(await git(ours, 'show', `HEAD:${file}`)).toBe('one');
  await commitAll(ours, { [file]: 'two' });
  await git(ours, 'push', '--quiet', 'origin', 'main');
  const tip = await repository.tip();
  expect(tip).toBe(await git(ours, 'rev-parse', 'HEAD'));
  expect(moves).toEqual([{ before: first, after: tip, actor: 'ada@example.com' }]);
  await git(theirs, 'pull', '--quiet');
  expect(await git(theirs, 'rev-parse', 'HEAD')).toBe(tip);
});

test('a refusal appears in the terminal of the pusher', async () => {
  const { repository, clone } = await serveRepository({
    checkPush: async ({ view }) => (await view.changed()).map(({ path }) => `${path}: not today \u001b[31m`),
  });
  const ours = await clone();
  await commitAll(ours, { [file]: 'two' });
  const pushed = await runGit(ours, ['push', 'origin', 'main']);
  expect(pushed.code).toBe(1);
  expect(pushed.stderr).toContain(`remote: ${file}: not today ?[31m`);
  expect(pushed.stderr).toContain('(pre-receive hook declined)');
  expect(await repository.tip()).toBeUndefined();
});
