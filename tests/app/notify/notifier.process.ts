import { systemClock } from '#base/clock.ts';
import { createEgress } from '#base/egress.ts';
import { createLog } from '#base/log.ts';
import { createMetrics } from '#base/metrics.ts';
import { Secret } from '#base/secret.ts';
import { createDatabase } from '#database/pool.ts';
import { createMailer } from '#notify/mail.ts';
import { createNotifier } from '#notify/notifier.ts';
import { openSecrets } from '#secrets/open.ts';

/** Orders one notification, says so, and goes on until it is killed. */
const [connection = '', dataDirectory = '', order = ''] = process.argv.slice(2);
const { password, ...rest } = JSON.parse(connection);
const log = createLog({ level: 'silent' });
const database = createDatabase({ connection: { ...rest, password: new Secret(password) }, log });
const common = { database, clock: systemClock, log };
const { secrets } = await openSecrets({ ...common, encryption: { dataDirectory } });
const notifier = createNotifier({
  ...common,
  secrets,
  metrics: createMetrics(),
  mailer: createMailer({ ...common, key: new Secret(Buffer.alloc(32)) }),
  egress: createEgress({ allowedRanges: ['127.0.0.0/8'] }),
});
await database.transaction((tx) => notifier.order(tx, [JSON.parse(order)]));
process.stdout.write('stored\n');
notifier.wake();
