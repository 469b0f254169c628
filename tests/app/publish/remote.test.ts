import { expect, onTestFinished, test } from 'vitest';
import { environmentFile, manifestsFile, specFile } from '#environments/layout.ts';
import { createEnvironments } from '#publish/environments.ts';
import { startPublisher } from '#publish/loop.ts';
import { publishDue } from '#publish/publish.ts';
import { beginScan } from '#publish/scan.ts';
import { runGit } from '#support/git.ts';
import type { RemoteHost } from '#support/git-remote.ts';
import { eventually } from '#support/walk.ts';
import { begin, blobOf, db, key, listed, local, problems, spec } from './remote-stand.ts';

/** Lets somebody push into the remote while ours is under way, once. */
function meanwhile(host: RemoteHost, act: () => Promise<unknown>): void {
  host.beforePush = async () => {
    host.beforePush = async () => {};
    await act();
  };
}

test('a change and a foreign push of other paths: both are there, the change on top', async () => {
  const { host, accept, foreign, settle, endOf, read } = await begin();
  const id = await accept('web-one', spec('nginx:1'));
  meanwhile(host, () => foreign({ 'docs/note.md': 'theirs', [specFile(key('web-two'))]: spec('nginx:2') }));
  await settle();
  expect(await endOf(id)).toBe('committed');
  expect(await read('docs/note.md')).toBe('theirs');
  expect(await read(specFile(key('web-one')))).toBe(spec('nginx:1'));
  // What they brought was rendered, as after any push.
  expect(await read(manifestsFile(key('web-two')))).toContain('nginx:2');
  expect(await listed()).toEqual(['web-one indexed', 'web-two indexed']);
});

test('a foreign push of the same spec: the change is refused, its author told, and nothing of theirs is lost', async () => {
  const { host, accept, foreign, settle, endOf, read } = await begin();
  await accept('web', spec('nginx:1'));
  await settle();
  const mine = await accept('web', spec('nginx:2'));
  const beside = await accept('other', spec('nginx:2'));
  meanwhile(host, () => foreign({ [specFile(key('web'))]: spec('nginx:3') }));
  await settle();
  expect([await endOf(mine), await endOf(beside)]).toEqual(['PRECONDITION_FAILED', 'committed']);
  expect(await read(specFile(key('web')))).toBe(spec('nginx:3'));
  expect(await read(manifestsFile(key('web')))).toContain('nginx:3');
});

test('a change that waited while the remote was away is refused where others changed its spec meanwhile', async () => {
  const { host, doors, accept, foreign, settle, endOf } = await begin();
  await accept('web', spec('nginx:1'));
  await settle();
  host.mode = 'away';
  const [mine, beside] = [await accept('web', spec('nginx:2')), await accept('other', spec('nginx:2'))];
  await expect(publishDue(doors, undefined)).rejects.toThrow('cannot be reached');
  expect([await endOf(mine), await endOf(beside)]).toEqual(['accepted', 'accepted']);
  await foreign({ [specFile(key('web'))]: spec('nginx:3') });
  host.mode = 'up';
  await db.database.query('update changes set due_at = now()');
  await settle();
  expect([await endOf(mine), await endOf(beside)]).toEqual(['PRECONDITION_FAILED', 'committed']);
});

test('a push came in, its answer was lost and the remote went away: found again later, and written once', async () => {
  const { host, doors, accept, settle, endOf, other } = await begin();
  await accept('gone', spec('nginx:1'));
  await settle();
  const put = await accept('web', spec('nginx:1'));
  const removed = await accept('gone');
  meanwhile(host, async () => {
    host.losesAnswers = true;
    host.mode = 'away';
  });
  await expect(publishDue(doors, undefined)).rejects.toThrow('cannot be reached');
  expect([await endOf(put), await endOf(removed)]).toEqual(['accepted', 'accepted']);
  expect(await other.blobId((await other.tip()) ?? '', specFile(key('web')))).toBeDefined();
  host.losesAnswers = false;
  host.mode = 'up';
  await db.database.query('update changes set due_at = now()');
  await settle();
  expect([await endOf(put), await endOf(removed)]).toEqual(['committed', 'committed']);
  const subjects = (await other.history('', { limit: 10 })).map(({ subject }) => subject);
  expect(subjects).toEqual([
    'Remove shop/gone in local',
    'Change shop/web in local',
    'Change shop/gone in local',
    'A change',
  ]);
  expect(await listed()).toEqual(['web indexed']);
});

