import { expect, test } from 'vitest';
import { errorKinds, Fault } from '#base/errors.ts';

test('a fault fills its sentence from its data and carries status and retry of its kind', () => {
  const fault = new Fault('TEAM_FULL', { team: 'shop', environment: 'local', count: 1000, most: 1000 });
  expect(fault.message).toBe('Team shop has 1000 projects in local; the most is 1000.');
  expect([fault.name, fault.code, fault.status, fault.retry]).toEqual(['Fault', 'TEAM_FULL', 409, false]);
});

test('lists are joined, and a placeholder without a value stays visible', () => {
  const fault = new Fault('ENVIRONMENT_NOT_FOUND', { known: ['dev', 'local'] });
  expect(fault.message).toBe('There is no environment {environment}; there are dev, local.');
});

test('the cause is kept', () => {
  const cause = new Error('ECONNREFUSED');
  expect(new Fault('DATABASE_UNAVAILABLE', { why: 'refused' }, { cause }).cause).toBe(cause);
});

test('is() tells faults from other errors, and one code from another', () => {
  const fault = new Fault('STOPPING');
  expect(Fault.is(fault)).toBe(true);
  expect(Fault.is(fault, 'STOPPING')).toBe(true);
  expect(Fault.is(fault, 'INTERNAL')).toBe(false);
  expect(Fault.is(new Error('STOPPING'))).toBe(false);
  expect(Fault.is(undefined)).toBe(false);
});

test('every kind has an HTTP error status, and a sentence that ends', () => {
  const odd = Object.entries(errorKinds).filter(
    ([code, { status, text }]) =>
      !/^[A-Z]+(_[A-Z]+)*$/.test(code) || status < 400 || status > 599 || !/[.}>]$/.test(text),
  );
  expect(odd).toEqual([]);
});

test('what can succeed later has a status that says so to clients that know no codes', () => {
  const saying = [408, 409, 429, 503, 507];
  const odd = Object.entries(errorKinds).filter(([, { status, retry }]) => retry && !saying.includes(status));
  expect(odd).toEqual([]);
});
