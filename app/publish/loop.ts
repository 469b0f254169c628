import { type Loop, startLoop } from '#base/loop.ts';
import { type PublishDoors, publishDue } from './publish.ts';
import { beginScan, type Scan } from './scan.ts';

const pollMs = 5_000;

/**
 * Starts the one writer of the state repository: what came in by others is looked at slice by slice, and between two
 * slices the changes that wait are written. It is woken by notices and polls all the same.
 */
export function startPublisher(doors: PublishDoors): Loop {
  let scanned: string | undefined;
  let scan: Scan | undefined;
  return startLoop({
    name: 'publish',
    log: doors.log,
    clock: doors.clock,
    everyMs: pollMs,
    run: async () => {
      scan ??= await beginScan(doors, scanned);
      if (scan !== undefined && (await scan.step())) {
        scanned = scan.tip;
        scan = undefined;
      }
      // While a scan is under way nothing counts as scanned: what is written now is looked at after it.
      const { ended, scanned: written } = await publishDue(doors, scan === undefined ? scanned : undefined);
      if (scan === undefined) scanned = written;
      return ended > 0 || scan !== undefined ? 'again' : 'idle';
    },
  });
}
