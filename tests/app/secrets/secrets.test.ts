import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { Secret } from '#base/secret.ts';
import { dataKey, type Keys, openKeys } from '#secrets/keys.ts';
import { createSecrets, type Secrets } from '#secrets/secrets.ts';
import { captureLog } from '#support/captured-log.ts';
import { useDatabase } from '#support/postgres.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';

const db = useDatabase();
const folder = useTemporaryDirectory();
const key = { environment: 'dev', team: 'shop', project: 'web' };
const other = { environment: 'dev', team: 'shop', project: 'api' };
const canary = 'canary-value-93b1c7';

let keys: Keys;
let secrets: Secrets;

beforeEach(async () => {
  await db.database.query('truncate secret_values');
  keys = await openKeys(folder);
  secrets = createSecrets({ database: db.database, keys });
});

/** Name → value, of what may be used. */
async function values(from: Parameters<Secrets['resolve']>[0], names: readonly string[]) {
  const found = await secrets.resolve(from, names);
  return Object.fromEntries([...found].map(([name, { value }]) => [name, value.reveal()]));
}

describe('values', () => {
  test('what was set is resolved, with another version for each value', async () => {
    await secrets.set(key, 'token', new Secret('ä first'), 'ann');
    const before = await secrets.resolve(key, ['token', 'absent']);
    expect([...before.keys()]).toEqual(['token']);
    expect(before.get('token')?.value.reveal()).toBe('ä first');
    const version = await secrets.set(key, 'token', new Secret('second'), 'bob');
    const after = await secrets.resolve(key, ['token']);
    expect(after.get('token')).toEqual({ value: new Secret('second'), version: `token@${version}` });
    expect(after.get('token')?.version).not.toBe(before.get('token')?.version);
  });

  test('a version never comes back, not even after a removal', async () => {
    const first = await secrets.set(key, 'token', new Secret('a'), 'ann');
    expect(await secrets.remove(key, 'token')).toBe(true);
    expect(await secrets.remove(key, 'token')).toBe(false);
    expect(await secrets.set(key, 'token', new Secret('b'), 'ann')).toBeGreaterThan(first);
  });

  test('of many writes at once the highest version stays, with its own value', async () => {
    const written = await Promise.all(
      Array.from({ length: 12 }, async (_, n) => ({
        n,
        version: await secrets.set(key, 'x', new Secret(`v${n}`), 'ann'),
      })),
    );
    const last = written.reduce((a, b) => (a.version > b.version ? a : b));
    expect(await values(key, ['x'])).toEqual({ x: `v${last.n}` });
  });

  test('the list shows names and versions and no value', async () => {
    const version = await secrets.set(key, 'token', new Secret(canary), 'ann');
    await secrets.ensureGenerated(key, [{ name: 'made', length: 20 }], 'plinth');
    const list = await secrets.list(key);
    expect(list).toEqual([
      {
        name: 'made',
        version: version + 1,
        generated: true,
        grants: [],
        updatedBy: 'plinth',
        updatedAt: expect.any(Date),
      },
      { name: 'token', version, generated: false, grants: [], updatedBy: 'ann', updatedAt: expect.any(Date) },
    ]);
    expect(JSON.stringify(list)).not.toContain(canary);
  });

  test('1 MiB fits and one byte more does not', async () => {
    const most = 'é'.repeat(512 * 1024);
    await secrets.set(key, 'big', new Secret(most), 'ann');
    expect(await values(key, ['big'])).toEqual({ big: most });
    await expect(secrets.set(key, 'big', new Secret(`${most}.`), 'ann')).rejects.toMatchObject({
      code: 'BODY_TOO_LARGE',
      data: { limitBytes: 1_048_576 },
    });
  });
});

