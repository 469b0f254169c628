import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import type { StateRemote } from '#base/config.ts';
import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import { createBranch } from '#git/branch.ts';
import { commit } from '#git/commit.ts';
import { createObjectReader } from '#git/objects.ts';
import { prepare } from '#git/prepare.ts';
import { createGit } from '#git/process.ts';
import { createRemote } from '#git/remote.ts';
import { openRepository, type Repository } from '#git/repository.ts';
import { captureLog } from '#support/captured-log.ts';
import { git, newCommit, runGit, serveRepository, silent } from '#support/git.ts';
import { type RemoteHost, useRemoteHost } from '#support/git-remote.ts';
import { describeUnless } from '#support/missing.ts';
import { temporaryDirectory } from '#support/temporary.ts';

const signIn = { username: 'plinth', password: 'correct-horse' };

/** A mirror of the host in a folder of its own, or in one that is given. */
async function useMirror(remote: StateRemote | undefined, at?: string, log = silent): Promise<Repository> {
  const folder = at ?? useFolder();
  const repository = await openRepository({ directory: join(folder, 'state.git'), branch: 'main', log, remote });
  onTestFinished(() => repository.close());
  return repository;
}

function useFolder(): string {
  const { path, remove } = temporaryDirectory('plinth-mirror');
  onTestFinished(remove);
  return path;
}

/** Somebody else's commit, made in the remote itself. */
async function foreign(host: RemoteHost, files: Record<string, string>, subject = 'By somebody else'): Promise<string> {
  const { path, remove } = temporaryDirectory('plinth-foreign');
  try {
    await git(path, 'clone', '--quiet', host.directory, 'clone');
    const clone = join(path, 'clone');
    for (const [file, content] of Object.entries(files)) await writeIn(clone, file, content);
    await git(clone, 'commit', '--quiet', '--message', subject);
    await git(clone, 'push', '--quiet', 'origin', 'HEAD:main');
    return await git(clone, 'rev-parse', 'HEAD');
  } finally {
    remove();
  }
}

async function writeIn(clone: string, file: string, content: string) {
  const { stdout } = await runGit(clone, ['hash-object', '-w', '--stdin'], { input: content });
  await git(clone, 'update-index', '--add', '--cacheinfo', `100644,${stdout.trim()},${file}`);
}

const write = async (repository: Repository, files: Record<string, string | null>, expected?: string) =>
  (await commit(repository, { expected: expected ?? (await repository.tip()), commits: [newCommit(files)] }))[0];
const text = async (repository: Repository, path: string) => {
  const content = await repository.read((await repository.tip()) ?? '', path);
  return content === undefined ? undefined : Buffer.from(content).toString();
};
const faultOf = async (act: Promise<unknown>): Promise<Fault> => {
  const error = await act.then(
    () => undefined,
    (one: unknown) => one,
  );
  if (!Fault.is(error)) throw new Error(`not a fault: ${error}`);
  return error;
};

test('the first commit goes to the empty remote, the next ones on top; the mirror is where the remote is', async () => {
  const host = await useRemoteHost(signIn);
  const repository = await useMirror(host.settings());
  expect(await repository.tip()).toBeUndefined();
  await write(repository, { 'a.txt': '1' });
  const second = await write(repository, { 'b.txt': '2' });
  expect(await host.tip()).toBe(second);
  expect(await repository.tip()).toBe(second);
  expect(await repository.remote?.fetch()).toBe(false);
});

test('what others push is fetched; a second mirror begins with all of it', async () => {
  const host = await useRemoteHost(signIn);
  const repository = await useMirror(host.settings());
  await write(repository, { 'a.txt': '1' });
  const theirs = await foreign(host, { 'b.txt': '2' });
  expect(await repository.remote?.fetch()).toBe(true);
  expect(await repository.tip()).toBe(theirs);
  const other = await useMirror(host.settings());
  expect(await text(other, 'b.txt')).toBe('2');
});

