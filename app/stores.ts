import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createKeyring, type Keyring, openApplicationSecret } from '#base/application-secret.ts';
import type { Clock } from '#base/clock.ts';
import type { Config } from '#base/config.ts';
import { claimDataDirectory } from '#base/data-directory.ts';
import { Fault } from '#base/errors.ts';
import { newId } from '#base/ids.ts';
import type { Log } from '#base/log.ts';
import { startLoop } from '#base/loop.ts';
import type { Metrics } from '#base/metrics.ts';
import { readOrMake } from '#base/once-file.ts';
import type { Secret } from '#base/secret.ts';
import type { Connection } from '#database/connection.ts';
import { serverUser, startEmbedded } from '#database/embedded.ts';
import { connectExternal } from '#database/external.ts';
import { claimInstallation } from '#database/installation.ts';
import { migrate } from '#database/migrate.ts';
import { printOf, refuseStrangers } from '#database/peers.ts';
import { createDatabase, type Database } from '#database/pool.ts';
import { environmentFile, installationFile } from '#environments/layout.ts';
import { repack } from '#git/housekeeping.ts';
import { openRepository, type Repository } from '#git/repository.ts';
import { createSigner, type Signer } from '#git/signature.ts';
import { seedRepository } from '#publish/seed.ts';
import { commitSettings } from '#publish/settings.ts';
import { type OpenSecrets, openSecrets } from '#secrets/open.ts';
import type { Secrets } from '#secrets/secrets.ts';
import { openVaultOrFallback, type Vault } from '#secrets/vault/vault.ts';

