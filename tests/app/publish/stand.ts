import { systemClock } from '#base/clock.ts';
import { createMetrics } from '#base/metrics.ts';
import type { Database } from '#database/pool.ts';
import { environmentFile } from '#environments/layout.ts';
import { commit } from '#git/commit.ts';
import type { Repository } from '#git/repository.ts';
import { createEnvironments } from '#publish/environments.ts';
import type { PublishDoors } from '#publish/publish.ts';
import { openSecrets } from '#secrets/open.ts';
import { newCommit, silent, useRepository } from '#support/git.ts';

/** What a publisher works with, over a new repository whose only file is environment.yaml of `local`. */
export async function openPublisher(given: {
  readonly database: Database;
  readonly dataDirectory: string;
  readonly local: string;
}): Promise<PublishDoors & { readonly repository: Repository }> {
  const { database, dataDirectory, local } = given;
  const repository = await useRepository();
  await commit(repository, { expected: undefined, commits: [newCommit({ [environmentFile('local')]: local })] });
  const store = { database, log: silent, clock: systemClock, encryption: { dataDirectory } };
  return {
    repository,
    database,
    secrets: (await openSecrets(store)).secrets,
    environments: createEnvironments(repository),
    clock: systemClock,
    log: silent,
    metrics: createMetrics(),
  };
}
