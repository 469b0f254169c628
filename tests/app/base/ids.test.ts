import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type IdKind, idPrefixes, isId, newId } from '#base/ids.ts';

const kinds = Object.keys(idPrefixes) as IdKind[]; // the keys of a const object are its type's
const at = new Date('2026-11-22T12:00:00.000Z');

test.each(kinds)('an id of kind %s has its prefix and is recognised as that kind only', (kind) => {
  const id = newId(kind, at);
  expect(id).toMatch(new RegExp(`^${idPrefixes[kind]}_[0-9a-hjkmnp-tv-z]{26}$`));
  expect(kinds.filter((other) => isId(other, id))).toEqual([kind]);
});

test('prefixes are different', () => {
  expect(new Set(Object.values(idPrefixes)).size).toBe(kinds.length);
});

test('the time stands in front: 10 digits of base 32, known ones for a known time', () => {
  expect(newId('change', new Date(0)).slice(0, 14)).toBe('chg_0000000000');
  expect(newId('change', new Date(33)).slice(0, 14)).toBe('chg_0000000011');
});

test('text order is the order of time', () => {
  const times = fc.date({ min: new Date(0), max: new Date('9999-12-31T00:00:00Z'), noInvalidDate: true });
  fc.assert(
    fc.property(times, times, (a, b) => {
      const [first, second] = [newId('project', a), newId('project', b)];
      if (a.getTime() < b.getTime()) expect(first < second).toBe(true);
      if (a.getTime() > b.getTime()) expect(first > second).toBe(true);
    }),
  );
});

test('ids of one moment differ', () => {
  expect(new Set(Array.from({ length: 10_000 }, () => newId('request', at))).size).toBe(10_000);
});

test.each([
  ['another prefix', 'prj_00000000000000000000000000'],
  ['no prefix', '00000000000000000000000000'],
  ['too short', 'chg_0000000000000000000000000'],
  ['too long', 'chg_000000000000000000000000000'],
  ['a letter that the alphabet leaves out', 'chg_0000000000000000000000000u'],
  ['upper case', 'chg_0000000000000000000000000A'],
  ['a line break at the end', 'chg_00000000000000000000000000\n'],
  ['nothing', ''],
])('%s is no id of a change', (_, text) => {
  expect(isId('change', text)).toBe(false);
});
