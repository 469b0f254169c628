import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

/**
 * Rooms that only compute: their tests share one process a worker, which is six times as fast as a process a file. A
 * test of theirs that needs the cluster or the database all the same is named `*.doors.test.ts`.
 */
const pure = [
  'tests/app/base/**',
  'tests/app/contract/**',
  'tests/environments/**',
  'tests/synth/**',
  'tests/rules/**',
  'tests/bench/**',
].map((folder) => `${folder}/!(*.doors).test.ts`);

export default defineConfig({
  test: {
    // More would fight over the cores with the databases and clusters that the tests start.
    maxWorkers: Math.min(4, availableParallelism()),
    projects: [
      {
        test: {
          name: 'unit',
          include: pure,
          pool: 'threads',
          isolate: false,
          testTimeout: 20_000,
          hookTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'doors',
          include: ['tests/**/*.test.ts'],
          exclude: pure,
          pool: 'forks',
          testTimeout: 120_000,
          hookTimeout: 120_000,
          globalSetup: ['tests/support/shared-cluster.ts', 'tests/support/shared-postgres.ts'],
        },
      },
    ],
  },
});
