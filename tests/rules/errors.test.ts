import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { errorKinds } from '#base/errors.ts';
import { readSources, repository } from '#scripts/check/source.ts';

const sources = readSources(['app', 'environments', 'synth'])
  .filter(({ path }) => !path.startsWith('app/base/errors'))
  .map(({ path }) => ({ path, text: readFileSync(join(repository, path), 'utf8') }));

test('every code of the list is used in the house', () => {
  const unused = Object.keys(errorKinds).filter((code) => !sources.some(({ text }) => text.includes(`'${code}'`)));
  expect(unused).toEqual([]);
});

test('every code that is thrown is on the list', () => {
  const thrown = sources.flatMap(({ path, text }) =>
    [...text.matchAll(/new Fault\(\s*'(\w+)'/g)].map(([, code]) => ({ path, code: code! })),
  );
  expect(thrown.length).toBeGreaterThan(0);
  expect(thrown.filter(({ code }) => !(code in errorKinds))).toEqual([]);
});