test('changes wait for a remote that is away, and are written when it is back, each once and in order', async () => {
  const { host, doors, accept, endOf, other } = await begin();
  const publisher = startPublisher(doors);
  onTestFinished(() => publisher.stop());
  const first = await accept('web', spec('nginx:1'));
  publisher.wake();
  await eventually(
    () => endOf(first),
    (end) => end === 'committed',
  );
  host.mode = 'away';
  const second = await accept('web', spec('nginx:2'));
  publisher.wake();
  await eventually(
    async () => doors.repository.remote?.isThere(),
    (there) => there === false,
  );
  const third = await accept('web', spec('nginx:3'));
  const fourth = await accept('other', spec('nginx:4'));
  publisher.wake();
  expect(await Promise.all([second, third, fourth].map(endOf))).toEqual(['accepted', 'accepted', 'accepted']);
  host.mode = 'up';
  publisher.wake();
  await eventually(
    () => Promise.all([second, third, fourth].map(endOf)),
    (ends) => ends.every((end) => end === 'committed'),
    30_000,
  );
  const history = await other.history(specFile(key('web')), { limit: 10 });
  expect(history.map(({ trailers }) => trailers['Plinth-Change'])).toEqual([third, second, first]);
});

test('with a budget of one push a minute, people go first and what is only rendered waits', async () => {
  const { doors, accept, endOf, repository, foreign } = await begin({ pushesPerMinute: 1 });
  await foreign({ [specFile(key('pushed'))]: spec('nginx:1') });
  await repository.remote?.fetch();
  const scan = await beginScan(doors, undefined);
  while (!((await scan?.step()) ?? true)) {}
  const put = await accept('web', spec('nginx:1'));
  const publisher = startPublisher(doors);
  onTestFinished(() => publisher.stop());
  await eventually(
    () => endOf(put),
    (end) => end === 'committed',
  );
  const later = await accept('other', spec('nginx:1'));
  publisher.wake();
  // One push was made, with everything that was due; the next minute has the next.
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(await endOf(later)).toBe('accepted');
});

test('a spec that cannot be rendered: its project stays as it was and says why, its neighbours go on', async () => {
  const { repository, accept, foreign, settle, read } = await begin();
  await accept('web', spec('nginx:1'));
  await settle();
  const rendered = await read(manifestsFile(key('web')));
  await foreign({
    [specFile(key('web'))]: 'kind: Nothing\n',
    [specFile(key('new'))]: 'containers: [',
    [specFile(key('good'))]: spec('nginx:2'),
  });
  await settle();
  expect(await problems()).toEqual([
    [specFile(key('new')), 'spec', 'local/shop/new', 'SPEC_INVALID'],
    [specFile(key('web')), 'spec', 'local/shop/web', 'SPEC_INVALID'],
  ]);
  expect(await read(manifestsFile(key('web')))).toBe(rendered);
  expect(await read(manifestsFile(key('good')))).toContain('nginx:2');
  expect(await listed()).toEqual(['good indexed', 'new never', 'web indexed']);
  await foreign({ [specFile(key('web'))]: spec('nginx:3'), [specFile(key('new'))]: null });
  await settle();
  expect(await problems()).toEqual([]);
  expect(await read(manifestsFile(key('web')), repository)).toContain('nginx:3');
  expect(await listed()).toEqual(['good indexed', 'web indexed']);
});

/** A tree that no working copy would make: entries as `git mktree` takes them, put in place of a folder's. */
async function plant(host: RemoteHost, path: string, entries: readonly string[]): Promise<void> {
  const run = async (args: string[], input = '') => {
    const { code, stdout, stderr } = await runGit(host.directory, args, { input });
    if (code !== 0) throw new Error(stderr);
    return stdout.trim();
  };
  let tree = await run(['mktree', '--missing'], entries.map((entry) => `${entry}\n`).join(''));
  const parts = path.split('/');
  for (let i = parts.length; i > 0; i--) {
    const parent = parts.slice(0, i - 1).join('/');
    const name = parts[i - 1] ?? '';
    const rows = (await run(['ls-tree', `main:${parent}`]))
      .split('\n')
      .filter((row) => row !== '' && !row.endsWith(`\t${name}`));
    tree = await run(
      ['mktree', '--missing'],
      [...rows, `040000 tree ${tree}\t${name}`].map((row) => `${row}\n`).join(''),
    );
  }
  const made = await run(['commit-tree', tree, '-p', 'main', '-m', 'Planted']);
  await run(['update-ref', 'refs/heads/main', made]);
}

