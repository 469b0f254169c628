import { systemClock } from '#base/clock.ts';
import { createLog } from '#base/log.ts';
import { Secret } from '#base/secret.ts';
import { createDatabase, type Database } from '#database/pool.ts';
import { openSecrets } from '#secrets/open.ts';
import { rotateKeys } from '#secrets/rotate.ts';

/** Rotates one value a transaction; says so after the third, and waits in the middle of the fourth to be killed. */
const [connection = '', dataDirectory = ''] = process.argv.slice(2);
const { password, ...rest } = JSON.parse(connection);
const log = createLog({ level: 'silent' });
const database = createDatabase({ connection: { ...rest, password: new Secret(password) }, log });
const { keys } = await openSecrets({ database, log, clock: systemClock, encryption: { dataDirectory } });

let batches = 0;
const slow: Database = {
  ...database,
  query: (text, values, name) => database.query(text, values, name),
  transaction: (work, options) =>
    database.transaction(async (tx) => {
      const result = await work(tx);
      batches += 1;
      if (batches === 4) {
        process.stdout.write('in the middle\n');
        await new Promise(() => {});
      }
      return result;
    }, options),
};
await rotateKeys({ database: slow, keys, log, batch: 1 });
