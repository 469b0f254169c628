import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { createLog } from '#base/log.ts';
import { Secret } from '#base/secret.ts';

const secret = new Secret('hunter2-hunter2');

test('only reveal() gives the value out', () => {
  expect(secret.reveal()).toBe('hunter2-hunter2');
});

test.each([
  ['a template', `${secret}`],
  ['String()', String(secret)],
  ['JSON', JSON.stringify({ deep: [secret] })],
  ['inspect, hidden fields shown', inspect({ deep: [secret] }, { showHidden: true, depth: 10 })],
  ['the keys and values of the object', JSON.stringify(Object.entries(secret))],
  ['an error', new Error(`wrong: ${secret}`).stack ?? ''],
  ['a list', [secret, secret].join()],
])('%s does not show it', (_, text) => {
  expect(text).not.toContain('hunter2');
});

test('it prints as [secret]', () => {
  expect([`${secret}`, JSON.stringify(secret), inspect(secret)]).toEqual(['[secret]', '"[secret]"', '[secret]']);
});

test('the log prints it as [secret], at any depth', () => {
  const lines: string[] = [];
  const log = createLog({ level: 'info', to: { write: (line: string) => lines.push(line) } });
  log.info({ password: secret, deep: { list: [secret] } }, 'signed in');
  expect(lines).toHaveLength(1);
  const { password, deep, msg, level } = JSON.parse(lines[0]!);
  expect({ password, deep, msg, level }).toEqual({
    password: '[secret]',
    deep: { list: ['[secret]'] },
    msg: 'signed in',
    level: 'info',
  });
});

test('a structured clone loses the value rather than showing it', () => {
  expect(JSON.stringify(structuredClone(secret))).not.toContain('hunter2');
});
