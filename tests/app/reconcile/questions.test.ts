import { expect, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { Secret } from '#base/secret.ts';
import { createQuestions } from '#reconcile/source.ts';
import { openSecrets } from '#secrets/open.ts';
import type { SecretsAsk } from '#secrets/secrets.ts';
import { silent } from '#support/git.ts';
import { useDatabase } from '#support/postgres.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';

const db = useDatabase();
const folder = useTemporaryDirectory();
const project = (name: string) => ({ environment: 'local', team: 'shop', project: name });

test('secrets that are read late hold up who asked for them; at most four reads are under way', async () => {
  const { database } = db;
  const encryption = { dataDirectory: folder };
  const { secrets, stop } = await openSecrets({ database, log: silent, clock: systemClock, encryption });
  for (const name of ['slow', 'quick']) await secrets.set(project(name), 'password', new Secret(`${name} one`), 'ada');
  const gate = Promise.withResolvers<void>();
  let underWay = 0;
  let most = 0;
  /** The store, whose backend answers late where a slow project asks. */
  const late = async (asked: readonly SecretsAsk[]) => {
    underWay += 1;
    most = Math.max(most, underWay);
    if (asked.some(({ from }) => 'project' in from && from.project === 'slow')) await gate.promise;
    return await secrets.resolveMany(asked).finally(() => {
      underWay -= 1;
    });
  };
  const { resolve } = createQuestions({ database, secrets: { ...secrets, resolveMany: late } });
  const ask = async (name: string) =>
    (await resolve({ from: project(name), names: ['password'] })).get('password')?.value.reveal();

  const slow = ask('slow');
  expect(await Promise.all(Array.from({ length: 20 }, () => ask('quick')))).toEqual(Array(20).fill('quick one'));
  const allSlow = Array.from({ length: 10 }, () => ask('slow'));
  expect([underWay, most]).toEqual([4, 4]);
  gate.resolve();
  expect(await Promise.all([slow, ...allSlow])).toEqual(Array(11).fill('slow one'));
  await stop();
});
