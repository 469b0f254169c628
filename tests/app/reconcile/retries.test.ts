import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type ErrorCode, errorKinds, Fault } from '#base/errors.ts';
import { paceOf, pauseMs } from '#reconcile/decide/retries.ts';

test.for<[ErrorCode, string]>([
  ['RUNTIME_UNAVAILABLE', 'growing'],
  ['NAMESPACE_TERMINATING', 'growing'],
  ['OBJECT_CONFLICT', 'soon'],
  ['QUOTA_EXCEEDED', 'medium'],
  ['OBJECT_DENIED', 'slow'],
  ['OBJECT_FOREIGN', 'slow'],
  ['KIND_MISSING', 'medium'],
  ['OBJECT_REFUSED', 'final'],
  ['OBJECT_NOT_ALLOWED', 'final'],
  ['SECRET_NOT_ALLOWED', 'final'],
])('%s is tried again: %s', ([code, pace]) => expect(paceOf(new Fault(code))).toBe(pace));

test('what its row calls retry is always tried again, and never before its time is up', () => {
  for (const [code, { retry }] of Object.entries(errorKinds))
    if (retry) expect(paceOf({ code: code as ErrorCode, retry })).not.toBe('final'); // keys of that very object
});

test('pauses grow with full jitter up to a minute; conflicts are tried at once three times', () => {
  expect([1, 2, 3, 4, 9, 10, 1000].map((attempts) => pauseMs('growing', attempts, 1))).toEqual([
    400, 800, 1600, 3200, 60_000, 60_000, 60_000,
  ]);
  expect([1, 3, 4, 5].map((attempts) => pauseMs('soon', attempts, 1))).toEqual([200, 200, 400, 800]);
  expect(pauseMs('growing', 5, 0)).toBe(0);
  expect([pauseMs('medium', 9, 0), pauseMs('medium', 9, 1)]).toEqual([24_000, 36_000]);
  expect([pauseMs('slow', 9, 0), pauseMs('slow', 9, 1)]).toEqual([240_000, 360_000]);
  expect(pauseMs('final', 1, 1)).toBeUndefined();
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e6 }), fc.double({ min: 0, max: 1, noNaN: true }), (attempts, chance) => {
      const pause = pauseMs('growing', attempts, chance) ?? -1;
      expect(pause >= 0 && pause <= 60_000).toBe(true);
    }),
  );
});
