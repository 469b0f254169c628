import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';

/** Where a value stands. It is bound to this: moved to another row, or given another version, it cannot be read. */
export interface Address {
  readonly scope: string;
  readonly name: string;
  readonly version: number;
}

/** 32 bytes for AES-256, and the name by which a stored value says which key it needs. */
export interface DataKey {
  readonly id: string;
  readonly bytes: Secret<Buffer>;
}

/** Encrypted bytes. */
export interface Box {
  /** 12 random bytes, new for each value. */
  readonly nonce: Buffer;
  /** The encrypted value and 16 bytes of authentication. */
  readonly ciphertext: Buffer;
}

export interface Sealed extends Box {
  readonly keyId: string;
}

const algorithm = 'aes-256-gcm';
const tagBytes = 16;

/** AES-256-GCM with the address as additional data. */
export function seal(value: Secret, address: Address, key: DataKey): Sealed {
  return { keyId: key.id, ...encrypt(Buffer.from(value.reveal(), 'utf8'), partsOf(address), key.bytes) };
}

/** @throws Fault SECRET_UNREADABLE: the key is not here, or the value is not what was written at this address */
export function unseal(sealed: Sealed, address: Address, key: DataKey | undefined): Secret {
  const secret = `${address.scope}/${address.name}`;
  if (key === undefined) throw new Fault('SECRET_UNREADABLE', { secret, key: sealed.keyId });
  try {
    return new Secret(decrypt(sealed, partsOf(address), key.bytes).toString('utf8'));
  } catch (error) {
    throw new Fault('SECRET_UNREADABLE', { secret, key: key.id }, { cause: error });
  }
}

/** Encrypts bytes; they can be read only together with the same context. */
export function encrypt(bytes: Buffer, context: readonly unknown[], key: Secret<Buffer>): Box {
  const nonce = randomBytes(12);
  const cipher = createCipheriv(algorithm, key.reveal(), nonce, { authTagLength: tagBytes });
  cipher.setAAD(additionalData(context));
  return { nonce, ciphertext: Buffer.concat([cipher.update(bytes), cipher.final(), cipher.getAuthTag()]) };
}

/** @throws Error when key, context or bytes are not those of `encrypt` */
export function decrypt({ nonce, ciphertext }: Box, context: readonly unknown[], key: Secret<Buffer>): Buffer {
  const decipher = createDecipheriv(algorithm, key.reveal(), nonce, { authTagLength: tagBytes });
  decipher.setAAD(additionalData(context));
  decipher.setAuthTag(ciphertext.subarray(-tagBytes));
  return Buffer.concat([decipher.update(ciphertext.subarray(0, -tagBytes)), decipher.final()]);
}

const partsOf = ({ scope, name, version }: Address) => [scope, name, version];

/** JSON keeps the parts apart whatever characters they hold. */
const additionalData = (parts: readonly unknown[]) => Buffer.from(JSON.stringify(parts));
