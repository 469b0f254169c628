import { describe, expect, test } from 'vitest';
import { readConfig } from '#base/config.ts';
import { faultsOf, noticesOf, warningsOf } from './faults-of.ts';

const vault = { HASHICORP_VAULT_ADDR: 'http://127.0.0.1:8200', HASHICORP_VAULT_TOKEN: 'hvs.0123456789' };

describe('DATABASE_URL', () => {
  const addressOf = (env: Record<string, string>) => readConfig(env).databaseUrl?.reveal();

  test('ARCHESTRA_DATABASE_URL counts before DATABASE_URL, which is no fault', () => {
    const env = { DATABASE_URL: 'postgresql://u:p@one/app', ARCHESTRA_DATABASE_URL: 'postgresql://u:p@two/app' };
    expect(addressOf(env)).toBe('postgresql://u:p@two/app');
    expect(noticesOf(env)).toEqual([{ level: 'info', text: 'ARCHESTRA_DATABASE_URL counts, not DATABASE_URL.' }]);
    expect(addressOf({ ...env, DATABASE_URL: 'not even an address' })).toBe('postgresql://u:p@two/app');
    expect(addressOf({ DATABASE_URL: env.DATABASE_URL, ARCHESTRA_DATABASE_URL: '' })).toBe('postgresql://u:p@one/app');
  });

  test.each([
    ['postgres://u:p@h:5433/app', 'postgresql://u:p@h:5433/app'],
    ['postgresql+asyncpg://u:p@postgres:5432/tesslate', 'postgresql://u:p@postgres:5432/tesslate'],
    ['POSTGRESQL+psycopg2://u:p@h/app?ssl=require', 'postgresql://u:p@h/app?ssl=require'],
    ['postgresql://u:p@h/app?sslmode=verify-full', 'postgresql://u:p@h/app?sslmode=verify-full'],
    ['postgresql://u:p%23%2Fq@h/app', 'postgresql://u:p%23%2Fq@h/app'],
    ['postgresql://u:p#/?@q@h/app', 'postgresql://u:p#/?@q@h/app'],
    ['postgresql://u@/app?host=/var/run/postgresql', 'postgresql://u@/app?host=/var/run/postgresql'],
    ['postgresql:///app?host=/run&user=u', 'postgresql:///app?host=/run&user=u'],
    ['postgresql://u:p@[::1]:5432/app\n', 'postgresql://u:p@[::1]:5432/app'],
  ])('%s', (given, normalised) => {
    expect(addressOf({ DATABASE_URL: given })).toBe(normalised);
  });

  test.each([
    'mysql://u:hunter22@h/app',
    'h:5432',
    'hunter22',
    'postgresql://u:hunter22@',
    'postgresql://u:hunter22@:5432/app',
    'postgresql://u:hunter22@h:port/app',
    'postgresql://:hunter22@h/app',
    'postgresql://h/app',
    'postgresql://',
  ])('%s is refused, without showing a part of it', (given) => {
    const [fault, ...more] = faultsOf({ DATABASE_URL: given });
    expect(fault).toMatch(
      /^DATABASE_URL is a value; wanted is an address .*postgresql:\/\/user:password@host:5432\/database/,
    );
    expect([more, fault?.includes('hunter')]).toEqual([[], false]);
  });

  test('it is said which setting the address came from', () => {
    const from = (env: Record<string, string>) => readConfig(env).databaseUrlFrom;
    expect(from({ DATABASE_URL: 'postgresql://u:p@h/app' })).toBe('DATABASE_URL');
    expect(from({ ARCHESTRA_DATABASE_URL: 'postgresql://u:p@h/app' })).toBe('ARCHESTRA_DATABASE_URL');
    expect(from({ POSTGRES_HOST: 'db' })).toBe('POSTGRES_HOST');
    expect(from({})).toBeUndefined();
  });

  test('POSTGRES_* make an address only with POSTGRES_HOST', () => {
    const parts = { POSTGRES_USER: 'ada', POSTGRES_PASSWORD: 'p@ss/word', POSTGRES_DB: 'plinth' };
    expect(addressOf({ ...parts, POSTGRES_HOST: 'db', POSTGRES_PORT: '5433' })).toBe(
      'postgresql://ada:p%40ss%2Fword@db:5433/plinth',
    );
    expect(addressOf({ POSTGRES_HOST: 'db' })).toBe('postgresql://tesslate@db:5432/tesslate');
    expect(addressOf(parts)).toBeUndefined();
    expect(noticesOf(parts)).toEqual([
      {
        level: 'info',
        text: "POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB without POSTGRES_HOST belong to the other platform's bundled database, which the embedded one replaces; not used.",
      },
    ]);
    expect(addressOf({ ...parts, POSTGRES_HOST: 'db', DATABASE_URL: 'postgresql://u:p@h/app' })).toBe(
      'postgresql://u:p@h/app',
    );
    expect(warningsOf({ POSTGRES_HOST: 'db', POSTGRES_PASSWORD: 'dev_password_change_me' })).toEqual([
      'POSTGRES_PASSWORD is the default that everybody knows; change it in the database and here.',
    ]);
    expect(faultsOf({ POSTGRES_HOST: 'not a host' })).toEqual(['POSTGRES_HOST is "not a host"; wanted is a host name']);
  });

  test('nothing set: the embedded one', () => {
    expect(readConfig({})).toMatchObject({ databaseUrl: undefined, databaseUrlVaultRef: undefined });
  });

  test('DATABASE_URL_VAULT_REF is path:key, of KV v1 and v2, and counts with a Vault', () => {
    const readOnly = { ...vault, ARCHESTRA_SECRETS_MANAGER: 'READONLY_VAULT' };
    for (const path of ['secret/data/archestra/database', 'secret/archestra/database'])
      expect(
        readConfig({ ...readOnly, ARCHESTRA_DATABASE_URL_VAULT_REF: `${path}:connection_string` }).databaseUrlVaultRef,
      ).toBe(`${path}:connection_string`);
    const both = { ...readOnly, DATABASE_URL_VAULT_REF: 'a/b:c', DATABASE_URL: 'postgresql://u:p@h/app' };
    expect(readConfig(both)).toMatchObject({ databaseUrl: undefined, databaseUrlVaultRef: 'a/b:c' });
    for (const wrong of ['a/b', 'a:b', 'a/../b:c', 'a//b:c', 'a/b:'])
      expect(faultsOf({ DATABASE_URL_VAULT_REF: wrong })[0]).toContain('wanted is <path>:<key>');
    expect(faultsOf({ DATABASE_URL_VAULT_REF: 'a/b:c' })).toEqual([
      'DATABASE_URL_VAULT_REF is set, but no Vault is; set SECRETS_MANAGER=READONLY_VAULT with HASHICORP_VAULT_ADDR, or DATABASE_URL',
    ]);
    const without = { DATABASE_URL_VAULT_REF: 'a/b:c', DATABASE_URL: 'postgresql://u:p@h/app' };
    expect(addressOf(without)).toBe('postgresql://u:p@h/app');
    expect(warningsOf(without)).toEqual(['DATABASE_URL_VAULT_REF does not count without Vault; DATABASE_URL is used.']);
  });
});
