import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describeMachine } from './bench/machine.ts';
import { repository } from './check/source.ts';

/**
 * `npm run bench -- <name> …`: runs the programs `tests/bench/<name>.ts` one after the other, each in a process of its
 * own and never two at once; without a name all of them. The machine and the versions stand above the figures.
 */
const parts = ['measure']; // used by the programs, none itself
const known = globSync('tests/bench/*.ts', { cwd: repository })
  .filter((path) => !path.endsWith('.test.ts'))
  .map((path) => basename(path, '.ts'))
  .filter((name) => !parts.includes(name))
  .sort();

const [first, ...others] = process.argv.slice(2);
const wanted = first === undefined ? known : [first, ...others.filter((argument) => known.includes(argument))];
const passedOn = others.filter((argument) => !known.includes(argument));
const unknown = wanted.find((name) => !known.includes(name));
if (unknown !== undefined || wanted.length === 0) {
  console.error(`there is no benchmark ${unknown ?? 'yet'}; there are: ${known.join(', ') || 'none'}`);
  process.exit(1);
}

for (const line of describeMachine()) console.log(line);
let failed = 0;
for (const name of wanted) {
  console.log(`\n== ${name}`);
  const program = join(repository, 'tests', 'bench', `${name}.ts`);
  const child = spawn(process.execPath, [program, ...passedOn], { cwd: repository, stdio: 'inherit' });
  const [code] = await once(child, 'exit');
  if (code !== 0) console.error(`${name} ended with ${code}`);
  failed += code === 0 ? 0 : 1;
}
process.exit(failed === 0 ? 0 : 1);
