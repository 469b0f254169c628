import { goodSpec } from './paths.ts';
import type { HostileCase } from './planter.ts';

const path = 'environments/local/mallory/web-shop/project.yaml';
const lines = (count: number, of: (index: number) => string) => Array.from({ length: count }, (_, index) => of(index));

const laughs = `a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n${lines(9, (i) => `a${i + 1}: &a${i + 1} [${Array(10).fill(`*a${i}`).join(', ')}]`).join('\n')}\n`;
const merges = `a0: &a0 { k: v }\n${lines(25, (i) => `a${i + 1}: &a${i + 1} { <<: [*a${i}, *a${i}], k${i}: v }`).join('\n')}\n`;
const utf16 = (text: string, little: boolean) => {
  const bytes = Buffer.from(`\ufeff${text}`, 'utf16le');
  return little ? bytes : Buffer.from(bytes).swap16();
};
const web = (value: string) => goodSpec.replace('"nginx:1"', value);
const port = (value: string) => goodSpec.replace('8080', value);

/** Contents of a spec that are no spec. */
const refusedTexts: Readonly<Record<string, string | Buffer>> = {
  'nothing at all': '',
  'only a comment': '# nothing\n',
  'a scalar': 'hello\n',
  'a list': '- a\n- b\n',
  null: 'null\n',
  'two documents': `${goodSpec}---\n${goodSpec}`,
  'malformed YAML': `${goodSpec}labels: { a: [b, "c }\n`,
  '64k levels of flow': `${goodSpec}labels: ${'['.repeat(65_536)}${']'.repeat(65_536)}\n`,
  '64k levels that never close': `${goodSpec}labels: ${'{a: '.repeat(50_000)}`,
  'hundreds of levels of block': `${goodSpec}labels:\n${lines(600, (i) => `${' '.repeat(i + 1)}a:`).join('\n')}\n`,
  '64k dashes in one line': `${goodSpec}labels:\n  ${'- '.repeat(65_536)}a\n`,
  '64k question marks': `${'? '.repeat(65_536)}a\n`,
  'a billion laughs': laughs,
  'a bomb of merge keys': merges,
  'an anchor within itself': `${goodSpec}labels: &a { b: *a }\n`,
  'a list within itself': '&a [*a, *a]\n',
  'an alias to nothing': `${goodSpec}labels: *nobody\n`,
  '20k anchors': `${goodSpec}labels: [${lines(20_000, (i) => `&a${i} x`).join(',')}]\n`,
  '100k keys': `${goodSpec}labels: {${lines(24_000, (i) => `k${i}: v`).join(',')}}\n`,
  'a key of 100 KiB': `${goodSpec}${'k'.repeat(100_000)}: v\n`,
  'more than the largest spec': `${goodSpec}# ${'x'.repeat(300_000)}\n`,
  'more than the largest file': `${goodSpec}# ${'x'.repeat(2 ** 20)}\n`,
  'a NUL': `${goodSpec}labels: { a: "b\0c" }\n`,
  'only NULs': Buffer.alloc(10_000),
  'bytes that are not UTF-8': Buffer.concat([Buffer.from(`${goodSpec}# `), Buffer.from([0xff, 0xfe, 0xc0, 0x80])]),
  'UTF-16, little end first': utf16(goodSpec, true),
  'UTF-16, big end first': utf16(goodSpec, false),
  'UTF-32': Buffer.concat([
    Buffer.from([0xff, 0xfe, 0, 0]),
    Buffer.from([...goodSpec].flatMap((c) => [c.charCodeAt(0), 0, 0, 0])),
  ]),
  'a bell': `${goodSpec}labels: { a: "b\u0007c" }\n`,
  tabs: 'apiVersion: plinth.dev/v1\nkind: Project\ncontainers:\n\tweb: { image: "nginx:1", port: 8080 }\n',
  'a key twice': goodSpec.replace('port: 8080', 'port: 8080, image: "evil:1"'),
  'a section twice': `${goodSpec}containers:\n  web: { image: "evil:1", port: 8080 }\n`,
  __proto__: `${goodSpec}__proto__: { polluted: true }\n`,
  'constructor.prototype': `${goodSpec}constructor: { prototype: { polluted: true } }\n`,
  '__proto__ for a container': goodSpec.replace('  web:', '  __proto__:'),
  'toString for a container': goodSpec.replace('  web:', '  toString:'),
  'a function': web('!!js/function "function(){ process.exit(1) }"'),
  'a Python object': web('!!python/object/apply:os.system ["true"]'),
  'a tag of its own': web('!evil "nginx:1"'),
  'binary for an image': web('!!binary "bmdpbng6MQ=="'),
  'a directive of the future': `%YAML 9.9\n%EVIL yes\n---\n${goodSpec}labels: 3\n`,
  'complex keys': `? { a: b }\n: c\n? [d, e]\n: f\n${goodSpec}`,
  'a huge number for a port': port('1e999999'),
  'a million digits for a port': port('9'.repeat(200_000)),
  'infinity for a port': port('.inf'),
  'not a number for a port': port('.nan'),
  'a negative port': port('-1'),
  'a port beyond 64 bits': port('18446744073709551617'),
  'text for a port': port('"8080; rm -rf /"'),
  'an image of 100 KiB': web(`"${'a'.repeat(100_000)}"`),
  'an image to try expressions with': web(`"${'a-'.repeat(50_000)}!"`),
  'an image with a command': web('"nginx:1; curl evil"'),
  'an image with a newline': web('"nginx:1\\nprivileged: true"'),
  'half a surrogate': web('"\\ud800"'),
  'a host to try expressions with': goodSpec.replace(
    'port: 8080',
    `port: 8080, route: { host: "${'a-'.repeat(40_000)}" }`,
  ),
  'a host of somebody else': goodSpec.replace('port: 8080', 'port: 8080, route: { host: www.example.com }'),
  'a wildcard for a host': goodSpec.replace('port: 8080', 'port: 8080, route: { host: "*" }'),
  'a quarter of a million commas': `${goodSpec}labels: [${','.repeat(250_000)}]\n`,
  'a quarter of a million quotes': `${goodSpec}labels: ${'"'.repeat(250_001)}\n`,
  'a block scalar that lies about its indent': `${goodSpec}labels:\n  a: |9\n b\n`,
  'a thousand containers': `apiVersion: plinth.dev/v1\nkind: Project\ncontainers:\n${lines(1000, (i) => `  web-${i}: { image: "nginx:1", port: 8080 }`).join('\n')}\n`,
  'containers that wait for each other':
    'apiVersion: plinth.dev/v1\nkind: Project\ncontainers:\n  web: { image: "nginx:1", port: 8080, dependsOn: [api] }\n  api: { image: "nginx:1", port: 8081, dependsOn: [web] }\n',
  'an unknown field': goodSpec.replace('image', 'imge'),
  'another kind': goodSpec.replace('Project', 'ClusterRole'),
  HTML: '<html><script>alert(1)</script></html>\n',
  'JSON that never ends': `{"a":${'{"a":'.repeat(40_000)}`,
  'a private key': '-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN\n-----END PRIVATE KEY-----\n',
};

