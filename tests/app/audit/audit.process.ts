import { createAudit } from '#audit/audit.ts';
import { systemClock } from '#base/clock.ts';
import { createLog } from '#base/log.ts';
import { Secret } from '#base/secret.ts';
import { createDatabase } from '#database/pool.ts';

/** Records side by side until it is killed, and says each that was acknowledged. */
const { password, ...rest } = JSON.parse(process.argv[2] ?? '');
const log = createLog({ level: 'silent' });
const database = createDatabase({ connection: { ...rest, password: new Secret(password) }, log });
const audit = createAudit({ database, clock: systemClock, log });
let next = 0;
const go = async () => {
  for (;;) {
    const target = `t${next++}`;
    await audit.record({ actor: { id: '', name: 'x', kind: 'system' }, action: 'killed', target, outcome: 'done' });
    process.stdout.write(`${target}\n`);
  }
};
await Promise.all(Array.from({ length: 16 }, go));
