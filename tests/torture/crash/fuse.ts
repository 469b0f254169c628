/** Where side effects pass by, one after the other. */
export type Door = 'database' | 'api' | 'git';

/** The n-th side effect at a door since the fuse was armed, counted from 1. */
export interface Point {
  readonly door: Door;
  readonly count: number;
  /** What Git wrote is seen only when it is there. */
  readonly when: 'before' | 'after';
}

/** Blows once, at one exact side effect. */
export interface Fuse {
  arm(point: Point | undefined, blow: () => void): void;
  /** A side effect begins, or ended: true when the fuse blew, and nothing of it may go on. */
  passes(door: Door, when: 'before' | 'after'): boolean;
  /** Side effects since it was armed. */
  readonly counts: Readonly<Record<Door, number>>;
  blown(): boolean;
}

export function createFuse(): Fuse {
  const counts: Record<Door, number> = { database: 0, api: 0, git: 0 };
  const ended: Record<Door, number> = { database: 0, api: 0, git: 0 };
  let armed: { readonly point: Point; blow(): void } | undefined;
  let done = false;
  return {
    counts,
    blown: () => done,
    arm: (point, blow) => {
      Object.assign(counts, { database: 0, api: 0, git: 0 });
      Object.assign(ended, { database: 0, api: 0, git: 0 });
      done = false;
      armed = point === undefined ? undefined : { point, blow };
    },
    passes: (door, when) => {
      const now = when === 'before' ? counts : ended;
      now[door] += 1;
      // Git's files have no "before" that could be seen.
      if (door === 'git') counts.git = ended.git;
      if (armed === undefined) return done;
      const { point, blow } = armed;
      if (point.door !== door || point.when !== when || point.count !== now[door]) return false;
      armed = undefined;
      done = true;
      blow();
      return true;
    },
  };
}

/** Every point of a scenario that has so many side effects, in an order of doors. */
export function pointsOf(counts: Readonly<Record<Door, number>>): readonly Point[] {
  const list = (door: Door, when: Point['when']) =>
    Array.from({ length: counts[door] }, (_, index): Point => ({ door, when, count: index + 1 }));
  return [
    ...list('database', 'before'),
    ...list('database', 'after'),
    ...list('api', 'before'),
    ...list('api', 'after'),
    ...list('git', 'after'),
  ];
}
