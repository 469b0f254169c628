import { appendFileSync } from 'node:fs';
import { systemClock } from '#base/clock.ts';
import { createLog } from '#base/log.ts';
import { Secret } from '#base/secret.ts';
import { createLeases, type Lease } from '#database/leases.ts';
import { createDatabase } from '#database/pool.ts';

/**
 * A replica that only writes down what it believes: `<nanoseconds of the machine's monotonic clock> <name> <epoch> <id>`
 * whenever a lease holds. The time is taken before the question, so that a process that is frozen between the two says
 * nothing wrong.
 */
const [given = '', replica = '', file = '', names = ''] = process.argv.slice(2);
const { password, ...address } = JSON.parse(given);
const log = createLog({ level: 'silent' });
const database = createDatabase({ connection: { ...address, password: new Secret(password) }, log });
const leases = createLeases({
  database,
  clock: systemClock,
  log,
  replica,
  names: names.split(','),
  alone: false,
});
/** As a run keeps the lease it began with. */
const kept = new Map<string, Lease>();

setInterval(() => {
  const lines: string[] = [];
  for (const name of names.split(',')) {
    const at = process.hrtime.bigint();
    const old = kept.get(name);
    if (old?.holds()) lines.push(`${at} ${name} ${old.epoch} ${replica}`);
    const now = leases.lease(name);
    if (now === undefined) continue;
    lines.push(`${at} ${name} ${now.epoch} ${replica}`);
    kept.set(name, now);
  }
  if (lines.length > 0) appendFileSync(file, `${lines.join('\n')}\n`);
}, 4);

process.once('SIGTERM', () => {
  void leases
    .stop()
    .then(() => database.close())
    .then(() => process.exit(0));
});
process.stdout.write('ready\n');
