import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findFormFaults } from '#scripts/check/form.ts';
import { findCircles, findRoomFaults, rooms } from '#scripts/check/rooms.ts';
import { parseSource, readSources, repository } from '#scripts/check/source.ts';

const everything = readSources(['app', 'environments', 'synth', 'scripts', 'tests']);
const files = (texts: Record<string, string>) => Object.entries(texts).map(([path, text]) => parseSource(path, text));

test('the house keeps to the doors', () => {
  expect(findRoomFaults(everything)).toEqual([]);
});

test('no files import each other in a circle', () => {
  expect(findCircles(everything)).toEqual([]);
});

test('every file and function has the form of the house', () => {
  expect(findFormFaults(everything)).toEqual([]);
});

test('every room that exists has a name in package.json, and every name a room', () => {
  const { imports } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8'));
  const named = Object.entries(imports).filter(([name]) => !['#scripts/*', '#support/*'].includes(name));
  const present = Object.entries(rooms).filter(([, { folder }]) => existsSync(join(repository, folder)));
  expect(Object.fromEntries(named)).toMatchObject(
    Object.fromEntries(present.map(([name, { folder }]) => [`#${name}/*`, `./${folder}/*`])),
  );
  expect(named.filter(([name]) => rooms[name.slice(1, -2)] === undefined)).toEqual([]);
});

test('the rooms themselves stand in no circle', () => {
  const asFiles = Object.entries(rooms).map(([name, { folder, mayImport }]) => ({
    path: `${folder}/all.ts`,
    lines: 1,
    functions: [],
    imports: mayImport.map((to) => ({ specifier: `#${to.split('/')[0]}/all.ts`, line: 1 })),
    name,
  }));
  expect(findCircles(asFiles)).toEqual([]);
});

test.each([
  [
    'a room that is not listed',
    'app/git/commit.ts',
    `import { x } from '#database/pool.ts';`,
    'git may import only base',
  ],
  ['a type from such a room', 'app/git/commit.ts', `import type { X } from '#database/pool.ts';`, 'may import only'],
  ['a re-export', 'app/base/all.ts', `export * from '#git/commit.ts';`, 'base may import only nothing'],
  ['a dynamic import', 'app/base/all.ts', `await import('#git/commit.ts');`, 'may import only'],
  ['an import type', 'app/base/all.ts', `type X = import('#git/commit.ts').X;`, 'may import only'],
  ['a relative path out of the room', 'app/git/commit.ts', `import '../base/log.ts';`, 'must not leave its room'],
  ['a relative path from a joint', 'app/main.ts', `import './base/log.ts';`, 'must not leave its room'],
  ['the own room by its name', 'app/git/commit.ts', `import '#git/serve.ts';`, 'write ./serve.ts'],
  ['a file that is no door', 'app/publish/publish.ts', `import '#synth/parts/volume.ts';`, 'no door of synth'],
  ['a folder behind a door', 'app/reconcile/plan.ts', `import '#runtime/compose/apply.ts';`, 'no door of runtime'],
  [
    'one file of a room, where only another is listed',
    'app/contract/x.ts',
    `import '#synth/render.ts';`,
    'only synth/',
  ],
  ['scripts from the house', 'app/base/log.ts', `import '#scripts/test.ts';`, 'not part of the house'],
  ['a room that does not exist', 'app/base/log.ts', `import '#attic/box.ts';`, 'there is no room attic'],
  [
    'joining in a folder that is no room',
    'app/joints/join.ts',
    `import '#git/commit.ts';`,
    'only the files of app/ itself',
  ],
  ['a joint from a room', 'app/git/commit.ts', `import '../server.ts';`, 'must not leave its room'],
])('refused: %s', (_, path, text, fault) => {
  const faults = findRoomFaults(files({ [path]: text }));
  expect(faults).toHaveLength(1);
  expect(faults[0]).toContain(`${path}:1`);
  expect(faults[0]).toContain(fault);
});

test.each([
  ['a listed door', 'app/git/commit.ts', `import { Fault } from '#base/errors.ts';`],
  ['a listed file', 'app/contract/projects.ts', `import '#synth/project.ts';`],
  ['inside a room', 'app/git/hosts/host.ts', `import '../repository.ts';`],
  ['main joins, past the doors', 'app/main.ts', `import '#runtime/kubernetes/runtime.ts';`],
  ['what main is split into', 'app/stores.ts', `import '#git/repository.ts'; import './server.ts';`],
  ['packages and Node', 'app/git/commit.ts', `import 'node:fs'; import 'undici';`],
  ['a test', 'tests/app/git/commit.test.ts', `import '#git/objects.ts'; import '../../support/x.ts';`],
  ['what only looks like an import', 'app/base/log.ts', `// import '#git/x.ts'\nconst text = "import '#git/x.ts'";`],
])('allowed: %s', (_, path, text) => {
  expect(findRoomFaults(files({ [path]: text }))).toEqual([]);
});

test('a circle is found through types, names and relative paths, and told file by file', () => {
  const circle = files({
    'app/git/a.ts': `import type { B } from './b.ts';`,
    'app/git/b.ts': `export { c } from '#base/c.ts';`,
    'app/base/c.ts': `import '#git/a.ts';`,
    'app/base/d.ts': `import './c.ts';`,
  });
  expect(findCircles(circle)).toEqual(['app/git/a.ts → app/git/b.ts → app/base/c.ts → app/git/a.ts is a circle']);
});

test('too long files, too long functions and empty names are found', () => {
  const lines = (count: number) => 'x();\n'.repeat(count);
  expect(findFormFaults(files({ 'app/git/a.ts': lines(400), 'app/git/b.ts': lines(401) }))).toEqual([
    'app/git/b.ts has 401 lines; the most is 400',
  ]);
  const sixty = `function fits() {\n${lines(58)}}\n`;
  const more = `\nexport const tooLong = async () => {\n${lines(59)}};\n`;
  expect(findFormFaults(files({ 'app/git/a.ts': sixty + more }))).toEqual([
    'app/git/a.ts:62 tooLong has 61 lines; the most is 60',
  ]);
  const named = files({ 'app/lib/a.ts': '', 'app/git/utils.ts': '', 'app/git/gitObjects.ts': '', 'app/git/ok.ts': '' });
  expect(findFormFaults(named).map((fault) => fault.split(':')[0])).toEqual([
    'app/lib/a.ts',
    'app/git/utils.ts',
    'app/git/gitObjects.ts',
  ]);
});
