import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Clock, systemClock } from '#base/clock.ts';
import { Secret } from '#base/secret.ts';
import { createListener } from '#database/listen.ts';
import { makeCertificates } from '#scripts/cluster/certificates.ts';
import { type OpenSecrets, openSecrets } from '#secrets/open.ts';
import { openVault, openVaultOrFallback, type Vault, type VaultOptions } from '#secrets/vault/vault.ts';
import { captureLog } from '#support/captured-log.ts';
import { silent } from '#support/git.ts';
import { useDatabase } from '#support/postgres.ts';
import { type CountingProxy, startProxy } from '#support/proxy.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';
import { describeWithVault } from '#support/vault.ts';

const key = { environment: 'dev', team: 'shop', project: 'web' };
const canary = 'canary-in-vault-5b1f';
// biome-ignore lint/suspicious/noExplicitAny: replies are looked at field by field in assertions
type VaultReply = any;

describeWithVault('secrets in Vault', (vaultServer) => {
  const db = useDatabase();
  const folder = useTemporaryDirectory();
  const endings: (() => Promise<unknown>)[] = [];
  let proxy: CountingProxy;
  let passedMs = 0;
  /** A clock that a test moves on. */
  const clock: Clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + passedMs };

  beforeEach(async () => {
    await db.database.query('truncate secret_values, secret_keys');
    proxy = await startProxy(vaultServer().url);
    endings.push(() => proxy.close());
    passedMs = 0;
  });
  afterEach(async () => {
    for (const end of endings.splice(0).reverse()) await end();
  });

  const vaultOptions = (more: Partial<VaultOptions> = {}): VaultOptions => ({
    address: proxy.url,
    auth: { method: 'token', token: new Secret(vaultServer().rootToken) },
    kvVersion: 2,
    secretPath: 'secret/data/plinth',
    readOnly: false,
    clock,
    log: silent,
    timeoutMs: 2_000,
    ...more,
  });
  const vaultDoor = async (more: Partial<VaultOptions> = {}): Promise<Vault> => {
    const vault = await openVault(vaultOptions(more));
    endings.push(() => vault.stop());
    return vault;
  };
  const open = async (vault: Vault | undefined): Promise<OpenSecrets> => {
    const encryption = { dataDirectory: folder };
    // Compared when the test says so.
    const opened = await openSecrets({
      database: db.database,
      log: silent,
      clock,
      encryption,
      vault,
      compareMs: 3_600_000,
    });
    endings.push(() => opened.stop());
    return opened;
  };
  const readValue = async ({ secrets }: OpenSecrets, name = 'token') => {
    const found = (await secrets.resolve(key, [name])).get(name);
    return found === undefined ? undefined : { value: found.value.reveal(), version: found.version };
  };
  const versionOf = async ({ secrets }: OpenSecrets, name = 'token') =>
    (await secrets.list(key)).find((entry) => entry.name === name)?.version;
  const inVault = (path: string) => vaultServer().api('GET', path);
  const rowsText = async () =>
    JSON.stringify((await db.database.query('select v::text as row from secret_values v')).rows);
  const passed = () => proxy.passed.filter((line) => !line.includes('/auth/') && !line.includes('/sys/'));

  describe.each([
    ['KV v2', { kvVersion: 2, secretPath: 'secret/data/plinth' }, ({ data }: VaultReply) => data.data.value],
    ['KV v1', { kvVersion: 1, secretPath: 'kv/plinth' }, ({ data }: VaultReply) => data.value],
  ] as const)('read-write, %s', (_, kv, valueIn) => {
    const path = `${kv.secretPath}/project/dev/shop/web/token`;

    test('values live there; the database has their place, and neither value nor a digest that one could guess from', async () => {
      const opened = await open(await vaultDoor(kv));
      const version = await opened.secrets.set(key, 'token', new Secret(canary), 'ann');
      expect(valueIn((await inVault(path)).body)).toBe(canary);
      expect(await readValue(opened)).toEqual({ value: canary, version: `token@${version}` });
      expect((await opened.secrets.list(key))[0]).toMatchObject({
        name: 'token',
        version,
        vault: { path, key: 'value' },
      });
      const shown = await rowsText();
      expect(shown).toContain(path);
      expect(shown).not.toContain(canary);
      await opened.secrets.set(key, 'token', new Secret('ä second'), 'ann');
      expect((await readValue(opened))?.value).toBe('ä second');
      expect(await opened.secrets.remove(key, 'token')).toBe(true);
      expect((await inVault(path)).status).toBe(404);
      expect(await readValue(opened)).toBeUndefined();
      expect(await opened.secrets.remove(key, 'token')).toBe(false);
    });

    test('generated values are made once, by many at once and after a kill before the record', async () => {
      const opened = await open(await vaultDoor(kv));
      const wanted = ['b', 'a'].map((name) => ({ name, length: 24 }));
      const made = await Promise.all(
        Array.from({ length: 5 }, () => opened.secrets.ensureGenerated(key, wanted, 'plinth')),
      );
      expect(made.flat().sort()).toEqual(['a', 'b']);
      const first = await readValue(opened, 'a');
      expect(first?.value).toMatch(/^[A-Za-z0-9]{24}$/);
      await db.database.query(`delete from secret_values where name = 'a'`);
      expect(await opened.secrets.ensureGenerated(key, wanted, 'plinth')).toEqual(['a']);
      expect((await readValue(opened, 'a'))?.value).toBe(first?.value);
      for (const name of ['a', 'b']) await opened.secrets.remove(key, name);
      expect(await opened.secrets.ensureGenerated(key, wanted, 'plinth')).toEqual(['a', 'b']);
      expect((await readValue(opened, 'a'))?.value).not.toBe(first?.value);
    });

    test('1 MiB fits', async () => {
      const opened = await open(await vaultDoor(kv));
      const most = 'é'.repeat(512 * 1024);
      // Vault itself limits a KV entry to 1 MiB of storage in some backends; in memory it does not.
      await opened.secrets.set(key, 'big', new Secret(most), 'ann');
      expect((await readValue(opened, 'big'))?.value).toBe(most);
      await expect(opened.secrets.set(key, 'big', new Secret(`${most}.`), 'ann')).rejects.toMatchObject({
        code: 'BODY_TOO_LARGE',
      });
    });

    test('a value that was changed in Vault itself gets the next version, and its users are woken', async () => {
      const opened = await open(await vaultDoor(kv));
      const heard: string[] = [];
      await new Promise<void>((resolve) => {
        const listener = createListener({
          connection: db.connection,
          channels: ['project_wake', 'secrets'],
          log: silent,
          clock: systemClock,
          onNotice: (channel, payload) => heard.push(`${channel} ${payload}`),
          onGap: resolve,
        });
        endings.push(() => listener.stop());
      });
      const version = await opened.secrets.set(key, 'token', new Secret(canary), 'ann');
      await opened.secrets.set('organization', 'wide', new Secret(canary), 'ann');
      expect((await readValue(opened))?.version).toBe(`token@${version}`);
      const body = kv.kvVersion === 2 ? { data: { value: 'by hand' } } : { value: 'by hand' };
      await vaultServer().api('POST', path, body);
      await vaultServer().api('POST', `${kv.secretPath}/organization/wide`, body);
      await expect.poll(() => opened.compare(), { interval: 10 }).toBe(0);
      const changed = await readValue(opened);
      expect(changed?.value).toBe('by hand');
      expect(Number(changed?.version.split('@')[1])).toBeGreaterThan(version);
      expect(changed?.version).toBe(`token@${await versionOf(opened)}`);
      await expect
        .poll(() => heard.toSorted(), { interval: 10 })
        .toEqual(['project_wake dev/shop/web', 'secrets wide']);
    });

    test('the same value written again, and another field beside it, change no version', async () => {
      const opened = await open(await vaultDoor(kv));
      const version = await opened.secrets.set(key, 'token', new Secret(canary), 'ann');
      const fields = { value: canary, beside: 'x' };
      await vaultServer().api('POST', path, kv.kvVersion === 2 ? { data: fields } : fields);
      expect(await opened.compare()).toBe(0);
      expect(await versionOf(opened)).toBe(version);
    });
  });

  describe('reading', () => {
    test('200 projects that use one secret ask once, until it is no longer fresh', async () => {
      const opened = await open(await vaultDoor());
      await opened.secrets.set('organization', 'wide', new Secret(canary), 'ann');
      await opened.secrets.grant('organization', 'wide', ['*/*/*'], 'ann');
      await opened.compare();
      passedMs += 61_000;
      proxy.passed.length = 0;
      const all = () =>
        Promise.all(
          Array.from({ length: 200 }, (_, n) => opened.secrets.resolve({ ...key, project: `p${n}` }, ['wide'])),
        );
      for (const found of await all()) expect(found.get('wide')?.value.reveal()).toBe(canary);
      await all();
      expect(passed()).toEqual(['GET /v1/secret/data/plinth/organization/wide']);
      passedMs += 61_000;
      await all();
      expect(passed()).toHaveLength(2);
    });

    test('with Vault away what is fresh still serves; then it is a fault that says why, to be tried again', async () => {
      const opened = await open(await vaultDoor());
      await opened.secrets.set(key, 'token', new Secret(canary), 'ann');
      await readValue(opened);
      proxy.on = false;
      expect((await readValue(opened))?.value).toBe(canary);
      passedMs += 61_000;
      const error = await readValue(opened).catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code: 'SECRETS_UNAVAILABLE', retry: true });
      expect((error as Error).message).toMatch(
        /reading secret\/data\/plinth\/project\/dev\/shop\/web\/token failed: \S+/,
      );
      await expect(opened.secrets.set(key, 'token', new Secret('x'), 'ann')).rejects.toMatchObject({
        code: 'SECRETS_UNAVAILABLE',
      });
      proxy.on = true;
      expect((await readValue(opened))?.value).toBe(canary);
    });

    test('sealed, it is not tried three times, and it is said', async () => {
      const opened = await open(await vaultDoor());
      await opened.secrets.set(key, 'token', new Secret(canary), 'ann');
      await vaultServer().seal();
      proxy.passed.length = 0;
      await expect(readValue(opened)).rejects.toThrow('Vault is sealed');
      expect(passed()).toHaveLength(1);
      await vaultServer().unseal();
      expect((await readValue(opened))?.value).toBe(canary);
    });

    test('a value that is gone is named with its path; when it comes back as it was, its version stays', async () => {
      const opened = await open(await vaultDoor());
      await vaultServer().api('POST', 'secret/data/mine', { data: { one: canary } });
      const version = await opened.secrets.set(key, 'token', { path: 'secret/data/mine', key: 'one' }, 'ann');
      await vaultServer().api('DELETE', 'secret/data/mine');
      await opened.compare();
      await expect(readValue(opened)).rejects.toMatchObject({
        code: 'VAULT_VALUE_MISSING',
        data: { secret: 'project/dev/shop/web/token', path: 'secret/data/mine', key: 'one' },
      });
      await vaultServer().api('POST', 'secret/data/mine', { data: { one: canary } });
      passedMs += 61_000;
      expect(await readValue(opened)).toEqual({ value: canary, version: `token@${version}` });
    });

    test('values of the database stay readable beside Vault, and of Vault without it are refused by name', async () => {
      const plain = await open(undefined);
      await plain.secrets.set(key, 'old', new Secret(canary), 'ann');
      const opened = await open(await vaultDoor());
      expect((await readValue(opened, 'old'))?.value).toBe(canary);
      await opened.secrets.set(key, 'old', new Secret('moved'), 'ann');
      expect((await readValue(opened, 'old'))?.value).toBe('moved');
      await expect(readValue(plain, 'old')).rejects.toMatchObject({ code: 'SECRET_IN_VAULT_ONLY' });
      await expect(plain.secrets.set(key, 'x', { path: 'secret/data/mine', key: 'one' }, 'ann')).rejects.toMatchObject({
        code: 'SECRET_IN_VAULT_ONLY',
      });
    });
  });

  describe('read-only', () => {
    const readOnly = () => vaultDoor({ readOnly: true });

    test('a secret is a path and a key; a value is refused; nothing is ever written', async () => {
      await vaultServer().api('POST', 'secret/data/team/shop', { data: { token: canary, port: 5432 } });
      await vaultServer().api('POST', 'kv/team/shop', { token: 'of v1' });
      const opened = await open(await readOnly());
      await expect(opened.secrets.set(key, 'token', new Secret('inline'), 'ann')).rejects.toMatchObject({
        code: 'SECRET_INLINE_REFUSED',
        status: 422,
      });
      await opened.secrets.set(key, 'token', { path: '/secret/data/team/shop/', key: 'token' }, 'ann');
      await opened.secrets.set(key, 'port', { path: 'secret/data/team/shop', key: 'port' }, 'ann');
      await opened.secrets.set(key, 'first', { path: 'kv/team/shop', key: 'token' }, 'ann');
      expect((await readValue(opened))?.value).toBe(canary);
      expect((await readValue(opened, 'port'))?.value).toBe('5432');
      expect((await readValue(opened, 'first'))?.value).toBe('of v1');
      expect(await opened.secrets.remove(key, 'token')).toBe(true);
      expect((await inVault('secret/data/team/shop')).status).toBe(200);
      expect(proxy.passed.filter((line) => !line.startsWith('GET'))).toEqual([]);
      expect(await rowsText()).not.toContain(canary);
    });

    test('generated values are kept in the database', async () => {
      const opened = await open(await readOnly());
      expect(await opened.secrets.ensureGenerated(key, [{ name: 'password', length: 32 }], 'plinth')).toEqual([
        'password',
      ]);
      expect((await readValue(opened, 'password'))?.value).toMatch(/^[A-Za-z0-9]{32}$/);
      expect((await opened.secrets.list(key))[0]).toMatchObject({ generated: true, vault: null });
    });

    test.each([
      ['nothing there', 'secret/data/none', 'token', 'VAULT_VALUE_MISSING'],
      ['no such field', 'secret/data/here', 'none', 'VAULT_VALUE_MISSING'],
      ['v1 spelling for v2', 'secret/here', 'token', 'VAULT_VALUE_MISSING'],
      ['what Plinth keeps for others', 'secret/data/plinth/project/dev/other/web/token', 'value', 'VAULT_PATH_REFUSED'],
      ['the same through another spelling', 'secret/plinth/organization/x', 'value', 'VAULT_PATH_REFUSED'],
      ['a path that climbs', 'secret/data/a/../plinth/organization/x', 'value', 'VAULT_PATH_REFUSED'],
      ['no secret', 'sys/seal-status', 'sealed', 'VAULT_PATH_REFUSED'],
      ['a query', 'secret/data/here?version=1', 'token', 'VAULT_PATH_REFUSED'],
    ])('a reference to %s is refused when it is made', async (_, path, field, code) => {
      await vaultServer().api('POST', 'secret/data/here', { data: { token: canary } });
      const opened = await open(await readOnly());
      await expect(opened.secrets.set(key, 'x', { path, key: field }, 'ann')).rejects.toMatchObject({ code });
      expect(await opened.secrets.list(key)).toEqual([]);
    });

    test('an address of the database is read before there is one', async () => {
      await vaultServer().api('POST', 'secret/data/db', { data: { url: 'postgres://u:p@h/d' } });
      await vaultServer().api('POST', 'kv/db', { url: 'postgres://v1' });
      const vault = await readOnly();
      expect((await vault.readReference('secret/data/db:url')).reveal()).toBe('postgres://u:p@h/d');
      expect((await vault.readReference('kv/db:url')).reveal()).toBe('postgres://v1');
      await expect(vault.readReference('secret/db:url')).rejects.toThrow('in KV v2 the path has data/');
      await expect(vault.readReference('secret/data/db:none')).rejects.toMatchObject({ code: 'VAULT_VALUE_MISSING' });
      await expect(vault.readReference('secret/data/db')).rejects.toThrow('wanted is path:key');
    });
  });

  describe('the start', () => {
    const failure = (more: Partial<VaultOptions>) => openVault(vaultOptions(more)).catch((error: unknown) => error);

    test.each([
      ['a wrong token', { auth: { method: 'token', token: new Secret('hvs.wrong') } }, 'permission denied'],
      ['nobody at the address', { address: 'http://127.0.0.1:9' }, 'ECONNREFUSED'],
      [
        'no token file',
        { auth: { method: 'kubernetes', role: 'r', tokenPath: '/none', mountPoint: 'kubernetes' } },
        'ENOENT',
      ],
    ] as const)('fails closed with %s', async (_, more, why) => {
      const error = await failure(more);
      expect(error).toMatchObject({ code: 'VAULT_UNUSABLE', data: { why: expect.stringContaining(why) } });
      expect((error as Error).message).toContain('SECRETS_FALLBACK=DB');
      expect(JSON.stringify([error, (error as Error).stack])).not.toContain('hvs.wrong');
    });

    test('fails closed when it is sealed, and when the policy gives too little', async () => {
      await vaultServer().seal();
      expect(await failure({})).toMatchObject({ data: { why: expect.stringContaining('Vault is sealed') } });
      await vaultServer().unseal();
      const token = await vaultServer().token({ 'secret/data/plinth/*': ['read', 'create'] });
      expect(await failure({ auth: { method: 'token', token: new Secret(token) } })).toMatchObject({
        data: {
          why: expect.stringMatching(
            /does not give update on secret\/data\/plinth\/\S+, delete on secret\/metadata\/plinth\/\S+$/,
          ),
        },
      });
      // Reading needs no more than reading.
      const vault = await vaultDoor({ readOnly: true, auth: { method: 'token', token: new Secret(token) } });
      await vault.check();
    });

    test('with the fallback it goes on without Vault and warns', async () => {
      const { log, lines } = captureLog();
      const options = vaultOptions({ address: 'http://127.0.0.1:9', log });
      expect(await openVaultOrFallback({ ...options, fallback: 'database' })).toBeUndefined();
      expect(lines()).toMatchObject([{ level: 'warn', msg: expect.stringContaining('SECRETS_FALLBACK=DB') }]);
      await expect(openVaultOrFallback({ ...options, fallback: undefined })).rejects.toMatchObject({
        code: 'VAULT_UNUSABLE',
      });
    });

    test('over TLS an authority of its own is trusted where it is given, and only there', async () => {
      const pki = join(folder, 'pki');
      makeCertificates(pki);
      const read = (file: string) => readFileSync(join(pki, file), 'utf8');
      const secure = await startProxy(vaultServer().url, { cert: read('server.crt'), key: read('server.key') });
      endings.push(() => secure.close());
      const vault = await vaultDoor({ address: secure.url, ca: read('ca.crt') });
      await vault.check();
      expect(await failure({ address: secure.url })).toMatchObject({
        data: { why: expect.stringMatching(/CERT|SELF_SIGNED|UNABLE_TO/) },
      });
    });

    test('a path without data/ is refused for KV v2, with the right one', async () => {
      await expect(openVault(vaultOptions({ secretPath: 'secret/plinth' }))).rejects.toThrow('secret/data/plinth');
    });
  });

  describe('the token', () => {
    const rules = { 'secret/data/*': ['create', 'update', 'read'], 'secret/metadata/*': ['delete'] };

    test('is renewed before it ends', async () => {
      const token = await vaultServer().token(rules, { ttl: '2s', period: '2s' });
      const vault = await vaultDoor({ auth: { method: 'token', token: new Secret(token) } });
      const renewals = () => proxy.passed.filter((line) => line.includes('renew-self')).length;
      await expect.poll(renewals, { interval: 20, timeout: 10_000 }).toBeGreaterThanOrEqual(3);
      expect((await vault.read('secret/data/none')).fields).toBeUndefined();
    });

    test('that ends and cannot be renewed is said before and after', async () => {
      const token = await vaultServer().token(rules, { ttl: '2s', renewable: false });
      const { log, lines } = captureLog('warn');
      await vaultDoor({ auth: { method: 'token', token: new Secret(token) }, log });
      await expect.poll(() => lines().map(({ level }) => level), { interval: 20, timeout: 5_000 }).toContain('error');
      expect(lines()[0]).toMatchObject({ level: 'warn', msg: expect.stringContaining('HASHICORP_VAULT_TOKEN') });
      expect(JSON.stringify(lines())).not.toContain(token);
    });
  });
});
