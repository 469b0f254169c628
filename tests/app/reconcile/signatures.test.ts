import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import { writeCursor } from '#database/cursors.ts';
import { loadEnvironment } from '#environments/load.ts';
import { commit } from '#git/commit.ts';
import { openRepository, type Repository } from '#git/repository.ts';
import { createSigner, type Signer } from '#git/signature.ts';
import { createEnvironments } from '#publish/environments.ts';
import { renderSpec } from '#publish/prepare.ts';
import { isRendering } from '#publish/rendering.ts';
import { commitSettings } from '#publish/settings.ts';
import { whyNotAgain } from '#reconcile/signature-rules.ts';
import { createSignatureCheck, type SignatureCheck, signatureCursor } from '#reconcile/signatures.ts';
import { captureLog } from '#support/captured-log.ts';
import { newCommit, silent } from '#support/git.ts';
import { useDatabase } from '#support/postgres.ts';
import { temporaryDirectory } from '#support/temporary.ts';

const db = useDatabase();
const signer = () => createSigner(new Secret(randomBytes(32)));
const [plinth, ada, mallory] = [signer(), signer(), signer()];

const environmentYaml = (signatures: string) =>
  `apiVersion: plinth.dev/v1\nkind: Environment\ndomain: local.test\n${signatures}`;
const asks = (...keys: Signer[]) =>
  environmentYaml(
    `signatures:\n  required: true\n  keys: [${keys.map(({ publicKey }) => JSON.stringify(publicKey)).join(', ')}]\n`,
  );
const rulesFile = 'environments/local/environment.yaml';
const file = (project: string, name = 'project') => `environments/local/shop/${project}/${name}.yaml`;
const key = (project: string) => ({ environment: 'local', team: 'shop', project });

let repository: Repository;
let check: SignatureCheck;
let log: ReturnType<typeof captureLog>;
const newCheck = () => {
  const environments = createEnvironments(repository);
  const doors = { repository, database: db.database, environmentAt: environments.one };
  return createSignatureCheck(
    {
      ...doors,
      log: log.log,
      isRendering: (project, revision) => isRendering({ repository, environments }, project, revision),
    },
    'local',
  );
};

beforeEach(async () => {
  await db.database.query('delete from cursors');
  const { path, remove } = temporaryDirectory('plinth-signatures');
  const options = { directory: join(path, 'state.git'), branch: 'main', log: silent, signer: plinth } as const;
  repository = await openRepository(options);
  onTestFinished(async () => {
    await repository.close();
    remove();
  });
  log = captureLog();
  check = newCheck();
  await write(plinth, { [rulesFile]: asks(ada), [file('web')]: 'one', [file('other')]: 'one' });
});

/** Commits as somebody with this key, or with none, and lets the check look at it. */
async function write(by: Signer | undefined, files: Record<string, string | null>): Promise<string> {
  const expected = await repository.tip();
  const [revision = ''] = await commit({ ...repository, signer: by }, { expected, commits: [newCommit(files)] });
  (await check.follow(revision))();
  return revision;
}

/** Why the project is not applied; undefined: it is. */
function refusal(project: string): string | undefined {
  try {
    check.assert(key(project));
    return undefined;
  } catch (error) {
    if (!Fault.is(error, 'REVISION_UNSIGNED')) throw error;
    return `${error.data.path}: ${error.data.why}`;
  }
}

test('what is signed by Plinth or by a key of the list is applied', async () => {
  await write(plinth, { [file('web')]: 'two' });
  await write(ada, { [file('web')]: 'three' });
  expect([refusal('web'), refusal('other')]).toEqual([undefined, undefined]);
});

test('a project that an unsigned commit changed is held; the one beside it goes on', async () => {
  const revision = await write(undefined, { [file('web')]: 'forged' });
  expect(refusal('web')).toBe(`${file('web')}: it is not signed`);
  expect(check.unsigned().get(file('web'))?.revision).toBe(revision);
  await write(ada, { [file('other')]: 'two' });
  expect([refusal('other'), refusal('web') === undefined]).toEqual([undefined, false]);
});

