import { expect, test } from 'vitest';
import type { Window } from '#environments/operations.ts';
import { windowsSchema } from '#environments/operations.ts';
import { windowAgainst, windowState, windowsOf } from '#reconcile/windows.ts';
import { isOpen, type Model, opensAt } from './windows-model.ts';

const window = (more: Partial<Window>): Window => {
  const [made] = windowsSchema.parse([
    { kind: 'deny', schedule: '0 22 * * 5', duration: '8h', reason: 'quiet', ...more },
  ]);
  if (made === undefined) throw new Error('one window goes in and comes out');
  return made;
};
const at = (text: string) => new Date(text);
const state = (made: Window, text: string) => {
  const { open, until } = windowState(made, at(text));
  return `${open ? 'open' : 'closed'} ${until?.toISOString() ?? 'for ever'}`;
};

test('it opens with its schedule, to the millisecond, and closes after its duration', () => {
  const made = window({ timeZone: 'Europe/Berlin' });
  expect(state(made, '2026-11-20T20:59:59.999Z')).toBe('closed 2026-11-20T21:00:00.000Z');
  expect(state(made, '2026-11-20T21:00:00.000Z')).toBe('open 2026-11-21T05:00:00.000Z');
  expect(state(made, '2026-11-21T04:59:59.999Z')).toBe('open 2026-11-21T05:00:00.000Z');
  expect(state(made, '2026-11-21T05:00:00.000Z')).toBe('closed 2026-11-27T21:00:00.000Z');
  // A clock that is put back is believed.
  expect(state(made, '2026-11-21T04:30:00.000Z')).toBe('open 2026-11-21T05:00:00.000Z');
  expect(state(made, '2026-11-20T20:30:00.000Z')).toBe('closed 2026-11-20T21:00:00.000Z');
});

test('openings that touch or overlap are one long time, and one that never closes is open', () => {
  const nightly = window({ schedule: '0 22 * * 1-5', duration: '30h' });
  expect(state(nightly, '2026-11-18T12:00:00Z')).toBe('open 2026-11-22T04:00:00.000Z');
  const always = window({ schedule: '0 * * * *', duration: '2h' });
  expect(windowState(always, at('2026-11-18T12:30:00Z')).open).toBe(true);
  expect(windowState(always, at('2036-11-18T12:30:00Z')).open).toBe(true);
});

test.each([
  ['skipped', '30 2 * * *', '2026-03-29T00:59:59.999Z', 'closed 2026-03-29T01:00:00.000Z'],
  ['skipped, by steps', '*/20 2 * * *', '2026-03-29T00:59:59.999Z', 'closed 2026-03-29T01:00:00.000Z'],
  ['after that no more on that day', '30 2 * * *', '2026-03-29T01:10:00.000Z', 'closed 2026-03-30T00:30:00.000Z'],
  ['doubled', '30 2 * * *', '2026-10-24T23:00:00.000Z', 'closed 2026-10-25T00:30:00.000Z'],
  ['only the first time', '30 2 * * *', '2026-10-25T00:40:00.000Z', 'closed 2026-10-26T01:30:00.000Z'],
  ['also by steps', '*/30 2 * * *', '2026-10-25T00:40:00.000Z', 'closed 2026-10-26T01:00:00.000Z'],
])('a change of clocks in Berlin: %s', (_, schedule, now, wanted) => {
  expect(state(window({ schedule, duration: '5m', timeZone: 'Europe/Berlin' }), now)).toBe(wanted);
});

test('its duration is elapsed time, whatever clocks do meanwhile', () => {
  const made = window({ schedule: '0 1 * * 0', duration: '4h', timeZone: 'Europe/Berlin' });
  expect(state(made, '2026-03-29T02:00:00Z')).toBe('open 2026-03-29T04:00:00.000Z');
  expect(state(made, '2026-10-25T02:00:00Z')).toBe('open 2026-10-25T03:00:00.000Z');
});

