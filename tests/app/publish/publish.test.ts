import { expect, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { newId } from '#base/ids.ts';
import { Secret } from '#base/secret.ts';
import { environmentFile, keyText, manifestsFile, specFile } from '#environments/layout.ts';
import { commit } from '#git/commit.ts';
import { publishDue } from '#publish/publish.ts';
import { beginScan } from '#publish/scan.ts';
import { acceptChange, type ChangeKind, readChange, readHosts } from '#publish/store.ts';
import { newCommit } from '#support/git.ts';
import { useDatabase } from '#support/postgres.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';
import { openPublisher } from './stand.ts';

const db = useDatabase();
const folder = useTemporaryDirectory();
const local = `apiVersion: plinth.dev/v1
kind: Environment
runtime: none
domain: apps.localhost
hosts: { shop: [shop.example.com] }
`;
const spec = (image: string, more = 'route: /') => `apiVersion: plinth.dev/v1
kind: Project
containers:
  web: { image: "${image}", port: 8080, ${more} }
`;
const custom = 'route: { host: shop.example.com }';

/** A publisher over a new repository and an empty record. */
async function begin() {
  await db.database.query('truncate changes, projects, hosts, renders, cursors, secret_values, confirmations');
  const doors = await openPublisher({ database: db.database, dataDirectory: folder, local });
  const { repository } = doors;
  const accept = async (project: string, content?: string, more: { kind?: ChangeKind; expected?: string } = {}) => {
    const { id } = await db.database.transaction((tx) =>
      acceptChange(tx, {
        id: newId('change', systemClock.now()),
        kind: content === undefined ? 'delete' : 'put',
        environment: 'local',
        team: 'shop',
        project,
        actor: 'ada@example.com',
        message: '',
        content,
        ...more,
      }),
    );
    return id;
  };
  const push = async (files: Record<string, string | null>) =>
    await commit(repository, { expected: await repository.tip(), commits: [newCommit(files, 'By hand')] });
  const publish = async () => {
    const scan = await beginScan(doors, undefined);
    while (!((await scan?.step()) ?? true)) {}
    const scanned = scan?.tip;
    return await publishDue(doors, scanned);
  };
  const endOf = async (id: string) => {
    const change = await readChange(db.database, id);
    return change?.problem?.code ?? change?.state;
  };
  const read = async (path: string) => {
    const tip = await repository.tip();
    const content = tip === undefined ? undefined : await repository.read(tip, path);
    return content === undefined ? undefined : Buffer.from(content).toString('utf8');
  };
  return { doors, repository, accept, push, publish, endOf, read };
}

const key = (project: string) => ({ environment: 'local', team: 'shop', project });
const ownerOf = async (host: string) => {
  const owner = (await readHosts(db.database, [host])).get(host);
  return owner === undefined ? undefined : keyText(owner);
};

test('due changes become one commit each, in their order, in one go; a bad one does not keep the others', async () => {
  const { repository, accept, publish, endOf, read } = await begin();
  const ids = [
    await accept('web-one', spec('nginx:1')),
    await accept('web-two', 'kind: Nothing'),
    await accept('web-one', spec('nginx:2')),
    await accept('web-three', spec('nginx:1'), { expected: '0'.repeat(40) }),
    await accept('web-four'),
    await accept('web-five', spec('nginx:1')),
    await accept('web-five'),
  ];
  expect((await publish()).ended).toBe(7);
  expect(await Promise.all(ids.map(endOf))).toEqual([
    'committed',
    'SPEC_INVALID',
    'committed',
    'PRECONDITION_FAILED',
    'PROJECT_NOT_FOUND',
    'committed',
    'committed',
  ]);
  expect((await repository.history('', { limit: 10 })).map(({ subject }) => subject)).toEqual([
    'Remove shop/web-five in local',
    'Change shop/web-five in local',
    'Change shop/web-one in local',
    'Change shop/web-one in local',
    'A change',
  ]);
  expect(await read(specFile(key('web-one')))).toBe(spec('nginx:2'));
  expect(await read(manifestsFile(key('web-five')))).toBeUndefined();
  expect((await publish()).ended).toBe(0);
});

test('a change that was committed by a process that then died is found in Git, not written again', async () => {
  const { repository, accept, publish, endOf } = await begin();
  const id = await accept('web-one', spec('nginx:1'));
  await publish();
  const tip = await repository.tip();
  // As if the record of the commit had never been written: accepted, one attempt counted, its content still there.
  await db.database.query(`update changes set state = 'accepted', revision = null, content = $1`, [spec('nginx:1')]);
  await accept('web-one', spec('nginx:2'));
  await publish();
  expect([await endOf(id), (await readChange(db.database, id))?.revision]).toEqual(['committed', tip]);
  expect((await repository.history(specFile(key('web-one')), { limit: 10 })).length).toBe(2);
});

test('one host, one project: within a group and beside what is there', async () => {
  const { accept, publish, endOf } = await begin();
  const [first, second] = [
    await accept('web-one', spec('nginx:1', custom)),
    await accept('web-two', spec('nginx:1', custom)),
  ];
  await publish();
  expect([await endOf(first), await endOf(second)]).toEqual(['committed', 'HOST_TAKEN']);
  const third = await accept('web-three', spec('nginx:1', custom));
  await publish();
  expect([await endOf(third), await ownerOf('shop.example.com')]).toEqual(['HOST_TAKEN', 'local/shop/web-one']);
});

test('a host goes from one project to another: in one group, with a deletion, and by a push', async () => {
  const { accept, publish, endOf, push } = await begin();
  await accept('web-one', spec('nginx:1', custom));
  await publish();
  const group = [await accept('web-one', spec('nginx:1')), await accept('a-second', spec('nginx:1', custom))];
  await publish();
  expect([await Promise.all(group.map(endOf)), await ownerOf('shop.example.com')]).toEqual([
    ['committed', 'committed'],
    'local/shop/a-second',
  ]);
  const removal = [await accept('a-second'), await accept('web-three', spec('nginx:1', custom))];
  await publish();
  expect([await Promise.all(removal.map(endOf)), await ownerOf('shop.example.com')]).toEqual([
    ['committed', 'committed'],
    'local/shop/web-three',
  ]);
  await push({ [specFile(key('web-three'))]: spec('nginx:1'), [specFile(key('a-fourth'))]: spec('nginx:1', custom) });
  await publish();
  await publish();
  expect(await ownerOf('shop.example.com')).toBe('local/shop/a-fourth');
});

test('a spec that came by a push is rendered by a commit of ours; what it left behind goes with it', async () => {
  const { publish, push, read, repository } = await begin();
  await push({ [specFile(key('web-one'))]: spec('nginx:1') });
  await publish();
  expect(await read(manifestsFile(key('web-one')))).toContain('image: nginx:1');
  expect((await repository.history('', { limit: 1 }))[0]).toMatchObject({
    subject: 'Render shop/web-one in local',
    trailers: { 'Plinth-Actor': 'plinth', 'Plinth-Spec': expect.stringMatching(/^sha256:/) },
  });
  await push({ [specFile(key('web-one'))]: null });
  await publish();
  expect(await read(manifestsFile(key('web-one')))).toBeUndefined();
  expect(await ownerOf('web-one--shop.apps.localhost')).toBeUndefined();
});

test('an environment.yaml that changed renders its projects anew', async () => {
  const { accept, publish, push, read } = await begin();
  await accept('web-one', spec('nginx:1'));
  await publish();
  await push({ [environmentFile('local')]: local.replace('apps.localhost', 'other.localhost') });
  await publish();
  expect(await read(manifestsFile(key('web-one')))).toContain('web-one--shop.other.localhost');
  expect(await ownerOf('web-one--shop.other.localhost')).toBe('local/shop/web-one');
  expect(await ownerOf('web-one--shop.apps.localhost')).toBeUndefined();
});

test('generated secrets are there before the commit, and never made twice', async () => {
  const { accept, publish, doors } = await begin();
  const withDatabase = `${spec('nginx:1', 'dependsOn: [db]')}services: { db: postgres }\n`;
  await accept('web-one', withDatabase);
  await publish();
  const [made] = await doors.secrets.list(key('web-one'));
  expect(made).toMatchObject({ generated: true });
  const value = async () =>
    (await doors.secrets.resolve(key('web-one'), [made?.name ?? ''])).get(made?.name ?? '')?.value;
  const before = await value();
  expect(before).toBeInstanceOf(Secret);
  await accept('web-one', withDatabase.replace('nginx:1', 'nginx:2'));
  await publish();
  expect((await value())?.reveal()).toBe(before?.reveal());
});
