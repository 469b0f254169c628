import { expect, test } from 'vitest';
import { commit } from '#git/commit.ts';
import type { PushView } from '#git/serve.ts';
import { git, newCommit, runGit, type ServedRepository, serveRepository } from '#support/git.ts';

const file = 'environments/dev/web/shop/project.yaml';

interface Entry {
  readonly mode: string;
  readonly name: string | Uint8Array;
  /** A blob's content, or the entries of a folder, or an id. */
  readonly of: string | readonly Entry[] | { readonly id: string };
}

/** Writes a tree byte by byte, however wrong it is. */
async function writeTree(clone: string, entries: readonly Entry[]): Promise<string> {
  const lines: Uint8Array[] = [];
  for (const { mode, name, of } of entries) {
    let id: string;
    if (typeof of === 'string')
      id = (await runGit(clone, ['hash-object', '-w', '--stdin'], { input: of })).stdout.trim();
    else if ('id' in of) id = of.id;
    else id = await writeTree(clone, of);
    lines.push(Buffer.from(`${mode} `), Buffer.from(name), Buffer.from([0]), Buffer.from(id, 'hex'));
  }
  const args = ['hash-object', '-t', 'tree', '-w', '--literally', '--stdin'];
  return (await runGit(clone, args, { input: Buffer.concat(lines) })).stdout.trim();
}

/** A served repository with one commit, and a clone of it. */
async function start(options: Parameters<typeof serveRepository>[0] = {}) {
  const served = await serveRepository(options);
  await commit(served.repository, { expected: undefined, commits: [newCommit({ [file]: 'one' })] });
  return { ...served, ours: await served.clone() };
}

/** Pushes a commit of this tree on top of main, and gives what the pusher sees. */
async function pushTree({ ours }: { ours: string }, entries: readonly Entry[], ref = 'main') {
  const tree = await writeTree(ours, entries);
  const made = await git(ours, 'commit-tree', tree, '-p', 'origin/main', '-m', 'Made by hand');
  return await runGit(ours, ['push', 'origin', `${made}:refs/heads/${ref}`]);
}

/** environments/dev/web/shop with other entries. */
const shop = (entries: readonly Entry[]): Entry[] => {
  const below = (names: string[], content: readonly Entry[]): Entry[] =>
    names.reduceRight<readonly Entry[]>((of, name) => [{ mode: '40000', name, of }], content) as Entry[];
  return below(['environments', 'dev', 'web', 'shop'], entries);
};

async function unchanged({ repository }: ServedRepository, act: () => Promise<unknown>): Promise<void> {
  const before = await repository.tip();
  await act();
  expect(await repository.tip()).toBe(before);
}

const symlink = { mode: '120000', name: 'link', of: '/etc/passwd' };
const submodule = { mode: '160000', name: 'module', of: { id: '1'.repeat(40) } };

test.each<[string, readonly Entry[], RegExp]>([
  ['a symbolic link', shop([symlink]), /"environments\/dev\/web\/shop\/link": this is a symbolic link/],
  ['a submodule', shop([submodule]), /"environments\/dev\/web\/shop\/module": this is a submodule/],
  ['a folder ..', shop([{ mode: '40000', name: '..', of: [] }]), /contains '\.\.'|holds \.\./],
  ['a folder .git', shop([{ mode: '40000', name: '.git', of: [] }]), /contains '\.git'|holds \.git/],
  ['a folder .GiT', shop([{ mode: '40000', name: '.GiT', of: [] }]), /contains '\.git'|holds \.git/],
  ['a name with a slash', shop([{ mode: '100644', name: 'a/../b', of: 'x' }]), /contains full pathnames/],
  [
    'an empty name',
    shop([{ mode: '100644', name: '', of: 'x' }]),
    /empty filename in tree entry|contains empty pathname/,
  ],
  [
    'names that collide in case',
    shop([
      { mode: '100644', name: 'Project.yaml', of: 'x' },
      { mode: '100644', name: 'project.yaml', of: 'x' },
    ]),
    /differs only in case/,
  ],
  ['a long path', shop([{ mode: '100644', name: 'x'.repeat(101), of: 'x' }]), /longer than 100 bytes/],
  ['bad UTF-8', shop([{ mode: '100644', name: Uint8Array.of(0x61, 0xff, 0xfe), of: 'x' }]), /the path is not UTF-8/],
  ['an escape sequence', shop([{ mode: '100644', name: 'a\u001b[31m', of: 'x' }]), /control characters/],
  ['a device', shop([{ mode: '20644', name: 'device', of: 'x' }]), /mode 20644|bad|invalid/i],
  [
    'a large file',
    shop([{ mode: '100644', name: 'a', of: 'x'.repeat(2 ** 20 + 1) }]),
    /has 1048577 bytes; the most is/,
  ],
  ['a missing blob', shop([{ mode: '100644', name: 'a', of: { id: '2'.repeat(40) } }]), /./],
])('refused: %s', async (_, entries, message) => {
  const served = await start();
  await unchanged(served, async () => {
    const pushed = await pushTree(served, entries);
    expect(pushed.code).not.toBe(0);
    expect(pushed.stderr).toMatch(message);
  });
});

