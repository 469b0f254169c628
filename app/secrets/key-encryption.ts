import { createHash, hkdfSync, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { createKeyring } from '#base/application-secret.ts';
import { Fault } from '#base/errors.ts';
import { readIfPresent, readOrMake } from '#base/once-file.ts';
import { Secret } from '#base/secret.ts';
import type { DataKey } from './cipher.ts';

/** Encrypts data keys and nothing else. It comes from a setting or a file, and is in no database. */
export interface KeyEncryptionKey {
  /** The beginning of a digest: tells keys apart and nothing about them. */
  readonly id: string;
  readonly bytes: Secret<Buffer>;
  /** Where it came from, for people: the name of a setting or the path of a file. */
  readonly from: string;
}

/** Every key-encryption key that was given. */
export interface KeyEncryption {
  /** What new data keys are encrypted with; undefined: the file's, which is not made yet. */
  readonly current: KeyEncryptionKey | undefined;
  /** What may still open data keys that were encrypted before; all of them are encrypted anew at the start. */
  readonly previous: readonly KeyEncryptionKey[];
  /** The file's bytes as the data key that the first versions encrypted values with, where the file exists. */
  readonly fileKey: DataKey | undefined;
  /** Makes the file and gives its key. To be called only when nothing is there that another key would open. */
  makeFile(): Promise<KeyEncryptionKey>;
}

export interface KeyEncryptionOptions {
  readonly dataDirectory: string;
  /** DEPLOYMENT_ENCRYPTION_KEY. */
  readonly encryptionKey?: Secret | undefined;
  /** SECRET_KEY where the setting gave it; not the generated one. */
  readonly secretKey?: Secret | undefined;
  /** DEPLOYMENT_ENCRYPTION_KEY_PREVIOUS. */
  readonly previousEncryptionKey?: Secret | undefined;
  /** SECRET_KEY_PREVIOUS. */
  readonly previousSecretKey?: Secret | undefined;
}

const keyBytes = 32;
const salt = 'plinth key-encryption key v1';

/**
 * The keys of the settings: DEPLOYMENT_ENCRYPTION_KEY, else one derived from SECRET_KEY, else one derived from the file
 * `secret-key` of the data directory. Whatever else was given still opens what it closed, so that one may be set after
 * the other without naming a previous one. Writes nothing.
 *
 * @throws Fault CONFIG_INVALID when the file holds anything but a key
 */
export async function readKeyEncryption(options: KeyEncryptionOptions): Promise<KeyEncryption> {
  const path = join(options.dataDirectory, 'secret-key');
  const bytes = await readIfPresent(path);
  if (bytes !== undefined && bytes.length !== keyBytes)
    throw new Fault('CONFIG_INVALID', { faults: `  - ${path} has ${bytes.length} bytes; a key has ${keyBytes}` });
  const given = [
    fromText('DEPLOYMENT_ENCRYPTION_KEY', options.encryptionKey),
    fromSecretKey('SECRET_KEY', options.secretKey),
    bytes === undefined ? undefined : fromBytes(path, bytes),
    fromText('DEPLOYMENT_ENCRYPTION_KEY_PREVIOUS', options.previousEncryptionKey),
    fromSecretKey('SECRET_KEY_PREVIOUS', options.previousSecretKey),
  ].filter((key) => key !== undefined);
  const hasSetting = options.encryptionKey !== undefined || options.secretKey !== undefined;
  const current = hasSetting || bytes !== undefined ? given[0] : undefined;
  return {
    current,
    previous: given.filter((key) => key !== current),
    fileKey: bytes === undefined ? undefined : dataKeyOf(bytes),
    makeFile: async () => fromBytes(path, await readOrMake(path, () => randomBytes(keyBytes))),
  };
}

/** The file's bytes as a data key: how values of the first versions name it. */
export function dataKeyOf(bytes: Buffer): DataKey {
  return { id: digestOf('plinth data key', bytes), bytes: new Secret(bytes) };
}

const fromText = (from: string, text: Secret | undefined) =>
  text === undefined ? undefined : fromBytes(from, Buffer.from(text.reveal()));

const fromBytes = (from: string, bytes: Buffer) =>
  named(from, Buffer.from(hkdfSync('sha256', bytes, salt, 'secrets', keyBytes)));

const fromSecretKey = (from: string, secret: Secret | undefined) =>
  secret === undefined ? undefined : named(from, createKeyring(secret).derive('secrets').reveal());

function named(from: string, bytes: Buffer): KeyEncryptionKey {
  return { id: digestOf('plinth key-encryption key', bytes), bytes: new Secret(bytes), from };
}

const digestOf = (label: string, bytes: Buffer) =>
  createHash('sha256').update(label).update(bytes).digest('hex').slice(0, 16);
