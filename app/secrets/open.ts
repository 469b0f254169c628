import { createHmac } from 'node:crypto';
import type { Clock } from '#base/clock.ts';
import type { Log } from '#base/log.ts';
import { Secret } from '#base/secret.ts';
import type { Database } from '#database/pool.ts';
import { type KeyEncryptionOptions, readKeyEncryption } from './key-encryption.ts';
import { type Keys, openKeys } from './keys.ts';
import { createSecrets, type Secrets } from './secrets.ts';
import { createVaultValues, watchVault } from './vault/values.ts';
import type { Vault } from './vault/vault.ts';

export interface OpenSecretsOptions {
  readonly database: Database;
  readonly log: Log;
  readonly clock: Clock;
  readonly encryption: KeyEncryptionOptions;
  /** Opened before, since the database's own address may stand in it. Absent: values are kept in the database. */
  readonly vault?: Vault | undefined;
  /** How often values in Vault are compared with what is known of them. Default 30 s. */
  readonly compareMs?: number;
}

export interface OpenSecrets {
  readonly secrets: Secrets;
  readonly keys: Keys;
  /** 32 bytes for one purpose, for what is stored: it stays the same whatever setting or data key is changed. */
  keyFor(purpose: string): Secret<Buffer>;
  /** Compares the values in Vault with what is known of them, now. Returns how many had changed. */
  compare(): Promise<number>;
  /** Ends what goes on in the background; the Vault that was given stays open. */
  stop(): Promise<void>;
}

/**
 * Opens the keys, and the store with them.
 * @throws Fault SECRET_KEYS_WRONG, CONFIG_INVALID
 */
export async function openSecrets(options: OpenSecretsOptions): Promise<OpenSecrets> {
  const { database, log, clock, vault } = options;
  const keys = await openKeys({ database, log, clock, encryption: await readKeyEncryption(options.encryption) });
  const keyFor = (purpose: string) =>
    new Secret(createHmac('sha256', keys.digestKey.reveal()).update(purpose).digest());
  if (vault === undefined)
    return {
      secrets: createSecrets({ database, keys }),
      keys,
      keyFor,
      compare: () => Promise.resolve(0),
      stop: () => Promise.resolve(),
    };
  const values = createVaultValues({ database, vault, digestKey: keyFor('values in Vault'), clock, log });
  const loop = watchVault({ values, clock, log, everyMs: options.compareMs ?? 30_000 });
  return {
    secrets: createSecrets({ database, keys, vault: { door: vault, values } }),
    keys,
    keyFor,
    compare: () => values.compareAll(),
    stop: () => loop.stop(),
  };
}
