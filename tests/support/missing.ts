import { describe } from 'vitest';

/**
 * `describe` for tests that cannot run everywhere: `reason` says why not here and how to change that, undefined means
 * that they can. Then nothing of the suite runs, hooks included, and the runner prints the reason. What CI must have
 * is not for this to say: a `missing()` such as that of cluster.ts throws there.
 */
export function describeUnless(reason: string | undefined, name: string, tests: () => void): void {
  if (reason === undefined) describe(name, tests);
  else describe.skip(name, { meta: { skipReason: reason } }, tests);
}

declare module 'vitest' {
  interface TaskMeta {
    skipReason?: string;
  }
}
