import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Fault } from '#base/errors.ts';
import { readOrMake } from '#base/once-file.ts';
import { Secret } from '#base/secret.ts';

/** 32 bytes for AES-256, and the name by which a stored value says which key it needs. */
export interface DataKey {
  /** The beginning of the key's digest: tells keys apart and nothing about them. */
  readonly id: string;
  readonly bytes: Secret<Buffer>;
}

export interface Keys {
  /** Encrypts what is written now. */
  readonly current: DataKey;
  /** The key that a stored value names, or undefined. */
  find(id: string): DataKey | undefined;
}

const keyBytes = 32;

/**
 * The key in `secret-key` of the data directory, made at the first start. Whoever loses the file loses every secret
 * value; a copy of it belongs to each backup of the database.
 *
 * @throws Fault CONFIG_INVALID when the file holds anything but a key
 */
export async function openKeys(dataDirectory: string): Promise<Keys> {
  const file = join(dataDirectory, 'secret-key');
  const bytes = await readOrMake(file, () => randomBytes(keyBytes));
  if (bytes.length !== keyBytes)
    throw new Fault('CONFIG_INVALID', { faults: `  - ${file} has ${bytes.length} bytes; a key has ${keyBytes}` });
  const current = dataKey(bytes);
  return { current, find: (id) => (id === current.id ? current : undefined) };
}

export function dataKey(bytes: Buffer): DataKey {
  const id = createHash('sha256').update('plinth data key').update(bytes).digest('hex').slice(0, 16);
  return { id, bytes: new Secret(bytes) };
}