test('a commit on an old tip is refused with REVISION_MOVED, and the mirror has the new tip', async () => {
  const host = await useRemoteHost(signIn);
  const repository = await useMirror(host.settings());
  await write(repository, { 'a.txt': '1' });
  const theirs = await foreign(host, { 'b.txt': '2' });
  expect((await faultOf(write(repository, { 'c.txt': '3' }))).code).toBe('REVISION_MOVED');
  expect(await repository.tip()).toBe(theirs);
  await write(repository, { 'c.txt': '3' });
  expect([await text(repository, 'b.txt'), await text(repository, 'c.txt')]).toEqual(['2', '3']);
});

test('a push between the look and the push is seen by the remote itself, not by us', async () => {
  const host = await useRemoteHost(signIn);
  const repository = await useMirror(host.settings());
  await write(repository, { 'a.txt': '1' });
  let theirs = '';
  host.beforePush = async () => {
    host.beforePush = async () => {};
    theirs = await foreign(host, { 'b.txt': '2' });
  };
  expect((await faultOf(write(repository, { 'c.txt': '3' }))).code).toBe('REVISION_MOVED');
  expect(await repository.tip()).toBe(theirs);
  expect(await host.tip()).toBe(theirs);
});

test('a push whose answer was lost came in all the same, once', async () => {
  const host = await useRemoteHost(signIn);
  const repository = await useMirror(host.settings());
  await write(repository, { 'a.txt': '1' });
  host.losesAnswers = true;
  const second = await write(repository, { 'b.txt': '2' });
  expect(await host.tip()).toBe(second);
  expect(await repository.tip()).toBe(second);
});

test('a remote that is away refuses a commit and moves nothing; back again, it is told as usable', async () => {
  const host = await useRemoteHost(signIn);
  const log = captureLog();
  const folder = useFolder();
  const repository = await useMirror(host.settings(), folder, log.log);
  const first = await write(repository, { 'a.txt': '1' });
  host.mode = 'away';
  const fault = await faultOf(write(repository, { 'b.txt': '2' }));
  expect([fault.code, fault.retry]).toEqual(['REMOTE_UNAVAILABLE', true]);
  expect(repository.remote?.problem()?.code).toBe('REMOTE_UNAVAILABLE');
  expect(await repository.tip()).toBe(first);
  await repository.close();
  // A start does not wait for it where there is a mirror.
  const again = await useMirror(host.settings(), folder, log.log);
  expect(await again.tip()).toBe(first);
  host.mode = 'up';
  await again.remote?.fetch();
  expect(again.remote?.problem()).toBeUndefined();
  expect(await write(again, { 'b.txt': '2' })).toBe(await host.tip());
  expect(log.lines().filter(({ msg }) => msg === 'the remote of the state repository can be used again')).toHaveLength(
    1,
  );
});

test('an empty data directory cannot begin with a remote that is away', async () => {
  const host = await useRemoteHost(signIn);
  host.mode = 'away';
  expect((await faultOf(useMirror(host.settings()))).code).toBe('REMOTE_UNAVAILABLE');
});

test('a token that is refused is told with the setting that takes it, and stands nowhere', async () => {
  const host = await useRemoteHost({ username: 'plinth', password: 'the right one' });
  const log = captureLog();
  const token = 'canary-7e6b5f0d2c';
  const settings = host.settings({ credential: { kind: 'token', username: 'plinth', token: new Secret(token) } });
  const seen = new Set<string>();
  const looking = watchProcesses(seen);
  const fault = await faultOf(useMirror(settings, useFolder(), log.log));
  await looking();
  expect(fault.code).toBe('REMOTE_REFUSED');
  expect(fault.message).toContain('STATE_REPOSITORY_TOKEN');
  const basic = Buffer.from(`plinth:${token}`).toString('base64');
  const all = [fault.message, fault.stack, String(fault.cause), JSON.stringify(fault.data), log.text(), ...seen].join(
    '\n',
  );
  expect(host.requests.some(({ authorization }) => authorization === `Basic ${basic}`)).toBe(true);
  expect(all).not.toContain(token);
  expect(all).not.toContain(basic);
});

