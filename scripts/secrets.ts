import { systemClock } from '#base/clock.ts';
import { loadSettings, readEnvFile } from '#base/config.ts';
import { Fault } from '#base/errors.ts';
import { createLog } from '#base/log.ts';
import { openSecrets } from '#secrets/open.ts';
import { rotateKeys } from '#secrets/rotate.ts';
import { openDatabase } from './database.ts';

const usage = `usage: npm run secrets -- rotate

rotate makes a new key, encrypts every secret value in the database anew with it, and removes the former key. Values
keep their versions, so that nothing is restarted, and stay readable throughout; Plinth may run meanwhile, and need not.
Interrupted, it is finished by the next call.
It needs the settings that Plinth runs with. To change DEPLOYMENT_ENCRYPTION_KEY or SECRET_KEY themselves, no command is
needed: start Plinth once with the former value in the setting of the same name with _PREVIOUS.`;

async function rotate(): Promise<void> {
  const { config } = loadSettings({ env: process.env, envFile: readEnvFile(process.cwd()) });
  const log = createLog({ level: 'warn' });
  const opened = await openDatabase(config);
  const asked = new AbortController();
  // Between two batches; a second Ctrl-C ends it at once, which does no harm either.
  process.once('SIGINT', () => asked.abort(new Error('interrupted; the next call finishes it')));
  try {
    const { database } = opened;
    const encryption = {
      dataDirectory: config.dataDirectory,
      encryptionKey: config.deploymentEncryptionKey,
      secretKey: config.secretKey,
      previousEncryptionKey: config.deploymentEncryptionKeyPrevious,
      previousSecretKey: config.secretKeyPrevious,
    };
    const { keys } = await openSecrets({ database, log, clock: systemClock, encryption });
    const done = await rotateKeys({ database, keys, log, signal: asked.signal });
    if (done.resumed) console.log('A rotation that was interrupted has been finished.');
    console.log(`${done.values} values were encrypted anew. The key is ${done.key} now, itself encrypted with:`);
    console.log(`  ${keys.encryptedBy.from} (${keys.encryptedBy.id})`);
    if (done.removed.length > 0) console.log(`Gone: ${done.removed.join(', ')}.`);
  } finally {
    await opened.close();
  }
}

if (process.argv.length !== 3 || process.argv[2] !== 'rotate') {
  console.error(usage);
  process.exitCode = 2;
} else {
  await rotate().catch((error: unknown) => {
    console.error(Fault.is(error) ? error.message : String(error));
    process.exitCode = 1;
  });
}