/** Unusual and harmless. */
const acceptedTexts: Readonly<Record<string, string>> = {
  'CRLF at every end': goodSpec.replaceAll('\n', '\r\n'),
  'a byte order mark': `\ufeff${goodSpec}`,
  'no newline at the end': goodSpec.trimEnd(),
  JSON: '{"apiVersion":"plinth.dev/v1","kind":"Project","containers":{"web":{"image":"nginx:1","port":8080}}}',
  'ten thousand empty lines': `${goodSpec}${'\n'.repeat(10_000)}`,
};

const environment = 'apiVersion: plinth.dev/v1\nkind: Environment\nruntime: none\ndomain: mallory.example.com\n';

const refusedEnvironments: Readonly<Record<string, string | Buffer>> = {
  'nothing at all': '',
  'a billion laughs': laughs,
  '64k levels of flow': `${environment}hosts: ${'['.repeat(65_536)}${']'.repeat(65_536)}\n`,
  __proto__: `${environment}__proto__: { polluted: true }\n`,
  'the domain of another': environment.replace('mallory.example.com', 'apps.localhost'),
  'a domain of 100 KiB': environment.replace('mallory.example.com', 'a.'.repeat(50_000)),
  'bytes that are not UTF-8': Buffer.from([0xff, 0xfe, 0xfd]),
  'an unknown runtime': environment.replace('none', 'shell'),
};

export const yamlCases: readonly HostileCase[] = [
  ...Object.entries(refusedTexts).map(
    ([what, text]): HostileCase => ({
      name: `a spec: ${what}`,
      expected: 'refused',
      plant: (planter) => ({ commit: planter.file(path, text) }),
    }),
  ),
  ...Object.entries(acceptedTexts).map(
    ([what, text], index): HostileCase => ({
      name: `a spec: ${what}`,
      expected: 'accepted',
      plant: (planter) => ({ commit: planter.file(`environments/local/mallory/good-${index}/project.yaml`, text) }),
    }),
  ),
  ...Object.entries(refusedEnvironments).map(
    ([what, text]): HostileCase => ({
      name: `environment.yaml: ${what}`,
      expected: 'refused',
      plant: (planter) => ({ commit: planter.file('environments/mallory/environment.yaml', text) }),
    }),
  ),
];