test('a foreign key counts as none', async () => {
  await write(mallory, { [file('web')]: 'forged' });
  expect(refusal('web')).toContain('is not among signatures.keys');
});

test('rendering what was forged does not make it good; writing it anew does', async () => {
  await write(undefined, { [file('web')]: 'forged' });
  await write(plinth, { [file('web', 'manifests')]: 'rendered of it' });
  expect(refusal('web')).toBe(`${file('web')}: it is not signed`);
  await write(ada, { [file('web')]: 'looked at and meant' });
  expect(refusal('web')).toBe(`${file('web', 'manifests')}: it was rendered of ${file('web')}, which does not count`);
  await write(plinth, { [file('web', 'manifests')]: 'rendered of what is meant' });
  expect(refusal('web')).toBeUndefined();
});

test('forged manifests are held as well', async () => {
  await write(undefined, { [file('web', 'manifests')]: 'forged' });
  expect(refusal('web')).toBe(`${file('web', 'manifests')}: it is not signed`);
});

test('nobody turns the rule off, or adds a key, by a commit that does not count', async () => {
  await write(mallory, { [rulesFile]: asks(ada, mallory) });
  expect(refusal('web')).toContain(rulesFile);
  await write(mallory, { [file('web')]: 'forged' });
  await write(undefined, { [rulesFile]: environmentYaml('') });
  await write(undefined, { [file('other')]: 'forged' });
  expect(refusal('other')).toContain(rulesFile);
  await write(ada, { [rulesFile]: asks(ada) });
  expect([refusal('web'), refusal('other')]).toEqual([
    expect.stringContaining('is not among'),
    `${file('other')}: it is not signed`,
  ]);
});

test('a signed commit turns the rule off, and on again: what came in between is taken as it is', async () => {
  await write(ada, { [rulesFile]: environmentYaml('') });
  await write(undefined, { [file('web')]: 'free' });
  expect(refusal('web')).toBeUndefined();
  await write(undefined, { [rulesFile]: asks(ada) });
  expect(refusal('web')).toBeUndefined();
  await write(undefined, { [file('web')]: 'forged' });
  expect(refusal('web')).toBe(`${file('web')}: it is not signed`);
});

test('a restart finds the same, also when everything came while nobody looked', async () => {
  await write(undefined, { [file('web')]: 'forged' });
  await write(ada, { [file('other')]: 'two' });
  const tip = await repository.tip();
  check = newCheck();
  (await check.follow(tip ?? ''))();
  expect([refusal('web'), refusal('other')]).toEqual([`${file('web')}: it is not signed`, undefined]);
});

test('asked for while nobody looked: counts from the commit that asks', async () => {
  const asked = (await repository.tip()) ?? '';
  await db.database.query('delete from cursors');
  await writeCursor(db.database, 'reconcile/local', asked);
  check = newCheck();
  await write(undefined, { [file('web')]: 'forged' });
  expect(refusal('web')).toBe(`${file('web')}: it is not signed`);
});

test('an administrator takes a revision as it is; what comes after counts again', async () => {
  const revision = await write(undefined, { [file('web')]: 'looked at' });
  expect(refusal('web')).toBeDefined();
  await writeCursor(db.database, signatureCursor('local'), revision);
  await check.recall(revision);
  expect(refusal('web')).toBeUndefined();
  await write(undefined, { [file('other')]: 'forged' });
  expect([refusal('web'), refusal('other')]).toEqual([undefined, `${file('other')}: it is not signed`]);
});

