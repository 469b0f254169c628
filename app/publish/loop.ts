import { type Loop, startLoop } from '#base/loop.ts';
import { type PublishDoors, publishDue } from './publish.ts';
import { scan } from './scan.ts';

const pollMs = 5_000;

/** Starts the one writer of the state repository. It is woken by notices and polls all the same. */
export function startPublisher(doors: PublishDoors): Loop {
  let scanned: string | undefined;
  return startLoop({
    name: 'publish',
    log: doors.log,
    clock: doors.clock,
    everyMs: pollMs,
    run: async () => {
      scanned = await scan(doors, scanned);
      const { ended, scanned: written } = await publishDue(doors, scanned);
      scanned = written;
      return ended > 0 ? 'again' : 'idle';
    },
  });
}
