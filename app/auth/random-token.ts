import { createHash, randomBytes } from 'node:crypto';

/** 32 random bytes, 43 letters in a URL: guessing is hopeless, so a plain digest is enough to keep. */
export const randomToken = (): string => randomBytes(32).toString('base64url');

/** What the database keeps of a token. */
export const tokenDigest = (token: string): Buffer => createHash('sha256').update(token).digest();
