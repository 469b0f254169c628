import { expect, test } from 'vitest';
import { folderFaults, pathFault, sizeFault } from '#git/tree-rules.ts';

const entry = (name: string, mode = '100644', id = '1'.repeat(40)) => ({ name, mode, id });

test.each([
  'environments/dev/web/shop/project.yaml',
  'README',
  'a b/ü.yaml',
  '.gitignore',
  '.github/workflow.yaml',
  'git~/x',
  'x'.repeat(100),
  'a..b/...',
])('%j may be written', (path) => {
  expect(pathFault(path)).toBeUndefined();
});

test.each([
  ['', 'empty name'],
  ['/etc/passwd', 'absolute'],
  ['a//b', 'empty name'],
  ['a/', 'empty name'],
  ['a/../b', 'holds ..'],
  ['..', 'holds ..'],
  ['./a', 'holds .'],
  ['a/.git/config', 'holds .git'],
  ['.GIT', 'holds .git'],
  ['.git./x', 'holds .git'],
  ['.git /x', 'holds .git'],
  ['.git::$INDEX_ALLOCATION/x', 'holds .git'],
  ['GIT~1/x', 'holds .git'],
  ['.g\u200cit/x', 'holds .git'],
  ['.g\uff49t/x', 'holds .git'],
  ['a\\b', 'backslash'],
  ['a\nb', 'control characters'],
  ['a\u0000b', 'control characters'],
  ['a\u001b[31m', 'control characters'],
  ['a\u0085b', 'control characters'],
  ['a\u2028b', 'control characters'],
  ['a\ufffdb', 'not UTF-8'],
  ['a\ud800b', 'not UTF-8'],
  ['x'.repeat(101), 'longer than 100 bytes'],
  ['ü'.repeat(51), 'longer than 100 bytes'],
  [`${'abcdefg/'.repeat(64)}x`, 'longer than 512 bytes'],
])('%j is refused', (path, why) => {
  expect(pathFault(path)).toContain(why);
});

test('a folder is judged by what the change brought to it', () => {
  const bad = [entry('link', '120000'), entry('module', '160000'), entry('group', '100664')];
  expect(folderFaults('a', bad, [...bad, entry('new')])).toEqual([]);
  expect(folderFaults('a', [], [...bad, entry('run', '100755'), entry('sub', '40000')])).toEqual([
    '"a/link": this is a symbolic link; only files and folders are taken',
    '"a/module": this is a submodule; only files and folders are taken',
    '"a/group": mode 100664 is none of 100644 and 100755',
  ]);
});

test('names that differ only in case are refused, whichever of them is new', () => {
  const fault = '"dev/Web": "web" stands beside it and differs only in case';
  expect(folderFaults('dev', [entry('web')], [entry('Web'), entry('web')])).toEqual([fault]);
  expect(folderFaults('dev', [entry('web')], [entry('web'), entry('Web', '40000')])).toEqual([fault]);
  expect(folderFaults('', [], [entry('\u00e4'), entry('a\u0308')])).toHaveLength(1);
  expect(folderFaults('dev', [entry('web')], [entry('Web')])).toEqual([]);
});

test('a file below environments/ has at most 1 MiB, any other 100 MiB', () => {
  expect(sizeFault('docs/film', 100 * 2 ** 20 + 1)).toBe(
    '"docs/film": the file has 104857601 bytes; the most is 104857600',
  );
  expect(sizeFault('environments/dev/a', 2 ** 20)).toBeUndefined();
  expect(sizeFault('docs/picture', 2 ** 20 + 1)).toBeUndefined();
  expect(sizeFault('environments/dev/a', 2 ** 20 + 1)).toBe(
    '"environments/dev/a": the file has 1048577 bytes; the most is 1048576',
  );
});
