import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { commit } from '#git/commit.ts';
import { repack } from '#git/housekeeping.ts';
import { git, newCommit, useRepository } from '#support/git.ts';

test('many small packs become few, while reads and commits go on', async () => {
  const repository = await useRepository();
  const packs = () => readdirSync(join(repository.directory, 'objects/pack')).filter((name) => name.endsWith('.pack'));
  const write = async (content: string) => {
    const batch = { expected: await repository.tip(), commits: [newCommit({ 'a/file': content })] };
    return (await commit(repository, batch))[0]!;
  };
  const first = await write('0');
  expect(await repack(repository)).toBe(false);
  while (packs().length <= 50) await write(`${packs().length}`);
  let working = true;
  const meanwhile = (async () => {
    for (let count = 0; working; count++) {
      const revision = await write(`meanwhile ${count}`);
      expect(Buffer.from((await repository.read(revision, 'a/file'))!).toString()).toBe(`meanwhile ${count}`);
      expect(Buffer.from((await repository.read(first, 'a/file'))!).toString()).toBe('0');
    }
  })();
  try {
    expect(await repack(repository)).toBe(true);
  } finally {
    working = false;
    await meanwhile;
  }
  expect(packs().length).toBeLessThan(50);
  expect(await git(repository.directory, 'fsck', '--strict')).toBe('');
  expect(await repository.history('a', { limit: 1000 })).toHaveLength(
    Number(await git(repository.directory, 'rev-list', '--count', 'main')),
  );
});
