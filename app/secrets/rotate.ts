import type { Log } from '#base/log.ts';
import type { Database } from '#database/pool.ts';
import { seal, unseal } from './cipher.ts';
import { isRetiredNamed, readKeys, removeUnusedKeys } from './key-store.ts';
import type { Keys } from './keys.ts';
import { resealSecret, takeOthers } from './store.ts';

export interface RotateOptions {
  readonly database: Database;
  readonly keys: Keys;
  readonly log: Log;
  /** Values encrypted anew in one transaction. Default 100. */
  readonly batch?: number;
  /** Ends it between two batches; what is done stays done. */
  readonly signal?: AbortSignal;
}

export interface Rotation {
  /** Id of the key that every value has now. */
  readonly key: string;
  /** How many values were encrypted anew. */
  readonly values: number;
  /** Ids of the keys that are gone. */
  readonly removed: readonly string[];
  /** true: a rotation that was interrupted has been brought to its end, with the key that it had made. */
  readonly resumed: boolean;
}

/**
 * Makes a new data key, encrypts every value anew with it, and removes the keys that no value needs any more. Values
 * stay readable throughout, for running control planes too, and keep their versions, so that nothing rolls. Interrupted
 * anywhere, also by `kill -9`, it is finished by the next call.
 *
 * @throws Fault SECRET_UNREADABLE for a value that cannot be read; everything before it is done
 */
export async function rotateKeys(options: RotateOptions): Promise<Rotation> {
  const { database, keys, log } = options;
  const unfinished = (await readKeys(database)).some(({ purpose, retired }) => purpose === 'values' && retired);
  if (!unfinished) await keys.replace();
  const current = (await readKeys(database)).find(({ purpose, retired }) => purpose === 'values' && !retired)!.id;
  let values = 0;
  for (;;) {
    values += await resealAll(options, current);
    const removed = await remove(database);
    if (removed === undefined) continue; // A value was written with a former key a moment ago.
    log.info({ key: current, values, removed }, 'secrets were encrypted anew');
    return { key: current, values, removed, resumed: unfinished };
  }
}

async function resealAll({ database, keys, batch = 100, signal }: RotateOptions, current: string): Promise<number> {
  let done = 0;
  for (;;) {
    signal?.throwIfAborted();
    const count = await database.transaction(async (tx) => {
      const rows = await takeOthers(tx, current, batch);
      const known = await keys.load([current, ...rows.map(({ sealed }) => sealed?.keyId ?? current)]);
      const key = known.get(current)!;
      for (const row of rows) {
        const value = unseal(row.sealed!, row, known.get(row.sealed!.keyId));
        await resealSecret(tx, row, seal(value, row, key));
      }
      return rows.length;
    });
    done += count;
    if (count === 0) return done;
  }
}

const foreignKeyViolation = '23503';

/** undefined: not yet, a value names one of them. */
async function remove(database: Database): Promise<readonly string[] | undefined> {
  if (await isRetiredNamed(database)) return undefined;
  try {
    return await removeUnusedKeys(database);
  } catch (error) {
    if ((error as { code?: string }).code === foreignKeyViolation) return undefined;
    throw error;
  }
}