/** What holds the state: PostgreSQL, Git and the secrets, opened and ready. */
export interface Stores {
  readonly database: Database;
  readonly connection: Connection;
  readonly repository: Repository;
  /** The id of this installation, the same in Git, PostgreSQL and on every object in a cluster. */
  readonly installation: string;
  /** The commit of what the settings changed in `local`; undefined: nothing. */
  readonly settingsRevision: string | undefined;
  readonly secrets: Secrets;
  /** Vault, where it keeps the secrets. */
  readonly vault: Vault | undefined;
  /** Keys digests of secret values that are stored. */
  readonly digestKey: Secret<Buffer>;
  /** Keys for what is stored encrypted; a changed SECRET_KEY leaves them as they are. */
  readonly keyFor: OpenSecrets['keyFor'];
  /** SECRET_KEY, or the secret that was made once in its place; `keyring` has the keys that come from it. */
  readonly applicationSecret: Secret;
  readonly keyring: Keyring;
  /** Equal for replicas that have the same application secret. */
  readonly print: string;
  /** There can be no second replica: the database or the repository is in DATA_DIR, which one process has. */
  readonly alone: boolean;
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

export interface StoresOptions {
  readonly config: Config;
  readonly log: Log;
  readonly clock: Clock;
  /** Absent: nothing is measured. */
  readonly metrics?: Metrics | undefined;
  /** Ends the waiting for a database that does not answer. */
  readonly stopping: AbortSignal;
}

/** Claims the data directory and opens database, secrets and repository, making what is not there at the first start. */
export async function openStores(options: StoresOptions, endings: Ending[]): Promise<Stores> {
  const { config, log, clock } = options;
  const user = await serverUser();
  const directory = await claimDataDirectory(config.dataDirectory, { clock, group: user?.gid });
  endings.push({ what: 'data directory', end: () => directory.release() });

  const vault = await connectVault(options, endings);
  const connection = await connectDatabase(options, vault, endings);
  const database = createDatabase({ connection, log, clock });
  endings.push({ what: 'database', end: () => database.close() });
  await migrate({ database, log });

  const { dataDirectory, secretKey } = config;
  const { secret } = await openApplicationSecret({ dataDirectory, setting: secretKey });
  const keyring = createKeyring(secret);
  const alone = config.stateRemote === undefined || !hasExternalDatabase(config);
  const print = printOf(keyring.derive('replicas'));
  if (!alone) await refuseStrangers({ database, clock, print });
  const opened = await openSecrets({ database, log, clock, vault, encryption: encryptionOf(config) });
  endings.push({ what: 'secrets', end: () => opened.stop() });
  return {
    database,
    connection,
    ...(await openState(options, database, createSigner(opened.keyFor('signing of commits')), endings)),
    secrets: opened.secrets,
    vault,
    digestKey: opened.keyFor('digests of secrets'),
    keyFor: opened.keyFor,
    applicationSecret: secret,
    keyring,
    print,
    alone,
  };
}

/** Before the database, whose address may stand there. */
async function connectVault({ config, log, clock }: StoresOptions, endings: Ending[]): Promise<Vault | undefined> {
  if (config.vault === undefined) return undefined;
  const { caFile, ...access } = config.vault;
  const ca = caFile === undefined ? undefined : await readFile(caFile, 'utf8');
  const vault = await openVaultOrFallback({ ...access, ca, log, clock, fallback: config.secretsFallback });
  if (vault !== undefined) endings.push({ what: 'Vault', end: () => vault.stop() });
  return vault;
}

/** The external database that the settings name, and no other in its place; without one the embedded server. */
async function connectDatabase(
  { config, log, clock, stopping }: StoresOptions,
  vault: Vault | undefined,
  endings: Ending[],
): Promise<Connection> {
  const { databaseUrlVaultRef: reference, databaseUrlFrom } = config;
  if (reference !== undefined && vault === undefined)
    throw new Fault('CONFIG_INVALID', {
      faults: '  - DATABASE_URL_VAULT_REF is set, but Vault cannot be used; set DATABASE_URL, or bring Vault back',
    });
  const url = reference === undefined ? config.databaseUrl : await vault?.readReference(reference);
  const setting = reference === undefined ? databaseUrlFrom : 'DATABASE_URL_VAULT_REF';
  const directory = join(config.dataDirectory, 'postgres');
  if (url !== undefined) {
    if (existsSync(directory)) log.warn({ directory, setting }, 'the embedded database that is here is not used');
    return connectExternal({ url, log, clock, setting, signal: stopping });
  }
  const embedded = await startEmbedded({ directory, log, clock });
  endings.push({ what: 'embedded PostgreSQL', end: () => embedded.stop() });
  return embedded.connection;
}

const hasExternalDatabase = ({ databaseUrl, databaseUrlVaultRef }: Config) =>
  databaseUrl !== undefined || databaseUrlVaultRef !== undefined;

const encryptionOf = (config: Config) => ({
  dataDirectory: config.dataDirectory,
  encryptionKey: config.deploymentEncryptionKey,
  previousEncryptionKey: config.deploymentEncryptionKeyPrevious,
  secretKey: config.secretKey,
  previousSecretKey: config.secretKeyPrevious,
});

/** The state repository with the settings that shape manifests in it. */
async function openState(
  { config, log, clock, metrics }: StoresOptions,
  database: Database,
  signer: Signer,
  endings: Ending[],
) {
  const directory = join(config.dataDirectory, 'state.git');
  const repository = await openRepository({
    directory,
    branch: 'main',
    log,
    clock,
    signer,
    remote: config.stateRemote,
    metrics,
  });
  endings.push({ what: 'repository', end: () => repository.close() });
  const installation = await readInstallation(database, repository, clock, log);
  await seedRepository(repository, clock, installation, await distributed());
  const settingsRevision = await commitSettings({ repository, database, clock, log }, config.manifestSettings).catch(
    (error: unknown) => {
      if (repository.remote === undefined || !Fault.is(error) || !error.retry) throw error;
      log.error(
        { err: error },
        'settings of projects are not written into Git: the remote cannot be used; start again',
      );
      return undefined;
    },
  );
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
  return { repository, installation, settingsRevision };
}

/**
 * The id is made once. A new database beside an old repository takes the repository's; two that differ belong to two
 * installations, and nothing is touched.
 */
async function readInstallation(database: Database, repository: Repository, clock: Clock, log: Log): Promise<string> {
  const tip = await repository.tip();
  const file = tip === undefined ? undefined : await repository.read(tip, installationFile);
  const inGit = file === undefined ? undefined : /^installation: (\S+)$/m.exec(Buffer.from(file).toString('utf8'))?.[1];
  const made = newId('installation', clock.now());
  return await claimInstallation({ database, log, newId: made, inGit, repository: await identityOf(repository) });
}

/** A remote is the same for every replica; a repository of our own is told apart by what is made once beside it. */
async function identityOf({ remote, directory }: Repository): Promise<string> {
  if (remote !== undefined) return remote.url;
  const made = await readOrMake(join(directory, 'plinth.id'), () => Buffer.from(`${randomUUID()}\n`));
  return `embedded ${made.toString('utf8').trim()}`;
}

async function distributed(): Promise<{ path: string; content: string }[]> {
  return await Promise.all(
    distribution.map(async (name) => {
      const path = environmentFile(name);
      return { path, content: await readFile(new URL(`../${path}`, import.meta.url), 'utf8') };
    }),
  );
}
