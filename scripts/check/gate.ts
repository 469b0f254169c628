/** One thing that must hold of the whole repository. */
export interface Gate {
  readonly name: string;
  /** What does not hold, a line each, in words that say how to mend it; empty when all is well. Throws only when broken itself. */
  run(): Promise<readonly string[]>;
}

export interface GateOutcome {
  readonly name: string;
  readonly findings: readonly string[];
  readonly ms: number;
}

const mostLinesShown = 80;

/** Runs all gates at once and says how each ended, with its time, in the order of their ends. */
export async function runGates(gates: readonly Gate[], say: (line: string) => void): Promise<readonly GateOutcome[]> {
  return await Promise.all(
    gates.map(async ({ name, run }) => {
      const begin = performance.now();
      const findings = await run().catch((error: Error) => [`the gate itself failed: ${error.stack}`]);
      const ms = Math.round(performance.now() - begin);
      say(`${findings.length === 0 ? 'ok  ' : 'FAIL'} ${name} (${(ms / 1000).toFixed(1)} s)`);
      for (const finding of findings.slice(0, mostLinesShown)) say(`     ${finding}`);
      if (findings.length > mostLinesShown) say(`     … and ${findings.length - mostLinesShown} more lines`);
      return { name, findings, ms };
    }),
  );
}
