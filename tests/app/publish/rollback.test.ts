import { expect, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { newId } from '#base/ids.ts';
import { environmentFile, specFile } from '#environments/layout.ts';
import { commit } from '#git/commit.ts';
import { readSwitch, writeSwitch } from '#projects/switch-store.ts';
import { checkPush } from '#publish/check-push.ts';
import { circleOf } from '#publish/circles.ts';
import { publishDue } from '#publish/publish.ts';
import { beginScan } from '#publish/scan.ts';
import { acceptChange, type NewChange, readChange } from '#publish/store.ts';
import { newCommit } from '#support/git.ts';
import { useDatabase } from '#support/postgres.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';
import { openPublisher } from './stand.ts';

const db = useDatabase();
const folder = useTemporaryDirectory();
const local = 'apiVersion: plinth.dev/v1\nkind: Environment\nruntime: none\ndomain: apps.localhost\n';
const spec = (image: string, dependsOn: readonly string[] = []) => `apiVersion: plinth.dev/v1
kind: Project
dependsOn: ${JSON.stringify(dependsOn)}
containers:
  web: { image: "${image}", port: 8080, route: / }
`;
const key = (project: string) => ({ environment: 'local', team: 'shop', project });

/** A publisher over a new repository and an empty record. */
async function begin() {
  await db.database.query('truncate changes, projects, hosts, renders, cursors, switches');
  const doors = await openPublisher({ database: db.database, dataDirectory: folder, local });
  const { repository } = doors;
  let scanned: string | undefined;
  const publish = async () => {
    const scan = await beginScan(doors, scanned);
    while (!((await scan?.step()) ?? true)) {}
    scanned = (await publishDue(doors, scan?.tip ?? scanned)).scanned;
  };
  const accept = async (project: string, content: string, more: Partial<NewChange> = {}) => {
    const actor = 'ada@example.com';
    const change = {
      id: newId('change', systemClock.now()),
      kind: 'put',
      ...key(project),
      actor,
      message: '',
    } as const;
    await db.database.transaction((tx) => acceptChange(tx, { ...change, content, ...more }));
    return change.id;
  };
  const put = async (project: string, content: string, more: Partial<NewChange> = {}) => {
    const id = await accept(project, content, more);
    await publish();
    const ended = await readChange(db.database, id);
    return ended?.problem?.code ?? ended?.state;
  };
  const push = async (files: Record<string, string | null>) => {
    await commit(repository, { expected: await repository.tip(), commits: [newCommit(files, 'By hand')] });
    for (let i = 0; i < 3; i++) await publish();
  };
  return { doors, repository, accept, put, push, publish };
}

const switchOf = async (project: string) => {
  const found = await readSwitch(db.database, key(project), 'promote');
  return found === undefined ? undefined : [found.reason, found.actor, found.left_revision];
};
const left = '3'.repeat(40);
const back = { kind: 'rollback', leaves: left } as const;
const held = ['rolled back from 333333333333 by ada@example.com', 'ada@example.com', left];

test('a rollback turns promotion off and says what it left; the next change that a person makes turns it on', async () => {
  const { put } = await begin();
  await put('web', spec('nginx:1'));
  await put('web', spec('nginx:2'));
  expect(await switchOf('web')).toBeUndefined();
  expect(await put('web', spec('nginx:1'), back)).toBe('committed');
  expect(await switchOf('web')).toEqual(held);
  // To return once more is not to go on.
  expect(await put('web', spec('nginx:2'), { ...back, leaves: '4'.repeat(40) })).toBe('committed');
  expect((await switchOf('web'))?.[0]).toBe('rolled back from 444444444444 by ada@example.com');
  expect(await put('web', 'kind: Nothing')).toBe('SPEC_INVALID');
  expect(await switchOf('web')).toBeDefined();
  expect(await put('web', spec('nginx:3'))).toBe('committed');
  expect(await switchOf('web')).toBeUndefined();
});

test('a push counts as a deliberate change, and one of another project does not', async () => {
  const { put, push, publish } = await begin();
  await put('web', spec('nginx:1'));
  await put('web', spec('nginx:2'));
  await put('web', spec('nginx:1'), back);
  await push({ [specFile(key('api'))]: spec('nginx:1') });
  await publish();
  expect(await switchOf('web')).toEqual(held);
  await push({ [specFile(key('web'))]: spec('nginx:4') });
  expect(await switchOf('web')).toBeUndefined();
});

test('what a person turned off stays off, whatever is rolled back and changed', async () => {
  const { put } = await begin();
  await put('web', spec('nginx:1'));
  const wish = {
    ...key('web'),
    action: 'promote',
    reason: 'audit',
    actor: 'eve@example.com',
    until: undefined,
  } as const;
  await writeSwitch(db.database, wish, undefined, new Date());
  await put('web', spec('nginx:2'));
  await put('web', spec('nginx:1'), back);
  await put('web', spec('nginx:3'));
  expect(await switchOf('web')).toEqual(['audit', 'eve@example.com', null]);
});

test('a circle is refused: by a later change, by one of the same group, and not where it leads nowhere', async () => {
  const { put, accept, publish } = await begin();
  expect(await put('aaa', spec('nginx:1', ['shop/bbb']))).toBe('committed');
  expect(await put('bbb', spec('nginx:1', ['shop/ccc', 'data/unknown']))).toBe('committed');
  expect(await circleOf(db.database, key('ccc'), ['shop/aaa'])).toEqual([
    'shop/ccc',
    'shop/aaa',
    'shop/bbb',
    'shop/ccc',
  ]);
  expect(await put('ccc', spec('nginx:1', ['shop/aaa']))).toBe('DEPENDENCY_CIRCLE');
  expect(await put('ddd', spec('nginx:1', ['shop/aaa', 'shop/ccc']))).toBe('committed');
  const ids = [await accept('eee', spec('nginx:1', ['shop/fff'])), await accept('fff', spec('nginx:1', ['shop/eee']))];
  await publish();
  const ends = await Promise.all(ids.map(async (id) => (await readChange(db.database, id))?.state));
  expect(ends).toEqual(['committed', 'refused']);
  // What no longer depends on anything closes nothing.
  expect(await put('bbb', spec('nginx:1'))).toBe('committed');
  expect(await put('ccc', spec('nginx:1', ['shop/aaa']))).toBe('committed');
});

test('a push that would close a circle is refused with the names around it, and one that opens it comes in', async () => {
  const { put } = await begin();
  await put('aaa', spec('nginx:1', ['shop/bbb']));
  const pushed = (files: Record<string, string | undefined>) => {
    const view = {
      changed: async () => Object.entries(files).map(([path, text]) => ({ path, after: text && 'new', before: 'old' })),
      read: async (path: string) =>
        path in files ? bytes(files[path]) : path === environmentFile('local') ? bytes(local) : undefined,
      children: async (path: string) => (path === 'environments' ? [{ name: 'local', mode: '40000', id: '1' }] : []),
      steps: async () => [],
      readBefore: async () => undefined,
    };
    return checkPush(db.database, { view, mayWrite: () => true } as never);
  };
  const bytes = (text: string | undefined) => (text === undefined ? undefined : Buffer.from(text));
  expect(await pushed({ [specFile(key('bbb'))]: spec('nginx:1', ['shop/aaa']) })).toEqual([
    'environments/local/shop/bbb/project.yaml dependsOn: it would wait for itself: shop/bbb → shop/aaa → shop/bbb',
  ]);
  expect(
    await pushed({
      [specFile(key('bbb'))]: spec('nginx:1', ['shop/aaa']),
      [specFile(key('aaa'))]: spec('nginx:1'),
    }),
  ).toEqual([]);
});
