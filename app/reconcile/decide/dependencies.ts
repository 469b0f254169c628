import { circleThrough } from '#environments/circle.ts';

/** Which projects of an environment wait for which others. Names are `team/project`. */
export interface Dependencies {
  /** Says what a project depends on; an empty list forgets it. */
  set(name: string, on: readonly string[]): void;
  /** What a project depends on. */
  of(name: string): readonly string[];
  /** Those of its dependencies that `isReady` denies, and, where it is part of a circle, the circle. */
  blockersOf(name: string, isReady: (name: string) => boolean): Blockers;
  /** The projects that depend on this one, to be woken when it becomes ready. */
  dependantsOf(name: string): readonly string[];
}

export interface Blockers {
  readonly waitsFor: readonly string[];
  /** The names around the circle, the first one again at the end; empty: there is none. */
  readonly circle: readonly string[];
}

const free: Blockers = { waitsFor: [], circle: [] };

/** The graph of one environment, both ways. No call costs more because there are many projects. */
export function createDependencies(): Dependencies {
  const forward = new Map<string, readonly string[]>();
  const backward = new Map<string, Set<string>>();
  const of = (name: string) => forward.get(name) ?? [];

  const forget = (name: string) => {
    for (const to of of(name)) {
      const there = backward.get(to);
      there?.delete(name);
      if (there?.size === 0) backward.delete(to);
    }
    forward.delete(name);
  };

  return {
    of,
    set: (name, on) => {
      if (on === forward.get(name)) return;
      forget(name);
      if (on.length === 0) return;
      forward.set(name, on);
      for (const to of on) backward.set(to, (backward.get(to) ?? new Set()).add(name));
    },
    blockersOf: (name, isReady) => {
      const waitsFor = of(name).filter((to) => !isReady(to));
      // A circle whose members are all ready keeps nobody waiting: it is told when one of them changes.
      return waitsFor.length === 0 ? free : { waitsFor, circle: circleThrough(name, of) };
    },
    dependantsOf: (name) => [...(backward.get(name) ?? [])],
  };
}

/** Why a project waits for others, in words that tell no more of these than their names. */
export function waitText({ waitsFor, circle }: Blockers): string {
  if (circle.length > 0)
    return `waits for itself: ${circle.join(' → ')}; take one of these out of its dependsOn in project.yaml`;
  return `waits until ${waitsFor.join(', ')} ${waitsFor.length === 1 ? 'is' : 'are'} applied and healthy`;
}

/** Why a project that leaves is still there. */
export const leaveText = (first: readonly string[]): string =>
  `leaves after ${first.join(', ')}, which ${first.length === 1 ? 'depends' : 'depend'} on it and ${first.length === 1 ? 'leaves' : 'leave'} too`;
