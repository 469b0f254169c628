import { figure, printComparison, printTimes, summarise } from './measure.ts';
import { measureSize } from './publish/size.ts';

/** `npm run bench -- publish`: changes accepted in PostgreSQL → commits durable and recorded, beside bare fast-import. */
const full = process.argv.includes('--full');
const sizes = process.argv.includes('--small') ? [100] : [100, 10_000];

for (const projects of sizes) {
  console.log(`\n${projects} projects: commits a second, in groups of a hundred`);
  const { commits, single } = await measureSize({
    projects,
    rounds: full ? 9 : 5,
    changes: full ? 1000 : 300,
    singles: full ? 300 : 100,
  });
  printComparison('publish', 'fast-import', commits);
  console.log(`\n${projects} projects: one change alone`);
  printTimes([
    { name: 'publish', times: single.publish },
    { name: 'fast-import', times: single.bare },
  ]);
  console.log(`publish adds ${figure(summarise(single.publish).p50 - summarise(single.bare).p50)} ms at the median`);
}
