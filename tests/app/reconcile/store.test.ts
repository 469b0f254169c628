import { beforeEach, expect, test } from 'vitest';
import { readRemembered, readRememberedOf } from '#reconcile/remembered.ts';
import { areRendered, type Record, readOrders, type Status, wholeProject, writeRecords } from '#reconcile/store.ts';
import { useDatabase } from '#support/postgres.ts';

const db = useDatabase();
const key = { environment: 'local', team: 'shop', project: 'web' };
const status: Status = {
  revision: 'r1',
  manifestsDigest: 'sha256:1',
  phase: 'applied',
  health: 'degraded',
  reasons: [{ object: 'Deployment/web', state: 'degraded', reason: 'it crashes' }],
  problem: { code: 'OBJECT_REFUSED', detail: 'no' },
  origin: { spec: 'b1', manifests: 'b2', door: 'd', secrets: ['key@3'], mode: 'warn', dependsOn: ['shop/db'] },
};
const object = (name: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', namespace: 'local--shop--web', name });
const entry = (name: string, uid = `uid-${name}`) => ({
  key: object(name),
  uid,
  desiredDigest: 'd1',
  ownedDigest: 'o1',
});
const record = (more: Partial<Record>): Record => ({
  key,
  status,
  made: [],
  gone: [],
  asked: undefined,
  settled: undefined,
  history: undefined,
  ended: false,
  ...more,
});
const write = (more: Partial<Record>) => writeRecords(db.database, [record(more)]);
const ordersFor = async (of: typeof key) => (await readOrders(db.database, [of]))[0];
const readConfirmation = async (of: typeof key) => (await ordersFor(of))?.confirmation;
const readHold = async (of: typeof key) => (await ordersFor(of))?.hold;
const remembered = async () => (await readRemembered(db.database, 'local')).get('shop/web');
const confirmed = () => db.database.query(`update confirmations set confirmed_by = 'ada', confirmed_at = now()`);

beforeEach(() => db.database.query('truncate project_status, inventory, confirmations, history, holds, renders'));

test('what a run did is what the next process remembers', async () => {
  await write({ made: [entry('a'), entry('b')], history: 'two objects applied' });
  expect(await remembered()).toEqual({ status, inventory: [entry('a'), entry('b')] });
  await write({ made: [entry('b', 'uid-new')], gone: [object('a')] });
  expect((await remembered())?.inventory).toEqual([entry('b', 'uid-new')]);
  await write({ gone: [object('b')], ended: true });
  expect(await remembered()).toBeUndefined();
});

test('projects that are written together keep their own', async () => {
  const other = { ...key, project: 'api' };
  await write({ made: [entry('a')] });
  await writeRecords(db.database, [
    record({ made: [entry('b')], gone: [object('a')], asked: { digest: 'sha256:a', objects: ['one'] } }),
    record({ key: other, made: [entry('a', 'uid-other')], status: { ...status, phase: 'held' }, history: 'held' }),
  ]);
  const all = await readRemembered(db.database, 'local');
  expect(all.get('shop/web')).toEqual({ status, inventory: [entry('b')] });
  expect(all.get('shop/api')).toEqual({ status: { ...status, phase: 'held' }, inventory: [entry('a', 'uid-other')] });
  expect(await readConfirmation(key)).toMatchObject({ digest: 'sha256:a' });
  expect(await readConfirmation(other)).toBeUndefined();
  const { rows } = await db.database.query('select project, message from history');
  expect(rows).toEqual([{ project: 'api', message: 'held' }]);
});

test('single projects are remembered like all of them, in the order of the question', async () => {
  await write({ made: [entry('a')] });
  const nobody = { ...key, project: 'nobody' };
  expect(await readRememberedOf(db.database, [nobody, key])).toEqual([
    { status: undefined, inventory: [] },
    { status, inventory: [entry('a')] },
  ]);
});

test('more objects than fit one answer are all remembered', async () => {
  const names = Array.from({ length: 2_345 }, (_, i) => `o${String(i).padStart(5, '0')}`);
  await write({ made: names.map((name) => entry(name)) });
  expect((await remembered())?.inventory.map((one) => one.key.name)).toEqual(names);
});

test('when it was applied changes only with what was applied', async () => {
  const appliedAt = async () =>
    (await db.database.query<{ at: Date }>('select applied_at as at from project_status')).rows[0]?.at;
  await write({});
  const first = await appliedAt();
  await write({ status: { ...status, phase: 'waiting' } });
  await write({});
  expect(await appliedAt()).toEqual(first);
  await write({ status: { ...status, manifestsDigest: 'sha256:2' } });
  expect(await appliedAt()).not.toEqual(first);
});

test('another list is another question; the same list keeps its yes', async () => {
  await write({ asked: { digest: 'sha256:a', objects: ['one'] } });
  await confirmed();
  await write({ asked: { digest: 'sha256:a', objects: ['one'] } });
  expect(await readConfirmation(key)).toMatchObject({ digest: 'sha256:a', confirmed: true });
  await write({ asked: { digest: 'sha256:b', objects: ['two'] } });
  expect(await readConfirmation(key)).toEqual({
    digest: 'sha256:b',
    objects: ['two'],
    confirmed: false,
    revision: undefined,
  });
});

test('a yes to the whole project is never replaced by a question, and only its own end settles it', async () => {
  await db.database.query(
    `insert into confirmations (environment, team, project, digest, objects, revision, confirmed_by, confirmed_at)
     values ('local', 'shop', 'web', $1, '[]', 'r2', 'ada', now())`,
    [wholeProject],
  );
  await write({ asked: { digest: 'sha256:a', objects: ['one'] } });
  await write({ settled: { digest: 'sha256:a', revision: undefined } });
  expect(await readConfirmation(key)).toMatchObject({
    digest: wholeProject,
    confirmed: true,
    revision: 'r2',
  });
  await write({ settled: { digest: wholeProject, revision: 'r1' } });
  expect(await readConfirmation(key)).toBeDefined();
  await write({ settled: { digest: wholeProject, revision: 'r2' }, ended: true });
  expect(await readConfirmation(key)).toBeUndefined();
});

test('a hold is in force until its time', async () => {
  const hold = (what: string, until: string) =>
    db.database.query(
      `insert into holds (environment, team, project, hold, reason, actor, until)
       values ('local', 'shop', 'web', '${what}', 'freeze', 'ada', ${until})
       on conflict (environment, team, project) do update set hold = excluded.hold, until = excluded.until`,
    );
  expect(await readHold(key)).toBeUndefined();
  await hold('detect', 'null');
  expect(await readHold(key)).toEqual({ hold: 'detect', reason: 'freeze', until: undefined });
  await hold('detect', `now() + interval '1 hour'`);
  expect((await readHold(key))?.until).toBeInstanceOf(Date);
  await hold('detect', `now() - interval '1 second'`);
  expect(await readHold(key)).toBeUndefined();
  await hold('none', 'null');
  expect(await readHold(key)).toBeUndefined();
});

test('orders for many come in the order of the question', async () => {
  const keys = ['a', 'web', 'b'].map((project) => ({ ...key, project }));
  await write({ asked: { digest: 'sha256:a', objects: ['one'] } });
  expect((await readOrders(db.database, keys)).map(({ confirmation }) => confirmation?.digest)).toEqual([
    undefined,
    'sha256:a',
    undefined,
  ]);
});

test('manifests are publish’s only for the project and the spec they were made of', async () => {
  await db.database.query(
    `insert into renders (environment, team, project, spec_digest, manifests_digest, environment_digest, renderer)
     values ('local', 'shop', 'web', 's1', 'm1', 'e1', '1')`,
  );
  const asked = [
    [key, 's1', 'm1'],
    [key, 's2', 'm1'],
    [key, 's1', 'm2'],
    [{ ...key, project: 'other' }, 's1', 'm1'],
  ] as const;
  const answers = await areRendered(
    db.database,
    asked.map(([of, spec, manifests]) => ({ key: of, spec, manifests })),
  );
  expect(answers).toEqual([true, false, false, false]);
});