describeUnless(existsSync('/proc/self') ? undefined : 'processes are looked at in /proc (Linux)', 'processes', () => {
  test('while git talks with the remote, the token is in no argument and no environment of a process', async () => {
    const token = 'canary-0a1b2c3d4e';
    const host = await useRemoteHost({ username: 'plinth', password: token });
    const seen = new Set<string>();
    const looking = watchProcesses(seen);
    const folder = useFolder();
    const repository = await useMirror(host.settings(), folder);
    for (let i = 0; i < 5; i++) await write(repository, { 'a.txt': String(i) });
    await looking();
    const remoteCommands = [...seen].filter((line) => line.includes(host.url));
    expect(remoteCommands.length).toBeGreaterThan(0);
    expect([...seen].join('\n')).not.toContain(token);
    const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    for (const { parentPath, name } of files)
      expect(readFileSync(join(parentPath, name), 'latin1')).not.toContain(token);
  });
});

/** Gathers arguments and environments of all processes until it is called to stop. */
function watchProcesses(seen: Set<string>): () => Promise<void> {
  let stopped = !existsSync('/proc/self');
  const done = (async () => {
    while (!stopped) {
      for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid))
        for (const file of ['cmdline', 'environ'])
          try {
            seen.add(readFileSync(`/proc/${pid}/${file}`, 'latin1').replaceAll('\0', ' '));
          } catch {
            // It ended meanwhile.
          }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  })();
  return async () => {
    stopped = true;
    await done;
  };
}

test('a redirection is not followed: credentials go to no other host', async () => {
  const host = await useRemoteHost(signIn);
  const thief = await useRemoteHost();
  host.mode = 'elsewhere';
  host.redirectTo = new URL(thief.url).origin;
  const fault = await faultOf(useMirror(host.settings()));
  expect(fault.code).toBe('REMOTE_UNUSABLE');
  expect(fault.message).toContain('STATE_REPOSITORY_URL');
  expect(thief.requests).toEqual([]);
});

test('a repository that is not there is told as such', async () => {
  const host = await useRemoteHost(signIn);
  const fault = await faultOf(useMirror(host.settings({ url: host.url.replace('state.git', 'other.git') })));
  expect(fault.code).toBe('REMOTE_REFUSED');
  expect(fault.message).toContain('no such repository');
});

test('a remote that declines pushes is told in its own words', async () => {
  const host = await useRemoteHost(signIn);
  const repository = await useMirror(host.settings());
  const first = await write(repository, { 'a.txt': '1' });
  await git(host.directory, 'config', 'receive.denyDeletes', 'true');
  writeFileSync(join(host.directory, 'hooks/pre-receive'), '#!/bin/sh\necho "main is protected" >&2\nexit 1\n', {
    mode: 0o755,
  });
  const fault = await faultOf(write(repository, { 'b.txt': '2' }));
  expect(fault.code).toBe('REMOTE_REFUSED');
  expect(fault.message).toContain('main is protected');
  expect(await repository.tip()).toBe(first);
});

test('a forced push is followed and told', async () => {
  const host = await useRemoteHost(signIn);
  const log = captureLog();
  const repository = await useMirror(host.settings(), undefined, log.log);
  const first = await write(repository, { 'a.txt': '1' });
  await write(repository, { 'a.txt': '2' });
  await git(host.directory, 'update-ref', 'refs/heads/main', first ?? '');
  expect(await repository.remote?.fetch()).toBe(true);
  expect(await repository.tip()).toBe(first);
  expect(log.text()).toContain('the remote was rewritten (a forced push)');
});

test('a branch that is gone is no deletion: the mirror stays as it was', async () => {
  const host = await useRemoteHost(signIn);
  const repository = await useMirror(host.settings());
  const first = await write(repository, { 'a.txt': '1' });
  await git(host.directory, 'update-ref', '-d', 'refs/heads/main');
  expect((await faultOf(repository.remote!.fetch())).code).toBe('REMOTE_UNUSABLE');
  expect((await faultOf(write(repository, { 'b.txt': '2' }))).code).toMatch(/^REMOTE_UNUSABLE|REVISION_MOVED$/);
  expect(await repository.tip()).toBe(first);
  await git(host.directory, 'update-ref', 'refs/heads/main', first ?? '');
  expect(await repository.remote!.fetch()).toBe(false);
});

