/** Numbers that look like chance and are the same for the same seed. */
export interface Random {
  /** From 0 up to, but without, 1. */
  next(): number;
  /** A whole number from 0 up to, but without, `end`. */
  below(end: number): number;
  between(least: number, most: number): number;
  chance(share: number): boolean;
  /** @throws RangeError when there is nothing to pick from */
  pick<T>(all: readonly T[]): T;
  /** Some of them, `count` at the most, in a new order. */
  some<T>(all: readonly T[], count: number): readonly T[];
}

/** Mulberry32: small, fast and good enough to choose what goes wrong next. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (end: number) => Math.floor(next() * end);
  const pick = <T>(all: readonly T[]): T => {
    if (all.length === 0) throw new RangeError('there is nothing to pick from');
    return all[below(all.length)] as T; // the index is within
  };
  return {
    next,
    below,
    pick,
    between: (least, most) => least + next() * (most - least),
    chance: (share) => next() < share,
    some: (all, count) => {
      const left = [...all];
      const taken: (typeof left)[number][] = [];
      while (left.length > 0 && taken.length < count) taken.push(...left.splice(below(left.length), 1));
      return taken;
    },
  };
}

/** A seed for a run that is told none; it is printed, so that the run can be had again. */
export const newSeed = (): number => Math.floor(Math.random() * 2 ** 31);
