import { Fault } from '#base/errors.ts';

/** Lets `most` pieces of work run at a time; the others wait in line. @throws Fault TOO_MANY_REQUESTS beyond the line */
export function createGate({ most, mostWaiting }: { most: number; mostWaiting: number }) {
  const line: (() => void)[] = [];
  let running = 0;
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (running >= most) {
      if (line.length >= mostWaiting) throw new Fault('TOO_MANY_REQUESTS', { seconds: 2 });
      // Whoever ends hands its place on, so `running` stays as it is.
      await new Promise<void>((resolve) => line.push(resolve));
    } else running += 1;
    try {
      return await work();
    } finally {
      const next = line.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}