test('leap days and ends of months: what a month does not have is left out', () => {
  expect(state(window({ schedule: '0 0 29 2 *' }), '2096-03-01T00:00:00Z')).toBe('closed 2104-02-29T00:00:00.000Z');
  expect(state(window({ schedule: '0 0 31 * *' }), '2026-11-01T00:00:00Z')).toBe('closed 2026-12-31T00:00:00.000Z');
  expect(state(window({ schedule: '0 12 29 2 *' }), '2028-02-29T13:00:00Z')).toBe('open 2028-02-29T20:00:00.000Z');
});

test('a schedule that is none is refused where it is written, with the reason', () => {
  const faults = (more: object) =>
    windowsSchema
      .safeParse([{ kind: 'deny', schedule: '0 0 * * *', duration: '1h', reason: 'x', ...more }])
      .error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  expect(faults({})).toBeUndefined();
  expect(faults({ schedule: '0 25 * * *' })).toEqual([
    '0.schedule: "0 25 * * *" is no schedule: Invalid value for hour: 25',
  ]);
  expect(faults({ schedule: '0 0 30 2 *' })).toEqual(['0.schedule: "0 0 30 2 *" is a day that never comes']);
  expect(faults({ timeZone: 'Mars/Olympus' })).toEqual([
    '0.schedule: "Mars/Olympus" is no time zone such as Europe/Berlin',
  ]);
});

const key = { team: 'shop', project: 'web' };
const against = (windows: Window[], text: string, manual = false) =>
  windowAgainst(windowsOf({ windows }, key, at(text)), 'apply', manual)?.window.reason;

test('with windows that allow it happens only inside one; a window that denies wins', () => {
  const allow = window({ kind: 'allow', schedule: '0 8 * * *', duration: '10h', reason: 'working hours' });
  const deny = window({ schedule: '0 12 * * *', duration: '1h', reason: 'lunch' });
  expect(against([], '2026-11-18T03:00:00Z')).toBeUndefined();
  expect(against([deny], '2026-11-18T03:00:00Z')).toBeUndefined();
  expect(against([allow, deny], '2026-11-18T09:00:00Z')).toBeUndefined();
  expect(against([allow, deny], '2026-11-18T12:30:00Z')).toBe('lunch');
  expect(against([allow, deny], '2026-11-18T18:00:00Z')).toBe('working hours');
});

test('only windows that name the project and the action count', () => {
  const others = window({ schedule: '* * * * *', projects: ['blog/*', '*/api'] });
  const heal = window({ schedule: '* * * * *', actions: ['heal'] });
  expect(against([others, heal], '2026-11-18T12:00:30Z')).toBeUndefined();
  expect(against([window({ schedule: '* * * * *', projects: ['shop/*'] })], '2026-11-18T12:00:30Z')).toBe('quiet');
});

test('who asks in person passes windows that say so: every one that denies, or one of those that allow', () => {
  const now = '2026-11-18T12:30:00Z';
  const deny = window({ schedule: '0 12 * * *', duration: '1h', reason: 'strict' });
  const gentle = window({ schedule: '0 12 * * *', duration: '1h', manual: true, reason: 'gentle' });
  const allow = window({ kind: 'allow', schedule: '0 1 * * *', duration: '1h', reason: 'night' });
  const open = window({
    kind: 'allow',
    schedule: '0 2 * * *',
    duration: '1h',
    manual: true,
    reason: 'night, or asked',
  });
  expect([against([gentle], now), against([gentle], now, true)]).toEqual(['gentle', undefined]);
  expect([against([gentle, deny], now), against([gentle, deny], now, true)]).toEqual(['gentle', 'strict']);
  expect([against([allow], now, true), against([allow, open], now, true)]).toEqual(['night', undefined]);
});

