/** What one case came to. */
export interface CaseResult {
  /** What was wrong, each a sentence; none: the case is passed. */
  readonly failures: readonly string[];
  /** Figures of this case by name; the page shows their middle and their most. */
  readonly figures: Readonly<Record<string, number>>;
  /** Things that are counted over all cases, such as deletions or kills. */
  readonly counts: Readonly<Record<string, number>>;
}

/** What is set up once and used by every case. */
export interface Stand {
  /** One case. What is wrong with it is a failure of the result; what it throws is one, too. */
  run(seed: number): Promise<CaseResult>;
  close(): Promise<void>;
}

/** A proof that is run many times with another seed each: `tests/torture/<name>.ts` exports one as `torture`. */
export interface Torture {
  /** One sentence: what is done, and what must hold. */
  readonly what: string;
  /** What a case is called, in the plural. */
  readonly unit: string;
  /** How many cases make the whole proof. */
  readonly whole: number;
  /** Seeds are places in a list, from 0 on, before or instead of chance: a run begins there unless it is told another. */
  readonly listed?: boolean;
  /** Cases that are under way at once. */
  readonly parallel: number;
  open(): Promise<Stand>;
}

export interface Failure {
  readonly seed: number;
  readonly why: readonly string[];
}

/** How far a run has come: cases from `seed` on, in their order, `done` of them. */
export interface Progress {
  readonly seed: number;
  readonly done: number;
  readonly seconds: number;
  readonly failures: readonly Failure[];
  readonly figures: Readonly<Record<string, readonly number[]>>;
  readonly counts: Readonly<Record<string, number>>;
}

export const noProgress = (seed: number): Progress => ({
  seed,
  done: 0,
  seconds: 0,
  failures: [],
  figures: {},
  counts: {},
});

export interface RunOptions {
  /** Where to go on; `noProgress(seed)` to begin. */
  readonly from: Progress;
  /** Cases in all, those of `from` included. */
  readonly count: number;
  readonly parallel?: number;
  /** Called after every case that ended in order: what may be stored. */
  readonly report?: (progress: Progress) => void;
  /** Ends the run after the cases that are under way. */
  readonly signal?: AbortSignal;
}

/** Runs cases `from.seed + from.done` and on, several at once; what it reports and returns is gapless. */
export async function runCases(torture: Torture, options: RunOptions): Promise<Progress> {
  const { from, count, report = () => {}, signal } = options;
  const begin = performance.now();
  const ended = new Map<number, CaseResult>();
  let progress = from;
  let next = from.done;
  const stand = await torture.open();
  const gather = () => {
    for (let result = ended.get(progress.done); result !== undefined; result = ended.get(progress.done)) {
      ended.delete(progress.done);
      progress = withResult(progress, result, from.seconds + (performance.now() - begin) / 1000);
      report(progress);
    }
  };
  const work = async () => {
    while (next < count && signal?.aborted !== true) {
      const index = next;
      next += 1;
      ended.set(index, await runCase(stand, from.seed + index));
      gather();
    }
  };
  try {
    await Promise.all(Array.from({ length: options.parallel ?? torture.parallel }, work));
  } finally {
    await stand.close();
  }
  return progress;
}

async function runCase(stand: Stand, seed: number): Promise<CaseResult> {
  try {
    return await stand.run(seed);
  } catch (error) {
    const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { failures: [why], figures: {}, counts: {} };
  }
}

function withResult(before: Progress, { failures, figures, counts }: CaseResult, seconds: number): Progress {
  const { seed, done } = before;
  return {
    seed,
    done: done + 1,
    seconds,
    failures: failures.length === 0 ? before.failures : [...before.failures, { seed: seed + done, why: failures }],
    figures: { ...before.figures, ...appended(before.figures, figures) },
    counts: { ...before.counts, ...added(before.counts, counts) },
  };
}

const appended = (before: Progress['figures'], more: CaseResult['figures']) =>
  Object.fromEntries(Object.entries(more).map(([name, value]) => [name, [...(before[name] ?? []), value]]));

const added = (before: Progress['counts'], more: CaseResult['counts']) =>
  Object.fromEntries(Object.entries(more).map(([name, value]) => [name, (before[name] ?? 0) + value]));

/** Figures and counts of a run, each as a line of a table. */
export function summaryOf({ figures, counts }: Progress): readonly (readonly [what: string, text: string])[] {
  const measured = Object.entries(figures).map(([name, values]) => {
    const sorted = values.toSorted((a, b) => a - b);
    const at = (share: number) => figure(sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0);
    return [name, `middle ${at(0.5)}, p99 ${at(0.99)}, most ${at(1)}`] as const;
  });
  return [...Object.entries(counts).map(([name, count]) => [name, String(count)] as const), ...measured];
}

const figure = (value: number): string => (Math.abs(value) < 100 ? value.toPrecision(3) : Math.round(value).toString());
