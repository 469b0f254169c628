import { createHmac } from 'node:crypto';
import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { type Loop, startLoop } from '#base/loop.ts';
import type { Secret } from '#base/secret.ts';
import type { Database } from '#database/pool.ts';
import { noteSeen, readInVault, readSecrets, type StoredPlace, type StoredSecret } from '../store.ts';
import type { Found } from './kv.ts';
import type { Vault } from './vault.ts';

export interface VaultValuesOptions {
  readonly database: Database;
  readonly vault: Vault;
  /** Keys the digests of values, which are stored. */
  readonly digestKey: Secret<Buffer>;
  readonly clock: Clock;
  readonly log: Log;
  /** How long what was read may be used without asking again. Default 60 s. */
  readonly freshMs?: number;
}

/** The values in Vault of stored secrets, read at use and kept for a moment in memory. */
export interface VaultValues {
  /**
   * The value and the version that it has; a value that was changed in Vault gets its next version here.
   * @throws Fault SECRETS_UNAVAILABLE, VAULT_VALUE_MISSING
   */
  read(secret: StoredSecret & InVault): Promise<{ readonly value: Secret; readonly version: number }>;
  /** The digest to store beside a value. */
  digestOf(value: Secret): string;
  /** Something else may be at this path now. */
  forget(path: string): void;
  /** Compares all of them with Vault; those who use a changed one are woken. Returns how many changed. */
  compareAll(): Promise<number>;
}

interface InVault {
  readonly vault: StoredPlace;
}

interface Entry {
  readonly found: Found;
  readonly readAtMs: number;
}

/** Written before the digest of a value that is gone: when it comes back as it was, its version stays. */
const absent = 'absent:';
/** Paths compared at the same time. */
const lanes = 8;

export function createVaultValues(options: VaultValuesOptions): VaultValues {
  const { database, vault, digestKey, clock, freshMs = 60_000 } = options;
  const cache = new Map<string, Entry>();
  const underWay = new Map<string, Promise<Entry>>();
  const digestOf = (value: Secret) => createHmac('sha256', digestKey.reveal()).update(value.reveal()).digest('hex');

  const fetch = async (path: string): Promise<Entry> => {
    const readAtMs = clock.monotonicMs();
    const entry = { found: await vault.read(path), readAtMs };
    cache.set(path, entry);
    return entry;
  };
  /** Many who want the same path at the same time ask once. */
  const fetchOnce = (path: string) => {
    const there = underWay.get(path);
    if (there !== undefined) return there;
    const asked = fetch(path).finally(() => underWay.delete(path));
    underWay.set(path, asked);
    return asked;
  };
  const recall = (path: string) => {
    const entry = cache.get(path);
    return entry !== undefined && clock.monotonicMs() - entry.readAtMs < freshMs ? entry : undefined;
  };

  /** What the row should say of what was found, as far as it says something else. */
  const difference = ({ vault: { key, seen } }: StoredSecret & InVault, found: Found) => {
    const value = found.fields?.get(key);
    const known = seen?.replace(absent, '');
    const now = value === undefined ? `${absent}${known ?? ''}` : digestOf(value);
    return { value, now, differs: now !== seen, changed: value !== undefined && now !== known };
  };

  const read: VaultValues['read'] = async (secret) => {
    const { path, key } = secret.vault;
    let { found } = recall(path) ?? (await fetchOnce(path));
    // What was remembered may be older than the row: only what is read now can say that Vault has changed.
    if (difference(secret, found).differs) ({ found } = await fetch(path));
    const { value, now, differs, changed } = difference(secret, found);
    let version: number | undefined = secret.version;
    if (differs) version = await noteSeen(database, secret, now, changed);
    if (value === undefined) {
      const why = found.fields === undefined ? found.why : 'the secret there has other fields';
      throw new Fault('VAULT_VALUE_MISSING', { secret: `${secret.scope}/${secret.name}`, path, key, why });
    }
    return { value, version: version ?? (await versionNow(database, secret)) };
  };

  const compare = async (secret: StoredSecret & InVault, found: Found): Promise<boolean> => {
    const { now, differs, changed } = difference(secret, found);
    if (differs) await noteSeen(database, secret, now, changed);
    return changed;
  };

  return {
    read,
    digestOf,
    forget: (path) => cache.delete(path),
    compareAll: async () => {
      const rows = (await readInVault(database)).filter(
        (row): row is StoredSecret & InVault => row.vault !== undefined,
      );
      forgetOthers(cache, rows);
      let changed = 0;
      const next = Map.groupBy(rows, ({ vault: { path } }) => path).entries();
      const work = async () => {
        for (const [path, users] of next) {
          // Read now, after the rows: what was asked for before might be older than they are.
          const { found } = await fetch(path);
          for (const user of users) if (await compare(user, found)) changed += 1;
        }
      };
      await Promise.all(Array.from({ length: lanes }, work));
      return changed;
    },
  };
}

/** Somebody else noted it first: theirs is the version. */
async function versionNow(database: Database, { scope, name, version }: StoredSecret): Promise<number> {
  const [row] = await readSecrets(database, [scope], [name]);
  return row?.version ?? version;
}

/** Values that nothing refers to any more do not stay in memory. */
function forgetOthers(cache: Map<string, Entry>, rows: readonly (StoredSecret & InVault)[]): void {
  const wanted = new Set(rows.map(({ vault }) => vault.path));
  for (const path of cache.keys()) if (!wanted.has(path)) cache.delete(path);
}

/**
 * Looks for values that were changed in Vault itself: after at most this time a change is seen, and what uses the
 * value is woken. While Vault is away nothing changes.
 */
export function watchVault(
  options: { readonly values: VaultValues; readonly everyMs?: number } & Pick<VaultValuesOptions, 'clock' | 'log'>,
): Loop {
  const { values, clock, log, everyMs = 30_000 } = options;
  return startLoop({
    name: 'vault-values',
    log,
    clock,
    everyMs,
    run: async () => {
      const changed = await values.compareAll();
      if (changed > 0) log.info({ changed }, 'values were changed in Vault');
      return 'idle';
    },
  });
}
