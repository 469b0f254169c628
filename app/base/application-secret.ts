import { hkdfSync, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { readOrMake } from './once-file.ts';
import { Secret } from './secret.ts';

/** What a key of the application secret is for; what is stored encrypted has keys of secrets/, which outlive it. A key serves one purpose, so that a leaked one opens nothing else. */
export const purposes = [
  /** Signs session cookies. */
  'sessions',
  /** Binds CSRF tokens to their session. */
  'csrf',
  /** Encrypts data keys where DEPLOYMENT_ENCRYPTION_KEY is not set. */
  'secrets',
] as const;
export type Purpose = (typeof purposes)[number];

export interface ApplicationSecret {
  readonly secret: Secret;
  /** The file that holds a generated one; undefined when the setting gave it. */
  readonly file: string | undefined;
}

/**
 * The application secret: the setting's (SECRET_KEY, AUTH_SECRET), else the one in `auth-secret` of the data directory,
 * made at the first start (0600). Whether a setting is good enough was decided when it was read; a short one is
 * stretched by the derivation of the keys.
 */
export async function openApplicationSecret(options: {
  readonly dataDirectory: string;
  readonly setting: Secret | undefined;
}): Promise<ApplicationSecret> {
  if (options.setting !== undefined) return { secret: options.setting, file: undefined };
  const file = join(options.dataDirectory, 'auth-secret');
  const made = await readOrMake(file, () => Buffer.from(randomBytes(32).toString('hex')));
  return { secret: new Secret(made.toString('utf8')), file };
}

export interface Keyring {
  /** 32 bytes that are always the same for one secret and one purpose, and tell nothing about either. */
  derive(purpose: Purpose): Secret<Buffer>;
}

const keyBytes = 32;
const salt = 'plinth application secret v1';

/** The keys that are made of the application secret, by HKDF-SHA256; the purpose is the `info`. */
export function createKeyring(secret: Secret): Keyring {
  const keys = new Map<Purpose, Secret<Buffer>>();
  return {
    derive: (purpose) => {
      const known = keys.get(purpose);
      if (known !== undefined) return known;
      const key = new Secret(Buffer.from(hkdfSync('sha256', secret.reveal(), salt, purpose, keyBytes)));
      keys.set(purpose, key);
      return key;
    },
  };
}
