import { describe, expect, test } from 'vitest';
import { formatFinding, InvalidInput } from '#environments/finding.ts';
import { parseYaml } from '#environments/yaml.ts';

const read = (text: string | Uint8Array) => parseYaml(text, 'file.yaml').value;

function refusalOf(text: string | Uint8Array): string {
  try {
    parseYaml(text, 'file.yaml');
    return 'taken';
  } catch (error) {
    if (!(error instanceof InvalidInput)) throw error;
    return error.findings.map(formatFinding).join(' | ');
  }
}

describe('what is read', () => {
  test('block and flow, comments, both kinds of line ends, a byte order mark', () => {
    expect(read('a: 1\r\nb: # why\r\n  - x\r\n  - { c: true }\r\n')).toEqual({ a: 1, b: ['x', { c: true }] });
    expect(read('\uFEFFa: 1')).toEqual({ a: 1 });
    expect(read(Buffer.from('ä: ö'))).toEqual({ ä: 'ö' });
  });

  test('JSON', () => expect(read('{"a": [1, "\\u0041", null]}')).toEqual({ a: [1, 'A', null] }));

  test('words of YAML 1.1 are text, and dates too', () => {
    expect(read('[yes, no, on, 012, 2001-01-01, ~]')).toEqual(['yes', 'no', 'on', 12, '2001-01-01', null]);
  });

  test('aliases are filled in', () => {
    expect(read('a: &one { x: 1 }\nb: *one')).toEqual({ a: { x: 1 }, b: { x: 1 } });
  });

  test('keys that mean something to JavaScript are keys like others', () => {
    expect(Object.keys(read('constructor: 1\ntoString: 2') as object)).toEqual(['constructor', 'toString']);
  });
});

describe('places', () => {
  const parsed = parseYaml('one:\n  two:\n    - a\n    - three: 1.10\n', 'file.yaml');

  test('of a key, an item, and the nearest parent of what is missing', () => {
    expect(parsed.place(['one', 'two'])).toEqual({ line: 2, column: 3 });
    expect(parsed.place(['one', 'two', 0])).toEqual({ line: 3, column: 7 });
    expect(parsed.place(['one', 'two', 1, 'three'])).toEqual({ line: 4, column: 7 });
    expect(parsed.place(['one', 'nowhere', 'deep'])).toEqual({ line: 1, column: 1 });
    expect(parsed.place([])).toEqual({ line: 1, column: 1 });
  });

  test('the text of a number as it was written', () => {
    expect(parsed.source(['one', 'two', 1, 'three'])).toBe('1.10');
    expect(parsed.source(['one'])).toBeUndefined();
  });
});

describe('what is refused', () => {
  const cases: readonly [string, string | Uint8Array, string][] = [
    [
      'not YAML',
      'a: [1',
      'file.yaml:1:6 this is not YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
    ],
    ['nothing', '', 'file.yaml the file is empty'],
    ['a key twice', 'a: 1\nb: 2\na: 3', 'file.yaml:3:1 key a stands twice in its map; keep one of them'],
    ['a key twice in other words', '{"a": 1, a: 2}', 'file.yaml:1:10 key a stands twice in its map; keep one of them'],
    ['two documents', 'a: 1\n---\nb: 2', 'file.yaml:2:1 the file holds more than one document; keep one'],
    ['a custom tag', 'a: !secret x', 'file.yaml:1:4 Unresolved tag: !secret; custom tags are not taken'],
    ['binary data', 'a: !!binary aGk=', 'file.yaml:1:13 only strings, numbers, booleans and null are taken'],
    ['bad UTF-8', Uint8Array.of(0x61, 0x3a, 0xff), 'file.yaml the file is not valid UTF-8'],
    ['a number that is none', 'a: .inf', 'file.yaml:1:4 a number must be finite'],
    ['a map as a key', '{ {a: 1}: 2 }', 'file.yaml:1:1 a key must be plain text'],
    ['a prototype', '__proto__: { x: 1 }', 'file.yaml:1:1 __proto__ is no key'],
    ['an anchor that is not there', 'a: *b', 'file.yaml:1:4 there is no anchor &b'],
    ['an anchor twice', 'a: &x 1\nb: &x 2', 'file.yaml:2:7 anchor &x stands twice'],
    ['an alias in itself', 'a: &a [*a]', 'file.yaml:1:7 an alias stands inside what it names'],
    ['too many bytes', ' '.repeat(262_145), 'file.yaml the file has 262145 bytes; the most is 262144'],
  ];
  for (const [what, text, finding] of cases) test(what, () => expect(refusalOf(text)).toBe(finding));
});

describe('files made to hurt are refused without recursion and without much memory', () => {
  const most = 250_000;
  const fill = (text: string) => text.repeat(Math.floor(most / text.length));
  const bomb = `a: &a [${Array(9).fill('x')}]\n${[...'bcdefghij'].map((name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcdefghij'[index]}`)}]`).join('\n')}`;
  const cases: readonly [string, string, RegExp][] = [
    ['64 thousand open lists', '['.repeat(65_536), /nest deeper than 32/],
    ['closed again', '['.repeat(65_536) + ']'.repeat(65_536), /nest deeper than 32/],
    ['maps in maps', fill('{a: '), /nest deeper than 32/],
    ['lists by dashes', fill('- '), /nest deeper than 32/],
    ['keys by question marks', fill('? '), /nest deeper than 32/],
    ['maps on one line', fill('a: '), /nest deeper than 32/],
    [
      'maps by indentation',
      Array.from({ length: 600 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n'),
      /nest deeper than 32/,
    ],
    ['an alias bomb', bomb, /more than 20000 values once its aliases are expanded/],
    [
      'a chain of aliases',
      Array.from({ length: 3000 }, (_, index) => `k${index}: &k${index} [${index > 0 ? `*k${index - 1}` : 'x'}]`).join(
        '\n',
      ),
      /aliases nest too deep/,
    ],
    ['commas', `[${','.repeat(most)}`, /tokens|not YAML/],
    ['closing brackets', fill(']'), /not YAML/],
    ['anchors', fill('&a '), /tokens|not YAML/],
    ['tags', fill('!!a '), /tokens|not YAML/],
    ['line ends', fill('\n'), /tokens/],
    ['comments', fill('#\n'), /tokens/],
    ['documents', fill('---\n'), /tokens/],
    ['many keys', Array.from({ length: 20_000 }, (_, index) => `k${index}: 1`).join('\n'), /tokens/],
  ];
  for (const [what, text, refusal] of cases) test(what, () => expect(refusalOf(text)).toMatch(refusal));

  test('32 levels are taken, 33 are not', () => {
    expect(refusalOf(`${'['.repeat(32)}${']'.repeat(32)}`)).toBe('taken');
    expect(refusalOf(`${'['.repeat(33)}${']'.repeat(33)}`)).toMatch(/nest deeper than 32/);
  });
});
