import { systemClock } from '#base/clock.ts';
import { createLog } from '#base/log.ts';
import { Secret } from '#base/secret.ts';
import { createDatabase } from '#database/pool.ts';
import { createMailer } from '#notify/mail.ts';

/** Stores one mail, says so, and goes on until it is killed. */
const [connection = '', key = '', port = ''] = process.argv.slice(2);
const { password, ...rest } = JSON.parse(connection);
const log = createLog({ level: 'silent' });
const database = createDatabase({ connection: { ...rest, password: new Secret(password) }, log });
const mailer = createMailer({
  database,
  smtp: { host: '127.0.0.1', port: Number(port), sender: 'plinth@example.com' },
  key: new Secret(Buffer.from(key, 'hex')),
  clock: systemClock,
  log,
});
await mailer.send({
  to: 'ada@example.com',
  subject: 'Hello',
  text: new Secret('from the killed process'),
  uselessAfterMs: 600_000,
});
process.stdout.write('stored\n');
