import { Fault } from '#base/errors.ts';

export interface Gate<Lane extends string> {
  /** Waits for a place and does the work there. @throws Fault TOO_MANY_REQUESTS when the lane's line is full */
  pass<T>(lane: Lane, work: () => Promise<T>): Promise<T>;
  /** Whether whoever comes now would be turned away. */
  isFull(lane: Lane): boolean;
}

/**
 * Lets `most` pieces of work run at a time; the others wait in line, each lane's by itself. The lanes take turns: however
 * long one line is, the others go on at their share.
 * @param options.waiting how many may wait in each lane
 */
export function createGate<Lane extends string>(options: {
  readonly most: number;
  readonly waiting: Readonly<Record<Lane, number>>;
}): Gate<Lane> {
  const { most, waiting } = options;
  /** Whoever was served last is at the end. */
  const lanes = (Object.keys(waiting) as Lane[]).map((lane) => ({ lane, line: [] as (() => void)[] })); // its own keys
  let running = 0;

  const lineOf = (lane: Lane) => lanes.find((each) => each.lane === lane)?.line ?? [];
  const isFull = (lane: Lane) => running >= most && lineOf(lane).length >= waiting[lane];
  const takeNext = () => {
    const at = lanes.findIndex(({ line }) => line.length > 0);
    const [served] = at < 0 ? [] : lanes.splice(at, 1);
    if (served === undefined) return undefined;
    lanes.push(served);
    return served.line.shift();
  };
  return {
    isFull,
    pass: async (lane, work) => {
      if (isFull(lane)) throw new Fault('TOO_MANY_REQUESTS', { seconds: 2 });
      // Whoever ends hands its place on, so `running` stays as it is.
      if (running >= most) await new Promise<void>((resolve) => lineOf(lane).push(resolve));
      else running += 1;
      try {
        return await work();
      } finally {
        const next = takeNext();
        if (next === undefined) running -= 1;
        else next();
      }
    },
  };
}
