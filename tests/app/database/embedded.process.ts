import { systemClock } from '#base/clock.ts';
import { createLog } from '#base/log.ts';
import { startEmbedded } from '#database/embedded.ts';
import { createDatabase } from '#database/pool.ts';

/**
 * Starts the server in argv's folder, says its pid, then writes the numbers from 1 on, one row each, and says each
 * number once it is committed. Goes on until it is killed; SIGTERM ends it in order.
 */
const log = createLog({ level: 'info' });
console.log(`starting ${process.getuid?.()}`);
const embedded = await startEmbedded({ directory: process.argv[2] ?? '', log, clock: systemClock });
console.log(embedded.pid);
let stopping = false;
process.once('SIGTERM', () => {
  stopping = true;
});
const database = createDatabase({ connection: embedded.connection, log });
await database.query('create table if not exists written (n int)');
for (let n = 1; !stopping; n++) {
  await database.query('insert into written values ($1)', [n], 'write');
  console.log(n);
}
await database.close();
await embedded.stop();
console.log('stopped');
