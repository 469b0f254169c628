import { type Auth, createAuth } from '#auth/better-auth.ts';
import { systemClock } from '#base/clock.ts';
import { createLog } from '#base/log.ts';
import { Secret } from '#base/secret.ts';
import type { Database } from '#database/pool.ts';

/** People over a real database. */
export function createTestAuth(database: Database): Promise<Auth> {
  return createAuth({
    database,
    log: createLog({ level: 'silent' }),
    clock: systemClock,
    secret: new Secret('kYp3sQ8vXz1Lr6Tn0BwEj9UhGc4MaDfR'),
    baseUrl: 'http://127.0.0.1:9000',
  });
}

export const basic = (name: string, password: string) => ({
  Authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
});
export const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });
