import { systemClock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { createLog } from '#base/log.ts';
import { Secret } from '#base/secret.ts';
import { proveLease } from '#database/lease-store.ts';
import { createLeases } from '#database/leases.ts';
import { createDatabase } from '#database/pool.ts';
import { eventually } from '#support/walk.ts';

/**
 * A replica that proves its lease in a transaction, says so and stops itself in the middle. When it goes on, it tells
 * what became of the transaction, and what the pool gives afterwards.
 */
const [given = '', name = ''] = process.argv.slice(2);
const { password, ...address } = JSON.parse(given);
const log = createLog({ level: 'silent' });
const database = createDatabase({ connection: { ...address, password: new Secret(password) }, log });
const leases = createLeases({ database, clock: systemClock, log, replica: 'frozen', names: [name], alone: false });
const say = (text: string) => process.stdout.write(`${text}\n`);

const lease = await eventually(async () => leases.lease(name), Boolean);
const { proof } = lease ?? {};
if (proof === undefined) throw new Error('no lease');
const outcome = await database
  .transaction(async (tx) => {
    await proveLease(tx, proof);
    say('inside');
    process.kill(process.pid, 'SIGSTOP');
    await tx.query(`update leases set epoch = 100 where name = $1`, [name]);
    return 'done';
  })
  .catch((error: unknown) => (Fault.is(error) ? error.code : String(error)));
say(outcome);
const { rows } = await database.query<{ one: number }>('select 1 as one');
say(`then ${rows[0]?.one}`);
process.exit(0);
