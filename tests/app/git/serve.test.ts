import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { chmod, copyFile, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Fault } from '#base/errors.ts';
import { commit } from '#git/commit.ts';
import type { Repository } from '#git/repository.ts';
import { createGitServer } from '#git/serve.ts';
import {
  git,
  newCommit,
  runGit,
  serveRepository,
  silent,
  useRepository,
  useSmallDisk,
  whyNoSmallDisk,
} from '#support/git.ts';
import { describeUnless } from '#support/missing.ts';
import { temporaryDirectory } from '#support/temporary.ts';

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

/** Waits until nothing is left of a push that was broken off. */
async function noQuarantine({ directory }: Repository): Promise<void> {
  while (readdirSync(join(directory, 'objects')).some((name) => name.startsWith('tmp_'))) await sleep(10);
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

describe('the record', () => {
  const ends: unknown[] = [];
  const record = async (end: unknown) => void ends.push(end);
  const nothing = '0'.repeat(40);

  test('of a push that came in, of one that was refused, and of none for a fetch', async () => {
    ends.length = 0;
    let verdict: string[] = [];
    const { repository, clone } = await serveRepository({ checkPush: async () => verdict, caller: { record } });
    const ours = await clone();
    await commitAll(ours, { [file]: 'one' });
    await git(ours, 'push', '--quiet', 'origin', 'main');
    const first = await repository.tip();
    expect(ends).toEqual([{ action: 'push', outcome: 'done', before: undefined, after: first }]);
    verdict = ['no'];
    await commitAll(ours, { [file]: 'two' });
    expect((await runGit(ours, ['push', 'origin', 'main'])).code).toBe(1);
    const second = await git(ours, 'rev-parse', 'HEAD');
    expect(ends.slice(1)).toEqual([
      { action: 'push', outcome: 'denied', before: first, after: second, code: undefined },
    ]);
    expect((await runGit(ours, ['push', 'origin', ':main'])).code).toBe(1);
    expect(ends.slice(2)).toMatchObject([{ outcome: 'denied', before: first, after: nothing }]);
    await clone();
    expect(ends).toHaveLength(3);
  });

  test('of what the rights refuse', async () => {
    ends.length = 0;
    const { url } = await serveRepository({ caller: { record, mayRead: false, mayPush: false } });
    for (const service of ['git-upload-pack', 'git-receive-pack'])
      expect((await fetch(`${url}/info/refs?service=${service}`)).status).toBe(403);
    expect(ends).toEqual([
      { action: 'fetch', outcome: 'denied', code: 'FORBIDDEN' },
      { action: 'push', outcome: 'denied', code: 'FORBIDDEN' },
    ]);
  });

  test('of one that is too large comes once, though git asks first whether it is let in', async () => {
    ends.length = 0;
    const { clone } = await serveRepository({ mostBodyBytes: 100_000, caller: { record } });
    const ours = await clone();
    await commitAll(ours, { 'a-large-file': randomBytes(200_000) });
    expect((await runGit(ours, ['-c', 'http.postBuffer=1024', 'push', 'origin', 'main'])).code).toBe(1);
    expect(ends).toMatchObject([{ action: 'push', outcome: 'failed' }]);
  });
});

test.each([0, 1, 2])('protocol version %i', async (version) => {
  const { repository, clone, requests } = await serveRepository();
  await commit(repository, { expected: undefined, commits: [newCommit({ [file]: 'one' })] });
  const ours = await clone('-c', `protocol.version=${version}`);
  await commit(repository, { expected: await repository.tip(), commits: [newCommit({ [file]: 'two' })] });
  const trace = await runGit(ours, ['pull'], { environment: { GIT_TRACE_PACKET: '1' } });
  expect(trace.code).toBe(0);
  expect(/< version (\d)/.exec(trace.stderr)?.[1]).toBe(version === 0 ? undefined : `${version}`);
  await commitAll(ours, { [file]: 'three' });
  await git(ours, 'push', '--quiet');
  expect(await git(ours, 'rev-parse', 'HEAD')).toBe(await repository.tip());
  expect(requests[0]?.headers['git-protocol']).toBe(version === 0 ? undefined : `version=${version}`);
});

test.each([0, 2])('shallow and partial clones, protocol version %i', async (version) => {
  const { repository, clone } = await serveRepository();
  const commits = ['1', '2', '3'].map((content) => newCommit({ [file]: content }));
  await commit(repository, { expected: undefined, commits });
  const protocol = ['-c', `protocol.version=${version}`];
  const shallow = await clone(...protocol, '--depth', '1');
  expect(await git(shallow, 'rev-list', '--count', 'HEAD')).toBe('1');
  await commitAll(shallow, { [file]: '4' });
  await git(shallow, 'push', '--quiet');
  await git(shallow, 'fetch', '--quiet', '--unshallow');
  expect(await git(shallow, 'rev-list', '--count', 'HEAD')).toBe('4');
  const partial = await clone(...protocol, '--filter=blob:none');
  const missing = await git(partial, 'rev-list', '--objects', '--all', '--missing=print');
  expect(missing.split('\n').filter((line) => line.startsWith('?'))).toHaveLength(3);
  expect(await git(partial, 'show', `HEAD~2:${file}`)).toBe('2');
});

test('a large push arrives, and so does a body that was compressed', async () => {
  const { repository, clone, url, requests } = await serveRepository();
  const ours = await clone();
  await commitAll(ours, { large: randomBytes(8 * 2 ** 20), [file]: 'one' });
  await git(ours, 'push', '--quiet', 'origin', 'main');
  expect(requests.at(-1)?.headers['transfer-encoding']).toBe('chunked');
  const tip = await repository.tip();
  expect(await git(ours, 'rev-parse', 'HEAD')).toBe(tip);
  const listing = gzipSync('0014command=ls-refs\n00010009peel\n0000');
  const headers = {
    'content-type': 'application/x-git-upload-pack-request',
    'content-encoding': 'gzip',
    'git-protocol': 'version=2',
  };
  const answer = await fetch(`${url}/git-upload-pack`, { method: 'POST', headers, body: listing });
  expect(await answer.text()).toContain(`${tip} refs/heads/main`);
});

test('a compressed body that is too large, broken or strangely encoded is refused', async () => {
  const { url } = await serveRepository({ mostBodyBytes: 2 ** 20 });
  const send = async (body: Uint8Array, encoding: string) => {
    const headers = { 'content-type': 'application/x-git-receive-pack-request', 'content-encoding': encoding };
    const answer = await fetch(`${url}/git-receive-pack`, { method: 'POST', headers, body: Buffer.from(body) });
    return [answer.status, await answer.text()];
  };
  const line = `0065${'0'.repeat(40)} ${'1'.repeat(40)} refs/heads/more`;
  expect(line).toHaveLength(0x65);
  expect(await send(gzipSync(line.repeat(100_000)), 'gzip')).toEqual([
    413,
    `${new Fault('BODY_TOO_LARGE', { limitBytes: 2 ** 20 }).message}\n`,
  ]);
  expect((await send(Buffer.from('no gzip'), 'gzip'))[0]).toBe(400);
  expect((await send(Buffer.from('0000'), 'br'))[0]).toBe(415);
});

test('a push over the limit is refused, announced or in chunks, and leaves nothing behind', async () => {
  const { repository, clone } = await serveRepository({ mostBodyBytes: 2 ** 20 });
  await commit(repository, { expected: undefined, commits: [newCommit({ [file]: 'one' })] });
  const before = await repository.tip();
  for (const buffer of ['1000000', '100000000']) {
    const ours = await clone('-c', `http.postBuffer=${buffer}`);
    await commitAll(ours, { large: randomBytes(3 * 2 ** 20) });
    const pushed = await runGit(ours, ['push', 'origin', 'main']);
    expect(pushed.code).toBe(1);
    expect(pushed.stderr).toMatch(/HTTP 413|pack exceeds maximum allowed size/);
  }
  expect(await repository.tip()).toBe(before);
  await noQuarantine(repository);
});

test('only the smart protocol of this one repository is served', async () => {
  const { url } = await serveRepository();
  const ask = async (path: string, init?: RequestInit) => (await fetch(`${url}${path}`, init)).status;
  expect(await ask('/info/refs')).toBe(403);
  expect(await ask('/info/refs?service=git-archive')).toBe(403);
  expect(await ask('/info/refs?service=git-upload-pack', { method: 'POST' })).toBe(405);
  expect(await ask('/git-upload-pack')).toBe(405);
  expect(await ask('/git-upload-pack', { method: 'POST', body: '0000' })).toBe(415);
  for (const path of ['/HEAD', '/config', '/objects/info/packs', '/git-upload-archive', '', '/info/refs/', '.other'])
    expect([path, await ask(path)]).toEqual([path, 404]);
  const dumb = await runGit('/', ['ls-remote', `${url}/../other.git`]);
  expect(dumb.stderr).toContain('not found');
});

test('reading and pushing are allowed one by one, and a refusal says which is missing', async () => {
  const readOnly = await serveRepository({ caller: { mayPush: false } });
  await commit(readOnly.repository, { expected: undefined, commits: [newCommit({ [file]: 'one' })] });
  const ours = await readOnly.clone();
  await commitAll(ours, { [file]: 'two' });
  const pushed = await runGit(ours, ['push', 'origin', 'main']);
  expect(pushed.stderr).toContain('remote: ada may not state:write here.');
  expect(pushed.stderr).toContain('403');
  const headers = { 'content-type': 'application/x-git-receive-pack-request' };
  const direct = await fetch(`${readOnly.url}/git-receive-pack`, { method: 'POST', headers, body: '0000' });
  expect(direct.status).toBe(403);
  const blind = await serveRepository({ caller: { mayRead: false } });
  expect((await runGit('/', ['ls-remote', blind.url])).stderr).toContain('ada may not state:read here.');
});

test('without a hook that can run nothing is taken', async () => {
  const { path, remove } = temporaryDirectory('plinth-hook');
  onTestFinished(remove);
  const hook = join(path, 'pre-receive');
  const options = { log: silent, checkPush: async () => [], pushed: () => {}, hooksDirectory: path };
  const unguarded = createGitServer({ ...options, repository: await useRepository() });
  await expect(unguarded).rejects.toMatchObject({ code: 'REPOSITORY_UNAVAILABLE' });
  await copyFile(join(import.meta.dirname, '../../../app/git/hook/pre-receive'), hook);
  await chmod(hook, 0o755);
  const { repository, clone } = await serveRepository({ hooksDirectory: path });
  const ours = await clone();
  await commitAll(ours, { [file]: 'two' });
  await chmod(hook, 0o644);
  expect((await runGit(ours, ['push', 'origin', 'main'])).stderr).toContain('503');
  expect(await repository.tip()).toBeUndefined();
});

test('pushes and commits at the same time: a straight history, nothing lost', async () => {
  const { repository, clone } = await serveRepository();
  await commit(repository, { expected: undefined, commits: [newCommit({ start: '' })] });
  const ours = await clone();
  const landed: string[] = [];
  const push = async (name: string): Promise<boolean> => {
    await git(ours, 'pull', '--quiet', '--rebase');
    await commitAll(ours, { [name]: '' });
    const { code } = await runGit(ours, ['push', '--quiet', 'origin', 'main']);
    if (code === 0) landed.push(name);
    else await git(ours, 'reset', '--quiet', '--hard', 'HEAD~1');
    return code === 0;
  };
  const overtake = async (name: string) => {
    try {
      await commit(repository, { expected: await repository.tip(), commits: [newCommit({ [name]: '' })] });
      landed.push(name);
    } catch (error) {
      if (!Fault.is(error) || !error.retry) throw error;
    }
  };
  let lastMs = 200;
  for (let round = 0; round < 10; round++) {
    const start = performance.now();
    const racing = sleep(Math.random() * lastMs).then(() => overtake(`commit-${round}`));
    const won = await push(`push-${round}`);
    lastMs = performance.now() - start;
    await racing;
    // Alone it must succeed.
    if (!won) expect(await push(`push-${round}`)).toBe(true);
  }
  const files = (await repository.list((await repository.tip())!, '')).map(({ path }) => path);
  expect(files.sort()).toEqual(['start', ...landed].sort());
  expect(await git(repository.directory, 'rev-list', '--min-parents=2', '--count', 'main')).toBe('0');
  expect(await git(repository.directory, 'rev-list', '--count', 'main')).toBe(`${files.length}`);
});

test('a commit that overtakes a push wins, and nobody is told of the push', async () => {
  const moves: unknown[] = [];
  let overtaken: string[] = [];
  const { repository, clone } = await serveRepository({
    pushed: (move) => moves.push(move),
    checkPush: async ({ before }) => {
      overtaken = await commit(repository, { expected: before, commits: [newCommit({ [file]: 'faster' })] });
      return [];
    },
  });
  await commit(repository, { expected: undefined, commits: [newCommit({ [file]: 'one' })] });
  const ours = await clone();
  await commitAll(ours, { [file]: 'slower' });
  const pushed = await runGit(ours, ['push', 'origin', 'main']);
  expect(pushed.code).toBe(1);
  expect(pushed.stderr).toContain('failed to update ref');
  expect(overtaken).toEqual([await repository.tip()]);
  expect(moves).toEqual([]);
});

/** Ids of the processes that this one started, and that these started. */
function descendants(of = process.pid): number[] {
  const children = readdirSync(`/proc/${of}/task`).flatMap((task) =>
    readFileSync(`/proc/${of}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
  return children.flatMap((child) => {
    try {
      return [child, ...descendants(child)];
    } catch {
      return [];
    }
  });
}

const commandOf = (pid: number) => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
};

describeUnless(process.platform === 'linux' ? undefined : 'finding processes needs /proc', 'when git is killed', () => {
  test('in the middle of a push, the repository stays sound and the next push works', async () => {
    let stage: (() => void) | undefined;
    const { repository, clone } = await serveRepository({
      checkPush: async () => {
        stage?.();
        return [];
      },
    });
    await commit(repository, { expected: undefined, commits: [newCommit({ [file]: 'one' })] });
    const before = await repository.tip();
    const ours = await clone();
    await commitAll(ours, { large: randomBytes(4 * 2 ** 20) });
    stage = () => {
      for (const pid of descendants()) if (commandOf(pid).includes('receive-pack')) process.kill(pid, 'SIGKILL');
    };
    expect((await runGit(ours, ['push', 'origin', 'main'])).code).not.toBe(0);
    expect(await repository.tip()).toBe(before);
    expect(await git(repository.directory, 'fsck', '--strict')).toBe('');
    stage = undefined;
    await git(ours, 'push', '--quiet', 'origin', 'main');
    expect(await repository.tip()).toBe(await git(ours, 'rev-parse', 'HEAD'));
  });

  test('a client that goes away takes its git process with it', async () => {
    let waiting: () => void = () => {};
    const asked = new Promise<void>((resolve) => {
      waiting = resolve;
    });
    const { repository, clone } = await serveRepository({
      checkPush: async () => {
        waiting();
        return await new Promise(() => {});
      },
    });
    const ours = await clone();
    await commitAll(ours, { [file]: 'one' });
    const client = spawn('git', ['push', 'origin', 'main'], { cwd: ours, stdio: 'ignore', detached: true });
    await asked;
    const serving = () => descendants().filter((pid) => /receive-pack --stateless-rpc/.test(commandOf(pid)));
    expect(serving()).not.toEqual([]);
    process.kill(-client.pid!, 'SIGKILL');
    await once(client, 'close');
    while (serving().length > 0) await sleep(10);
    expect(await repository.tip()).toBeUndefined();
    await noQuarantine(repository);
  });
});

describeUnless(whyNoSmallDisk(), 'on a full disk', () => {
  test('a push fails with a reason, changes nothing, and works again when there is room', async () => {
    const repository = await useSmallDisk();
    const { clone } = await serveRepository({ repository });
    const ours = await clone();
    await commitAll(ours, { large: randomBytes(3 * 2 ** 20) });
    const pushed = await runGit(ours, ['push', 'origin', 'main']);
    expect(pushed.code).not.toBe(0);
    expect(pushed.stderr).toContain('No space left on device');
    expect(await repository.tip()).toBeUndefined();
    await git(ours, 'rm', '--quiet', 'large');
    await git(ours, 'commit', '--quiet', '--amend', '--allow-empty', '--message', 'Small');
    await git(ours, 'push', '--quiet', 'origin', 'main');
    expect(await repository.tip()).toBe(await git(ours, 'rev-parse', 'HEAD'));
  });
});
