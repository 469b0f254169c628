import { expect, test } from 'vitest';
import { Fault } from '#base/errors.ts';
import { manifestsFile, specFile } from '#environments/layout.ts';
import { commit } from '#git/commit.ts';
import type { Repository } from '#git/repository.ts';
import { behindGit } from '#reconcile/removal.ts';
import { newState } from '#reconcile/run.ts';
import { newCommit, useRepository } from '#support/git.ts';

const key = { environment: 'local', team: 'shop', project: 'web' };
const other = { ...key, project: 'other' };

const write = async (repository: Repository, files: Record<string, string | null>) => {
  await commit(repository, { expected: await repository.tip(), commits: [newCommit(files)] });
  return (await repository.tip()) ?? '';
};

async function begin() {
  const repository = await useRepository();
  const revision = await write(repository, { [specFile(key)]: 'a', [manifestsFile(key)]: 'b' });
  const [spec, manifests] = await Promise.all(
    [specFile(key), manifestsFile(key)].map((path) => repository.blobId(revision, path)),
  );
  const state = newState(key);
  state.blobs = { spec, manifests };
  const lease = { held: true };
  const own = {
    epoch: 3,
    assert: () => {
      if (!lease.held) throw new Fault('LEASE_LOST', { name: 'part' });
    },
  };
  const fence = behindGit({ fence: own, state, blobs: state.blobs, revision, doors: { repository } });
  return { repository, state, lease, fence };
}

const codeOf = async (act: () => unknown): Promise<unknown> => {
  try {
    await act();
    return 'ok';
  } catch (error) {
    return Fault.is(error) ? error.code : error;
  }
};

test('what others write ends no deletion, a commit to the project does, though nobody has told of it', async () => {
  const { repository, fence } = await begin();
  expect(fence.epoch).toBe(3);
  expect(await codeOf(() => fence.look?.())).toBe('ok');
  await write(repository, { [manifestsFile(other)]: 'c' });
  expect(await codeOf(() => fence.look?.())).toBe('ok');
  await write(repository, { [manifestsFile(key)]: 'wanted again' });
  expect(await codeOf(() => fence.look?.())).toBe('REVISION_MOVED');
});

test('a project that left, or came back, is another one', async () => {
  const { repository, state, lease } = await begin();
  const revision = await write(repository, { [specFile(key)]: null, [manifestsFile(key)]: null });
  const own = { epoch: 1, assert: () => {} };
  const gone = behindGit({
    fence: own,
    state: { ...state, blobs: undefined },
    blobs: undefined,
    revision,
    doors: { repository },
  });
  expect(await codeOf(() => gone.look?.())).toBe('ok');
  await write(repository, { [manifestsFile(key)]: 'back' });
  expect(await codeOf(() => gone.look?.())).toBe('REVISION_MOVED');
  expect(lease.held).toBe(true);
});

test('what this process knows by now counts at the very moment of writing, and so does the lease', async () => {
  const { state, lease, fence } = await begin();
  expect(await codeOf(() => fence.assert())).toBe('ok');
  const before = state.blobs;
  state.blobs = { spec: before?.spec, manifests: 'another' };
  expect(await codeOf(() => fence.assert())).toBe('REVISION_MOVED');
  state.blobs = before;
  lease.held = false;
  expect(await codeOf(() => fence.assert())).toBe('LEASE_LOST');
  expect(await codeOf(() => fence.look?.())).toBe('LEASE_LOST');
});
