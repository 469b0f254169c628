import { Cron } from 'croner';

/**
 * A schedule of cron in a time zone. An opening that falls into the hour which a change of clocks skips comes at the
 * end of that hour; one in the hour that comes twice comes the first time only. Where the hour is `*` it follows the
 * wall clock through every hour there is.
 */
export interface Schedule {
  /** The last opening up to this moment, itself included; undefined: there was none. */
  last(at: Date): Date | undefined;
  /** The first opening after this moment; undefined: there will be none. */
  next(at: Date): Date | undefined;
}

/** @throws Error in words for people, where schedule or time zone cannot be read */
export function readSchedule(schedule: string, timeZone: string): Schedule {
  // The form is checked on what was written; what is asked later is the same with its steps written out.
  make(schedule, timeZone);
  const cron = make(atFixedTimes(schedule), timeZone);
  return {
    last: (at) => cron.previousRuns(1, new Date(at.getTime() + 1))[0],
    next: (at) => cron.nextRun(at) ?? undefined,
  };
}

const make = (schedule: string, timezone: string) =>
  new Cron(schedule, { timezone, mode: '5-part', fixedTimeRule: 'no-wildcard', paused: true });

/** Why this is no schedule that ever opens, or undefined. */
export function scheduleFault(schedule: string, timeZone: string): string | undefined {
  if (!isTimeZone(timeZone)) return `${JSON.stringify(timeZone)} is no time zone such as Europe/Berlin`;
  try {
    const never = readSchedule(schedule, timeZone).next(new Date(0)) === undefined;
    return never ? `${JSON.stringify(schedule)} is a day that never comes` : undefined;
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^CronPattern: /, '') : String(error);
    return `${JSON.stringify(schedule)} is no schedule: ${why}`;
  }
}

function isTimeZone(text: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: text });
    return true;
  } catch {
    return false;
  }
}

/**
 * The same schedule with minutes and hours as lists: with a step or a `*` in the minute croner takes it for an
 * interval, which is left out in the skipped hour and comes again in the doubled one.
 */
function atFixedTimes(schedule: string): string {
  const [minute = '', hour = '', ...rest] = schedule.split(/\s+/);
  if (hour === '*' || hour === '?') return schedule;
  return [listOf(minute, 59), listOf(hour, 23), ...rest].join(' ');
}

/** `1-3,*` + `/20` as the numbers they stand for. */
function listOf(field: string, most: number): string {
  const numbers = field.split(',').flatMap((part) => {
    const [range = '', step = '1'] = part.split('/');
    const [from = 0, to = range.includes('-') || !/^\d+$/.test(range) || part.includes('/') ? most : from] =
      range === '*' || range === '?' ? [] : range.split('-').map(Number);
    const found: number[] = [];
    for (let number = from; number <= to; number += Number(step)) found.push(number);
    return found;
  });
  return [...new Set(numbers)].sort((a, b) => a - b).join(',');
}
