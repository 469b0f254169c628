import { randomBytes } from 'node:crypto';
import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { newId } from '#base/ids.ts';
import type { Log } from '#base/log.ts';
import { Secret } from '#base/secret.ts';
import type { Database, Queryable } from '#database/pool.ts';
import { type DataKey, decrypt, encrypt } from './cipher.ts';
import type { KeyEncryption, KeyEncryptionKey } from './key-encryption.ts';
import {
  countByKey,
  insertKey,
  type KeyPurpose,
  lockKeys,
  readKeys,
  retireKeys,
  rewrapKey,
  type WrappedKey,
} from './key-store.ts';

/** The data keys, decrypted once and kept in memory. */
export interface Keys {
  /** The keys of these ids; what is not here yet is read from the database, what is nowhere is left out. */
  load(ids: readonly string[]): Promise<ReadonlyMap<string, DataKey>>;
  /** Retires the present key and makes the next one. Returns its id. */
  replace(): Promise<string>;
  /** Keys digests of values that are stored. It stays the same whatever else changes. */
  readonly digestKey: Secret<Buffer>;
  /** Id of the key-encryption key, and where it came from, for people. */
  readonly encryptedBy: Pick<KeyEncryptionKey, 'id' | 'from'>;
}

export interface KeysOptions {
  readonly database: Database;
  readonly encryption: KeyEncryption;
  readonly log: Log;
  readonly clock: Clock;
}

const keyBytes = 32;
const settings =
  'DEPLOYMENT_ENCRYPTION_KEY and SECRET_KEY, the same with _PREVIOUS for a key that was changed, and the file secret-key in DATA_DIR';

/**
 * Opens the data keys, and makes them at the first start. A key that a former key-encryption key encrypted is encrypted
 * anew with the present one, all of them or none. Of several processes at once one does it and the others find it done.
 *
 * @throws Fault SECRET_KEYS_WRONG, before anything is written: values exist that none of the given keys opens
 */
export async function openKeys(options: KeysOptions): Promise<Keys> {
  const { database, encryption, log } = options;
  const opened = await database.transaction(async (tx) => {
    await lockKeys(tx);
    const stored = await readKeys(tx);
    const { open, closed } = await openAll(tx, stored, encryption);
    const current = encryption.current ?? (await encryption.makeFile());
    const rewrapped = await rewrap(tx, stored, open, current);
    await retireKeys(tx, closed);
    await takeFileKey(tx, stored, open, current, encryption.fileKey);
    const ensure = async (purpose: KeyPurpose) =>
      stored.find((key) => key.purpose === purpose && !key.retired && open.has(key.id))?.id ??
      (await makeKey(tx, purpose, current, options.clock, open));
    await ensure('values');
    const digestKey = open.get(await ensure('digests'))!.bytes;
    return { open, current, rewrapped, digestKey };
  });
  if (opened.rewrapped > 0)
    log.info({ keys: opened.rewrapped, from: opened.current.from }, 'keys of secrets were encrypted anew');
  return createKeys(options, opened);
}

/** What the given keys open. Keys that nothing opens and no value needs are `closed`; one that is needed is the end. */
async function openAll(tx: Queryable, stored: readonly WrappedKey[], encryption: KeyEncryption) {
  const given = [encryption.current, ...encryption.previous].filter((key) => key !== undefined);
  const open = new Map<string, DataKey>();
  for (const key of stored) {
    const found = given.map((by) => unwrap(key, by)).find((one) => one !== undefined);
    if (found !== undefined) open.set(key.id, found);
  }
  const { fileKey } = encryption;
  const needed = await countByKey(tx);
  const missing = [...needed.keys()].filter((id) => !open.has(id) && id !== fileKey?.id);
  if (missing.length > 0) {
    const byId = new Map(stored.map((key) => [key.id, key]));
    throw new Fault('SECRET_KEYS_WRONG', {
      values: missing.reduce((sum, id) => sum + (needed.get(id) ?? 0), 0),
      wanted: [...new Set(missing.map((id) => byId.get(id)?.wrappedBy ?? `${id} (the file secret-key)`))].sort(),
      given: given.length === 0 ? 'none' : given.map(({ id, from }) => `${id} (${from})`),
      settings,
    });
  }
  return { open, closed: stored.filter(({ id }) => !open.has(id)).map(({ id }) => id) };
}