describe('scopes', () => {
  test('a wider secret is for nobody until it lists the project, part by part', async () => {
    for (const scope of ['organization', 'team/shop']) {
      await secrets.set(scope, scope, new Secret('wide'), 'ann');
      expect(await values(key, [scope])).toEqual({});
      for (const [grant, allowed] of [
        ['dev/shop/web', true],
        ['*/*/*', true],
        ['dev/*/web', true],
        ['staging/shop/web', false],
        ['dev/other/web', false],
        ['dev/shop/api', false],
      ] as const) {
        expect(await secrets.grant(scope, scope, [grant], 'ann')).toBe(true);
        expect(await values(key, [scope])).toEqual(allowed ? { [scope]: 'wide' } : {});
        expect([...(await secrets.exists(key, [scope]))]).toEqual(allowed ? [scope] : []);
        expect(await secrets.missing(key, ['nope', scope])).toEqual(allowed ? ['nope'] : ['nope', scope]);
      }
    }
  });

  test('the nearest usable one wins', async () => {
    await secrets.set('organization', 'x', new Secret('of all'), 'ann');
    await secrets.grant('organization', 'x', ['*/*/*'], 'ann');
    await secrets.set('team/shop', 'x', new Secret('of the team'), 'ann');
    expect(await values(key, ['x'])).toEqual({ x: 'of all' });
    await secrets.grant('team/shop', 'x', ['*/shop/*'], 'ann');
    expect(await values(key, ['x'])).toEqual({ x: 'of the team' });
    await secrets.set(key, 'x', new Secret('own'), 'ann');
    expect(await values(key, ['x'])).toEqual({ x: 'own' });
    expect(await values(other, ['x'])).toEqual({ x: 'of the team' });
  });

  test('grants are kept when the value changes, and never open another project’s own secrets', async () => {
    await secrets.set('organization', 'x', new Secret('1'), 'ann');
    await secrets.grant('organization', 'x', ['dev/shop/web'], 'ann');
    await secrets.set('organization', 'x', new Secret('2'), 'ann');
    expect(await values(key, ['x'])).toEqual({ x: '2' });
    await secrets.set(other, 'y', new Secret('of api'), 'ann');
    await secrets.grant(other, 'y', ['*/*/*'], 'ann');
    expect(await values(key, ['y'])).toEqual({});
    expect(await values({ ...other, environment: 'staging' }, ['y'])).toEqual({});
  });

  test('the platform reads a wider scope as its own', async () => {
    await secrets.set('organization', 'cluster-main', new Secret('kubeconfig'), 'ann');
    expect(await values(['organization'], ['cluster-main'])).toEqual({ 'cluster-main': 'kubeconfig' });
    expect(await values(['team/shop', 'organization'], ['cluster-main'])).toEqual({});
  });

  test('a grant that names no project is refused whole', async () => {
    await secrets.set('organization', 'x', new Secret('1'), 'ann');
    await expect(
      secrets.grant('organization', 'x', ['*/*/*', 'dev/shop', 'dev/sh*p/web'], 'ann'),
    ).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
      data: {
        findings: [{ message: expect.stringContaining('"dev/shop"') }, { message: expect.stringContaining('sh*p') }],
      },
    });
    expect(await values(key, ['x'])).toEqual({});
    expect(await secrets.grant('organization', 'absent', [], 'ann')).toBe(false);
  });
});

describe('generated values', () => {
  test('are made once, also by many at once', async () => {
    const wanted = ['b', 'a', 'c'].map((name) => ({ name, length: 32 }));
    const made = await Promise.all(Array.from({ length: 6 }, () => secrets.ensureGenerated(key, wanted, 'plinth')));
    expect(made.flat().sort()).toEqual(['a', 'b', 'c']);
    const first = await values(key, ['a', 'b', 'c']);
    for (const value of Object.values(first)) expect(value).toMatch(/^[A-Za-z0-9]{32}$/);
    expect(new Set(Object.values(first)).size).toBe(3);
    expect(await secrets.ensureGenerated(key, [...wanted, { name: 'd', length: 8 }], 'plinth')).toEqual(['d']);
    expect(await values(key, ['a', 'b', 'c'])).toEqual(first);
  });

  test('what a person set is never made again', async () => {
    await secrets.set(key, 'a', new Secret('mine'), 'ann');
    expect(await secrets.ensureGenerated(key, [{ name: 'a', length: 32 }], 'plinth')).toEqual([]);
    expect(await values(key, ['a'])).toEqual({ a: 'mine' });
  });
});

