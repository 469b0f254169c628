import type { ProjectKey } from '#environments/layout.ts';
import { type Action, matchesProject, type Window } from '#environments/operations.ts';
import { readSchedule, type Schedule } from '#environments/schedule.ts';
import type { Environment } from '#environments/schema.ts';

/** How a window stands at a moment. */
export interface WindowState {
  readonly open: boolean;
  /** When that changes; undefined: never again. Of a window that hardly ever closes it may be only a time to look. */
  readonly until: Date | undefined;
}

/** What stays true of a window from one moment (included) to another (not included). */
interface Span {
  readonly open: boolean;
  readonly fromMs: number;
  readonly toMs: number;
}

interface Read {
  readonly schedule: Schedule;
  readonly durationMs: number;
  span: Span;
}

/** Windows belong to an environment as it stood at a revision: they go with it. */
const read = new WeakMap<Window, Read>();
/** So many times its duration one long time is followed; a window that never closes would have no end. */
const mostJoined = 50;
const never = 8.64e15;
const unitMs = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/**
 * Whether a window is open at a moment, and when that changes. It is open for its duration, in elapsed time, from each
 * opening of its schedule on. Between two changes the answer costs no look at the schedule, whichever way clocks go.
 */
export function windowState(window: Window, now: Date): WindowState {
  const known = read.get(window) ?? readWindow(window);
  const nowMs = now.getTime();
  if (nowMs < known.span.fromMs || nowMs >= known.span.toMs) known.span = spanAt(known, now);
  const { open, toMs } = known.span;
  return { open, until: toMs === never ? undefined : new Date(toMs) };
}

function readWindow(window: Window): Read {
  const made = {
    schedule: readSchedule(window.schedule, window.timeZone),
    durationMs: durationMs(window.duration),
    span: { open: false, fromMs: 0, toMs: 0 },
  };
  read.set(window, made);
  return made;
}

/** `90m`, `8h` or `2d` of elapsed time. */
function durationMs(text: string): number {
  const unit = text.slice(-1) as keyof typeof unitMs; // The schema lets no other one through.
  return Number(text.slice(0, -1)) * unitMs[unit];
}

function spanAt({ schedule, durationMs }: Read, now: Date): Span {
  const opened = schedule.last(now);
  const closesMs = opened === undefined ? -never : opened.getTime() + durationMs;
  if (opened === undefined || closesMs <= now.getTime())
    return { open: false, fromMs: closesMs, toMs: schedule.next(now)?.getTime() ?? never };
  let endMs = closesMs;
  for (let joined = 0; joined < mostJoined; joined++) {
    const last = schedule.last(new Date(endMs));
    if (last === undefined || last.getTime() + durationMs === endMs) break;
    endMs = last.getTime() + durationMs;
  }
  return { open: true, fromMs: opened.getTime(), toMs: endMs };
}

/** A window that is about an action of a project, and how it stands. */
export interface Standing extends WindowState {
  readonly window: Window;
}

/** The windows that are about a project, as they stand now. */
export function windowsOf(
  { windows }: Pick<Environment, 'windows'>,
  key: Pick<ProjectKey, 'team' | 'project'>,
  now: Date,
): readonly Standing[] {
  return windows
    .filter(({ projects }) => projects.some((pattern) => matchesProject(pattern, key)))
    .map((window) => ({ window, ...windowState(window, now) }));
}

/**
 * The window that stands against an action, and what it does: one that denies and is open, else, where there are
 * windows that allow and none of them is open, the one that opens next. Undefined: nothing stands against it.
 * @param manual a person asked for this run, which windows with `manual: true` let pass
 */
export function windowAgainst(standing: readonly Standing[], action: Action, manual: boolean): Standing | undefined {
  const about = standing.filter(({ window }) => window.actions.includes(action));
  const denying = about.filter(
    ({ open, window: { kind, manual: lets } }) => kind === 'deny' && open && !(manual && lets),
  );
  if (denying.length > 0) return denying.reduce((a, b) => (timeOf(a) >= timeOf(b) ? a : b));
  const allowing = about.filter(({ window }) => window.kind === 'allow');
  if (allowing.length === 0 || allowing.some(({ open }) => open)) return undefined;
  if (manual && allowing.some(({ window }) => window.manual)) return undefined;
  return allowing.reduce((a, b) => (timeOf(a) <= timeOf(b) ? a : b));
}

const timeOf = ({ until }: WindowState): number => until?.getTime() ?? never;
