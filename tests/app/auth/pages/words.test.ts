import { describe, expect, test } from 'vitest';
import { deviceWords } from '#auth/pages/device-words.ts';
import { timeWords } from '#auth/pages/devices.ts';
import { nextPath, withNext } from '#auth/pages/next-path.ts';
import { qrPicture } from '#auth/pages/qr.ts';
import { faultWords, fields, readFields, troubleOf } from '#auth/pages/trouble.ts';
import { Fault } from '#base/errors.ts';

describe('where a page leads on to', () => {
  test.each([
    ['/account/devices', '/account/devices'],
    ['/', '/'],
    ['/a?b=c&d=%2F#e', '/a?b=c&d=%2F#e'],
    ['/a/../b', '/b'],
  ])('%s is a path of ours', (given, path) => {
    expect(nextPath(given)).toBe(path);
  });

  test.each([
    undefined,
    '',
    'account',
    'http://evil.example/',
    '//evil.example',
    '///evil.example',
    '/\\evil.example',
    '/a\\b',
    '\\/evil.example',
    '/\t/evil.example',
    '/\n/evil.example',
    ' /account',
    '/%0d%0aSet-Cookie:x y',
    '/..//evil.example',
    '/.//evil.example',
    'javascript:alert(1)',
    '/ä',
    `/${'x'.repeat(1001)}`,
  ])('%j is none', (given) => {
    expect(nextPath(given)).toBeUndefined();
  });

  test('it goes along in the query, the usual place does not', () => {
    expect(withNext('/sign-in', '/a?b=c')).toBe('/sign-in?next=%2Fa%3Fb%3Dc');
    expect(withNext('/sign-in', '/account')).toBe('/sign-in');
    expect(withNext('/sign-in', undefined)).toBe('/sign-in');
  });
});

test.each([
  ['Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:131.0) Gecko/20100101 Firefox/131.0', 'Firefox on Windows'],
  [
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Safari/605.1.15',
    'Safari on macOS',
  ],
  [
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36 Edg/129.0.0.0',
    'Edge on Windows',
  ],
  [
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/129.0.0.0 Safari/537.36',
    'Chrome on Linux',
  ],
  [
    'Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/129.0 Mobile/15E148 Safari/604.1',
    'Chrome on iPhone',
  ],
  [
    'Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0 Mobile Safari/537.36',
    'Samsung Internet on Android',
  ],
  ['curl/8.5.0', 'curl'],
  ['Something (X11; Linux)', 'Unknown browser on Linux'],
  ['<script>', 'Unknown device'],
  ['', 'Unknown device'],
])('%s is %s', (userAgent, words) => {
  expect(deviceWords(userAgent)).toBe(words);
});

test('a time is told in UTC', () => {
  expect(timeWords(new Date('2026-11-02T23:05:09+02:00'))).toBe('2 November 2026, 21:05 UTC');
});

test('a QR code is one picture of bars in a white border', () => {
  const picture = qrPicture('otpauth://totp/Plinth:a@b.c?secret=JBSWY3DPEHPK3PXP', 'A "code"').toString();
  const size = Number(/viewBox="0 0 (\d+) \1"/.exec(picture)?.[1]);
  expect(size).toBeGreaterThan(30);
  expect(picture).toContain('aria-label="A &quot;code&quot;"');
  const rows = [...picture.matchAll(/M(\d+) (\d+)h(\d+)/g)].map(([, x, y, wide]) => [
    Number(x),
    Number(y),
    Number(wide),
  ]);
  // The corner that every reader looks for: a bar of seven modules, four from the edge.
  expect(rows[0]).toEqual([4, 4, 7]);
  for (const [x = 0, y = 0, wide = 0] of rows) {
    expect(Math.min(x, y)).toBeGreaterThanOrEqual(4);
    expect(Math.max(x + wide, y + 1)).toBeLessThanOrEqual(size - 4);
  }
});

describe('what a page says of a fault', () => {
  test('words for people, and the status', () => {
    expect(troubleOf(new Fault('CREDENTIALS_WRONG'))).toEqual({
      code: 'CREDENTIALS_WRONG',
      status: 401,
      words: 'The e-mail address or the password is wrong.',
      findings: [],
    });
  });

  test.each([
    [1, '1 second'],
    [90, '90 seconds'],
    [91, '2 minutes'],
    [895, '15 minutes'],
  ])('how long to wait: %d', (seconds, words) => {
    const { words: told } = troubleOf(new Fault('SIGN_IN_LIMITED', { what: 'for this account', seconds }));
    expect(told).toBe(`Too many tries. Please wait ${words}.`);
  });

  test('a fault without words of its own is told as it is', () => {
    expect(troubleOf(new Fault('PASSWORD_WEAK', { why: 'it is short' })).words).toBe(
      'Choose another password: it is short.',
    );
  });

  test('fields are trimmed, but for passwords', () => {
    const given = {
      account: ' ada@example.com ',
      name: ' Ada ',
      password: ' a b ',
      code: ' 123 456 ',
      email: ' a@b.eu ',
    };
    const words = { account: '', name: '', password: '', code: '', email: '' };
    expect(readFields(fields, given, words)).toEqual({
      account: 'ada@example.com',
      name: 'Ada',
      password: ' a b ',
      code: '123 456',
      email: 'a@b.eu',
    });
  });

  test('each field that is not as wanted is named once, in the order of the form', () => {
    const want = () =>
      readFields(
        { code: fields.code, email: fields.email, name: fields.name },
        { code: ' ', email: 'ada', name: 'Ada' },
        { email: 'Enter it', code: 'Enter that', name: 'Enter this' },
      );
    let trouble: unknown;
    try {
      want();
    } catch (error) {
      trouble = troubleOf(error);
    }
    expect(trouble).toMatchObject({
      status: 400,
      findings: [
        { field: 'email', words: 'Enter it' },
        { field: 'code', words: 'Enter that' },
      ],
    });
  });

  test('what was not foreseen is not explained', () => {
    const error = new Error('the password is hunter2');
    expect(() => troubleOf(error)).toThrow(error);
  });

  test('of a code in the address only what is ours is told', () => {
    expect(faultWords('ACCOUNT_DISABLED')).toBe('This account is disabled. Ask an administrator.');
    for (const code of ['<b>', 'constructor', '__proto__', 'PERSON_EXISTS', 'Please call +44 1'])
      expect(faultWords(code)).toBe('Signing in did not work. Please try again.');
  });
});
