import { hkdfSync } from 'node:crypto';
import { type GivenSecret, settingOrGenerated } from './generated-secret.ts';
import { Secret } from './secret.ts';

/**
 * What a key of the application secret is for: one purpose each, so that a leaked one opens nothing else. What is stored
 * encrypted has keys of secrets/, which outlive it.
 */
export const purposes = [
  /** Signs session cookies. */
  'sessions',
  /** Binds CSRF tokens to their session. */
  'csrf',
  /** Encrypts data keys where DEPLOYMENT_ENCRYPTION_KEY is not set. */
  'secrets',
  /** Tells replicas whether they have the same secret. */
  'replicas',
] as const;
export type Purpose = (typeof purposes)[number];

/**
 * The application secret: the setting's (SECRET_KEY, AUTH_SECRET), else the one in `auth-secret` of the data directory.
 * Whether a setting is good enough was decided when it was read; a short one is stretched by the derivation of the keys.
 */
export const openApplicationSecret = (options: {
  readonly dataDirectory: string;
  readonly setting: Secret | undefined;
}): Promise<GivenSecret> => settingOrGenerated(options, 'auth-secret', 'hex');

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
