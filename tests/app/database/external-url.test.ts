import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import { readExternalUrl } from '#database/external-url.ts';

/** What was read, as plain data. */
function read(url: string) {
  const { connection, ...rest } = readExternalUrl(new Secret(url), 'DATABASE_URL');
  const { host, port, user, database, options } = connection;
  return { host, port, user, password: connection.password.reveal(), database, options, ...rest };
}

const plain = {
  host: 'host',
  port: 5432,
  user: 'user',
  password: 'password',
  database: 'database',
  options: undefined,
  sslMode: 'prefer',
  rootCertificate: undefined,
  certificate: undefined,
  key: undefined,
  ignored: [],
};

test.each([
  ['as both references print it', 'postgresql://user:password@host:5432/database', {}],
  ['with the name of a driver', 'postgresql+asyncpg://user:password@host:5432/database', {}],
  ['short', 'postgres://user:password@host/database', {}],
  ['with blanks around it', ' postgresql://user:password@host:5432/database\n', {}],
  ['another port', 'postgresql://user:password@host:6543/database', { port: 6543 }],
  ['no database: that of the user', 'postgresql://user:password@host', { database: 'user' }],
  ['no password', 'postgresql://user@host/database', { password: '' }],
  ['IPv6', 'postgresql://user:password@[fd00::1]:5433/database', { host: 'fd00::1', port: 5433 }],
  [
    'a unix socket as parameter',
    'postgresql://user:password@/database?host=/var/run/postgresql',
    { host: '/var/run/postgresql', sslMode: 'disable' },
  ],
  [
    'a unix socket in the place of the host',
    'postgresql://user:password@%2Fvar%2Frun%2Fpostgresql/database',
    { host: '/var/run/postgresql', sslMode: 'disable' },
  ],
  [
    'everything as parameters',
    'postgresql://?host=host&port=5433&user=user&password=password&dbname=database',
    { port: 5433 },
  ],
  [
    'options of the session',
    'postgresql://user:password@host/database?options=-c%20search_path%3Dplinth',
    { options: '-c search_path=plinth' },
  ],
  [
    'certificates',
    'postgresql://user:password@host/database?sslmode=verify-full&sslrootcert=/ca.pem&sslcert=/me.pem&sslkey=/me.key',
    { sslMode: 'verify-full', rootCertificate: '/ca.pem', certificate: '/me.pem', key: '/me.key' },
  ],
  [
    'parameters of other clients',
    'postgresql://user:password@host/database?schema=public&pgbouncer=true&application_name=x&connect_timeout=5',
    { ignored: ['schema', 'pgbouncer'] },
  ],
  ['an encoded name', 'postgresql://us%40er:password@host/data%2Fbase', { user: 'us@er', database: 'data/base' }],
])('%s', (_, url, more) => {
  expect(read(url)).toEqual({ ...plain, ...more });
});

test.each([
  ['sslmode=disable', 'disable'],
  ['sslmode=allow', 'prefer'],
  ['sslmode=prefer', 'prefer'],
  ['sslmode=require', 'require'],
  ['sslmode=REQUIRE', 'require'],
  ['sslmode=no-verify', 'require'],
  ['sslmode=verify-ca', 'verify-ca'],
  ['sslmode=verify-full', 'verify-full'],
  ['ssl=require', 'require'],
  ['ssl=true', 'verify-full'],
  ['ssl=false', 'disable'],
  ['', 'prefer'],
])('%s means %s', (query, mode) => {
  expect(read(`postgresql://user:password@host/database?${query}`).sslMode).toBe(mode);
});

describe('a password with any characters', () => {
  const hard = [
    'p@ss',
    'p/w@x',
    '12/34',
    'a?b',
    '1?b',
    'a#b',
    '100%',
    '%zz',
    'a:b',
    'a@b/c?d#e%f:g',
    '@',
    '@@/',
    'ü £',
    '+',
  ];

  test.each(hard)('%j as it is', (password) => {
    expect(read(`postgresql://user:${password}@host:5432/database?sslmode=require`)).toEqual({
      ...plain,
      password,
      sslMode: 'require',
    });
  });

  test('each one that is percent-encoded', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (password) => {
        const url = `postgresql://user:${encodeURIComponent(password)}@host:5432/database`;
        expect(read(url)).toEqual({ ...plain, password });
      }),
    );
  });

  test('and an @ in a parameter stays one', () => {
    const url = 'postgresql://user:password@host/database?options=-c%20x=a@b';
    expect(read(url)).toEqual({ ...plain, options: '-c x=a@b' });
  });
});

describe('what is no address is refused without a word of it', () => {
  test.each([
    [
      'mysql://user:canary@host/database',
      'is no address of PostgreSQL; wanted is postgresql://user:password@host:5432/database',
    ],
    ['user:canary@host', 'is no address of PostgreSQL; wanted is postgresql://user:password@host:5432/database'],
    ['', 'is no address of PostgreSQL; wanted is postgresql://user:password@host:5432/database'],
    [
      'postgresql://user:canary@host:port/database',
      'cannot be read; wanted is postgresql://user:password@host:5432/database',
    ],
    ['postgresql://user:canary@', 'names no host; wanted is postgresql://user:password@host:5432/database'],
    ['postgresql://:canary@host/database', 'names no user; wanted is postgresql://user:password@host:5432/database'],
    ['postgresql://user:canary@host:99999/database', 'names a port that is none of 1 to 65535'],
    ['postgresql://user:canary@one,two/database', 'names several hosts; name the one that takes writes'],
    ['postgresql://user:canary@one:5432,two:5432/database', 'names several hosts; name the one that takes writes'],
    [
      'postgresql://user:canary@host/database?sslmode=canary',
      'has an unknown sslmode; there are disable, allow, prefer, require, no-verify, verify-ca, verify-full',
    ],
  ])('%s', (url, why) => {
    let fault: unknown;
    try {
      read(url);
    } catch (error) {
      fault = error;
    }
    expect(Fault.is(fault, 'CONFIG_INVALID')).toBe(true);
    expect((fault as Fault).data.faults).toBe(`  - DATABASE_URL ${why}`);
    expect(String(fault)).not.toContain('canary');
  });
});
