import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { blobIdOf } from '#git/blob-id.ts';
import { commit } from '#git/commit.ts';
import { createObjectReader } from '#git/objects.ts';
import type { Git, GitChild } from '#git/process.ts';
import { openRepository, type Repository } from '#git/repository.ts';
import { git, newCommit, runGit, silent, useRepository } from '#support/git.ts';

/** Commits on top of whatever is there. */
async function change(repository: Repository, files: Record<string, string | null>, subject?: string) {
  const [revision] = await commit(repository, {
    expected: await repository.tip(),
    commits: [newCommit(files, subject)],
  });
  return revision!;
}

const text = (bytes: Uint8Array | undefined) => (bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8'));

test('a new repository is empty, closed to rewriting, and free of hooks', async () => {
  const repository = await useRepository();
  const { directory } = repository;
  expect(await repository.tip()).toBeUndefined();
  expect(await repository.history('', { limit: 5 })).toEqual([]);
  expect(existsSync(join(directory, 'hooks'))).toBe(false);
  const wanted = {
    'core.bare': 'true',
    'core.fsync': 'objects,derived-metadata,reference',
    'receive.denynonfastforwards': 'true',
    'receive.denydeletes': 'true',
    'transfer.fsckobjects': 'true',
    'uploadpack.allowfilter': 'true',
    'gc.auto': '0',
    'transfer.unpacklimit': '1',
    'protocol.version': '2',
  };
  for (const [name, value] of Object.entries(wanted)) expect(await git(directory, 'config', name)).toBe(value);
});

test('opening again keeps the commits and clears what a killed process left', async () => {
  const repository = await useRepository();
  const { directory } = repository;
  const tip = await change(repository, { a: '1' });
  const dead = ['refs/heads/main.lock', 'packed-refs.lock', 'objects/pack/tmp_pack_x', 'plinth.config'];
  for (const file of dead) writeFileSync(join(directory, file), '');
  const again = await openRepository({ directory, branch: 'main', log: silent });
  onTestFinished(() => again.close());
  expect(await again.tip()).toBe(tip);
  for (const file of dead.slice(0, 3)) expect(existsSync(join(directory, file))).toBe(false);
  expect(readFileSync(join(directory, 'plinth.config'), 'utf8')).toContain('denyDeletes = true');
});

test('a start that was killed while it made the repository is begun again', async () => {
  const { directory } = await useRepository();
  const making = join(dirname(directory), 'other.git');
  writeFileSync(`${making}.making`, 'half');
  const repository = await openRepository({ directory: making, branch: 'main', log: silent });
  onTestFinished(() => repository.close());
  expect(await change(repository, { a: '1' })).toHaveLength(40);
});

test('git that is not installed is said so', async () => {
  const { directory } = await useRepository();
  const opening = openRepository({ directory: `${directory}.new`, branch: 'main', log: silent, searchPath: '/none' });
  await expect(opening).rejects.toMatchObject({ code: 'REPOSITORY_UNAVAILABLE' });
  await expect(opening).rejects.toThrow(/git cannot be started/);
});

test('files, folders and blobs are read by revision and path', async () => {
  const repository = await useRepository();
  const first = await change(repository, { 'a/b/c': 'one', 'a/d': 'two', e: '' });
  const second = await change(repository, { 'a/b/c': null, e: 'e' });
  const blob = blobIdOf('two');
  expect(await repository.list(first, 'a')).toEqual([
    { path: 'a/b/c', mode: '100644', blob: blobIdOf('one'), size: 3 },
    { path: 'a/d', mode: '100644', blob, size: 3 },
  ]);
  expect(await repository.list(second, 'a/b')).toEqual([]);
  expect((await repository.children(second, 'a')).map(({ name, mode, id }) => ({ name, mode, id }))).toEqual([
    { name: 'd', mode: '100644', id: blob },
  ]);
  expect(await repository.children(second, 'none')).toEqual([]);
  expect(await repository.blobId(second, 'a/d')).toBe(blob);
  const paths = ['a/b/c', 'a/d', 'e', 'a', 'a/d/x', 'none/x', 'a\nb', 'e missing', ''];
  expect((await repository.readMany(first, paths)).map(text)).toEqual([
    'one',
    'two',
    '',
    ...Array.from({ length: 6 }, () => undefined),
  ]);
  expect(text(await repository.read(second, 'a/b/c'))).toBeUndefined();
});

test('a revision that does not exist is a fault, never an empty tree', async () => {
  const repository = await useRepository();
  const tip = await change(repository, { a: '1' });
  for (const revision of ['f'.repeat(40), 'main', tip.slice(0, 12), '--all', blobIdOf('1'), '']) {
    const fault = { code: 'REVISION_UNKNOWN', data: { revision } };
    await expect(repository.read(revision, 'a')).rejects.toMatchObject(fault);
    await expect(repository.list(revision, '')).rejects.toMatchObject(fault);
    await expect(repository.changed(revision, tip, '')).rejects.toMatchObject(fault);
    await expect(repository.describe(revision)).rejects.toMatchObject(fault);
    await expect(repository.isAncestor(tip, revision)).rejects.toMatchObject(fault);
    if (revision !== '')
      await expect(repository.history('', { limit: 1, before: revision })).rejects.toMatchObject(fault);
  }
});

test('an object that is gone is a fault, never an absent file', async () => {
  const repository = await useRepository();
  const tip = await change(repository, { 'a/b': '1', 'c/d': '2' });
  // Unpacked by git itself, so that a single object can be taken away.
  const packs = join(repository.directory, 'objects/pack');
  const [pack] = readdirSync(packs).filter((name) => name.endsWith('.pack'));
  const bytes = readFileSync(join(packs, pack!));
  for (const name of readdirSync(packs)) rmSync(join(packs, name));
  await runGit(repository.directory, ['unpack-objects', '-q'], { input: bytes });
  const tree = await git(repository.directory, 'rev-parse', `${tip}:a`);
  rmSync(join(repository.directory, 'objects', tree.slice(0, 2), tree.slice(2)));
  const fault = { code: 'REPOSITORY_UNAVAILABLE' };
  await expect(repository.read(tip, 'a/b')).rejects.toMatchObject(fault);
  await expect(repository.children(tip, 'a')).rejects.toMatchObject(fault);
  await expect(repository.list(tip, '')).rejects.toMatchObject(fault);
  await expect(repository.changed(undefined, tip, '')).rejects.toMatchObject(fault);
  expect(text(await repository.read(tip, 'c/d'))).toBe('2');
  expect(await repository.read(tip, 'c/x')).toBeUndefined();
});

test('a blob of more than 8 MiB is refused, and what was asked after it is answered', async () => {
  const repository = await useRepository();
  const tip = await change(repository, {
    large: 'x'.repeat(8 * 2 ** 20 + 1),
    most: 'y'.repeat(8 * 2 ** 20),
    small: 'z',
  });
  const [large, small, most] = await Promise.allSettled(
    ['large', 'small', 'most'].map((path) => repository.read(tip, path)),
  );
  expect(large).toMatchObject({ status: 'rejected', reason: { code: 'REPOSITORY_UNAVAILABLE' } });
  expect(small).toMatchObject({ status: 'fulfilled', value: Buffer.from('z') });
  expect(most?.status === 'fulfilled' && most.value?.length).toBe(8 * 2 ** 20);
});

test('commits, packed refs and packs of other processes are seen', async () => {
  const repository = await useRepository();
  const { directory } = repository;
  let tip = await change(repository, { a: '0' });
  for (let round = 1; round <= 4; round++) {
    const tree = `100644 blob ${(await runGit(directory, ['hash-object', '-w', '--stdin'], { input: `${round}` })).stdout.trim()}\ta\n`;
    const made = (await runGit(directory, ['mktree'], { input: tree })).stdout.trim();
    const next = await git(directory, 'commit-tree', made, '-p', tip, '-m', `Round ${round}`);
    await git(directory, 'update-ref', 'refs/heads/main', next, tip);
    expect(await repository.tip()).toBe(next);
    expect(text(await repository.read(next, 'a'))).toBe(`${round}`);
    expect(await repository.changed(tip, next, '')).toHaveLength(1);
    if (round === 2) await git(directory, 'pack-refs', '--all', '--prune');
    if (round === 3) await git(directory, 'repack', '-a', '-d', '-q');
    expect(await repository.tip()).toBe(next);
    expect(text(await repository.read(tip, 'a'))).toBe(`${round - 1}`);
    tip = next;
  }
});

test('history, ancestry and description', async () => {
  const repository = await useRepository();
  const first = await change(repository, { 'a/x': '1' }, 'One');
  const second = await change(repository, { b: '1' }, 'Two');
  const third = await change(repository, { 'a/y': '1' }, 'Three');
  const subjects = async (path: string, options: { limit: number; before?: string }) =>
    (await repository.history(path, options)).map(({ subject }) => subject);
  expect(await subjects('', { limit: 10 })).toEqual(['Three', 'Two', 'One']);
  expect(await subjects('a', { limit: 10 })).toEqual(['Three', 'One']);
  expect(await subjects('a', { limit: 1 })).toEqual(['Three']);
  expect(await subjects('a', { limit: 10, before: third })).toEqual(['One']);
  expect(await subjects('', { limit: 10, before: first })).toEqual([]);
  expect(await subjects('-n', { limit: 10 })).toEqual([]);
  expect(await repository.isAncestor(first, third)).toBe(true);
  expect(await repository.isAncestor(second, second)).toBe(true);
  expect(await repository.isAncestor(third, first)).toBe(false);
  const many = Array.from({ length: 60 }, (_, index) => newCommit({ c: `${index}` }));
  const last = (await commit(repository, { expected: third, commits: many })).at(-1)!;
  expect(await repository.isAncestor(first, last)).toBe(true);
  expect(await repository.isAncestor(last, first)).toBe(false);
  expect(await repository.describe(second)).toMatchObject({ parents: [first], subject: 'Two', trailers: {}, body: '' });
});

test('what differs is what git diff-tree says, for any two trees', async () => {
  const repository = await useRepository();
  const name = fc.constantFrom('a', 'b', 'a.b', 'a-b', 'ü', 'z');
  const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join('/'));
  const tree = fc.dictionary(path, fc.constantFrom('1', '2', '3'), { maxKeys: 8 });
  /** Paths that another one needs as a folder are left out. */
  const sound = (files: Record<string, string>) =>
    Object.fromEntries(
      Object.entries(files).filter(([key]) => !Object.keys(files).some((other) => other.startsWith(`${key}/`))),
    );
  const make = async (files: Record<string, string>) => {
    const present = await repository.tip();
    const gone = present === undefined ? [] : (await repository.list(present, '')).map((file) => [file.path, null]);
    return await change(repository, { ...Object.fromEntries(gone), ...sound(files) });
  };
  const check = async (before: Record<string, string>, after: Record<string, string>, folder: string) => {
    const [from, to] = [await make(before), await make(after)];
    const args = ['diff-tree', '-r', '-z', '--no-renames', from, to, ...(folder === '' ? [] : ['--', `${folder}/`])];
    const fields = (await git(repository.directory, ...args)).split('\0').filter(Boolean);
    const expected = fields.flatMap((field, index) => {
      const [, mode, old, now] = field.startsWith(':') ? field.split(' ') : [];
      const zeros = '0'.repeat(40);
      const sides = {
        ...(old === zeros ? {} : { before: old }),
        ...(now === zeros ? {} : { after: now, mode }),
      };
      return field.startsWith(':') ? [{ path: fields[index + 1]!, ...sides }] : [];
    });
    const byPath = (a: { path: string }, b: { path: string }) => (a.path < b.path ? -1 : 1);
    expect(await repository.changed(from, to, folder)).toEqual(expected.sort(byPath));
    const everything = await repository.list(to, folder);
    expect(await repository.changed(undefined, to, folder)).toEqual(
      everything.map((file) => ({ path: file.path, after: file.blob, mode: file.mode })),
    );
  };
  await fc.assert(fc.asyncProperty(tree, tree, fc.constantFrom('', 'a', 'a/b'), check), { numRuns: 40 });
});