test('the mirror of one remote is not opened for another, nor as the repository itself', async () => {
  const [host, other] = [await useRemoteHost(), await useRemoteHost()];
  const folder = useFolder();
  const repository = await useMirror(host.settings(), folder);
  await write(repository, { 'a.txt': '1' });
  await repository.close();
  const empty = await faultOf(useMirror(other.settings(), folder));
  expect([empty.code, empty.message.includes(host.url), empty.message.includes(other.url)]).toEqual([
    'REMOTE_MIXED',
    true,
    true,
  ]);
  await foreignRoot(other);
  expect((await faultOf(useMirror(other.settings(), folder))).code).toBe('REMOTE_MIXED');
  expect((await faultOf(useMirror(undefined, folder))).message).toContain('STATE_REPOSITORY_URL');
  // The same history at a new address goes on.
  await git(other.directory, 'fetch', '--quiet', '--force', host.directory, 'main:main');
  expect(await (await useMirror(other.settings(), folder)).tip()).toBe(await host.tip());
});

async function foreignRoot(host: RemoteHost): Promise<void> {
  const { stdout } = await runGit(host.directory, ['mktree'], { input: '' });
  const { stdout: root } = await runGit(host.directory, ['commit-tree', stdout.trim(), '-m', 'Another history']);
  await git(host.directory, 'update-ref', 'refs/heads/main', root.trim());
}

test('a repository that was here moves to an empty remote with its history', async () => {
  const host = await useRemoteHost(signIn);
  const folder = useFolder();
  const before = await useMirror(undefined, folder);
  await write(before, { 'a.txt': '1' });
  const tip = await write(before, { 'a.txt': '2' });
  await before.close();
  const repository = await useMirror(host.settings(), folder);
  expect(await host.tip()).toBe(tip);
  expect(await write(repository, { 'a.txt': '3' })).toBe(await host.tip());
});

test('the server of a mirror lets clone and fetch, and sends pushes to the remote', async () => {
  const host = await useRemoteHost(signIn);
  const repository = await useMirror(host.settings());
  await write(repository, { 'a.txt': '1' });
  await repository.remote?.fetch();
  const served = await serveRepository({ repository });
  const clone = await served.clone();
  expect((await git(clone, 'ls-remote', 'origin')).split('\n').map((line) => line.split('\t')[1])).toEqual([
    'HEAD',
    'refs/heads/main',
  ]);
  await git(clone, 'commit', '--quiet', '--allow-empty', '--message', 'Mine');
  const pushed = await runGit(clone, ['push', 'origin', 'HEAD:main']);
  expect(pushed.code).not.toBe(0);
  expect(pushed.stderr).toContain(host.url);
  expect(await host.tip()).toBe(await repository.tip());
});

test('a fetch that brings more than a state repository holds is ended', async () => {
  const host = await useRemoteHost();
  const directory = join(useFolder(), 'state.git');
  const own = createGit({ directory });
  await prepare(own, 'main', silent);
  const [objects, local] = [createObjectReader(own), createBranch(own, 'main')];
  const clock = {
    ...systemClock,
    sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(Math.min(ms, 2), signal),
  };
  const settings = { git: own, objects, local, branch: 'main', remote: host.settings(), clock, log: silent };
  const remote = await createRemote({ ...settings, mostBytes: 2 ** 20 });
  onTestFinished(async () => {
    await Promise.all([objects.close(), remote.head.close()]);
  });
  const big = randomBytes(60 * 2 ** 20);
  const { stdout } = await runGit(host.directory, ['hash-object', '-w', '--stdin'], { input: big });
  const { stdout: tree } = await runGit(host.directory, ['mktree'], { input: `100644 blob ${stdout.trim()}\tbig\n` });
  const { stdout: made } = await runGit(host.directory, ['commit-tree', tree.trim(), '-m', 'Large']);
  await git(host.directory, 'update-ref', 'refs/heads/main', made.trim());
  const fault = await faultOf(remote.fetch());
  expect([fault.code, fault.message.includes('1048576 bytes')]).toEqual(['REMOTE_UNUSABLE', true]);
  expect((await objects.info('refs/heads/main'))?.id).toBeUndefined();
});
