import { createHash } from 'node:crypto';
import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Secret } from '#base/secret.ts';
import { readStrangers } from './lease-store.ts';
import type { Database } from './pool.ts';

/** What replicas with the same secret have in common; it says nothing about the secret. */
export const printOf = (key: Secret<Buffer>): string =>
  createHash('sha256').update(key.reveal()).digest('hex').slice(0, 16);

/** A replica that lives gives a sign of life several times in this time. */
const livesWithinMs = 2_000;
const lookAgainMs = 100;

/**
 * Makes sure that no replica with another secret lives on this database: each would know neither the sessions nor the
 * secret values of the other. What a killed process with an earlier secret left behind gives no sign of life.
 * @throws Fault CONFIG_INVALID
 */
export async function refuseStrangers(options: {
  readonly database: Database;
  readonly clock: Clock;
  readonly print: string;
}): Promise<void> {
  const { database, clock, print } = options;
  const before = new Map((await readStrangers(database, print)).map(({ id, beat }) => [id, beat]));
  const endMs = clock.monotonicMs() + livesWithinMs;
  while (before.size > 0 && clock.monotonicMs() < endMs) {
    await clock.sleep(lookAgainMs);
    const living = (await readStrangers(database, print)).find(({ id, beat }) => before.get(id) !== beat);
    if (living === undefined) continue;
    const why = `SECRET_KEY is not the one of replica ${living.id}, which runs on the same database; give it to all replicas alike`;
    throw new Fault('CONFIG_INVALID', { faults: `  - ${why}` });
  }
}
