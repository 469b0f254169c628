import type { Database } from '#database/pool.ts';

/** Any number that no other lock has. */
const triggerLock = 7_010_405;

/**
 * Lets better-auth's tables tell the channel `access` what has changed, as ours do since migration 0004. Call it after
 * `createAuth`, which makes these tables.
 */
export async function installAccessTriggers(database: Database): Promise<void> {
  await database.transaction(async (tx) => {
    await tx.query('select pg_advisory_xact_lock($1)', [triggerLock]);
    // A session that goes on in use is updated often; only its end, or another owner, changes anything.
    await tx.query(
      `create or replace trigger access after delete or update of "userId", token on auth.session
         for each row execute function notify_access('id')`,
    );
    await tx.query(
      `create or replace trigger access after delete or update of email, role on auth."user"
         for each row execute function notify_access('id')`,
    );
  });
}
