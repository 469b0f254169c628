import { startVitest } from 'vitest/node';
import { runGates } from './check/gate.ts';
import { gates } from './check/gates.ts';
import { buildCluster, missingForCluster } from './cluster/build.ts';
import { buildGitea, missingForGitea } from './gitea/build.ts';
import { createTally } from './test/tally.ts';
import { buildVault, missingForVault } from './vault/build.ts';

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

if (filters.length === 0) {
  if (missingForCluster() === undefined) await buildBeforehand(buildCluster, 'PLINTH_NO_CLUSTER');
  if (missingForVault() === undefined) await buildBeforehand(buildVault, 'PLINTH_NO_VAULT');
  // .ci/run may have said that there is no time for it.
  if (missingForGitea() === undefined && process.env.PLINTH_NO_GITEA === undefined)
    await buildBeforehand(buildGitea, 'PLINTH_NO_GITEA');
}

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
 * cluster, no Vault and no Gitea, which their doors in tests/support are told: a reason to skip, and in CI to fail.
 */
async function buildBeforehand(
  build: (options: { say(line: string): void }) => Promise<unknown>,
  absent: 'PLINTH_NO_CLUSTER' | 'PLINTH_NO_VAULT' | 'PLINTH_NO_GITEA',
): Promise<void> {
  try {
    await build({ say: console.log });
  } catch (error) {
    console.error((error as Error).message);
    process.env[absent] = 'its tools cannot be built here; the beginning of the output says why';
  }
}