test('a rewritten branch has nobody who vouches for what differs', async () => {
  const root = (await repository.tip()) ?? '';
  await write(ada, { [file('web')]: 'two' });
  // Another line of commits that does not hold the one that was in order.
  const [other = ''] = await commit(
    { ...repository, signer: ada, tip: async () => undefined, head: { ...repository.head, move: async () => {} } },
    {
      expected: undefined,
      commits: [newCommit({ [rulesFile]: asks(ada), [file('web')]: 'rewritten', [file('other')]: 'one' })],
    },
  ).catch(() => []);
  expect(root).not.toBe('');
  if (other === '') return expect.unreachable('the other line could not be written');
  (await check.follow(other))();
  expect(refusal('web')).toContain('no longer leads back to');
  expect(refusal('other')).toBeUndefined();
});

test('other environments and files above them are nobody’s business here', async () => {
  await write(undefined, {
    'environments/dev/environment.yaml': environmentYaml('').replace('local.test', 'dev.test'),
    'README.md': 'hello',
  });
  expect([refusal('web'), check.unsigned().size]).toEqual([undefined, 0]);
});

test('what was found counts when the tip does, not before', async () => {
  await write(undefined, { [file('web')]: 'forged' });
  const expected = await repository.tip();
  const [mended = ''] = await commit(
    { ...repository, signer: ada },
    { expected, commits: [newCommit({ [file('web')]: 'meant' })] },
  );
  const take = await check.follow(mended);
  expect(refusal('web')).toBeDefined();
  take();
  expect(refusal('web')).toBeUndefined();
});

describe('Plinth’s own key', () => {
  test('puts no environment.yaml in order: settings written into a forged one change nothing of that', async () => {
    const forged = await write(mallory, { [rulesFile]: asks(ada, mallory) });
    const options = { repository, database: db.database, clock: systemClock, log: silent };
    const settled = (await commitSettings(options, { storageClass: 'fast' })) ?? '';
    (await check.follow(settled))();
    expect(check.unsigned().get(rulesFile)).toMatchObject({ revision: forged });
    await write(mallory, { [file('web')]: 'forged' });
    expect(check.unsigned().get(file('web'))?.why).toContain('is not among');
    // A process that saw nothing of it says the same.
    check = newCheck();
    (await check.follow((await repository.tip()) ?? ''))();
    expect([...check.unsigned().keys()]).toEqual([rulesFile, file('web')]);
  });

  test('makes no manifests good that it rendered of a forged environment.yaml, until they are rendered anew', async () => {
    await write(undefined, { [rulesFile]: asks(ada).replace('local.test', 'evil.test') });
    await write(plinth, { [file('web', 'manifests')]: 'for evil.test' });
    await write(ada, { [rulesFile]: asks(ada) });
    expect([refusal('web'), refusal('other')]).toEqual([
      `${file('web', 'manifests')}: it was rendered of ${rulesFile}, which does not count`,
      undefined,
    ]);
    await write(plinth, { [file('web', 'manifests')]: 'for local.test' });
    expect(refusal('web')).toBeUndefined();
  });

  test('needs nobody where rendering anew would give the same: the sources in order are enough', async () => {
    const spec =
      'apiVersion: plinth.dev/v1\nkind: Project\ncontainers:\n  web: { image: "nginx:1", port: 8080, route: / }\n';
    const forged = asks(ada).replace('local.test', 'new.test');
    await write(ada, { [file('web')]: spec });
    const environment = loadEnvironment('local', forged);
    const { manifests } = renderSpec(key('web'), spec, environment);
    await write(undefined, { [rulesFile]: forged });
    await write(plinth, { [file('web', 'manifests')]: manifests });
    expect(refusal('web')).toContain(rulesFile);
    expect(check.unsigned().has(file('web', 'manifests'))).toBe(true);
    // Looked at, and meant: the same with a comment, of which nothing else is rendered.
    await write(ada, { [rulesFile]: `${forged}# seen\n` });
    expect([refusal('web'), check.unsigned().size]).toEqual([undefined, 0]);
  });

  test('vouches for the spec that a person puts', async () => {
    await write(undefined, { [file('web')]: 'forged', [file('web', 'manifests')]: 'forged' });
    await write(plinth, { [file('web')]: 'put', [file('web', 'manifests')]: 'rendered of it' });
    expect(refusal('web')).toBeUndefined();
  });
});

