import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

/** A Node process of its own, for what only real processes show: `kill -9`, locks, orphans. */
export interface TestProcess {
  readonly pid: number;
  /** The next line of its output. @throws when it ended instead, with what it said on standard error */
  line(): Promise<string>;
  /** Sends the signal and waits for the end. */
  kill(signal: NodeJS.Signals): Promise<void>;
  readonly ended: Promise<number | null>;
}

/**
 * Runs a TypeScript file; what is left of it when the test ends is killed.
 *
 *     const child = startProcess(new URL('./claim.process.ts', import.meta.url), [folder]);
 */
export function startProcess(
  script: URL,
  args: readonly string[],
  options: { readonly uid?: number; readonly gid?: number; readonly cwd?: string } = {},
): TestProcess {
  const child = spawn(process.execPath, [fileURLToPath(script), ...args], {
    ...options,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const errors: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ended = endOf(child);
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return {
    pid: child.pid as number, // the program is Node, which can be spawned
    line: async () => {
      const next = await lines.next();
      if (next.done === true) throw new Error(`process ended: ${Buffer.concat(errors)}`);
      return next.value;
    },
    kill: async (signal) => {
      child.kill(signal);
      await ended;
    },
    ended,
  };
}

async function endOf(child: ChildProcess): Promise<number | null> {
  const [code] = (await once(child, 'close')) as [number | null]; // what Node says of this event
  return code;
}