test('an executable file and a file outside of environments/ are taken', async () => {
  const served = await start();
  const pushed = await pushTree(served, [
    { mode: '100755', name: 'run', of: '#!/bin/sh' },
    { mode: '100644', name: 'video', of: 'x'.repeat(2 ** 21) },
  ]);
  expect(pushed).toMatchObject({ code: 0 });
  expect((await served.repository.list((await served.repository.tip())!, '')).map(({ mode }) => mode)).toEqual([
    '100755',
    '100644',
  ]);
});

test('a push of 20,001 paths is refused, one of 20,000 is judged', async () => {
  const seen: number[] = [];
  const served = await start({
    checkPush: async ({ view }) => {
      seen.push((await view.changed()).length);
      return ['counted'];
    },
  });
  const folder = (count: number): Entry[] => [
    { mode: '40000', name: 'many', of: Array.from({ length: count }, (_, index) => named(index)) },
  ];
  const blob = (await runGit(served.ours, ['hash-object', '-w', '--stdin'], { input: 'x' })).stdout.trim();
  const named = (index: number): Entry => ({
    mode: '100644',
    name: `${index}`.padStart(5, '0'),
    of: { id: blob },
  });
  await unchanged(served, async () => {
    expect((await pushTree(served, folder(20_000))).stderr).toContain('a push changes 20000 paths at the most');
    expect((await pushTree(served, folder(19_999))).stderr).toContain('counted');
  });
  expect(seen).toEqual([20_000]);
});

test('a folder with too many entries is refused by its name, also one that is too large to be read', async () => {
  const served = await start();
  const blob = (await runGit(served.ours, ['hash-object', '-w', '--stdin'], { input: 'x' })).stdout.trim();
  const crowded = (count: number, name: string): Entry[] => [
    {
      mode: '40000',
      name,
      of: Array.from({ length: count }, (_, index) => ({
        mode: '100644',
        name: `${index}`.padStart(8, '0'),
        of: { id: blob },
      })),
    },
  ];
  const line = (name: string) => `"${name}": the folder has too many entries; the most is 20000`;
  await unchanged(served, async () => {
    expect((await pushTree(served, crowded(20_001, 'few'))).stderr).toContain(line('few'));
    expect((await pushTree(served, crowded(40_000, 'more'))).stderr).toContain(line('more'));
    expect((await pushTree(served, crowded(250_000, 'many'))).stderr).toContain(line('many'));
    expect((await pushTree(served, shop(crowded(250_000, 'deep')))).stderr).toContain(
      line('environments/dev/web/shop/deep'),
    );
  });
});

test('no step of a push that is looked at is too large to be looked at', async () => {
  const served = await start({
    checkPush: async ({ view }) => {
      await view.steps();
      return [];
    },
  });
  const { ours } = served;
  const blob = (await runGit(ours, ['hash-object', '-w', '--stdin'], { input: 'x' })).stdout.trim();
  const files = Array.from({ length: 250_000 }, (_, index) => ({
    mode: '100644',
    name: `${index}`.padStart(8, '0'),
    of: { id: blob },
  }));
  const large = await writeTree(ours, [{ mode: '40000', name: 'many', of: files }]);
  const first = await git(ours, 'commit-tree', large, '-p', 'origin/main', '-m', 'Much');
  const small = await writeTree(ours, shop([{ mode: '100644', name: 'project.yaml', of: 'two' }]));
  const last = await git(ours, 'commit-tree', small, '-p', first, '-m', 'Taken back');
  await unchanged(served, async () => {
    expect((await runGit(ours, ['push', 'origin', `${last}:refs/heads/main`])).stderr).toContain(
      `Commit ${first} cannot be checked here`,
    );
  });
});

test('trees that unfold to billions of paths are refused at once', async () => {
  const served = await start();
  let leaf = await writeTree(served.ours, []);
  for (let depth = 0; depth < 12; depth++) {
    const entries = Array.from({ length: 20 }, (_, index) => ({
      mode: '40000',
      name: `${index}`.padStart(2, '0'),
      of: { id: leaf },
    }));
    leaf = await writeTree(served.ours, entries);
  }
  const pushed = await pushTree(served, [{ mode: '40000', name: 'bomb', of: { id: leaf } }]);
  expect(pushed.stderr).toContain('a push changes 20000 paths at the most');
});