/** Returns how many keys another key-encryption key had encrypted. */
async function rewrap(
  tx: Queryable,
  stored: readonly WrappedKey[],
  open: ReadonlyMap<string, DataKey>,
  current: KeyEncryptionKey,
): Promise<number> {
  const former = stored.filter((key) => open.has(key.id) && key.wrappedBy !== current.id);
  for (const key of former) await rewrapKey(tx, { ...key, ...wrap(open.get(key.id)!, key.purpose, current) });
  return former.length;
}

/** The first versions encrypted values with the file's bytes themselves: from now on these are one key among the others. */
async function takeFileKey(
  tx: Queryable,
  stored: readonly WrappedKey[],
  open: Map<string, DataKey>,
  current: KeyEncryptionKey,
  fileKey: DataKey | undefined,
): Promise<void> {
  if (fileKey === undefined || stored.some(({ id }) => id === fileKey.id)) return;
  const isNamed = (await countByKey(tx)).has(fileKey.id);
  if (!isNamed) return;
  await insertKey(tx, { ...wrap(fileKey, 'values', current), id: fileKey.id, purpose: 'values', retired: true });
  open.set(fileKey.id, fileKey);
}

async function makeKey(
  tx: Queryable,
  purpose: KeyPurpose,
  by: KeyEncryptionKey,
  clock: Clock,
  open: Map<string, DataKey>,
): Promise<string> {
  const id = newId('dataKey', clock.now());
  const key = { id, bytes: new Secret(randomBytes(keyBytes)) };
  await insertKey(tx, { ...wrap(key, purpose, by), id, purpose, retired: false });
  open.set(id, key);
  return id;
}

interface Opened {
  readonly open: Map<string, DataKey>;
  readonly current: KeyEncryptionKey;
  readonly digestKey: Secret<Buffer>;
}

function createKeys({ database, clock }: KeysOptions, { open, current: by, digestKey }: Opened): Keys {
  const refresh = async () => {
    for (const stored of await readKeys(database)) {
      if (open.has(stored.id)) continue;
      const key = unwrap(stored, by);
      if (key !== undefined) open.set(stored.id, key);
    }
  };
  return {
    digestKey,
    encryptedBy: { id: by.id, from: by.from },
    load: async (ids) => {
      if (ids.some((id) => !open.has(id))) await refresh();
      return open;
    },
    replace: () =>
      database.transaction(async (tx) => {
        await lockKeys(tx);
        const present = (await readKeys(tx)).filter(({ purpose, retired }) => purpose === 'values' && !retired);
        await retireKeys(
          tx,
          present.map(({ id }) => id),
        );
        return makeKey(tx, 'values', by, clock, open);
      }),
  };
}

/** Id and purpose are authenticated: no stored key can stand for another. */
const contextOf = (id: string, purpose: KeyPurpose, by: KeyEncryptionKey) => ['data key', id, purpose, by.id];

function wrap(key: DataKey, purpose: KeyPurpose, by: KeyEncryptionKey) {
  return { ...encrypt(key.bytes.reveal(), contextOf(key.id, purpose, by), by.bytes), wrappedBy: by.id };
}

/** undefined: another key encrypted it. */
function unwrap(stored: WrappedKey, by: KeyEncryptionKey): DataKey | undefined {
  if (stored.wrappedBy !== by.id) return undefined;
  try {
    const bytes = decrypt(stored, contextOf(stored.id, stored.purpose, by), by.bytes);
    return { id: stored.id, bytes: new Secret(bytes) };
  } catch {
    return undefined;
  }
}
