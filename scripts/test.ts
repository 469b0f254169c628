import { startVitest } from 'vitest/node';
import { runGates } from './check/gate.ts';
import { gates } from './check/gates.ts';
import { buildCluster, missingForCluster } from './cluster/build.ts';
import { createTally } from './test/tally.ts';

/**
 * `npm test`: the gates of `npm run check`, then every test. Arguments go to vitest as filters (`npm test -- tests/git`);
 * with them the gates are left out. The last line is always `N passed, N failed, N skipped`.
 */
const filters = process.argv.slice(2);
const tally = createTally();

if (filters.length === 0) {
  console.log('checks');
  for (const { findings } of await runGates(gates, console.log))
    tally.count(findings.length === 0 ? 'passed' : 'failed');
}

if (filters.length === 0 && missingForCluster() === undefined) await buildBeforehand();

const vitest = await startVitest('test', filters, {
  run: true,
  watch: false,
  reporters: ['default', tally.reporter],
});
await vitest.close();
process.exitCode = tally.print(console.log);
// Vitest's own exit code is about its tests only; what still runs here (a socket of a test) must not hold the end up.
process.exit();

/**
 * So that no test's time limit has to hold a build. A machine that cannot build (no way to the Go modules) has no
 * cluster, which tests/support/cluster.ts is told: there it is a reason to skip, and in CI to fail.
 */
async function buildBeforehand(): Promise<void> {
  try {
    await buildCluster({ say: console.log });
  } catch (error) {
    console.error((error as Error).message);
    process.env.PLINTH_NO_CLUSTER = 'its tools cannot be built here; npm run cluster says why';
  }
}
