import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Fault } from '#base/errors.ts';
import { commit } from '#git/commit.ts';
import { openRepository, type Repository } from '#git/repository.ts';
import { newCommit, silent, useRepository } from '#support/git.ts';
import { useRemoteHost } from '#support/git-remote.ts';
import { temporaryDirectory } from '#support/temporary.ts';

/** A lease that ends at its `nth` question. */
function endsAt(nth: number) {
  let asked = 0;
  return {
    asked: () => asked,
    assert: () => {
      asked += 1;
      if (asked >= nth) throw new Fault('LEASE_LOST', { name: 'publish' });
    },
  };
}

const write = (repository: Repository, expected: string | undefined, file: string, assert?: () => void) =>
  commit(repository, { expected, commits: [newCommit({ [file]: '1' })], assert });

test('who has lost the lease moves nothing; the branch is free for the next one', async () => {
  const repository = await useRepository();
  const [first] = await write(repository, undefined, 'a.txt');
  const lease = endsAt(1);
  await expect(write(repository, first, 'b.txt', lease.assert)).rejects.toMatchObject({ code: 'LEASE_LOST' });
  expect(lease.asked()).toBe(1);
  expect(await repository.tip()).toBe(first);
  const [second] = await write(repository, first, 'c.txt', endsAt(2).assert);
  expect(await repository.tip()).toBe(second);
});

test('where there is a remote, nothing is pushed, and what others pushed meanwhile is not taken for an answer', async () => {
  const host = await useRemoteHost();
  const { path, remove } = temporaryDirectory('plinth-fenced');
  onTestFinished(remove);
  const options = { branch: 'main', log: silent } as const;
  const repository = await openRepository({
    ...options,
    directory: join(path, 'state.git'),
    remote: host.settings(),
  });
  onTestFinished(() => repository.close());
  const [first] = await write(repository, undefined, 'a.txt');
  const other = await openRepository({ ...options, directory: host.directory });
  onTestFinished(() => other.close());
  const [theirs] = await write(other, first, 'theirs.txt');

  const pushes = () => host.requests.filter(({ path: asked }) => asked.includes('git-receive-pack')).length;
  const before = pushes();
  await expect(write(repository, first, 'b.txt', endsAt(1).assert)).rejects.toMatchObject({ code: 'LEASE_LOST' });
  expect(pushes()).toBe(before);
  expect(await host.tip()).toBe(theirs);
  expect(repository.remote?.problem()).toBeUndefined();

  await repository.remote?.fetch();
  const [ours] = await write(repository, theirs, 'b.txt', () => {});
  expect(await host.tip()).toBe(ours);
});
