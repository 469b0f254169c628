import { describe, expect, test } from 'vitest';
import { type CookieOptions, createCookies } from '#auth/sign-in/cookies.ts';
import { captureLog } from '#support/captured-log.ts';

const overTls = { secure: true };
const plain = { secure: false };
const session = { name: 'session', value: 'v', maxAgeSeconds: 60 };

function open(options: Partial<CookieOptions> = {}) {
  const { log, lines } = captureLog();
  const standard = { production: false, secure: false, projectsDomains: ['apps.example.com'], log };
  return { ...createCookies({ ...standard, ...options }), lines };
}

describe('written', () => {
  test('over TLS: for this host alone, with the prefix that no other host can forge', () => {
    expect(open().write(session, overTls)).toBe(
      '__Host-plinth.session=v; Max-Age=60; Path=/; HttpOnly; Secure; SameSite=Lax',
    );
  });

  test('over plain HTTP outside production: without prefix and Secure', () => {
    expect(open().write(session, plain)).toBe('plinth.session=v; Max-Age=60; Path=/; HttpOnly; SameSite=Lax');
  });

  test.each([{ production: true }, { secure: true }])(
    'with %j always for TLS, whatever the request says',
    (options) => {
      expect(open(options).write(session, plain)).toMatch(/^__Host-plinth\.session=v;.*; Secure;/);
    },
  );

  test('readable for scripts only where that is asked for', () => {
    expect(open().write({ ...session, name: 'csrf', readable: true }, overTls)).toBe(
      '__Host-plinth.csrf=v; Max-Age=60; Path=/; Secure; SameSite=Lax',
    );
  });
});

describe('COOKIE_DOMAIN', () => {
  test.each(['.plinth.example.com', 'Plinth.Example.com'])('%s beside the projects is taken', (domain) => {
    const { write, lines } = open({ domain });
    expect(write(session, overTls)).toBe(
      '__Secure-plinth.session=v; Max-Age=60; Domain=plinth.example.com; Path=/; HttpOnly; Secure; SameSite=Lax',
    );
    expect(write(session, plain)).toContain('plinth.session=v; Max-Age=60; Domain=plinth.example.com;');
    expect(write({ ...session, hostOnly: true }, overTls)).toMatch(/^__Host-(?!.*Domain)/);
    expect(lines()).toEqual([]);
  });

  test.each(['example.com', '.example.com', 'apps.example.com', 'EXAMPLE.COM', 'com', 'dev.example.com'])(
    '%s reaches the pages of projects: not used, and said once',
    (domain) => {
      const { write, lines } = open({ domain, projectsDomains: ['apps.example.com', 'Apps.Dev.Example.com'] });
      expect(write(session, overTls)).toMatch(/^__Host-plinth\.session=v;(?!.*Domain)/);
      write(session, overTls);
      expect(lines()).toMatchObject([{ level: 'warn', setting: 'COOKIE_DOMAIN' }]);
    },
  );

  test.each(['', ' ', '.'])('%j is none', (domain) => {
    expect(open({ domain }).write(session, overTls)).toMatch(/^__Host-/);
  });
});

describe('read', () => {
  test('gives every value of the name, the guarded name first, whatever else came', () => {
    const { read } = open();
    const header = 'plinth.session=a; x=1; __Host-plinth.session=b;plinth.session=c; plinth.sessions=d; plinth.session';
    expect(read('session', header)).toEqual(['b', 'a', 'c']);
    expect(read('session', undefined)).toEqual([]);
    expect(read('csrf', header)).toEqual([]);
  });

  test('where TLS is certain, a name without prefix is never ours', () => {
    for (const options of [{ production: true }, { secure: true }])
      expect(open(options).read('session', 'plinth.session=tossed; __Secure-plinth.session=tossed')).toEqual([]);
  });

  test('a name in another case is another name', () => {
    expect(open().read('session', 'Plinth.Session=a; __host-plinth.session=b')).toEqual([]);
  });

  test('with a domain the name for it counts, and one for the host alone', () => {
    const { read } = open({ domain: 'plinth.example.com', production: true });
    expect(read('session', '__Secure-plinth.session=a; __Host-plinth.session=b')).toEqual(['b', 'a']);
  });
});

describe('erased', () => {
  test('under each name that it could have', () => {
    expect(open().erase('session')).toEqual([
      '__Host-plinth.session=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Lax',
      'plinth.session=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax',
    ]);
    expect(open({ production: true, domain: 'plinth.example.com' }).erase('csrf', { readable: true })).toEqual([
      '__Host-plinth.csrf=; Max-Age=0; Path=/; Secure; SameSite=Lax',
      '__Secure-plinth.csrf=; Max-Age=0; Domain=plinth.example.com; Path=/; Secure; SameSite=Lax',
    ]);
  });
});
