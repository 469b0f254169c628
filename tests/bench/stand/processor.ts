import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Linux counts processor time in hundredths of a second. */
const msPerTick = 10;

interface Process {
  readonly parent: number;
  readonly ms: number;
}

/** Milliseconds of processor time that a process has used so far; nothing when it is gone. */
function readProcess(pid: number): Process | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { parent: Number(fields[1]), ms: (Number(fields[11]) + Number(fields[12])) * msPerTick };
  } catch {
    return undefined;
  }
}

/** Processor time of these processes until now, in milliseconds. */
export const processorMs = (pids: readonly number[]): number =>
  pids.reduce((sum, pid) => sum + (readProcess(pid)?.ms ?? 0), 0);

/** A process and those that it started. */
export const withChildren = (pid: number): readonly number[] => [
  pid,
  ...readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((other) => readProcess(other)?.parent === pid),
];

/** Resolves once these processes have hardly worked for a while: what a round left behind is not the next one's. */
export async function quiet(pids: readonly number[], mostMs = 15_000): Promise<void> {
  const end = performance.now() + mostMs;
  for (let calm = 0; calm < 3 && performance.now() < end; ) {
    const before = processorMs(pids);
    await sleep(100);
    calm = processorMs(pids) - before <= 20 ? calm + 1 : 0;
  }
}
