import { performance } from 'node:perf_hooks';

/** What a list of times (or of anything else) says in short. */
export interface Summary {
  readonly count: number;
  readonly least: number;
  readonly p50: number;
  readonly p99: number;
  readonly most: number;
}

/** By nearest rank: each figure is a value that was really measured. @throws RangeError without any value. */
export function summarise(values: readonly number[]): Summary {
  if (values.length === 0) throw new RangeError('nothing was measured');
  const sorted = values.toSorted((a, b) => a - b);
  const rank = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
  return { count: sorted.length, least: rank(0), p50: rank(0.5), p99: rank(0.99), most: rank(1) };
}

/** The middle value, or the mean of the two middle ones. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('nothing was measured');
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Milliseconds of each of `count` runs, one after the other, after `warmUps` that do not count. */
export async function timeEach(
  run: (index: number) => Promise<unknown> | unknown,
  { count, warmUps = 0 }: { readonly count: number; readonly warmUps?: number },
): Promise<readonly number[]> {
  for (let index = -warmUps; index < 0; index++) await run(index);
  const times: number[] = [];
  for (let index = 0; index < count; index++) {
    const begin = performance.now();
    await run(index);
    times.push(performance.now() - begin);
  }
  return times;
}

/** One of two ways to do the same work. `run` resolves to how many units it did; preparing is not timed. */
export interface Contender {
  readonly name: string;
  prepare?(round: number): Promise<unknown>;
  run(round: number): Promise<number>;
}

export interface Comparison {
  /** Units a second of each round. */
  readonly rates: readonly (readonly [first: number, second: number])[];
  /** The first's rate divided by the second's, of each round. */
  readonly ratios: readonly number[];
  /** The median of the ratios: above 1 the first is faster. */
  readonly ratio: number;
}

/**
 * Runs both in turn, in every second round the other way round, so that what else the machine does falls on both: only
 * the ratio of one round means something, and of the ratios the median.
 */
export async function compare(first: Contender, second: Contender, rounds: number): Promise<Comparison> {
  const rates: [number, number][] = [];
  for (let round = 0; round < rounds; round++) {
    const rate: [number, number] = [0, 0];
    const order = round % 2 === 0 ? [0, 1] : [1, 0];
    for (const index of order) rate[index] = await rateOf(index === 0 ? first : second, round);
    rates.push(rate);
  }
  const ratios = rates.map(([a, b]) => a / b);
  return { rates, ratios, ratio: median(ratios) };
}

async function rateOf({ prepare, run }: Contender, round: number): Promise<number> {
  await prepare?.(round);
  const begin = performance.now();
  const units = await run(round);
  return (units / (performance.now() - begin)) * 1000;
}

/** The rounds as a table, and the ratio under it. */
export function printComparison(first: string, second: string, comparison: Comparison): void {
  const { rates, ratios, ratio } = comparison;
  printTable(
    ['round', `${first} /s`, `${second} /s`, 'ratio'],
    rates.map(([a, b], round) => [String(round + 1), figure(a), figure(b), ratios[round]!.toFixed(2)]),
  );
  const { least, most } = summarise(ratios);
  console.log(`${first} is at ${percent(ratio)} of ${second} (${percent(least)} to ${percent(most)})`);
}

/** Times of several measurements, each with its target where there is one. */
export function printTimes(rows: readonly { readonly name: string; readonly times: readonly number[] }[]): void {
  printTable(
    ['ms', 'runs', 'least', 'p50', 'p99', 'most'],
    rows.map(({ name, times }) => {
      const { count, least, p50, p99, most } = summarise(times);
      return [name, String(count), ...[least, p50, p99, most].map(figure)];
    }),
  );
}

/** Columns as wide as their widest cell; the first to the left, figures to the right. */
export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  for (const row of [head, ...rows]) {
    const cells = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
    );
    console.log(cells.join('  ').trimEnd());
  }
}

/** Three digits that mean something, never an exponent. */
export const figure = (value: number): string =>
  value >= 100 ? String(Math.round(value)) : value.toFixed(value >= 10 ? 1 : 2);

const percent = (ratio: number) => `${Math.round(ratio * 100)} %`;
