import { expect, test } from 'vitest';
import { environmentFile, manifestsFile, specFile } from '#environments/layout.ts';
import { createEnvironments } from '#publish/environments.ts';
import {
  begin,
  blobOf,
  db,
  git,
  key,
  listed,
  local,
  problems,
  replaceRoot,
  restoreRoot,
  spec,
} from './remote-stand.ts';

test('something else in place of environments/ is one fault; projects and environments stay as they were', async () => {
  const { host, accept, foreign, settle, read, repository, doors, endOf } = await begin();
  await accept('web', spec('nginx:1'));
  await settle();
  const blob = await blobOf(host, 'no folder');
  let version = 0;
  const submodule = '160000 commit 1111111111111111111111111111111111111111\tenvironments';
  for (const row of [`100644 blob ${blob}\tenvironments`, `120000 blob ${blob}\tenvironments`, submodule]) {
    const before = (await repository.tip()) ?? '';
    await replaceRoot(host, row);
    await settle();
    expect(await problems()).toEqual([['environments', 'path', '', 'SOURCE_REFUSED']]);
    expect(await listed()).toContain('web indexed');
    const tip = (await repository.tip()) ?? '';
    expect(tip).not.toBe(before);
    expect((await doors.environments.one(tip, 'local')).domain).toBe('apps.localhost');
    const id = await accept('beside', spec(`nginx:${++version}`));
    await settle();
    // Written now it would stand alone in a folder of its own.
    expect([await endOf(id), await repository.tip()]).toEqual(['accepted', tip]);
    await restoreRoot(host, before);
    await settle();
    expect([await problems(), await endOf(id)]).toEqual([[], 'committed']);
    expect(await listed()).toEqual(['beside indexed', 'web indexed']);
  }
  await foreign({ [specFile(key('web'))]: spec('nginx:2') });
  await settle();
  expect(await read(manifestsFile(key('web')), repository)).toContain('nginx:2');
});

test('a new environment pushes none out: the one that had the domain keeps it, after a restart and on every replica', async () => {
  const { foreign, settle, repository, doors } = await begin();
  await foreign({ [environmentFile('production')]: local('shop.example.com') });
  await settle();
  await foreign({ [environmentFile('aaa')]: local('shop.example.com') });
  await settle();
  const read = async (environments = doors.environments) =>
    [...(await environments.at((await repository.tip()) ?? ''))].map(([name, { domain }]) => `${name} ${domain}`);
  const kept = ['local apps.localhost', 'production shop.example.com'];
  expect(await read()).toEqual(kept);
  expect((await problems()).map(([path]) => path)).toEqual([environmentFile('aaa')]);
  // Production goes on to change, and whoever starts later finds the same: by the database, and by Git alone.
  await foreign({ [environmentFile('production')]: `${local('shop.example.com')}# changed\n` });
  await settle();
  expect(await read()).toEqual(kept);
  expect(await read(createEnvironments(repository, db.database))).toEqual(kept);
  expect(await read(createEnvironments(repository))).toEqual(kept);
  expect((await problems()).map(([path]) => path)).toEqual([environmentFile('aaa')]);
  await foreign({ [environmentFile('production')]: null });
  await settle();
  expect(await read()).toEqual(['aaa shop.example.com', 'local apps.localhost']);
});

test('who had a domain keeps it, also where the branch was made to look as if another one had been first', async () => {
  const { host, foreign, settle, repository } = await begin();
  const base = (await repository.tip()) ?? '';
  const early = await foreign({ [environmentFile('aaa')]: local('shop.example.com') });
  await git(host, ['update-ref', 'refs/heads/main', base]);
  const production = await foreign({ [environmentFile('production')]: local('shop.example.com') });
  await settle();
  const both = await foreign({ [environmentFile('aaa')]: local('shop.example.com') });
  const merge = await git(host, ['commit-tree', `${both}^{tree}`, '-p', early, '-p', production, '-m', 'Merge']);
  await git(host, ['update-ref', 'refs/heads/main', merge]);
  await settle();
  const names = async (database?: typeof db.database) => [
    ...(await createEnvironments(repository, database).at((await repository.tip()) ?? '')).keys(),
  ];
  expect(await repository.tip()).toBe(merge);
  expect(await names()).toEqual(['aaa', 'local']);
  expect(await names(db.database)).toEqual(['local', 'production']);
});
