import { existsSync, globSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { newSeed } from '../tests/torture/stand/random.ts';
import { noProgress, type Progress, runCases, summaryOf, type Torture } from '../tests/torture/stand/torture.ts';
import { describeMachine } from './bench/machine.ts';
import { repository } from './check/source.ts';
import { writeSection } from './torture/page.ts';

/**
 * `npm run torture -- <name> [--seed n] [--count n] [--parallel n] [--resume]`: runs `tests/torture/<name>.ts` with one
 * seed after the other and writes what came of it to reference/torture.md. Ctrl-C ends it after the cases under way;
 * `--resume` goes on where the last run of that name ended. The progress is kept in the cache folder, not here.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string' },
    count: { type: 'string' },
    parallel: { type: 'string' },
    resume: { type: 'boolean', default: false },
  },
});
const known = globSync('tests/torture/*.ts', { cwd: repository })
  .filter((path) => !path.endsWith('.test.ts'))
  .map((path) => basename(path, '.ts'))
  .sort();
const [name = ''] = positionals;
if (!known.includes(name) || positionals.length > 1) {
  console.error(`say which: npm run torture -- ${known.join(' | ')} [--seed n] [--count n] [--parallel n] [--resume]`);
  process.exit(1);
}

const { torture } = (await import(`../tests/torture/${name}.ts`)) as { readonly torture: Torture };
const folder = join(process.env.PLINTH_CACHE || join(homedir(), '.cache', 'plinth'), 'torture');
const file = join(folder, `${name}.json`);
mkdirSync(folder, { recursive: true });

const from = begin();
const count = values.count === undefined ? torture.whole : Number(values.count);
const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort());
for (const line of describeMachine()) console.log(line);
console.log(
  `\n${name}: ${count} ${torture.unit} from seed ${from.seed}${from.done > 0 ? `, ${from.done} are done` : ''}`,
);
console.log(torture.what);

let saidMs = performance.now();
let failed = from.failures.length;
const progress = await runCases(torture, {
  from,
  count,
  ...(values.parallel === undefined ? {} : { parallel: Number(values.parallel) }),
  signal: stopping.signal,
  report: (now) => {
    for (const { seed, why } of now.failures.slice(failed)) console.log(`seed ${seed} failed: ${why.join('\n  ')}`);
    failed = now.failures.length;
    if (performance.now() - saidMs < 5000 && now.done < count) return;
    saidMs = performance.now();
    store(now);
    const rate = (now.done - from.done) / Math.max(0.001, now.seconds - from.seconds);
    console.log(`${now.done} done, ${failed} failed, ${rate.toFixed(2)} a second`);
  },
});
store(progress);
writeSection(name, torture, progress);
for (const [what, text] of summaryOf(progress)) console.log(`${what}: ${text}`);
console.log(`${progress.done} ${torture.unit}, ${progress.failures.length} failed; written to reference/torture.md`);
process.exit(progress.failures.length === 0 ? 0 : 1);

function begin(): Progress {
  if (values.resume && existsSync(file)) return JSON.parse(readFileSync(file, 'utf8'));
  if (values.seed !== undefined) return noProgress(Number(values.seed));
  return noProgress(torture.listed === true ? 0 : newSeed());
}

/** A run that is killed while it writes leaves the file of before. */
function store(now: Progress): void {
  writeFileSync(`${file}.new`, JSON.stringify(now));
  renameSync(`${file}.new`, file);
}
