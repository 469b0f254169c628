import { createHmac, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#base/clock.ts';
import type { Config } from '#base/config.ts';
import { claimDataDirectory } from '#base/data-directory.ts';
import { Fault } from '#base/errors.ts';
import { newId } from '#base/ids.ts';
import type { Log } from '#base/log.ts';
import { startLoop } from '#base/loop.ts';
import { readOrMake } from '#base/once-file.ts';
import { Secret } from '#base/secret.ts';
import type { Connection } from '#database/connection.ts';
import { serverUser, startEmbedded } from '#database/embedded.ts';
import { migrate } from '#database/migrate.ts';
import { createDatabase, type Database } from '#database/pool.ts';
import { environmentFile, installationFile } from '#environments/layout.ts';
import { repack } from '#git/housekeeping.ts';
import { openRepository, type Repository } from '#git/repository.ts';
import { seedRepository } from '#publish/seed.ts';
import { openKeys } from '#secrets/keys.ts';
import { createSecrets, type Secrets } from '#secrets/secrets.ts';

/** What holds the state: PostgreSQL and Git, opened and ready. */
export interface Stores {
  readonly database: Database;
  readonly connection: Connection;
  readonly repository: Repository;
  /** The id of this installation, the same in Git, PostgreSQL and on every object in a cluster. */
  readonly installation: string;
  readonly secrets: Secrets;
  /** Keys digests of secret values that are stored. */
  readonly digestKey: Secret<Buffer>;
  /** Signs sessions; made once. */
  readonly authSecret: Secret;
}

/** How something that was started ends; done in the opposite order of the starts. */
export interface Ending {
  readonly what: string;
  readonly end: () => Promise<void> | void;
}

/** The environments that a new state repository begins with. */
const distribution = ['local', 'dev', 'staging', 'production'];
/** Each commit leaves a pack; looking whether there is something to join costs a listing of the folder. */
const housekeepingMs = 30_000;

/** Claims the data directory and opens database and repository in it, making both at the first start. */
export async function openStores(config: Config, log: Log, clock: Clock, endings: Ending[]): Promise<Stores> {
  const user = await serverUser();
  const directory = await claimDataDirectory(config.dataDirectory, { clock, group: user?.gid });
  endings.push({ what: 'data directory', end: () => directory.release() });

  const embedded = await startEmbedded({ directory: join(config.dataDirectory, 'postgres'), log, clock });
  endings.push({ what: 'embedded PostgreSQL', end: () => embedded.stop() });
  const { connection } = embedded;
  const database = createDatabase({ connection, log, clock });
  endings.push({ what: 'database', end: () => database.close() });
  await migrate({ database, log });

  const repository = await openRepository({ directory: join(config.dataDirectory, 'state.git'), branch: 'main', log });
  endings.push({ what: 'repository', end: () => repository.close() });
  const installation = await readInstallation(database, repository, clock);
  if ((await repository.tip()) === undefined)
    await seedRepository(repository, clock, installation, await distributed());
  const housekeeping = startLoop({
    name: 'housekeeping',
    log,
    clock,
    everyMs: housekeepingMs,
    run: async () => {
      await repack(repository);
      return 'idle';
    },
  });
  endings.push({ what: 'housekeeping', end: () => housekeeping.stop() });
  const key = await readOrMake(join(config.dataDirectory, 'auth-secret'), () =>
    Buffer.from(randomBytes(32).toString('hex')),
  );
  const keys = await openKeys(config.dataDirectory);
  const secrets = createSecrets({ database, keys });
  const digestKey = new Secret(createHmac('sha256', keys.current.bytes.reveal()).update('digests of secrets').digest());
  return {
    database,
    connection,
    repository,
    installation,
    secrets,
    digestKey,
    authSecret: new Secret(key.toString('utf8')),
  };
}

/**
 * The id is made once. A new database beside an old repository takes the repository's; two that differ belong to two
 * installations, and nothing is touched.
 */
async function readInstallation(database: Database, repository: Repository, clock: Clock): Promise<string> {
  const tip = await repository.tip();
  const file = tip === undefined ? undefined : await repository.read(tip, installationFile);
  const inGit = file === undefined ? undefined : /^installation: (\S+)$/m.exec(Buffer.from(file).toString('utf8'))?.[1];
  const id = inGit ?? newId('installation', clock.now());
  await database.query('insert into installation (id) values ($1) on conflict do nothing', [id]);
  const { rows } = await database.query<{ id: string }>('select id from installation');
  const stored = rows[0]?.id ?? id;
  if (inGit !== undefined && stored !== inGit) throw new Fault('INSTALLATION_MIXED', { git: inGit, database: stored });
  return stored;
}

async function distributed(): Promise<{ path: string; content: string }[]> {
  return await Promise.all(
    distribution.map(async (name) => {
      const path = environmentFile(name);
      return { path, content: await readFile(new URL(`../${path}`, import.meta.url), 'utf8') };
    }),
  );
}