describe('a rollback', () => {
  const refusedAt = async (revision: string) => {
    const tip = (await repository.tip()) ?? '';
    const doors = { repository, database: db.database, environmentAt: createEnvironments(repository).one };
    return (await whyNotAgain(doors, key('web'), { revision, tip }))?.why;
  };

  test('returns to what was in order then, and not to what was held', async () => {
    const good = (await repository.tip()) ?? '';
    const forged = await write(undefined, { [file('web')]: 'forged' });
    const beside = await write(ada, { [file('other')]: 'two' });
    const meant = await write(plinth, { [file('web')]: 'put' });
    expect(await Promise.all([good, forged, beside, meant].map(refusedAt))).toEqual([
      undefined,
      'it is not signed',
      'it is not signed',
      undefined,
    ]);
    expect(await refusedAt('0'.repeat(40))).toBe('the branch never stood there');
  });

  test('returns to what stood there before signatures were asked for', async () => {
    await write(ada, { [rulesFile]: environmentYaml('') });
    const free = await write(undefined, { [file('web')]: 'free' });
    await write(undefined, { [rulesFile]: asks(ada) });
    await write(ada, { [file('web')]: 'two' });
    expect(await refusedAt(free)).toBeUndefined();
  });

  test('is not fooled by a forged environment.yaml that turned the rule off', async () => {
    await write(mallory, { [rulesFile]: environmentYaml('') });
    const forged = await write(undefined, { [file('web')]: 'forged' });
    await write(ada, { [rulesFile]: asks(ada), [file('web')]: 'two' });
    expect(await refusedAt(forged)).toBe('it is not signed');
  });
});

describe('a branch that does not lead back to what was reconciled', () => {
  const elsewhere = 'f'.repeat(40);
  const restart = async () => {
    check = newCheck();
    (await check.follow((await repository.tip()) ?? ''))();
  };
  const warnings = () => log.lines().filter(({ level }) => level === 'warn');

  test('is held whole where signatures are asked for, until a person accepts it', async () => {
    const inOrder = (await repository.tip()) ?? '';
    for (const cursor of ['reconcile/local', signatureCursor('local')]) {
      await db.database.query('delete from cursors');
      await writeCursor(db.database, cursor, elsewhere);
      await restart();
      expect(refusal('web')).toBe(
        `${rulesFile}: the branch does not lead back to ${elsewhere}, the last that is known to be in order`,
      );
      expect(warnings()).toMatchObject([{ known: elsewhere, environment: 'local' }]);
      log = captureLog();
    }
    await write(ada, { [rulesFile]: asks(ada, mallory) });
    expect(refusal('web')).toContain(rulesFile);
    await writeCursor(db.database, signatureCursor('local'), inOrder);
    await check.recall((await repository.tip()) ?? '');
    expect(refusal('web')).toBeUndefined();
  });

  test('is taken, with a warning, where none are asked for, and in silence where nothing ever ran', async () => {
    await write(ada, { [rulesFile]: environmentYaml('') });
    await db.database.query('delete from cursors');
    await writeCursor(db.database, 'reconcile/local', elsewhere);
    await restart();
    expect([refusal('web'), warnings().length]).toEqual([undefined, 1]);
    await db.database.query('delete from cursors');
    log = captureLog();
    await restart();
    expect([refusal('web'), warnings()]).toEqual([undefined, []]);
  });
});

test('what environment.yaml said when it was in order is known while it is not', async () => {
  const good = (await repository.tip()) ?? '';
  expect(check.environmentRevision()).toBe(good);
  const later = await write(ada, { [file('web')]: 'two' });
  await write(mallory, { [rulesFile]: asks(mallory) });
  await write(ada, { [file('web')]: 'three' });
  expect(check.environmentRevision()).toBe(later);
  const repaired = await write(ada, { [rulesFile]: asks(ada) });
  expect(check.environmentRevision()).toBe(repaired);
});
