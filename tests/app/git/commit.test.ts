import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { Fault } from '#base/errors.ts';
import { blobIdOf } from '#git/blob-id.ts';
import { createBranch } from '#git/branch.ts';
import { commit } from '#git/commit.ts';
import type { Git, GitChild } from '#git/process.ts';
import { openRepository, type Repository } from '#git/repository.ts';
import { startProcess } from '#support/child-process.ts';
import { git, newCommit, openTemporary, silent, useRepository, useSmallDisk, whyNoSmallDisk } from '#support/git.ts';
import { describeUnless } from '#support/missing.ts';
import { temporaryDirectory } from '#support/temporary.ts';

async function faultOf(promise: Promise<unknown>): Promise<Fault> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (Fault.is(error)) return error;
  throw error ?? new Error('a fault was expected');
}

const textOf = async (repository: Repository, revision: string, path: string) =>
  Buffer.from((await repository.read(revision, path)) ?? []).toString('utf8');

test('a batch of commits is written in order, with authors, dates and trailers', async () => {
  const repository = await useRepository();
  const revisions = await commit(repository, {
    expected: undefined,
    commits: [
      newCommit({ 'a/one': 'first', 'a/two': 'other' }, 'First'),
      {
        ...newCommit({ 'a/one': 'second', 'a/two': null }, 'Second\nline'),
        body: 'Why: because.\n\nMore.',
        trailers: [
          ['Plinth-Change', 'chg_1\nPlinth-Actor: somebody else'],
          ['Plinth-Actor', 'ada'],
        ],
        author: { name: 'Ada <x> Lovelace\n', email: 'ada@example.com>\ncommitter Eve <e@x' },
      },
    ],
  });
  expect(revisions).toHaveLength(2);
  expect(await repository.tip()).toBe(revisions[1]);
  expect((await repository.list(revisions[1]!, '')).map(({ path }) => path)).toEqual(['a/one']);
  expect(await textOf(repository, revisions[0]!, 'a/one')).toBe('first');
  expect(await repository.describe(revisions[1]!)).toEqual({
    revision: revisions[1],
    tree: await git(repository.directory, 'rev-parse', 'main^{tree}'),
    parents: [revisions[0]],
    author: { name: 'Ada  x  Lovelace', email: 'ada@example.com committer Eve  e@x' },
    date: new Date('2026-01-02T03:04:05Z'),
    subject: 'Second line',
    body: 'Why: because.\n\nMore.',
    trailers: { 'Plinth-Change': 'chg_1 Plinth-Actor: somebody else', 'Plinth-Actor': 'ada' },
  });
  expect(await git(repository.directory, 'log', '-1', '--format=%cn <%ce> %ct')).toBe(
    `Plinth <plinth@localhost> ${Date.parse('2026-01-02T03:04:05Z') / 1000}`,
  );
  expect(await git(repository.directory, 'fsck', '--strict')).toBe('');
});

test('any bytes and any legal path arrive as they are', async () => {
  const repository = await useRepository();
  const bytes = Uint8Array.from({ length: 70_000 }, (_, index) => index % 256);
  const files = { '"quoted" name': 'q', 'ü/ß': 'u', ' lead': '', 'data 3\\': 'x' };
  const edits = Object.entries(files).map(([path, content]) => ({ path, content }));
  const legal = edits.filter(({ path }) => !path.includes('\\'));
  const [revision] = await commit(repository, {
    expected: undefined,
    commits: [{ ...newCommit({}), edits: [...legal, { path: 'bytes', content: bytes }] }],
  });
  for (const { path, content } of legal) expect(await textOf(repository, revision!, path)).toBe(content);
  expect(await repository.read(revision!, 'bytes')).toEqual(Buffer.from(bytes));
});

test('any edits, in any batches, make the tree that they say', async () => {
  const name = fc.constantFrom('a', 'b', 'a.b', 'a-b', 'a0', 'ü', '\u{10000}', '\uffee');
  const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join('/'));
  const edit = fc.record({ path, content: fc.option(fc.constantFrom('1', '2', 'x'.repeat(20_000))) });
  const batches = fc.array(fc.array(fc.array(edit, { maxLength: 6 }), { minLength: 1, maxLength: 4 }), {
    maxLength: 4,
  });
  await fc.assert(
    fc.asyncProperty(batches, async (wishes) => {
      const { repository, remove } = await openTemporary();
      const model = new Map<string, string>();
      let expected: string | undefined;
      for (const wish of wishes) {
        const commits = wish.map((edits) => ({ ...newCommit({}), edits }));
        for (const { path: to, content } of wish.flat()) {
          for (const present of [...model.keys()])
            if (present === to || present.startsWith(`${to}/`)) model.delete(present);
          // A removal below a file leaves the file; a file below it replaces it.
          if (content !== null)
            for (const present of [...model.keys()]) if (to.startsWith(`${present}/`)) model.delete(present);
          if (content !== null) model.set(to, content);
        }
        expected = (await commit(repository, { expected, commits })).at(-1);
        const files = await repository.list(expected!, '');
        expect(files.map((file) => [file.path, file.blob])).toEqual(
          [...model].map(([key, content]) => [key, blobIdOf(content)]).sort(([a], [b]) => (a! < b! ? -1 : 1)),
        );
      }
      expect(await git(repository.directory, 'fsck', '--strict', '--no-dangling')).toBe('');
      await remove();
    }),
    { numRuns: 25 },
  );
});

test('a branch that is elsewhere is left alone', async () => {
  const repository = await useRepository();
  const [first] = await commit(repository, { expected: undefined, commits: [newCommit({ a: '1' })] });
  const [second] = await commit(repository, { expected: first, commits: [newCommit({ a: '2' })] });
  for (const expected of [undefined, first, 'f'.repeat(40)]) {
    const fault = await faultOf(commit(repository, { expected, commits: [newCommit({ a: '3' })] }));
    expect(fault.code).toBe('REVISION_MOVED');
  }
  expect(await repository.tip()).toBe(second);
});

