import { describe, expect, test } from 'vitest';
import { checkNewPassword } from '#auth/sign-in/password-rules.ts';
import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';

const owner = { email: 'ada.lovelace@example.com', name: 'Ada Lovelace' };

function judge(text: string): string {
  try {
    checkNewPassword(new Secret(text), owner);
    return 'good';
  } catch (error) {
    if (!Fault.is(error, 'PASSWORD_WEAK')) throw error;
    expect(error.message).not.toContain(text);
    return String(error.data.why);
  }
}

describe('a good password', () => {
  test.each([
    'seven silent owls',
    'kX9#vQ2!mZ7p',
    'aB3dE5fG7hJ9kL1m',
    'vergissmeinnicht im kornfeld',
    'пятьзелёныхслонов',
    'dragon monkey football summer',
    'Zq8-Welcome-vkRtnB',
    '7351 9426 8013 7764',
    '雨が降る日は家で本を読みます',
    'xxxyT7kvLw2n',
    `${'long enough and longer '.repeat(5)}!`.slice(0, 128),
  ])('%s', (text) => {
    expect(judge(text)).toBe('good');
  });
});

const tried = 'it is made of words, dates or rows of keys that are tried first';
const own = 'it is made of your name or e-mail address';
const repeated = 'it repeats the same few characters';

describe('a weak one', () => {
  test.each([
    [
      'short',
      'it has 5 characters; wanted are 12 or more. A few words that do not belong together are easy to keep in mind',
    ],
    [
      'x1Y!z2W@q3R',
      'it has 11 characters; wanted are 12 or more. A few words that do not belong together are easy to keep in mind',
    ],
    ['k9#'.repeat(43), 'it has 129 characters; wanted are 128 at most'],
    ['aaaaaaaaaaaa', 'it is made of fewer than 5 different characters'],
    ['abababababababab', 'it is made of fewer than 5 different characters'],
    ['kvzqwkvzqwkvzqw', repeated],
    ['password1234', tried],
    ['P@ssw0rd2026', tried],
    ['Password123!!', tried],
    ['passwordpassword', tried],
    ['123456789012', tried],
    ['1234567890qwertyuiop', tried],
    ['qwertyuiop12', tried],
    ['1qaz2wsx3edc', tried],
    ['iloveyou2024', tried],
    ['Summer2026!!!', tried],
    ['Welcome12345', tried],
    ['letmein12345', tried],
    ['admin1234567', tried],
    ['changeme1234', tried],
    ['correcthorsebatterystaple', tried],
    ['adalovelace1815', own],
    ['ada.lovelace@example.com', own],
    ['Lovelace123456', own],
    ['Plinth-2026-!!', own],
  ])('%s', (text, why) => {
    expect(judge(text)).toBe(why);
  });
});

test('characters are counted as people see them, not as bytes or halves', () => {
  expect(judge('😀😁😂😃😄😅')).toMatch(/^it has 6 characters/);
});
