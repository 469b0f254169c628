import { beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { Secret } from '#base/secret.ts';
import { openSecrets } from '#secrets/open.ts';
import type { Secrets } from '#secrets/secrets.ts';
import { silent } from '#support/git.ts';
import { useDatabase } from '#support/postgres.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';

const db = useDatabase();
const folder = useTemporaryDirectory();
const key = { environment: 'dev', team: 'shop', project: 'web' };
const other = { environment: 'dev', team: 'shop', project: 'api' };
const canary = 'canary-value-93b1c7';

let secrets: Secrets;

beforeEach(async () => {
  await db.database.query('truncate secret_values');
  const encryption = { dataDirectory: folder };
  ({ secrets } = await openSecrets({ database: db.database, log: silent, clock: systemClock, encryption }));
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
        vault: null,
        updatedBy: 'plinth',
        updatedAt: expect.any(Date),
      },
      {
        name: 'token',
        version,
        generated: false,
        grants: [],
        vault: null,
        updatedBy: 'ann',
        updatedAt: expect.any(Date),
      },
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
    for (const scope of ['organization', 'environment/dev', 'team/shop']) {
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
    await secrets.set('environment/dev', 'x', new Secret('of the environment'), 'ann');
    expect(await values(key, ['x'])).toEqual({ x: 'of all' });
    await secrets.grant('environment/dev', 'x', ['dev/*/*'], 'ann');
    expect(await values(key, ['x'])).toEqual({ x: 'of the environment' });
    expect(await values({ ...key, environment: 'staging' }, ['x'])).toEqual({ x: 'of all' });
    await secrets.grant('team/shop', 'x', ['*/shop/*'], 'ann');
    expect(await values(key, ['x'])).toEqual({ x: 'of the team' });
    await secrets.set(key, 'x', new Secret('own'), 'ann');
    expect(await values(key, ['x'])).toEqual({ x: 'own' });
    expect(await values(other, ['x'])).toEqual({ x: 'of the team' });
  });

  test('many who ask at once get what each gets alone, and the versions of just that', async () => {
    await secrets.set('organization', 'x', new Secret('of all'), 'ann');
    await secrets.grant('organization', 'x', ['*/shop/api'], 'ann');
    await secrets.set('team/shop', 'y', new Secret('of the team'), 'ann');
    await secrets.grant('team/shop', 'y', ['*/*/*'], 'ann');
    await secrets.set(key, 'x', new Secret('own'), 'ann');
    await secrets.set(other, 'z', new Secret('own of the other'), 'ann');
    const asked = [
      { from: key, names: ['x', 'y', 'z', 'absent'] },
      { from: other, names: ['z', 'x', 'x'] },
      { from: { ...key, team: 'other' }, names: ['x', 'y'] },
      { from: ['organization'], names: ['x', 'y'] },
      { from: key, names: [] },
    ];
    const alone = await Promise.all(asked.map(({ from, names }) => secrets.resolve(from, names)));
    const many = await secrets.resolveMany(asked);
    const sorted = (found: ReadonlyMap<string, unknown>) => [...found].sort();
    expect(many.map(sorted)).toEqual(alone.map(sorted));
    expect(many.map(({ size }) => size)).toEqual([2, 2, 0, 1, 0]);
    const versions = (await secrets.versions(asked)).map(sorted);
    expect(versions).toEqual(
      many.map((found) => [...found].map(([name, { version }]) => [name, version] as const).sort()),
    );
    expect([await secrets.resolveMany([]), await secrets.versions([])]).toEqual([[], []]);
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