/** Numbers that are the same in every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

const zones = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'America/Santiago', // changes at midnight
  'Australia/Lord_Howe', // by half an hour
  'Asia/Kathmandu', // a quarter of an hour beside the others
  'Pacific/Chatham', // changes at a quarter to three
  'Africa/Cairo', // has changed its mind about it
  'Atlantic/Azores', // changes at one and at midnight
];
const changes = [
  ...['2026-03-29', '2026-10-25', '2026-03-08', '2026-11-01', '2026-09-06', '2026-04-05', '2026-10-04', '2026-04-24'],
  ...['2026-10-30', '2028-02-29', '2027-12-31', '2027-03-28', '2027-10-31'],
];

function drawCase(draw: () => number) {
  const upTo = (most: number) => Math.floor(draw() * (most + 1));
  const some = (least: number, most: number) =>
    new Set(Array.from({ length: 1 + upTo(2) }, () => least + upTo(most - least)));
  const maybe = (chance: number, least: number, most: number) => (draw() < chance ? some(least, most) : undefined);
  const anyHour = draw() < 0.15;
  const steps = draw() < 0.2;
  const every = 1 + upTo(58);
  const minutes = steps ? new Set(Array.from({ length: 60 }, (_, i) => i).filter((i) => i % every === 0)) : some(0, 59);
  const hours = anyHour ? undefined : draw() < 0.6 ? some(0, 3) : some(0, 23);
  const model: Model = {
    minutes,
    hours,
    days: maybe(0.2, 1, 31),
    months: maybe(0.1, 1, 12),
    weekdays: maybe(0.2, 0, 6),
    timeZone: zones[upTo(zones.length - 1)] ?? 'UTC',
    durationMs: 60_000 * (1 + upTo(draw() < 0.8 ? 180 : 2_880)),
  };
  const text = (set: ReadonlySet<number> | undefined) => (set === undefined ? '*' : [...set].join(','));
  const minute = steps ? `*/${every}` : text(minutes);
  const schedule = `${minute} ${text(hours)} ${text(model.days)} ${text(model.months)} ${text(model.weekdays)}`;
  const day = Date.parse(`${changes[upTo(changes.length - 1)]}T00:00:00Z`);
  const atMs = day + Math.floor((draw() * 4 - 2) * 86_400_000);
  return { model, schedule, atMs: draw() < 0.3 ? Math.floor(atMs / 60_000) * 60_000 : atMs };
}

test('10,000 drawn windows, moments and zones: open exactly when the slow model says so, also after clock jumps', () => {
  const draw = random(20_261_122);
  let open = 0;
  for (let i = 0; i < 10_000; i++) {
    const { model, schedule, atMs } = drawCase(draw);
    const { durationMs, timeZone } = model;
    // A day that never comes, such as the 31st of February, is refused where it is written.
    const [made] =
      windowsSchema.safeParse([{ kind: 'deny', schedule, duration: `${durationMs / 60_000}m`, timeZone, reason: 'x' }])
        .data ?? [];
    if (made === undefined) continue;
    const told = (ms: number) =>
      `${schedule} ${timeZone} for ${durationMs / 60_000}m at ${new Date(ms).toISOString()} is ${windowState(made, new Date(ms)).open}`;
    const wanted = (ms: number) =>
      `${schedule} ${timeZone} for ${durationMs / 60_000}m at ${new Date(ms).toISOString()} is ${isOpen(model, ms)}`;
    // On, an hour back, an hour and a bit on: as a clock that is set right, or wrong.
    for (const ms of [atMs, atMs - 3_600_000, atMs + 3_600_000]) expect(told(ms)).toBe(wanted(ms));
    if (isOpen(model, atMs)) open += 1;
    // The moment at which it changes is the first of the other state, to the millisecond.
    const { until, open: was } = windowState(made, new Date(atMs));
    const untilMs = until?.getTime() ?? Number.POSITIVE_INFINITY;
    if (untilMs - atMs > 3 * 86_400_000) continue;
    // One that hardly ever closes has no end that is worth the search: it is looked at again after a while.
    if (was && isOpen(model, untilMs)) {
      expect(untilMs - atMs, schedule).toBeGreaterThan(20 * model.durationMs);
      continue;
    }
    expect([isOpen(model, untilMs - 1), isOpen(model, untilMs), schedule]).toEqual([was, !was, schedule]);
    if (!was) expect(opensAt(model, untilMs)).toBe(true);
  }
  expect(open).toBeGreaterThan(500);
}, 120_000);
