import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { createMetrics } from '#base/metrics.ts';
import { Secret } from '#base/secret.ts';
import { commit } from '#git/commit.ts';
import { openRepository } from '#git/repository.ts';
import { createSigner, type Signer } from '#git/signature.ts';
import { createEnvironments } from '#publish/environments.ts';
import { startControllers } from '#reconcile/controllers.ts';
import { createNoneRuntime } from '#runtime/none.ts';
import { openSecrets } from '#secrets/open.ts';
import { newCommit, silent } from '#support/git.ts';
import { useDatabase } from '#support/postgres.ts';
import { temporaryDirectory } from '#support/temporary.ts';
import { eventually } from '#support/walk.ts';

const db = useDatabase();
const signer = () => createSigner(new Secret(randomBytes(32)));
const [plinth, ada] = [signer(), signer()];
const file = 'environments/local/environment.yaml';
const yaml = (name: string) => `apiVersion: plinth.dev/v1
kind: Environment
domain: ${name}.test
signatures:
  required: true
  keys: [${JSON.stringify(ada.publicKey)}]
`;

/** Starts controllers that note which environment.yaml they chose a runtime by. */
async function begin() {
  await db.database.query('delete from cursors');
  const { path, remove } = temporaryDirectory('plinth-controllers');
  const options = { directory: join(path, 'state.git'), branch: 'main', log: silent, signer: plinth } as const;
  const repository = await openRepository(options);
  onTestFinished(async () => {
    await repository.close();
    remove();
  });
  const write = async (by: Signer | undefined, content: string) =>
    await commit(
      { ...repository, signer: by },
      { expected: await repository.tip(), commits: [newCommit({ [file]: content })] },
    );
  const shared = { database: db.database, clock: systemClock, log: silent, metrics: createMetrics() };
  const { secrets } = await openSecrets({ ...shared, encryption: { dataDirectory: path } });
  const environments = createEnvironments(repository, db.database);
  const start = () => {
    const chosen: string[] = [];
    const controllers = startControllers({
      ...shared,
      repository,
      secrets,
      concurrency: 1,
      environmentAt: environments.one,
      environmentsAt: environments.at,
      chooseRuntime: async ({ name, domain }) => {
        chosen.push(domain);
        const make = () => ({ runtime: createNoneRuntime({ environment: name, fix: '' }), because: '' });
        return { choice: domain, make };
      },
    });
    onTestFinished(() => controllers.stop());
    return { chosen, controllers };
  };
  return { write, start };
}

test('where an environment runs, and whom it tells, follows no environment.yaml that is not in order', async () => {
  const { write, start } = await begin();
  await write(ada, yaml('ours'));
  const first = start();
  await first.controllers.started;
  await write(undefined, yaml('theirs'));
  first.controllers.moved();
  await eventually(
    async () => first.chosen.length,
    (looks) => looks > 1,
  );
  // Nor after a restart.
  const second = start();
  await second.controllers.started;
  expect(new Set([...first.chosen, ...second.chosen])).toEqual(new Set(['ours.test']));
  expect((await second.controllers.environmentOf('local'))?.domain).toBe('ours.test');
  expect(await second.controllers.environmentOf('nowhere')).toBeUndefined();
  await write(ada, yaml('next'));
  second.controllers.moved();
  await eventually(
    async () => second.chosen.at(-1),
    (last) => last === 'next.test',
  );
  expect((await second.controllers.environmentOf('local'))?.domain).toBe('next.test');
});
