import type { Reporter, SerializedError, TestCase, TestModule, TestSuite } from 'vitest/node';

type Outcome = 'passed' | 'failed' | 'skipped';

/** Counts gates and tests, and knows why each skipped one was skipped. */
export interface Tally {
  readonly reporter: Reporter;
  count(outcome: Outcome): void;
  /** Says every skipped test with its reason, then the counts in the last line; returns the exit code. */
  print(say: (line: string) => void): 0 | 1;
}

/** Failed also are: files that cannot be loaded, suites whose hooks fail, errors outside of tests, and a run without tests. */
export function createTally(): Tally {
  const counts: Record<Outcome, number> = { passed: 0, failed: 0, skipped: 0 };
  const skipped: { name: string; reason: string }[] = [];
  let tests = 0;

  const countTest = (test: TestCase) => {
    tests += 1;
    const result = test.result();
    const reason = result.state === 'skipped' ? (result.note ?? reasonOf(test)) : undefined;
    // Pending is what a broken run never came to, and a suite's failed hook takes its tests along: not known to be good.
    const neverRan =
      result.state === 'pending' || (result.state === 'skipped' && reason === undefined && isBroken(test));
    const outcome = neverRan ? 'failed' : (result.state as Outcome); // pending is neverRan
    counts[outcome] += 1;
    if (outcome === 'skipped') {
      const name = `${test.module.relativeModuleId} > ${test.fullName}`;
      skipped.push({ name, reason: reason ?? 'no reason given' });
    }
    return neverRan;
  };
  const end = (modules: readonly TestModule[], errors: readonly SerializedError[]) => {
    for (const module of modules) {
      const broken = [module, ...module.children.allSuites()].filter((suite) => suite.errors().length > 0);
      const victims = [...module.children.allTests()].filter(countTest);
      if (victims.length === 0) counts.failed += broken.length;
    }
    counts.failed += errors.length;
  };

  return {
    reporter: { onTestRunEnd: end },
    count: (outcome) => {
      counts[outcome] += 1;
    },
    print: (say) => {
      for (const { name, reason } of skipped) say(`skipped: ${name}\n         because ${reason}`);
      if (tests === 0) say('no test was found: that is a failure');
      say(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
      return counts.failed > 0 || tests === 0 ? 1 : 0;
    },
  };
}

function reasonOf(test: TestCase): string | undefined {
  for (const task of [test, ...suitesAround(test)]) {
    const { skipReason } = task.meta();
    if (skipReason !== undefined) return skipReason;
  }
  return undefined;
}

const isBroken = (test: TestCase) => [test.module, ...suitesAround(test)].some((suite) => suite.errors().length > 0);

function suitesAround(test: TestCase): readonly TestSuite[] {
  const suites: TestSuite[] = [];
  for (let suite = test.parent; suite.type === 'suite'; suite = suite.parent) suites.push(suite);
  return suites;
}
