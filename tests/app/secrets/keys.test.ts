import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { Secret } from '#base/secret.ts';
import { seal } from '#secrets/cipher.ts';
import { dataKeyOf, type KeyEncryptionOptions } from '#secrets/key-encryption.ts';
import { type OpenSecrets, openSecrets } from '#secrets/open.ts';
import { rotateKeys } from '#secrets/rotate.ts';
import { captureLog } from '#support/captured-log.ts';
import { startProcess } from '#support/child-process.ts';
import { silent } from '#support/git.ts';
import { useDatabase } from '#support/postgres.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';

const db = useDatabase();
const parent = useTemporaryDirectory();
const key = { environment: 'dev', team: 'shop', project: 'web' };
const other = { environment: 'dev', team: 'shop', project: 'api' };
const canary = 'canary-value-93b1c7';
const text = (seed: string) => new Secret(`${seed}-${'0123456789abcdefghij'.repeat(2)}`);

let folder: string;
let folders = 0;

beforeEach(async () => {
  await db.database.query('truncate secret_values, secret_keys');
  folders += 1;
  folder = join(parent, String(folders));
  mkdirSync(folder);
});

const open = (more: Omit<KeyEncryptionOptions, 'dataDirectory'> = {}, log = silent): Promise<OpenSecrets> =>
  openSecrets({ database: db.database, log, clock: systemClock, encryption: { dataDirectory: folder, ...more } });

async function readValue({ secrets }: OpenSecrets, name = 'token', from = key): Promise<string | undefined> {
  return (await secrets.resolve(from, [name])).get(name)?.value.reveal();
}

const rows = async (sql: string) => (await db.database.query<Record<string, unknown>>(sql)).rows;
const stored = () =>
  rows('select id, purpose, wrapped_by, retired_at is not null as retired from secret_keys order by id');
/** Everything that could be written, to see that nothing was. */
const everything = async () =>
  JSON.stringify([await rows('select * from secret_keys order by id'), await rows('select * from secret_values')]);

describe('encryption', () => {
  test('the tables hold neither value nor key, and every value names its key', async () => {
    const opened = await open();
    await opened.secrets.set(key, 'token', new Secret(canary), 'ann');
    const all = await rows(
      `select secret_values::text as row from secret_values union all select secret_keys::text from secret_keys`,
    );
    const shown = JSON.stringify(all);
    expect(shown).toContain('project/dev/shop/web');
    for (const never of [canary, readFileSync(join(folder, 'secret-key'), 'latin1')])
      for (const form of [never, Buffer.from(never, 'latin1').toString('hex')]) expect(shown).not.toContain(form);
    const [value] = await rows('select key_id from secret_values');
    expect(value?.key_id).toMatch(/^key_[0-9a-z]{26}$/);
    expect((await stored()).map(({ purpose, retired }) => [purpose, retired]).sort()).toEqual([
      ['digests', false],
      ['values', false],
    ]);
  });

  test.each([
    ['another scope', `update secret_values set scope = 'project/dev/shop/api'`, other, 'token'],
    ['another name', `update secret_values set name = 'admin'`, key, 'admin'],
    ['another version', 'update secret_values set version = version + 1', key, 'token'],
    [
      'other bytes',
      'update secret_values set ciphertext = set_byte(ciphertext, 0, 1 # get_byte(ciphertext, 0))',
      key,
      'token',
    ],
    ['a cut ciphertext', 'update secret_values set ciphertext = substring(ciphertext for 8)', key, 'token'],
    [
      'another key',
      `update secret_values set key_id = (select id from secret_keys where purpose = 'digests')`,
      key,
      'token',
    ],
  ])('a value that was moved to %s is refused, and the fault shows no value', async (_, edit, from, name) => {
    const { secrets, keys } = await open();
    await secrets.set(key, 'token', new Secret(canary), 'ann');
    await db.database.query(edit);
    const error = await secrets.resolve(from, [name]).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'SECRET_UNREADABLE' });
    const { log, text: said } = captureLog();
    log.error({ err: error, keys, value: new Secret(canary) }, 'canary');
    expect(`${said()}${(error as Error).stack}${JSON.stringify(error)}`).not.toContain(canary);
  });

  test('a row that was exchanged with another project’s is refused', async () => {
    const { secrets } = await open();
    await secrets.set(key, 'token', new Secret('ours'), 'ann');
    await secrets.set(other, 'token', new Secret('theirs'), 'ann');
    await db.database.query(
      `update secret_values a set nonce = b.nonce, ciphertext = b.ciphertext from secret_values b where a.scope <> b.scope`,
    );
    await expect(secrets.resolve(key, ['token'])).rejects.toMatchObject({ code: 'SECRET_UNREADABLE' });
  });

  test('a stored key that was put in the place of another opens nothing', async () => {
    const opened = await open();
    await opened.secrets.set(key, 'token', new Secret(canary), 'ann');
    await db.database.query(
      `update secret_keys a set nonce = b.nonce, wrapped = b.wrapped from secret_keys b where a.id <> b.id`,
    );
    await expect(open()).rejects.toMatchObject({ code: 'SECRET_KEYS_WRONG' });
  });
});

