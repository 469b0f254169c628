/**
 * Windows the slow way: minute by minute, with nothing but the offsets that Intl gives. A minute is an opening where
 * the local clock shows a time of the schedule for the first time; times that a change of clocks skips count at the
 * end of the gap. With `*` for the hour there is nothing to make up for and nothing comes too often: the wall clock is
 * followed through every hour.
 */
export interface Model {
  readonly minutes: ReadonlySet<number>;
  /** undefined: `*` */
  readonly hours: ReadonlySet<number> | undefined;
  readonly days: ReadonlySet<number> | undefined;
  readonly months: ReadonlySet<number> | undefined;
  /** 0 is Sunday. */
  readonly weekdays: ReadonlySet<number> | undefined;
  readonly timeZone: string;
  readonly durationMs: number;
}

const minuteMs = 60_000;
const quarterMs = 15 * minuteMs;
interface Zone {
  readonly format: Intl.DateTimeFormat;
  readonly offsets: Map<number, number>;
}
const zones = new Map<string, Zone>();

function zoneOf(timeZone: string): Zone {
  const known = zones.get(timeZone);
  if (known !== undefined) return known;
  const format = new Intl.DateTimeFormat('en', { timeZone, timeZoneName: 'longOffset' });
  const zone = { format, offsets: new Map<number, number>() };
  zones.set(timeZone, zone);
  return zone;
}

/** How far local time is ahead of UTC, in milliseconds. Changes of clocks fall on quarters of an hour. */
function offsetMs({ format, offsets }: Zone, atMs: number): number {
  const quarter = Math.floor(atMs / quarterMs);
  const known = offsets.get(quarter);
  if (known !== undefined) return known;
  const text = format.formatToParts(quarter * quarterMs).find(({ type }) => type === 'timeZoneName')?.value ?? '';
  const [, sign = '+', hours = '0', minutes = '0'] = /GMT(?:([+-])(\d\d):(\d\d))?/.exec(text) ?? [];
  const found = (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * minuteMs;
  offsets.set(quarter, found);
  return found;
}

/** Whether the local time that the clock of UTC would show at `localMs` is one of the schedule. */
function shows(model: Model, localMs: number): boolean {
  const local = new Date(localMs);
  if (!model.minutes.has(local.getUTCMinutes())) return false;
  if (model.hours?.has(local.getUTCHours()) === false) return false;
  if (model.months?.has(local.getUTCMonth() + 1) === false) return false;
  const day = model.days?.has(local.getUTCDate());
  const weekday = model.weekdays?.has(local.getUTCDay());
  if (day === undefined || weekday === undefined) return day ?? weekday ?? true;
  return day || weekday; // cron: where both are said, either is enough
}

/** Whether the window opens at this whole minute. */
export const opensAt = (model: Model, atMs: number): boolean => opensIn(zoneOf(model.timeZone), model, atMs);

function opensIn(zone: Zone, model: Model, atMs: number): boolean {
  const offset = offsetMs(zone, atMs);
  const before = atMs % quarterMs === 0 ? offsetMs(zone, atMs - minuteMs) : offset;
  const fixed = model.hours !== undefined;
  if (fixed && offset > before)
    for (let skippedMs = atMs + before; skippedMs < atMs + offset; skippedMs += minuteMs)
      if (shows(model, skippedMs)) return true;
  if (!shows(model, atMs + offset)) return false;
  return !fixed || !cameBefore(zone, atMs, offset);
}

/** The same local time was shown before, since the clocks went back in between. */
function cameBefore(zone: Zone, atMs: number, offset: number): boolean {
  for (let backMs = 15 * minuteMs; backMs <= 120 * minuteMs; backMs += 15 * minuteMs) {
    const earlier = offsetMs(zone, atMs - backMs);
    if (earlier - offset === backMs) return true;
  }
  return false;
}

/** Whether it is open: some minute within the duration before was an opening. */
export function isOpen(model: Model, atMs: number): boolean {
  const zone = zoneOf(model.timeZone);
  const whole = Math.floor(atMs / minuteMs) * minuteMs;
  for (let minute = whole; atMs - minute < model.durationMs; minute -= minuteMs)
    if (opensIn(zone, model, minute)) return true;
  return false;
}
