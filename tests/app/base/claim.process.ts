import { systemClock } from '#base/clock.ts';
import { claimDataDirectory } from '#base/data-directory.ts';
import { Fault } from '#base/errors.ts';

/** Claims the folder in argv and says how that went; whoever gets it stays until it is killed. */
try {
  await claimDataDirectory(process.argv[2] ?? '', { clock: systemClock });
  console.log('claimed');
  setInterval(() => {}, 60_000);
} catch (error) {
  console.log(Fault.is(error) ? `${error.code} ${error.data.pid}` : String(error));
}
