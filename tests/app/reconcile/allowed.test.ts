import fc from 'fast-check';
import { expect, test } from 'vitest';
import { actions, modes, windowsSchema } from '#environments/operations.ts';
import { type Environment, environmentSchema } from '#environments/schema.ts';
import { type AllowedInput, allowedNow, isAsked, stricter } from '#reconcile/allowed.ts';
import { windowAgainst, windowsOf } from '#reconcile/windows.ts';

const base: Environment = {
  ...environmentSchema.parse({ apiVersion: 'plinth.dev/v1', kind: 'Environment', domain: 'apps.localhost' }),
  name: 'local',
};
const now = new Date('2026-11-20T23:30:00Z');
const input = (more: Partial<AllowedInput> = {}, windows: readonly object[] = []): AllowedInput => ({
  key: { environment: 'local', team: 'shop', project: 'web' },
  environment: { ...base, windows: windowsSchema.parse(windows) },
  mode: undefined,
  switches: [],
  manual: false,
  now,
  ...more,
});
const off = { action: 'apply', reason: 'an incident', actor: 'ada@example.com', until: undefined } as const;

test('nothing stands against anything: everything is allowed, and that does not change by itself', () => {
  expect(allowedNow(input())).toEqual({
    mode: 'heal',
    apply: true,
    heal: true,
    prune: true,
    promote: true,
    because: {},
    until: undefined,
  });
});

test('each denial says who, why and until when', () => {
  const until = new Date('2026-11-21T08:00:00Z');
  const windows = [{ kind: 'deny', schedule: '0 22 * * 5', duration: '8h', actions: ['prune'], reason: 'quiet night' }];
  const allowed = allowedNow(
    input(
      {
        mode: 'warn',
        switches: [
          { ...off, until },
          { ...off, action: 'promote', wide: 'environment' },
        ],
      },
      windows,
    ),
  );
  expect(allowed).toEqual({
    mode: 'warn',
    apply: false,
    heal: false,
    prune: false,
    promote: false,
    because: {
      apply: 'ada@example.com switched it off until 2026-11-21T08:00:00Z: an incident',
      heal: 'reconcile.mode of the project is warn',
      prune: 'a window denies it until 2026-11-21T06:00:00Z (0 22 * * 5 for 8h, UTC): quiet night',
      promote: 'ada@example.com switched it off for the whole environment: an incident',
    },
    until: new Date('2026-11-21T06:00:00Z'),
  });
});

test('outside of every window that allows it is said when the next one opens', () => {
  const windows = [{ kind: 'allow', schedule: '0 8 * * 1-5', duration: '9h', reason: 'working hours' }];
  expect(allowedNow(input({}, windows)).because).toEqual({
    apply:
      'no window that allows it is open, the next one opens at 2026-11-23T08:00:00Z (0 8 * * 1-5 for 9h, UTC): working hours',
    prune:
      'no window that allows it is open, the next one opens at 2026-11-23T08:00:00Z (0 8 * * 1-5 for 9h, UTC): working hours',
    promote:
      'no window that allows it is open, the next one opens at 2026-11-23T08:00:00Z (0 8 * * 1-5 for 9h, UTC): working hours',
  });
});

test('a switch ends at its time, not before', () => {
  const until = new Date(now.getTime() + 1);
  expect(allowedNow(input({ switches: [{ ...off, until }] })).apply).toBe(false);
  expect(allowedNow(input({ switches: [{ ...off, until }], now: until })).apply).toBe(true);
});

test('the stricter mode counts, whoever says it', () => {
  expect(stricter('heal', 'detect')).toBe('detect');
  expect(stricter('detect', 'heal')).toBe('detect');
  expect(stricter('warn', undefined)).toBe('warn');
  const detect = { ...base, reconcile: { mode: 'detect' as const } };
  const allowed = allowedNow({ ...input(), environment: detect, mode: 'heal' });
  expect(allowed).toMatchObject({ mode: 'detect', apply: false, heal: false, prune: false, promote: true });
  expect(allowed.because.apply).toBe('reconcile.mode of environment local is detect');
});