test('a reader that is killed is started again, and every question is answered', async () => {
  const repository = await useRepository();
  await change(repository, { a: 'content' });
  const started: GitChild[] = [];
  const watched: Git = {
    ...repository.git,
    start: (...args) => {
      const child = repository.git.start(...args);
      started.push(child);
      return child;
    },
  };
  const reader = createObjectReader(watched);
  onTestFinished(() => reader.close());
  for (let round = 0; round < 3; round++) {
    const answers = Array.from({ length: 2000 }, () => reader.contents('refs/heads/main:a'));
    await answers[0];
    const [child] = started.slice(-1);
    const ended = once(child!, 'close');
    child!.kill('SIGKILL');
    await ended;
    const contents = (await Promise.all(answers)).map((answer) => answer?.content.toString('utf8'));
    expect(new Set(contents)).toEqual(new Set(['content']));
    expect(await reader.info('refs/heads/none')).toBeUndefined();
  }
  expect(started.length).toBeGreaterThan(1);
});

test('an object that git dies of fails alone', async () => {
  const repository = await useRepository();
  await change(repository, { a: 'content' });
  const content = randomBytes(100_000);
  const broken = (
    await runGit(repository.directory, ['hash-object', '-w', '--stdin'], { input: content })
  ).stdout.trim();
  const file = join(repository.directory, 'objects', broken.slice(0, 2), broken.slice(2));
  const half = readFileSync(file).subarray(0, 50_000);
  rmSync(file);
  writeFileSync(file, half);
  const tip = (await repository.tip())!;
  const reader = createObjectReader(repository.git);
  onTestFinished(() => reader.close());
  const [first, second, third] = await Promise.allSettled([
    reader.contents(`${tip}:a`),
    reader.contents(broken),
    reader.contents(`${tip}:a`),
  ]);
  expect([first?.status, second?.status, third?.status]).toEqual(['fulfilled', 'rejected', 'fulfilled']);
});

test('after closing, questions are refused', async () => {
  const repository = await useRepository();
  const tip = await change(repository, { a: '1' });
  const open = repository.read(tip, 'a').catch((error: unknown) => error);
  await repository.close();
  expect(await open).toMatchObject({ code: 'STOPPING' });
  await expect(repository.tip()).rejects.toMatchObject({ code: 'STOPPING' });
});