describe('the key-encryption key', () => {
  test('is DEPLOYMENT_ENCRYPTION_KEY, else SECRET_KEY, else a file made once for its owner alone', async () => {
    const file = join(folder, 'secret-key');
    expect((await open({ encryptionKey: text('a'), secretKey: text('b') })).keys.encryptedBy.from).toBe(
      'DEPLOYMENT_ENCRYPTION_KEY',
    );
    expect((await open({ secretKey: text('b'), previousEncryptionKey: text('a') })).keys.encryptedBy.from).toBe(
      'SECRET_KEY',
    );
    expect(existsSync(file)).toBe(false);
    expect((await open({ previousSecretKey: text('b') })).keys.encryptedBy.from).toBe(file);
    expect([statSync(file).mode & 0o777, readFileSync(file).length]).toEqual([0o600, 32]);
    const before = readFileSync(file);
    await open();
    expect(readFileSync(file)).toEqual(before);
  });

  test('that holds no key is refused and left as it is', async () => {
    writeFileSync(join(folder, 'secret-key'), 'short');
    await expect(open()).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    expect(readFileSync(join(folder, 'secret-key'), 'utf8')).toBe('short');
  });

  test('a setting that is set after the file needs no previous one, and from then on no file', async () => {
    const first = await open();
    const version = await first.secrets.set(key, 'token', new Secret(canary), 'ann');
    const digest = first.keyFor('x').reveal();
    const { log, lines } = captureLog();
    const second = await open({ secretKey: text('b') }, log);
    expect(await readValue(second)).toBe(canary);
    expect(lines().map(({ msg, keys }) => [msg, keys])).toEqual([['keys of secrets were encrypted anew', 2]]);
    rmSync(join(folder, 'secret-key'));
    const third = await open({ secretKey: text('b') });
    expect(await readValue(third)).toBe(canary);
    // What digests are made with stays, and so do versions: nothing rolls because of a key.
    expect(third.keyFor('x').reveal()).toEqual(digest);
    expect((await third.secrets.list(key))[0]?.version).toBe(version);
  });

  test('one that was changed is given once as the previous one', async () => {
    await (await open({ encryptionKey: text('a') })).secrets.set(key, 'token', new Secret(canary), 'ann');
    const changed = { encryptionKey: text('b'), previousEncryptionKey: text('a') };
    expect(await readValue(await open(changed))).toBe(canary);
    expect(await readValue(await open({ encryptionKey: text('b') }))).toBe(canary);
    await expect(open({ encryptionKey: text('a') })).rejects.toMatchObject({ code: 'SECRET_KEYS_WRONG' });
  });

  test('many starts at once make one key, and rewrap each key once', async () => {
    await Promise.all(Array.from({ length: 5 }, () => open({ secretKey: text('a') })));
    expect(await stored()).toHaveLength(2);
    const changed = { secretKey: text('b'), previousSecretKey: text('a') };
    const opened = await Promise.all(Array.from({ length: 5 }, () => open(changed)));
    await opened[0]!.secrets.set(key, 'token', new Secret(canary), 'ann');
    for (const one of opened) expect(await readValue(one)).toBe(canary);
  });

  test('a wrong one is refused before anything is written, and says what is wanted and where to look', async () => {
    const right = await open({ secretKey: text('a') });
    await right.secrets.set(key, 'token', new Secret(canary), 'ann');
    const before = await everything();
    const error = await open({ secretKey: text('b') }).catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      code: 'SECRET_KEYS_WRONG',
      data: {
        values: 1,
        wanted: [right.keys.encryptedBy.id],
        given: [expect.stringMatching(/^[0-9a-f]{16} \(SECRET_KEY\)$/)],
      },
    });
    expect((error as Error).message).toContain('DEPLOYMENT_ENCRYPTION_KEY');
    expect((error as Error).message).not.toContain(text('b').reveal());
    // Without any setting it would be the file's: a lost file makes no new one beside values that it cannot open.
    await expect(open()).rejects.toMatchObject({ code: 'SECRET_KEYS_WRONG', data: { given: 'none' } });
    expect(existsSync(join(folder, 'secret-key'))).toBe(false);
    expect(await everything()).toBe(before);
    expect(await readValue(await open({ secretKey: text('a') }))).toBe(canary);
  });

  test('where no value needs the lost one, there is a new key', async () => {
    await open({ secretKey: text('a') });
    const opened = await open({ secretKey: text('b') });
    await opened.secrets.set(key, 'token', new Secret(canary), 'ann');
    expect(await readValue(await open({ secretKey: text('b') }))).toBe(canary);
  });
});

