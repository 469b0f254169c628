import { chmodSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '#base/clock.ts';
import type { StateRemote } from '#base/config.ts';
import { createLog, type Log } from '#base/log.ts';
import { createMetrics, type Metrics } from '#base/metrics.ts';
import type { Connection } from '#database/connection.ts';
import { startEmbedded } from '#database/embedded.ts';
import { migrate } from '#database/migrate.ts';
import { createDatabase, type Database } from '#database/pool.ts';
import { environmentFile } from '#environments/layout.ts';
import { loadEnvironment } from '#environments/load.ts';
import type { Environment } from '#environments/schema.ts';
import { openRepository, type Repository } from '#git/repository.ts';
import { seedRepository } from '#publish/seed.ts';
import { openSecrets } from '#secrets/open.ts';
import type { Secrets } from '#secrets/secrets.ts';
import { temporaryDirectory } from '#support/temporary.ts';

/** The doors that publish and reconcile stand on, real ones, in a temporary folder. */
export interface BenchStores {
  readonly directory: string;
  readonly installation: string;
  readonly connection: Connection;
  readonly database: Database;
  readonly repository: Repository;
  readonly secrets: Secrets;
  /** The environment `local`, as the first commit has it. */
  readonly environment: Environment;
  readonly metrics: Metrics;
  readonly clock: typeof systemClock;
  readonly log: Log;
  /** The database server, for its processor time. */
  readonly postgresPid: number;
  close(): Promise<void>;
}

/**
 * Embedded PostgreSQL, durable as in production, and a bare repository with its first commit.
 * @param remote where every commit is pushed before it counts; absent: the repository is nobody's mirror
 */
export async function openStores(
  level: 'silent' | 'warn' | 'error' = 'error',
  remote?: StateRemote,
): Promise<BenchStores> {
  const { path: directory, remove } = temporaryDirectory('plinth-bench');
  chmodSync(directory, 0o711); // As root the server runs as another user, which must be able to enter.
  const log = createLog({ level });
  const clock = systemClock;
  const installation = 'ins_bench';
  const embedded = await startEmbedded({ directory: join(directory, 'postgres'), log, clock });
  const database = createDatabase({ connection: embedded.connection, log, clock });
  await migrate({ database, log });
  const repository = await openRepository({ directory: join(directory, 'state.git'), branch: 'main', log, remote });
  const path = environmentFile('local');
  const content = await readFile(new URL(`../../../${path}`, import.meta.url), 'utf8');
  await seedRepository(repository, clock, installation, [{ path, content }]);
  return {
    directory,
    installation,
    connection: embedded.connection,
    database,
    repository,
    secrets: (await openSecrets({ database, log, clock, encryption: { dataDirectory: directory } })).secrets,
    environment: loadEnvironment('local', content),
    metrics: createMetrics(),
    postgresPid: embedded.pid,
    clock,
    log,
    close: async () => {
      await database.close();
      await repository.close();
      await embedded.stop();
      remove();
    },
  };
}