test.each([
  [
    'a symbolic link in place of the spec',
    async (host: RemoteHost) => [`120000 blob ${await blobOf(host, spec('nginx:9'))}\tproject.yaml`],
  ],
  ['a submodule in place of the spec', async () => [`160000 commit ${'1'.repeat(40)}\tproject.yaml`]],
  [
    'a spec of two megabytes',
    async (host: RemoteHost) => [
      `100644 blob ${await blobOf(host, `# ${'x'.repeat(2_000_000)}\n${spec('nginx:9')}`)}\tproject.yaml`,
    ],
  ],
  [
    'a spec of nine megabytes',
    async (host: RemoteHost) => [`100644 blob ${await blobOf(host, Buffer.alloc(9_000_000, 'x'))}\tproject.yaml`],
  ],
  [
    'names that differ only in case',
    async (host: RemoteHost) => {
      const blob = await blobOf(host, spec('nginx:9'));
      return [`100644 blob ${blob}\tProject.yaml`, `100644 blob ${blob}\tproject.yaml`];
    },
  ],
  [
    'a name that is not UTF-8 or leads away',
    async (host: RemoteHost) => {
      const blob = await blobOf(host, spec('nginx:9'));
      return [`100644 blob ${blob}\tproject.yaml`, `100644 blob ${blob}\ta\\b`];
    },
  ],
])('%s: the project stays as it was, its neighbours go on, and a mended folder counts again', async (_, entries) => {
  const { host, accept, foreign, settle, read, repository } = await begin();
  await accept('web', spec('nginx:1'));
  await accept('beside', spec('nginx:1'));
  await settle();
  await plant(host, 'environments/local/shop/web', await entries(host));
  await foreign({ [specFile(key('beside'))]: spec('nginx:2') });
  await settle();
  const found = await problems();
  expect(found.length).toBeGreaterThan(0);
  for (const [path, kind, who, code] of found) {
    expect(path).toContain('environments/local/shop/web/');
    expect([kind, who, code]).toEqual(['path', 'local/shop/web', 'SOURCE_REFUSED']);
  }
  expect(await listed()).toEqual(['beside indexed', 'web indexed']);
  expect(await read(manifestsFile(key('beside')), repository)).toContain('nginx:2');
  // Another push somewhere else does not make it forgotten.
  await foreign({ 'docs/note.md': '1' });
  await settle();
  expect(await problems()).toEqual(found);
  await foreign({ 'environments/local/shop/web': null });
  await foreign({ [specFile(key('web'))]: spec('nginx:3') });
  await settle();
  expect(await problems()).toEqual([]);
  expect(await read(manifestsFile(key('web')), repository)).toContain('nginx:3');
});

test('a folder of two hundred thousand entries is passed by', async () => {
  const { host, accept, foreign, settle, read, repository } = await begin();
  await accept('web', spec('nginx:1'));
  await settle();
  const blob = await blobOf(host, '1');
  const rows = Array.from({ length: 250_000 }, (_, i) => `100644 blob ${blob}\tfile-${String(i).padStart(12, '0')}`);
  await plant(host, 'environments/local/shop/web/many', rows);
  await foreign({ [specFile(key('beside'))]: spec('nginx:2') });
  await settle();
  expect(await problems()).toEqual([['environments/local/shop/web/many', 'path', 'local/shop/web', 'SOURCE_REFUSED']]);
  expect(await read(manifestsFile(key('beside')), repository)).toContain('nginx:2');
});

test('an environment.yaml that cannot be read stays as it was; the other environments, and its own projects, go on', async () => {
  const { accept, foreign, settle, endOf, repository, doors } = await begin();
  await foreign({ [environmentFile('dev')]: local('dev.localhost') });
  await settle();
  await foreign({ [environmentFile('dev')]: 'kind: [', [specFile(key('web', 'dev'))]: spec('nginx:1') });
  await settle();
  expect(await problems()).toEqual([[environmentFile('dev'), 'environment', 'dev', 'SOURCE_REFUSED']]);
  const read = async () =>
    [...(await doors.environments.at((await repository.tip()) ?? ''))].map(([name, { domain }]) => [name, domain]);
  expect(await read()).toEqual([
    ['dev', 'dev.localhost'],
    ['local', 'apps.localhost'],
  ]);
  expect(await endOf(await accept('beside', spec('nginx:1')))).toBe('accepted');
  await settle();
  expect(await listed()).toEqual(['beside indexed', 'web indexed']);
  // A new process, which remembers nothing, says the same.
  const fresh = createEnvironments(repository);
  expect((await fresh.one((await repository.tip()) ?? '', 'dev')).domain).toBe('dev.localhost');
  // A domain that belongs to another: who wants it stays as it was, not who has it.
  await foreign({ [environmentFile('dev')]: local('apps.localhost') });
  await settle();
  expect(await read()).toEqual([
    ['dev', 'dev.localhost'],
    ['local', 'apps.localhost'],
  ]);
  await foreign({ [environmentFile('dev')]: local('new.localhost') });
  await settle();
  expect([await problems(), (await read())[0]]).toEqual([[], ['dev', 'new.localhost']]);
});
