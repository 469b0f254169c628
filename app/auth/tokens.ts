import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { newId } from '#base/ids.ts';
import type { Log } from '#base/log.ts';
import { Secret } from '#base/secret.ts';
import type { Database } from '#database/pool.ts';
import { randomToken, tokenDigest } from './random-token.ts';
import { deleteToken, findToken, insertToken, listTokens, type TokenRow, touchToken } from './store.ts';

/** 32 random bytes: guessing is hopeless, so a plain digest is enough to keep. */
const form = /^plt_[A-Za-z0-9_-]{43}$/;
const hintLength = 8;
const touchEveryMs = 60_000;
const dayMs = 86_400_000;

/** Whether a text can be one of our tokens at all; asked before the database is. */
export const isToken = (text: string) => form.test(text);

export interface TokenWish {
  readonly name: string;
  /** Permissions, teams and environments that it stays within; undefined: no bound. */
  readonly scopes?: readonly string[] | undefined;
  readonly teams?: readonly string[] | undefined;
  readonly environments?: readonly string[] | undefined;
  readonly expiresInDays?: number | undefined;
}

export interface Tokens {
  /**
   * A token that acts for `owner`, a person or a service account. Whether its maker may is asked before.
   * @returns the only time that the token itself exists outside of the caller's hands
   */
  create(owner: string, wish: TokenWish, createdBy: string): Promise<TokenRow & { token: Secret }>;
  /** The newest first; of everybody when no owner is named. */
  list(owner?: string): Promise<readonly TokenRow[]>;
  /**
   * It ends within a second, on every replica.
   * @returns what it was
   * @throws Fault TOKEN_NOT_FOUND also for one of another owner than the one named
   */
  revoke(id: string, owner?: string): Promise<TokenRow>;
  /** The token's row; undefined when it is unknown, revoked or expired. Its use is noted, at most once a minute. */
  find(token: Secret): Promise<TokenRow | undefined>;
}

export function createTokens({ database, clock, log }: { database: Database; clock: Clock; log: Log }): Tokens {
  const touch = (row: TokenRow, now: Date) => {
    const before = new Date(now.getTime() - touchEveryMs);
    if (row.last_used_at !== null && row.last_used_at >= before) return;
    // Nobody waits for it, and nothing depends on it.
    touchToken(database, row.id, now, before).catch((error: unknown) => {
      log.warn({ err: error }, 'last use of a token not written');
    });
  };
  return {
    create: async (owner, wish, createdBy) => {
      const now = clock.now();
      const text = `plt_${randomToken()}`;
      const token = new Secret(text);
      const { name, scopes = null, teams = null, environments = null, expiresInDays } = wish;
      const row = {
        id: newId('token', now),
        name,
        owner,
        created_by: createdBy,
        hint: text.slice(0, hintLength),
        scopes,
        teams,
        environments,
        created_at: now,
        expires_at: expiresInDays === undefined ? null : new Date(now.getTime() + expiresInDays * dayMs),
      };
      await insertToken(database, { ...row, hash: tokenDigest(token.reveal()) });
      return { ...row, last_used_at: null, token };
    },
    list: (owner) => listTokens(database, owner),
    revoke: async (id, owner) => {
      const gone = await deleteToken(database, id, owner);
      if (gone === undefined) throw new Fault('TOKEN_NOT_FOUND', { token: id });
      return gone;
    },
    find: async (token) => {
      if (!isToken(token.reveal())) return undefined;
      const row = await findToken(database, tokenDigest(token.reveal()));
      const now = clock.now();
      if (row === undefined || (row.expires_at !== null && row.expires_at <= now)) return undefined;
      touch(row, now);
      return row;
    },
  };
}
