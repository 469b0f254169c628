import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { newId } from '#base/ids.ts';
import type { Log } from '#base/log.ts';
import { Secret } from '#base/secret.ts';
import type { Database } from '#database/pool.ts';
import {
  deleteTokenOf,
  findToken,
  insertToken,
  listTokensOf,
  type TokenOwnerRow,
  type TokenRow,
  touchToken,
} from './store.ts';

/** 32 random bytes: guessing is hopeless, so a plain digest is enough to keep. */
const form = /^plt_[A-Za-z0-9_-]{43}$/;
const touchEveryMs = 60_000;
const dayMs = 86_400_000;

/** Whether a text can be one of our tokens at all; asked before the database is. */
export const isToken = (text: string) => form.test(text);

export interface Tokens {
  /** The only time that the token itself exists outside of the caller's hands. */
  create(userId: string, wish: { name: string; expiresInDays?: number }): Promise<TokenRow & { token: Secret }>;
  list(userId: string): Promise<readonly TokenRow[]>;
  /** It ends at once. @throws Fault TOKEN_NOT_FOUND */
  revoke(userId: string, id: string): Promise<void>;
  /** The token's row with the role of its person; undefined when it is unknown, revoked or expired. */
  verify(token: Secret): Promise<TokenOwnerRow | undefined>;
}

export function createTokens({ database, clock, log }: { database: Database; clock: Clock; log: Log }): Tokens {
  const touch = (row: TokenOwnerRow, now: Date) => {
    const before = new Date(now.getTime() - touchEveryMs);
    if (row.last_used_at !== null && row.last_used_at >= before) return;
    // Nobody waits for it, and nothing depends on it.
    touchToken(database, row.id, now, before).catch((error: unknown) => {
      log.warn({ err: error }, 'last use of a token not written');
    });
  };
  return {
    create: async (userId, { name, expiresInDays }) => {
      const now = clock.now();
      const token = new Secret(`plt_${randomBytes(32).toString('base64url')}`);
      const row = {
        id: newId('token', now),
        name,
        created_at: now,
        expires_at: expiresInDays === undefined ? null : new Date(now.getTime() + expiresInDays * dayMs),
      };
      await insertToken(database, { ...row, user_id: userId, hash: digestOf(token) });
      return { ...row, last_used_at: null, token };
    },
    list: (userId) => listTokensOf(database, userId),
    revoke: async (userId, id) => {
      if (!(await deleteTokenOf(database, userId, id))) throw new Fault('TOKEN_NOT_FOUND', { token: id });
    },
    verify: async (token) => {
      if (!isToken(token.reveal())) return undefined;
      const row = await findToken(database, digestOf(token));
      const now = clock.now();
      if (row === undefined || (row.expires_at !== null && row.expires_at <= now)) return undefined;
      touch(row, now);
      return row;
    },
  };
}

const digestOf = (token: Secret) => createHash('sha256').update(token.reveal()).digest();
