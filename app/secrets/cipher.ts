import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import type { DataKey, Keys } from './keys.ts';

/** Where a value stands. It is bound to this: moved to another row, or given another version, it cannot be read. */
export interface Address {
  readonly scope: string;
  readonly name: string;
  readonly version: number;
}

export interface Sealed {
  readonly keyId: string;
  /** 12 random bytes, new for each value. */
  readonly nonce: Buffer;
  /** The encrypted value and 16 bytes of authentication. */
  readonly ciphertext: Buffer;
}

const algorithm = 'aes-256-gcm';
const tagBytes = 16;

/** AES-256-GCM with the address as additional data. */
export function seal(value: Secret, address: Address, key: DataKey): Sealed {
  const nonce = randomBytes(12);
  const cipher = createCipheriv(algorithm, key.bytes.reveal(), nonce, { authTagLength: tagBytes });
  cipher.setAAD(additionalData(address));
  const ciphertext = Buffer.concat([cipher.update(value.reveal(), 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return { keyId: key.id, nonce, ciphertext };
}

/** @throws Fault SECRET_UNREADABLE: the key is not here, or the value is not what was written at this address */
export function unseal(sealed: Sealed, address: Address, keys: Keys): Secret {
  const key = keys.find(sealed.keyId);
  const unreadable = (cause?: unknown) =>
    new Fault('SECRET_UNREADABLE', { secret: `${address.scope}/${address.name}`, key: keys.current.id }, { cause });
  if (key === undefined) throw unreadable(new Error(`it was encrypted with key ${sealed.keyId}`));
  try {
    const body = sealed.ciphertext.subarray(0, -tagBytes);
    const decipher = createDecipheriv(algorithm, key.bytes.reveal(), sealed.nonce, { authTagLength: tagBytes });
    decipher.setAAD(additionalData(address));
    decipher.setAuthTag(sealed.ciphertext.subarray(-tagBytes));
    return new Secret(Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8'));
  } catch (error) {
    throw unreadable(error);
  }
}

/** JSON keeps the parts apart whatever characters they hold. */
const additionalData = ({ scope, name, version }: Address) => Buffer.from(JSON.stringify([scope, name, version]));