test('a chain of eighty folders is refused where its path grows too long', async () => {
  const served = await start();
  let leaf: Entry[] = [{ mode: '100644', name: 'x', of: 'x' }];
  for (let depth = 0; depth < 80; depth++) leaf = [{ mode: '40000', name: 'folders', of: leaf }];
  expect((await pushTree(served, leaf)).stderr).toContain('longer than 512 bytes');
});

test('only main is pushed: no other branch, no tag, no deletion, no rewriting', async () => {
  const served = await start();
  const { ours, repository } = served;
  await git(ours, 'tag', 'v1');
  await git(ours, 'commit', '--quiet', '--allow-empty', '--message', 'Empty');
  const refused: [string[], RegExp][] = [
    [['HEAD:refs/heads/feature'], /refs\/heads\/feature cannot be pushed: .* git push origin HEAD:main/],
    [['v1'], /refs\/tags\/v1 cannot be pushed/],
    [['HEAD:main', 'HEAD:refs/heads/feature'], /refs\/heads\/feature cannot be pushed/],
    [['HEAD:refs/notes/commits'], /refs\/notes\/commits cannot be pushed/],
    [[':main'], /main cannot be deleted|deletion prohibited/],
  ];
  await unchanged(served, async () => {
    for (const [refs, message] of refused) {
      const pushed = await runGit(ours, ['push', 'origin', ...refs]);
      expect(pushed.code).toBe(1);
      expect(pushed.stderr).toMatch(message);
    }
  });
  expect(await git(repository.directory, 'for-each-ref', '--format=%(refname)')).toBe('refs/heads/main');
  await git(ours, 'push', '--quiet', 'origin', 'HEAD:main');
  await unchanged(served, async () => {
    await git(ours, 'commit', '--quiet', '--amend', '--allow-empty', '--message', 'Another past');
    const forced = await runGit(ours, ['push', '--force', 'origin', 'HEAD:main']);
    expect(forced.code).toBe(1);
    expect(forced.stderr).toContain('main is never rewritten');
    expect((await runGit(ours, ['push', 'origin', 'HEAD:main'])).stderr).toContain('[rejected]');
  });
});

test('checkPush sees the tree as it would be, before anyone else does', async () => {
  const seen: Record<string, unknown> = {};
  let view: PushView | undefined;
  const served = await start({
    caller: { mayWrite: ({ environment, team }) => `${environment}/${team}` === 'local/shop' },
    checkPush: async (push) => {
      view = push.view;
      const places = [{ environment: 'local', team: 'shop' }, { environment: 'local' }, {}];
      seen.mayWrite = places.map((place) => push.mayWrite(place));
      const text = async (path: string) => Buffer.from((await push.view.read(path)) ?? []).toString('utf8');
      seen.push = { before: push.before, actor: push.actor };
      seen.changed = (await push.view.changed()).map(({ path, mode }) => ({ path, mode }));
      seen.texts = [await text(file), await text('README'), await push.view.read('none')];
      seen.children = (await push.view.children('')).map(({ name }) => name);
      seen.outside = await served.repository.read(push.after, 'README').catch(({ code }: { code: string }) => code);
      return [];
    },
  });
  const before = await served.repository.tip();
  const pushed = await pushTree(served, [
    { mode: '100644', name: 'README', of: 'read me' },
    ...shop([{ mode: '100644', name: 'project.yaml', of: 'two' }]),
  ]);
  expect(pushed.code).toBe(0);
  expect(seen).toEqual({
    push: { before, actor: 'ada@example.com' },
    mayWrite: [true, false, false],
    changed: [
      { path: 'README', mode: '100644' },
      { path: file, mode: '100644' },
    ],
    texts: ['two', 'read me', undefined],
    children: ['README', 'environments'],
    outside: 'REVISION_UNKNOWN',
  });
  await expect(view?.read(file)).rejects.toMatchObject({ code: 'STOPPING' });
});

test('what a failing check says to the pusher gives nothing away', async () => {
  const served = await start({
    checkPush: async () => {
      throw new Error('password=hunter2');
    },
  });
  await unchanged(served, async () => {
    const { stderr } = await pushTree(served, shop([{ mode: '100644', name: 'project.yaml', of: 'two' }]));
    expect(stderr).toContain('remote: Plinth could not check this push; its log says why.');
    expect(stderr).not.toContain('hunter2');
  });
});
