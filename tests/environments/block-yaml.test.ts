import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { writeBlockYaml } from '#environments/block-yaml.ts';
import { parseManifests } from '#environments/manifests.ts';
import { readBlockYaml } from '#environments/read-block-yaml.ts';

test('is what a person would write', () => {
  const value = {
    kind: 'ConfigMap',
    args: ['--port=80', '-v', 'a b'],
    empty: { list: [], map: {} },
    data: { script: '#!/bin/sh\necho hi\n\n# end\n', text: 'one\ntwo' },
    items: [{ name: 'x', value: '10' }, [1, 2], true],
    size: '10Gi',
  };
  expect(writeBlockYaml(value)).toBe(`args:
  - --port=80
  - -v
  - a b
data:
  script: |
    #!/bin/sh
    echo hi

    # end
  text: |-
    one
    two
empty:
  list: []
  map: {}
items:
  - name: x
    value: "10"
  -
    - 1
    - 2
  - true
kind: ConfigMap
size: 10Gi
`);
});

test('keys are sorted, undefined is left out', () => {
  expect(writeBlockYaml({ b: 1, a: undefined, A: 2 })).toBe('A: 2\nb: 1\n');
});

/** Texts that some reader takes for something else when they stand bare. */
const traps = [
  'yes',
  'No',
  'on',
  'null',
  '~',
  '',
  '.inf',
  '.NaN',
  '1e3',
  '0x1f',
  '010',
  '0o17',
  '1_000',
  '12:30:00',
  '2001-01-01',
  'a: b',
  'a #b',
  '- a',
  '? a',
  'a:',
  '#',
  '&a',
  '*a',
  '!a',
  '|',
  '%a',
  '@a',
  '`a',
  '"',
  "'",
  'a\nb',
  'a\n',
  '\na',
  'a \nb',
  ' a\nb',
  'a\r\nb',
  '\u2028',
  '\u0085x\ny',
  '\ufeff',
  '\ud800',
  'a\tb',
  '===',
  '<<',
  '=',
  '{a',
  '...',
  '---',
  'a\n---\nb\n',
  '+1',
  '-1',
  'e1',
  '-e1',
  'true',
  'a\n- b: |\n',
];

const text = fc.oneof(
  fc.constantFrom(...traps),
  fc.string({ unit: 'binary' }),
  fc
    .array(fc.constantFrom('a', '\n', ' ', '#', ':', '-', '\t', 'é', "'"), { maxLength: 12 })
    .map((signs) => signs.join('')),
);
const leaf = fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null));
const keys = text.filter((key) => key !== '__proto__');
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 5 },
    leaf,
    fc.array(tie('tree'), { maxLength: 4 }),
    fc.dictionary(keys, tie('tree'), { maxKeys: 4 }),
  ),
}));
const plainly = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

test('whatever stands in it, readers of YAML 1.1 and 1.2 give it back', () => {
  fc.assert(
    fc.property(tree, (value) => {
      const written = writeBlockYaml(value);
      expect(parse(written, { version: '1.2' })).toEqual(plainly(value));
      expect(parse(written, { version: '1.1', schema: 'yaml-1.1', merge: false })).toEqual(plainly(value));
    }),
    { numRuns: 2000 },
  );
});

test('the fast reader gives back all that was written', () => {
  fc.assert(
    fc.property(tree, (value) => {
      const read = readBlockYaml(writeBlockYaml(value));
      expect(read).toEqual({ value: plainly(value) });
    }),
    { numRuns: 3000 },
  );
});

test('the fast reader reads nothing that another reader would read otherwise', () => {
  const foreign = [
    'a: yes\n',
    'a: 012\n',
    "a: 'x'\n",
    'a:   x\n',
    'b: 1\na: 2\n',
    'a: &x 1\n',
    'a: 1 # why\n',
    'a: [1]\n',
    'a: x\n  y\n',
    'a: 1\na: 2\n',
    'a: x',
    '',
    '- a\n-  b\n',
    'a: |2\n   x\n',
    '__proto__:\n  x: 1\n',
    '"a: 1\n',
    `${'- '.repeat(500)}a\n`,
    `${Array.from({ length: 500 }, (_, depth) => `${' '.repeat(2 * depth)}a:`).join('\n')}\n`,
  ];
  for (const each of foreign) expect([each, readBlockYaml(each)]).toEqual([each, undefined]);
});

describe('manifests', () => {
  const objects = [
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data: { x: '---\nnot: a document\n' } },
    { apiVersion: 'v1', kind: 'Service', metadata: { name: 'b' } },
  ];

  test('of our own form are read', () => {
    expect(parseManifests(`# whose\n${objects.map((object) => `---\n${writeBlockYaml(object)}`).join('')}`)).toEqual(
      objects,
    );
  });

  test('of any other form are read too', () => {
    expect(parseManifests(objects.map((object) => stringify(object)).join('---\n'))).toEqual(objects);
    expect(parseManifests(objects.map((object) => JSON.stringify(object)).join('\n---\n'))).toEqual(objects);
  });
});
