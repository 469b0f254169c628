import type { ErrorCode, Fault } from '#base/errors.ts';

/** How soon a run is tried again after a fault. */
export type Pace =
  /** At once a few times, then as `growing`. */
  | 'soon'
  /** A pause that grows, with full jitter. */
  | 'growing'
  /** Half a minute: what others free again, such as quota. */
  | 'medium'
  /** Minutes: what a person mends outside of Plinth. */
  | 'slow'
  /** Only when something about the project changes. */
  | 'final';

/** Codes that differ from the rule: `growing` where their row says retry, else `final`. */
const paces: Readonly<Partial<Record<ErrorCode, Pace>>> = {
  OBJECT_CONFLICT: 'soon',
  QUOTA_EXCEEDED: 'medium',
  OBJECT_DENIED: 'slow',
  OBJECT_FOREIGN: 'slow',
  KIND_MISSING: 'medium',
  INTERNAL: 'slow',
};

export const paceOf = ({ code, retry }: Pick<Fault, 'code' | 'retry'>): Pace =>
  paces[code] ?? (retry ? 'growing' : 'final');

const firstPauseMs = 200;
const mostPauseMs = 60_000;
const mediumMs = 30_000;
const slowMs = 5 * 60_000;
const soonTries = 3;

/**
 * How long to wait before the next try; undefined: for ever.
 * @param attempts tries that failed one after the other, this one included
 * @param chance from 0 to 1
 */
export function pauseMs(pace: Pace, attempts: number, chance: number): number | undefined {
  switch (pace) {
    case 'soon':
      return attempts <= soonTries ? chance * firstPauseMs : pauseMs('growing', attempts - soonTries, chance);
    case 'growing':
      return chance * Math.min(mostPauseMs, firstPauseMs * 2 ** Math.min(attempts, 20));
    case 'medium':
      return Math.round(mediumMs * (0.8 + 0.4 * chance));
    case 'slow':
      return Math.round(slowMs * (0.8 + 0.4 * chance));
    case 'final':
      return undefined;
  }
}
