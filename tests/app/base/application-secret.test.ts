import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { createKeyring, openApplicationSecret, purposes } from '#base/application-secret.ts';
import { Secret } from '#base/secret.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';

const dataDirectory = useTemporaryDirectory();

test('without a setting the secret is made once, for its owner alone, and stays', async () => {
  const first = await openApplicationSecret({ dataDirectory, setting: undefined });
  expect(first.file).toBe(join(dataDirectory, 'auth-secret'));
  expect(first.secret.reveal()).toMatch(/^[0-9a-f]{64}$/);
  expect(readFileSync(join(dataDirectory, 'auth-secret'), 'utf8')).toBe(first.secret.reveal());
  expect(statSync(join(dataDirectory, 'auth-secret')).mode & 0o777).toBe(0o600);
  const second = await openApplicationSecret({ dataDirectory, setting: undefined });
  expect(second.secret.reveal()).toBe(first.secret.reveal());
});

test('a setting is taken as it is, and no file counts beside it', async () => {
  const setting = new Secret('kYp3sQ8vXz1Lr6Tn0BwEj9UhGc4MaDfR');
  expect(await openApplicationSecret({ dataDirectory, setting })).toEqual({ secret: setting, file: undefined });
});

test('each purpose has its own key of 32 bytes, the same at every start, another one for another secret', () => {
  const keysOf = (secret: string) => {
    const keyring = createKeyring(new Secret(secret));
    return purposes.map((purpose) => keyring.derive(purpose).reveal().toString('hex'));
  };
  const keys = keysOf('your-dev-secret-key');
  expect(keys.every((key) => /^[0-9a-f]{64}$/.test(key))).toBe(true);
  expect(new Set(keys).size).toBe(purposes.length);
  expect(keysOf('your-dev-secret-key')).toEqual(keys);
  expect(keysOf('your-dev-secret-kez').filter((key) => keys.includes(key))).toEqual([]);
  // A change of salt or purpose would sign everybody out and lose what is encrypted: it is a decision, not a slip.
  expect(keys[0]).toBe('0561e485556e458e0a93c7c8b13df3521321ab322bc01475fdb17bf7ce296d41');
});

test('a key does not print', () => {
  const key = createKeyring(new Secret('your-dev-secret-key')).derive('sessions');
  expect(`${key} ${JSON.stringify(key)} ${inspect(key)}`).toBe('[secret] "[secret]" [secret]');
});
