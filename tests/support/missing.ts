import { describe } from 'vitest';

/**
 * `describe` for tests that need a part which the machine may lack: `missing` says what and how to get it. Then nothing
 * of the suite runs, hooks included, and the runner prints the reason. In CI a missing part is a failure.
 */
export function describeUnless(missing: string | undefined, name: string, tests: () => void): void {
  if (missing === undefined || process.env.CI === 'true') describe(name, tests);
  else describe.skip(name, { meta: { skipReason: missing } }, tests);
}

declare module 'vitest' {
  interface TaskMeta {
    skipReason?: string;
  }
}
