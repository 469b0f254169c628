import { execFile } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { repository } from '#scripts/check/source.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';

const root = useTemporaryDirectory('plinth-tally');
beforeAll(() => {
  symlinkSync(join(repository, 'node_modules'), join(root, 'node_modules'));
  writeFileSync(
    join(root, 'run.mjs'),
    `import { startVitest } from 'vitest/node';
import { createTally } from '${repository}/scripts/test/tally.ts';
const tally = createTally();
const options = { config: false, root: process.argv[2], run: true, watch: false };
const vitest = await startVitest('test', [], { ...options, reporters: [tally.reporter] });
await vitest.close();
process.exit(tally.print(console.log));`,
  );
});

interface Outcome {
  readonly lines: readonly string[];
  readonly code: number;
}

/** Runs one test file of its own in a new vitest, as npm test does, and gives what was printed. */
function tallyOf(name: string, file: string): Promise<Outcome> {
  const folder = join(root, name);
  mkdirSync(folder);
  const head = `import { afterAll, beforeAll, describe, expect, test } from 'vitest';`;
  writeFileSync(join(folder, 'a.test.ts'), `${head}\n${file}`);
  return run(folder);
}

function run(folder: string): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [join(root, 'run.mjs'), folder], (_, stdout) =>
      resolve({ lines: stdout.trim().split('\n'), code: child.exitCode ?? -1 }),
    );
  });
}

test.concurrent.each([
  ['good', `test('a', () => {}); test('b', () => {});`, '2 passed, 0 failed, 0 skipped', 0],
  ['bad', `test('a', () => {}); test('b', () => { expect(1).toBe(2); });`, '1 passed, 1 failed, 0 skipped', 1],
  ['skipped', `test('a', () => {}); test.skip('b', () => {});`, '1 passed, 0 failed, 1 skipped', 0],
  [
    'hook',
    `describe('s', () => { beforeAll(() => { throw new Error('x'); }); test('a', () => {}); test('b', () => {}); });`,
    '0 passed, 2 failed, 0 skipped',
    1,
  ],
  ['after', `afterAll(() => { throw new Error('x'); }); test('a', () => {});`, '1 passed, 1 failed, 0 skipped', 1],
  ['load', `import './not-there.ts'; test('a', () => {});`, '0 passed, 1 failed, 0 skipped', 1],
  [
    'unhandled',
    `test('a', () => { setTimeout(() => { throw new Error('x'); }); }); test('b', () => new Promise((r) => setTimeout(r, 50)));`,
    '2 passed, 1 failed, 0 skipped',
    1,
  ],
  ['none', `describe('s', () => {});`, '0 passed, 2 failed, 0 skipped', 1],
] as const)('a run that is %s', async (name, file, last, code) => {
  const outcome = await tallyOf(name, file);
  expect(outcome.lines.at(-1)).toBe(last);
  expect(outcome.code).toBe(code);
});

test('a run without any test file fails', async () => {
  const folder = join(root, 'empty');
  mkdirSync(folder);
  const { lines, code } = await run(folder);
  expect(lines.slice(-2)).toEqual(['no test was found: that is a failure', '0 passed, 0 failed, 0 skipped']);
  expect(code).toBe(1);
});

test('each skipped test is printed with its reason: its own, or its suite’s', async () => {
  const { lines } = await tallyOf(
    'reasons',
    `test('one', ({ skip }) => skip('there is no git'));
     describe.skip('around', { meta: { skipReason: 'Go is missing' } }, () => describe('inner', () => { test('two', () => {}); }));
     test.skip('three', () => {});`,
  );
  expect(lines.slice(-7)).toEqual([
    'skipped: a.test.ts > one',
    '         because there is no git',
    'skipped: a.test.ts > around > inner > two',
    '         because Go is missing',
    'skipped: a.test.ts > three',
    '         because no reason given',
    '0 passed, 0 failed, 3 skipped',
  ]);
});