test('a run counts as asked for as long as it is about the manifests of that moment, and for ten minutes', () => {
  const asked = { manifests: 'blob', at: now };
  const later = (ms: number) => new Date(now.getTime() + ms);
  expect(isAsked(asked, 'blob', later(599_999))).toBe(true);
  expect(isAsked(asked, 'blob', later(600_000))).toBe(false);
  expect(isAsked(asked, 'blob', later(-600_000))).toBe(false);
  expect(isAsked(asked, 'other', now)).toBe(false);
  expect(isAsked({ ...asked, manifests: '' }, undefined, now)).toBe(true);
  expect(isAsked(undefined, 'blob', now)).toBe(false);
});

const anyAction = fc.constantFrom(...actions);
const anyTime = fc.integer({ min: 0, max: 20 * 86_400_000 }).map((ms) => new Date(now.getTime() + ms));
const anySwitch = fc.record({
  action: anyAction,
  reason: fc.constant('why'),
  actor: fc.constant('ada'),
  until: fc.option(anyTime, { nil: undefined }),
  wide: fc.constantFrom(undefined, 'team' as const, 'environment' as const),
});
const anyWindow = fc.record({
  kind: fc.constantFrom('allow', 'deny'),
  schedule: fc.constantFrom('0 22 * * 5', '*/15 * * * *', '0 8 * * 1-5', '0 0 29 2 *', '30 23 * * *', '0 2 1 * *'),
  duration: fc.constantFrom('1m', '90m', '8h', '30h', '400d'),
  timeZone: fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York'),
  projects: fc.constantFrom(['*/*'], ['shop/*'], ['blog/*'], ['*/web', 'blog/x']),
  actions: fc.uniqueArray(anyAction, { minLength: 1 }),
  manual: fc.boolean(),
  reason: fc.constant('why'),
});
const anyInput = fc
  .record({
    mode: fc.option(fc.constantFrom(...modes), { nil: undefined }),
    theirs: fc.constantFrom(...modes),
    switches: fc.array(anySwitch, { maxLength: 5 }),
    windows: fc.array(anyWindow, { maxLength: 4 }),
    manual: fc.boolean(),
    now: anyTime,
  })
  .map(({ theirs, windows, ...more }) => {
    const made = input(more, windows);
    return { ...made, environment: { ...made.environment, reconcile: { mode: theirs } } };
  });

test('what is denied always says why, and what is allowed never does', () => {
  fc.assert(
    fc.property(anyInput, (given) => {
      const allowed = allowedNow(given);
      for (const action of actions) expect(allowed[action]).toBe(allowed.because[action] === undefined);
    }),
  );
});

test('it is exactly what mode, switches and windows say, each by itself', () => {
  const byMode = { heal: [], warn: ['heal'], detect: ['apply', 'heal', 'prune'] };
  fc.assert(
    fc.property(anyInput, (given) => {
      const allowed = allowedNow(given);
      const standing = windowsOf(given.environment, given.key, given.now);
      for (const action of actions) {
        const mode = [given.mode ?? 'heal', given.environment.reconcile.mode].some((one) =>
          (byMode[one] as string[]).includes(action),
        );
        const off = given.switches.some((one) => one.action === action && !(one.until && one.until <= given.now));
        const window = windowAgainst(standing, action, given.manual) !== undefined;
        expect(allowed[action]).toBe(!mode && !off && !window);
      }
    }),
  );
});

test('one order more never allows more, and a person who asks is never allowed less', () => {
  fc.assert(
    fc.property(anyInput, anySwitch, (given, more) => {
      const fewer = allowedNow(given);
      const stricterOne = allowedNow({ ...given, switches: [...given.switches, more] });
      const asked = allowedNow({ ...given, manual: true });
      for (const action of actions) {
        if (stricterOne[action]) expect(fewer[action]).toBe(true);
        if (fewer[action] && !given.manual) expect(asked[action]).toBe(true);
      }
    }),
  );
});

test('nothing changes by itself before the time that it says', () => {
  fc.assert(
    fc.property(anyInput, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (given, part) => {
      const before = allowedNow(given);
      const mostMs = given.now.getTime() + 40 * 86_400_000;
      const endMs = Math.min(before.until?.getTime() ?? mostMs, mostMs);
      const between = new Date(given.now.getTime() + Math.floor(part * (endMs - given.now.getTime())));
      const { because: _, until, ...rest } = allowedNow({ ...given, now: between });
      expect({ ...rest, until }).toEqual({ ...rest, ...pick(before), until: before.until });
    }),
  );
});

const pick = ({ mode, apply, heal, prune, promote }: ReturnType<typeof allowedNow>) => ({
  mode,
  apply,
  heal,
  prune,
  promote,
});
