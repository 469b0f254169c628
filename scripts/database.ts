import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, systemClock } from '#base/clock.ts';
import type { Config } from '#base/config.ts';
import { claimDataDirectory } from '#base/data-directory.ts';
import { Fault } from '#base/errors.ts';
import { createLog } from '#base/log.ts';
import { Secret } from '#base/secret.ts';
import type { Connection } from '#database/connection.ts';
import { port } from '#database/embedded/home.ts';
import { databaseUser } from '#database/embedded/initialise.ts';
import { serverUser, startEmbedded } from '#database/embedded.ts';
import { connectExternal } from '#database/external.ts';
import { createDatabase, type Database } from '#database/pool.ts';

export interface OpenedDatabase {
  readonly database: Database;
  readonly connection: Connection;
  /** Closes the connections, and stops what was started for them. */
  close(): Promise<void>;
}

type DatabaseSettings = Pick<Config, 'dataDirectory' | 'databaseUrl' | 'databaseUrlVaultRef'>;

/**
 * The database of an installation, for commands on the server: the external one; or the embedded one, which is spoken
 * to where Plinth runs and started for the time being where it does not. Nothing is made that was not there.
 *
 * @throws Fault DATABASE_START_FAILED where DATA_DIR holds no database; those of `connectExternal`
 */
export async function openDatabase(settings: DatabaseSettings): Promise<OpenedDatabase> {
  const log = createLog({ level: 'warn' });
  const clock = systemClock;
  const { connection, end } = await connect(settings, clock);
  const database = createDatabase({ connection, log, clock, connections: 4 });
  return {
    database,
    connection,
    close: async () => {
      await database.close();
      await end();
    },
  };

  async function connect(
    { dataDirectory, databaseUrl, databaseUrlVaultRef }: DatabaseSettings,
    clock: Clock,
  ): Promise<{ connection: Connection; end: () => Promise<void> }> {
    if (databaseUrl !== undefined)
      return { connection: await connectExternal({ url: databaseUrl, log, clock }), end: async () => {} };
    if (databaseUrlVaultRef !== undefined)
      throw new Fault('DATABASE_START_FAILED', {
        why: 'this command does not ask Vault; give it the address as DATABASE_URL, without DATABASE_URL_VAULT_REF',
      });
    const directory = join(dataDirectory, 'postgres');
    if (!existsSync(join(directory, 'password')))
      throw new Fault('DATABASE_START_FAILED', { why: `there is no database in DATA_DIR ${dataDirectory}` });
    try {
      const claimed = await claimDataDirectory(dataDirectory, { clock, group: (await serverUser())?.gid });
      const embedded = await startEmbedded({ directory, log, clock }).catch((error: unknown) => {
        claimed.release();
        throw error;
      });
      return {
        connection: embedded.connection,
        end: async () => {
          await embedded.stop();
          claimed.release();
        },
      };
    } catch (error) {
      if (!Fault.is(error, 'DATA_DIR_IN_USE')) throw error;
      return { connection: liveConnection(directory), end: async () => {} };
    }
  }
}

/** Plinth runs and holds the directory: its server is there, and takes us like any other connection. */
function liveConnection(directory: string): Connection {
  return {
    host: realpathSync(join(directory, 'run')),
    port,
    user: databaseUser,
    password: new Secret(readFileSync(join(directory, 'password'), 'utf8').trim()),
    database: databaseUser,
  };
}