describe('values of the first version', () => {
  /** As version 1 wrote it: encrypted with the file's bytes, before there was a table of keys. */
  async function writeOld(bytes: Buffer) {
    const address = { scope: 'project/dev/shop/web', name: 'token', version: 7 };
    const { keyId, nonce, ciphertext } = seal(new Secret(canary), address, dataKeyOf(bytes));
    await db.database.query('alter table secret_values disable trigger all');
    await db.database.query(
      `insert into secret_values (scope, name, version, key_id, nonce, ciphertext, updated_by)
       values ($1, 'token', 7, $2, $3, $4, 'ann')`,
      [address.scope, keyId, nonce, ciphertext],
    );
    await db.database.query('alter table secret_values enable trigger all');
    return keyId;
  }

  test.each([
    ['with the file alone', {}],
    ['with SECRET_KEY set since', { secretKey: text('b') }],
  ])('stay readable %s; their key is one among the others and can be rotated away', async (_, settings) => {
    const bytes = randomBytes(32);
    writeFileSync(join(folder, 'secret-key'), bytes, { mode: 0o600 });
    const keyId = await writeOld(bytes);
    const opened = await open(settings);
    expect(await readValue(opened)).toBe(canary);
    expect((await stored()).find(({ id }) => id === keyId)).toMatchObject({ purpose: 'values', retired: true });
    expect(await rotateKeys({ database: db.database, keys: opened.keys, log: silent })).toMatchObject({
      values: 1,
      removed: [keyId],
    });
    expect([await readValue(opened), (await opened.secrets.list(key))[0]?.version]).toEqual([canary, 7]);
    expect(await readValue(await open(settings))).toBe(canary);
  });

  test('are refused where the file is gone', async () => {
    await writeOld(randomBytes(32));
    await expect(open({ secretKey: text('b') })).rejects.toThrow('(the file secret-key)');
    expect(await stored()).toEqual([]);
  });
});

describe('rotation', () => {
  const names = Array.from({ length: 25 }, (_, n) => `s${n}`);
  const fill = async ({ secrets }: OpenSecrets) => {
    for (const name of names) await secrets.set(key, name, new Secret(`${canary}-${name}`), 'ann');
  };
  const check = async (opened: OpenSecrets) => {
    const found = await opened.secrets.resolve(key, names);
    expect(names.map((name) => found.get(name)?.value.reveal())).toEqual(names.map((name) => `${canary}-${name}`));
  };
  const versions = async ({ secrets }: OpenSecrets) => (await secrets.list(key)).map(({ version }) => version);

  test('encrypts every value anew, keeps versions, removes the former key, and running ones go on', async () => {
    const running = await open();
    await fill(running);
    const [before] = await rows('select distinct key_id from secret_values');
    const kept = await versions(running);
    const done = await rotateKeys({ database: db.database, keys: (await open()).keys, log: silent, batch: 4 });
    expect(done).toEqual({
      key: expect.stringMatching(/^key_/),
      values: 25,
      removed: [before?.key_id],
      resumed: false,
    });
    expect(await rows('select distinct key_id from secret_values')).toEqual([{ key_id: done.key }]);
    await check(running);
    expect(await versions(running)).toEqual(kept);
    await running.secrets.set(key, 's0', new Secret(`${canary}-s0`), 'ann');
    expect(await rows(`select key_id from secret_values where name = 's0'`)).toEqual([{ key_id: done.key }]);
    await check(await open());
  });

  test('killed with -9 in between, it leaves everything readable; the next run finishes it', async () => {
    const running = await open();
    await fill(running);
    const { password, ...connection } = db.connection;
    const child = startProcess(new URL('./rotate.process.ts', import.meta.url), [
      JSON.stringify({ ...connection, password: password.reveal() }),
      folder,
    ]);
    await child.line();
    await child.kill('SIGKILL');
    const mix = await rows('select key_id, count(*) as count from secret_values group by key_id');
    expect(mix).toHaveLength(2);
    await check(running);
    await check(await open());
    const done = await rotateKeys({ database: db.database, keys: running.keys, log: silent });
    expect(done).toMatchObject({ resumed: true, removed: [expect.any(String)] });
    expect(await rows('select distinct key_id from secret_values')).toEqual([{ key_id: done.key }]);
    await check(running);
  });

  test('while others write and read all the time, no value is lost', async () => {
    const running = await open();
    await fill(running);
    let stop = false;
    const work = names.slice(0, 5).map(async (name) => {
      for (let n = 0; !stop; n++) {
        await running.secrets.set(key, name, new Secret(`${name}-${n}`), 'ann');
        expect(await readValue(running, name)).toBe(`${name}-${n}`);
      }
    });
    const rotator = await open();
    for (let n = 0; n < 5; n++) await rotateKeys({ database: db.database, keys: rotator.keys, log: silent, batch: 3 });
    stop = true;
    await Promise.all(work);
    const fresh = await open();
    const found = await fresh.secrets.resolve(key, names);
    expect(found.size).toBe(25);
    expect((await stored()).filter(({ purpose }) => purpose === 'values').length).toBeLessThanOrEqual(2);
  });
});