describe('encryption', () => {
  test('the table does not hold the value', async () => {
    await secrets.set(key, 'token', new Secret(canary), 'ann');
    const { rows } = await db.database.query<{ row: string }>('select secret_values::text as row from secret_values');
    expect(rows[0]?.row).toContain('project/dev/shop/web');
    expect(rows[0]?.row).not.toContain(canary);
    expect(rows[0]?.row).not.toContain(Buffer.from(canary).toString('hex'));
  });

  test('another key is a fault that names both secret and key and shows neither value nor bytes', async () => {
    await secrets.set(key, 'token', new Secret(canary), 'ann');
    const bytes = randomBytes(32);
    const wrong = dataKey(bytes);
    const foreign = createSecrets({ database: db.database, keys: { current: wrong, find: () => undefined } });
    const error = await foreign.resolve(key, ['token']).catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      code: 'SECRET_UNREADABLE',
      data: { secret: 'project/dev/shop/web/token', key: wrong.id },
    });
    // Also when someone says that the key is the one.
    const lying = createSecrets({ database: db.database, keys: { current: wrong, find: () => wrong } });
    await expect(lying.resolve(key, ['token'])).rejects.toMatchObject({ code: 'SECRET_UNREADABLE' });

    const { log, text } = captureLog();
    log.error({ err: error, key: wrong, keys, value: new Secret(canary) }, 'canary');
    const shown = `${text()}${(error as Error).stack}${JSON.stringify(error)}`;
    for (const never of [
      canary,
      bytes.toString('hex'),
      bytes.toString('base64'),
      keys.current.bytes.reveal().toString('hex'),
    ])
      expect(shown).not.toContain(never);
  });

  test.each([
    ['another scope', `update secret_values set scope = 'project/dev/shop/api'`, other, 'token'],
    ['another name', `update secret_values set name = 'admin'`, key, 'admin'],
    ['another version', 'update secret_values set version = version + 1', key, 'token'],
    [
      'other bytes',
      `update secret_values set ciphertext = set_byte(ciphertext, 0, 1 # get_byte(ciphertext, 0))`,
      key,
      'token',
    ],
    ['a cut ciphertext', `update secret_values set ciphertext = substring(ciphertext for 8)`, key, 'token'],
  ])('a value that was moved to %s is refused', async (_, edit, from, name) => {
    await secrets.set(key, 'token', new Secret(canary), 'ann');
    await db.database.query(edit);
    await expect(secrets.resolve(from, [name])).rejects.toMatchObject({ code: 'SECRET_UNREADABLE' });
  });

  test('a row that was exchanged with another project’s is refused', async () => {
    await secrets.set(key, 'token', new Secret('ours'), 'ann');
    await secrets.set(other, 'token', new Secret('theirs'), 'ann');
    await db.database.query(
      `update secret_values a set nonce = b.nonce, ciphertext = b.ciphertext from secret_values b where a.scope <> b.scope`,
    );
    await expect(secrets.resolve(key, ['token'])).rejects.toMatchObject({ code: 'SECRET_UNREADABLE' });
  });
});

describe('the key file', () => {
  test('is made once, for its owner alone', async () => {
    const file = join(folder, 'secret-key');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file)).toHaveLength(32);
    expect((await openKeys(folder)).current.id).toBe(keys.current.id);
    expect(keys.find('another')).toBeUndefined();
  });

  test('that holds no key is refused and left as it is', async () => {
    const file = join(folder, 'short');
    mkdirSync(file);
    writeFileSync(join(file, 'secret-key'), 'short');
    await expect(openKeys(file)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    expect(readFileSync(join(file, 'secret-key'), 'utf8')).toBe('short');
  });
});