test('an illegal path refuses the whole batch before anything is written', async () => {
  const repository = await useRepository();
  for (const path of ['../x', '/x', 'a/.git/x', 'a\nM 100644 inline b', 'a\0b', '']) {
    const commits = [newCommit({ good: 'x' }), newCommit({ [path]: 'x' })];
    expect((await faultOf(commit(repository, { expected: undefined, commits }))).code).toBe('PATH_INVALID');
  }
  expect(await repository.tip()).toBeUndefined();
  expect(readdirSync(join(repository.directory, 'objects/pack'))).toEqual([]);
});

test('of commits that race for one tip exactly one wins each time', async () => {
  const repository = await useRepository();
  let tip: string | undefined;
  for (let round = 0; round < 8; round++) {
    const tries = Array.from({ length: 6 }, (_, index) =>
      commit(repository, { expected: tip, commits: [newCommit({ [`${round}`]: `${index}` })] }),
    );
    const outcomes = await Promise.allSettled(tries);
    const won = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? outcome.value : []));
    expect(won).toHaveLength(1);
    for (const outcome of outcomes)
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ retry: true });
    tip = won[0];
    expect(await repository.tip()).toBe(tip);
  }
  expect(await git(repository.directory, 'rev-list', '--count', 'main')).toBe('8');
});

test('a git that is killed between or during moves of the branch is started again', async () => {
  const repository = await useRepository();
  const [first, second, third] = await commit(repository, {
    expected: undefined,
    commits: [newCommit({ a: '1' }), newCommit({ a: '2' }), newCommit({ a: '3' })],
  });
  const started: GitChild[] = [];
  const watched: Git = {
    ...repository.git,
    start: (...args) => {
      const child = repository.git.start(...args);
      started.push(child);
      return child;
    },
  };
  const branch = createBranch(watched, 'main');
  onTestFinished(() => branch.close());
  await branch.move(third, second!);
  const ended = once(started[0]!, 'exit');
  started[0]!.kill('SIGKILL');
  await ended;
  await branch.move(second, first!);
  expect(await repository.tip()).toBe(first);
  const wrong = branch.move(third, second!);
  const right = branch.move(first, third!);
  await expect(wrong).rejects.toMatchObject({ code: 'REPOSITORY_UNAVAILABLE' });
  await right;
  expect(await repository.tip()).toBe(third);
  const cut = branch.move(third, first!);
  started.at(-1)!.kill('SIGKILL');
  await Promise.allSettled([cut]);
  const tip = await repository.tip();
  expect([third, first]).toContain(tip);
  expect(await repository.read(tip!, 'a')).toBeDefined();
  expect(started.length).toBeGreaterThan(1);
});

test('the lock of a killed git is removed once it is old, and not before', async () => {
  const repository = await useRepository();
  const lock = join(repository.directory, 'refs/heads/main.lock');
  writeFileSync(lock, '');
  const attempt = () => commit(repository, { expected: undefined, commits: [newCommit({ a: '1' })] });
  expect((await faultOf(attempt())).code).toBe('REPOSITORY_UNAVAILABLE');
  expect((await faultOf(attempt())).code).toBe('REPOSITORY_UNAVAILABLE');
  const old = new Date(Date.now() - 60_000);
  utimesSync(lock, old, old);
  expect(await faultOf(attempt())).toMatchObject({ code: 'REPOSITORY_UNAVAILABLE', retry: true });
  expect(await attempt()).toHaveLength(1);
});

test('kill -9 in the middle of commits loses nothing that was acknowledged', async () => {
  const { path, remove } = temporaryDirectory('plinth-git');
  onTestFinished(remove);
  const directory = join(path, 'state.git');
  let acknowledged: string[] = [];
  for (let round = 0; round < 5; round++) {
    const writer = startProcess(new URL('./commit.process.ts', import.meta.url), [directory]);
    for (let lines = 0; lines < 3 + round; lines++) acknowledged.push(await writer.line());
    await writer.kill('SIGKILL');
    const repository = await openRepository({ directory, branch: 'main', log: silent });
    const history = (await git(directory, 'rev-list', '--reverse', 'main')).split('\n');
    expect(history.slice(0, acknowledged.length)).toEqual(acknowledged);
    expect(await git(directory, 'fsck', '--strict', '--no-dangling')).toBe('');
    await repository.close();
    acknowledged = history;
  }
});

describeUnless(whyNoSmallDisk(), 'on a full disk', () => {
  test('a commit fails as DISK_FULL, changes nothing, and works again when there is room', async () => {
    const repository = await useSmallDisk();
    const [first] = await commit(repository, { expected: undefined, commits: [newCommit({ a: '1' })] });
    const present = readdirSync(repository.directory);
    const noise = randomBytes(3 * 2 ** 20);
    const big = { ...newCommit({}), edits: [{ path: 'big', content: noise }] };
    const fault = await faultOf(commit(repository, { expected: first, commits: [newCommit({ b: '1' }), big] }));
    expect(fault).toMatchObject({ code: 'DISK_FULL', retry: true });
    expect(await repository.tip()).toBe(first);
    expect(readdirSync(repository.directory)).toEqual(present);
    expect(readdirSync(join(repository.directory, 'objects/pack'))).toHaveLength(2);
    expect(await git(repository.directory, 'fsck', '--strict')).toBe('');
    expect(await commit(repository, { expected: first, commits: [newCommit({ b: '1' })] })).toHaveLength(1);
  });
});
