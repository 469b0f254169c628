import { expect } from 'vitest';
import { newSeed } from './random.ts';
import { type Failure, noProgress, runCases, type Stand } from './torture.ts';

export interface Sample {
  /** Cases of the same seeds every time, and of a new seed, which a failure names. */
  readonly fixed: number;
  readonly fresh: number;
  readonly parallel: number;
  open(): Promise<Stand>;
}

/** A few cases of a torture, as a test: none may fail. */
export async function expectSample(name: string, { fixed, fresh, parallel, open }: Sample): Promise<void> {
  const stand = await open();
  const shared = { what: name, unit: 'cases', whole: fixed, parallel, open: async () => ({ ...stand, close: noWork }) };
  const failures: Failure[] = [];
  try {
    failures.push(...(await runCases(shared, { from: noProgress(0), count: fixed })).failures);
    const seed = newSeed();
    if (fresh > 0) failures.push(...(await runCases(shared, { from: noProgress(seed), count: fresh })).failures);
  } finally {
    await stand.close();
  }
  expect(failures).toEqual([]);
}

const noWork = async () => {};
