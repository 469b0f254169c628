import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { createMetrics } from '#base/metrics.ts';
import { manifestsFile, specFile } from '#environments/layout.ts';
import { commit } from '#git/commit.ts';
import { createEnvironments } from '#publish/environments.ts';
import { startController } from '#reconcile/controller.ts';
import { readRememberedOf } from '#reconcile/remembered.ts';
import { createNoneRuntime } from '#runtime/none.ts';
import { openSecrets } from '#secrets/open.ts';
import { captureLog } from '#support/captured-log.ts';
import { newCommit, runGit, useRepository } from '#support/git.ts';
import { useDatabase } from '#support/postgres.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';
import { eventually } from '#support/walk.ts';

const db = useDatabase();
const dataDirectory = join(useTemporaryDirectory());
const key = { environment: 'local', team: 'shop', project: 'web' };

test('something else in place of environments/ takes no project away: reconcile stays at the tip before it', async () => {
  const repository = await useRepository();
  const files = {
    'environments/local/environment.yaml': 'apiVersion: plinth.dev/v1\nkind: Environment\ndomain: local.test\n',
    [specFile(key)]: 'one',
    [manifestsFile(key)]: 'one',
  };
  const [good = ''] = await commit(repository, { expected: undefined, commits: [newCommit(files)] });
  const log = captureLog();
  const shared = { database: db.database, clock: systemClock, log: log.log, metrics: createMetrics() };
  const { secrets } = await openSecrets({ ...shared, encryption: { dataDirectory } });
  const controller = startController({
    ...shared,
    repository,
    secrets,
    environment: 'local',
    concurrency: 1,
    runtime: createNoneRuntime({ environment: 'local', fix: '' }),
    environmentAt: createEnvironments(repository, db.database).one,
  });
  onTestFinished(() => controller.stop());
  const status = async () => (await readRememberedOf(db.database, [key]))[0]?.status;
  const before = await eventually(status, (now) => now?.problem !== undefined);

  const git = async (args: string[], input = '') => (await runGit(repository.directory, args, { input })).stdout.trim();
  const blob = await git(['hash-object', '-w', '--stdin'], 'no folder');
  const tree = await git(['mktree'], `100644 blob ${blob}\tenvironments\n`);
  await git(['update-ref', 'refs/heads/main', await git(['commit-tree', tree, '-p', good, '-m', 'No folder'])]);
  controller.moved();
  await eventually(
    async () => log.lines().map(({ msg }) => msg),
    (lines) => lines.includes('environments in Git is no folder'),
  );
  controller.wake(key);
  const after = await eventually(status, (now) => (now?.attempts ?? 0) > (before?.attempts ?? 0) + 1);
  expect(after?.problem).toEqual(before?.problem);
});
