import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { commit } from '#git/commit.ts';
import { startPoll } from '#git/poll.ts';
import { openRepository, type Repository } from '#git/repository.ts';
import { git, newCommit, silent } from '#support/git.ts';
import { type RemoteHost, useRemoteHost } from '#support/git-remote.ts';
import { temporaryDirectory } from '#support/temporary.ts';
import { eventually } from '#support/walk.ts';

const open = async (options: Pick<Parameters<typeof openRepository>[0], 'directory' | 'remote'>) => {
  const repository = await openRepository({ branch: 'main', log: silent, ...options });
  onTestFinished(() => repository.close());
  return repository;
};

async function useMirror(host: RemoteHost): Promise<Repository> {
  const { path, remove } = temporaryDirectory('plinth-mirror');
  onTestFinished(remove);
  return await open({ directory: join(path, 'state.git'), remote: host.settings() });
}

const write = async (repository: Repository, files: Record<string, string | null>) =>
  (await commit(repository, { expected: await repository.tip(), commits: [newCommit(files)] }))[0];

test('fifty others push twenty commits each while we write: none is lost', { timeout: 240_000 }, async () => {
  const host = await useRemoteHost();
  const repository = await useMirror(host);
  await write(repository, { 'begin.txt': '1' });
  const writers = 50;
  const each = 20;
  // They write in the remote itself, as those who are nearer to it do.
  const theirs = await open({ directory: host.directory });
  let turn: Promise<unknown> = Promise.resolve();
  let over = false;
  const writeOne = async (path: string) => {
    for (;;) {
      turn = turn.catch(() => {}).then(() => write(theirs, { [path]: '1' }));
      const done = await turn.then(
        () => true,
        (error: unknown) => {
          if (!Fault.is(error, 'REVISION_MOVED')) throw error;
          return false;
        },
      );
      if (done) return;
    }
  };
  const writeTheirs = async (writer: number) => {
    for (let i = 0; i < each; i++) await writeOne(`writer-${writer}/${i}.txt`);
  };
  let ours = 0;
  const writeOurs = async () => {
    while (!over || ours === 0) {
      const done = await write(repository, { [`ours/${ours}.txt`]: '1' }).catch((error: unknown) => {
        if (!Fault.is(error, 'REVISION_MOVED')) throw error;
        return undefined;
      });
      if (done !== undefined) ours += 1;
    }
  };
  const all = Promise.all(Array.from({ length: writers }, (_, writer) => writeTheirs(writer))).finally(() => {
    over = true;
  });
  await Promise.all([all, writeOurs()]);
  await repository.remote?.fetch();
  const files = (await repository.list((await repository.tip()) ?? '', '')).map(({ path }) => path);
  expect(files.filter((path) => path.startsWith('writer-'))).toHaveLength(writers * each);
  expect(files.filter((path) => path.startsWith('ours/'))).toHaveLength(ours);
  expect(await git(host.directory, 'rev-list', '--count', 'main')).toBe(String(1 + writers * each + ours));
});

test('a wake that comes during a look brings one more', async () => {
  const host = await useRemoteHost();
  const repository = await useMirror(host);
  await write(repository, { 'a.txt': '1' });
  let moves = 0;
  const poll = startPoll({
    remote: repository.remote!,
    everyMs: 3_600_000,
    clock: systemClock,
    log: silent,
    moved: () => {
      moves += 1;
    },
  });
  const theirs = await write(await open({ directory: host.directory }), { 'b.txt': '1' });
  const from = host.requests.length;
  const begun = performance.now();
  for (let i = 0; i < 10_000; i++) {
    poll.wake();
    if (i % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await eventually(
    () => repository.tip(),
    (tip) => tip === theirs,
  );
  await poll.stop();
  const looks = host.requests.slice(from).filter(({ path }) => path.includes('info/refs')).length;
  expect(looks).toBeLessThanOrEqual(Math.ceil((performance.now() - begun) / 1000) + 2);
  expect(moves).toBeGreaterThan(0);
});
