import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { maskOf } from '#secrets/mask.ts';

describe('a mask', () => {
  test('takes values out as they are, in JSON, in URLs, in base64, and single lines of long ones', () => {
    const pem = '-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\n-----END KEY-----\n';
    const mask = maskOf(['pa"ss w/ord', pem]);
    expect(mask('a pa"ss w/ord b')).toBe('a [secret] b');
    expect(mask(JSON.stringify({ a: 'pa"ss w/ord' }))).toBe('{"a":"[secret]"}');
    expect(mask('?p=pa%22ss%20w%2Ford&q=1')).toBe('?p=[secret]&q=1');
    expect(mask(`Basic ${Buffer.from('pa"ss w/ord').toString('base64')}`)).toBe('Basic [secret]');
    expect(mask('line MIIEvQIBADANBgkqhkiG9w0B is no key')).toBe('line [secret] is no key');
    expect(mask(pem)).toBe('[secret]');
  });

  test('takes the longer of two out whole, and leaves what is too short to be one', () => {
    expect(maskOf(['password', 'password-of-web'])('password-of-web password')).toBe('[secret] [secret]');
    expect(maskOf(['80', ''])('port 80')).toBe('port 80');
    expect(maskOf([])('as it is')).toBe('as it is');
  });

  test('takes any value out of any text', () => {
    const value = fc
      .string({ minLength: 4, maxLength: 40, unit: 'grapheme' })
      .filter((text) => !'[secret]'.includes(text));
    fc.assert(
      fc.property(value, fc.string(), fc.string(), (secret, before, after) => {
        const told = maskOf([secret])(before + secret + after);
        expect(told).toContain('[secret]');
        expect(told.replaceAll('[secret]', '\0')).not.toContain(secret);
      }),
    );
  });
});
