import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ControlPlane, startControlPlane } from '#support/control-plane.ts';
import { openRemoteHost, type RemoteHost } from '#support/git-remote.ts';
import { createTestDatabase, type TestDatabase } from '#support/postgres.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';
import { urlOf } from './fleet.ts';

describe('a second control plane on one database', () => {
  const directory = useTemporaryDirectory('plinth-refused');
  let db: TestDatabase;
  let running: ControlPlane | undefined;
  let remote: RemoteHost | undefined;
  beforeAll(async () => {
    db = await createTestDatabase();
  });
  afterAll(async () => {
    await running?.kill();
    await remote?.remove();
    await db.drop();
  });
  const start = (name: string, environment: Record<string, string> = {}) =>
    startControlPlane({
      dataDirectory: join(directory, name, 'data'),
      environment: { DATABASE_URL: urlOf(db), KUBECONFIG: join(directory, 'none'), ...environment },
    });

  test('with a repository of its own is refused although nothing was committed yet', async () => {
    running = await start('one');
    const { rows } = await db.database.query('select id, repository from installation');
    await expect(start('two')).rejects.toThrow(
      `The state repository is of installation (none: it is new), the database of ${rows[0]?.id}. Restore the pair that belongs together.`,
    );
    expect((await db.database.query('select id, repository from installation')).rows).toEqual(rows);
    expect((await running.request('GET', '/api/v1/environments')).status).toBe(200);
  });

  test('with the same remote, but another SECRET_KEY, is refused while the first one lives', async () => {
    await running?.stop();
    remote = await openRemoteHost();
    const shared = { STATE_REPOSITORY_URL: remote.url };
    // What the first one had in its own repository goes on in the remote.
    running = await start('one', { ...shared, SECRET_KEY: 'the key of the first replica, long enough' });
    await expect(start('three', { ...shared, SECRET_KEY: 'the key of another replica, long enough' })).rejects.toThrow(
      /SECRET_KEY is not the one of replica rep_\w+, which runs on the same database/,
    );
    expect(existsSync(join(directory, 'three/data/state.git'))).toBe(false);
    await running.kill();
    running = await start('three', { ...shared, SECRET_KEY: 'the key of another replica, long enough' });
  });
});
