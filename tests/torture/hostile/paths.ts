import type { HostileCase, Line, Planter } from './planter.ts';

const team = 'environments/local/mallory';
/** The smallest spec that is served. */
export const goodSpec =
  'apiVersion: plinth.dev/v1\nkind: Project\ncontainers:\n  web: { image: "nginx:1", port: 8080 }\n';

const refused = (name: string, plant: (planter: Planter) => string): HostileCase => ({
  name,
  expected: 'refused',
  plant: (planter) => ({ commit: plant(planter) }),
});
const accepted = (name: string, plant: (planter: Planter) => string): HostileCase => ({
  ...refused(name, plant),
  expected: 'accepted',
});

const bytes = (...all: number[]) => Buffer.from(all);

/** Names of one entry of a tree. */
const names: readonly (readonly [what: string, name: string | Buffer])[] = [
  ['..', '..'],
  ['.', '.'],
  ['nothing', ''],
  ['.git', '.git'],
  ['.GIT', '.GIT'],
  ['.Git and a space', '.Git '],
  ['.git and a dot', '.git.'],
  ['.git and a stream', '.git::$INDEX_ALLOCATION'],
  ['git~1', 'git~1'],
  ['GIT~1', 'GIT~1'],
  ['.git with a joiner in it', '.g\u200cit'],
  ['.git with a wide letter', '.g\uff49t'],
  ['.git with a byte order mark', '\ufeff.git'],
  ['a backslash', 'a\\b'],
  ['a way up with backslashes', '..\\..\\etc'],
  ['a newline', 'a\nb'],
  ['a tab', 'a\tb'],
  ['a carriage return', 'a\rb'],
  ['an escape sequence', 'a\u001b[31mb'],
  ['a bell', 'a\u0007'],
  ['delete', 'a\u007f'],
  ['a C1 control', 'a\u0085b'],
  ['a line separator', 'a\u2028b'],
  ['a paragraph separator', 'a\u2029b'],
  ['a slash', 'a/b'],
  ['an absolute path', '/etc/passwd'],
  ['a lone byte ff', bytes(0x61, 0xff)],
  ['an overlong slash', bytes(0xc0, 0xaf)],
  ['a surrogate', bytes(0xed, 0xa0, 0x80)],
  ['a cut sequence', bytes(0xe2, 0x82)],
  ['a replacement character', '\ufffd'],
  ['101 bytes', 'x'.repeat(101)],
  ['51 umlauts', 'ü'.repeat(51)],
  ['64 KiB', 'y'.repeat(65_536)],
];

const modes: readonly (readonly [what: string, mode: string])[] = [
  ['a symbolic link', '120000'],
  ['a submodule', '160000'],
  ['group may write', '100664'],
  ['everybody may write', '100777'],
  ['nobody may read', '100000'],
  ['mode 0', '0'],
  ['a socket', '140000'],
  ['a mode that is no number', 'zzz'],
  ['a folder that is a file', '40000'],
];

const line = (name: string | Buffer, id: string, mode = '100644'): Line => ({ mode, name, id });

const links = ['/etc/passwd', '../../../../../../etc/passwd', '.', 'project.yaml', 'x'.repeat(5000)];

const inTree: readonly HostileCase[] = [
  refused('a link for a folder on the way', (p) =>
    p.commit(p.treeWith('environments/local', [line('mallory', p.blob('/etc'), '120000')])),
  ),
  refused('.gitmodules that runs a command', (p) =>
    p.file(`${team}/web-shop/.gitmodules`, '[submodule "a"]\n\tpath = a\n\turl = -u./payload\n'),
  ),
  refused('a file where a folder of an environment is', (p) =>
    p.commit(p.treeWith('environments', [line('local', p.blob('x'))])),
  ),
  refused('a folder where project.yaml is', (p) =>
    p.commit(p.treeWith(`${team}/web-shop/project.yaml`, [line('project.yaml', p.blob(goodSpec))])),
  ),
  refused('a folder for a file, by its mode', (p) => {
    const folder = p.tree([line('a', p.blob('x'))]);
    return p.commit(p.treeWith(`${team}/web-shop`, [line('project.yaml', folder)]));
  }),
  refused('projects that differ in case', (p) => {
    const project = p.tree([line('project.yaml', p.blob(goodSpec))]);
    return p.commit(p.treeWith(team, [line('shop', project, '40000'), line('Shop', project, '40000')]));
  }),
  refused('environments that differ in case', (p) =>
    p.commit(p.treeWith('', [line('Environments', p.tree([line('a', p.blob('x'))]), '40000')])),
  ),
  refused('one name in two forms of Unicode', (p) =>
    p.commit(p.treeWith('notes', [line('\u00e4', p.blob('1')), line('a\u0308', p.blob('2'))])),
  ),
  refused('one name twice', (p) => {
    const twice = p.tree([line('project.yaml', p.blob(goodSpec)), line('project.yaml', p.blob('x'))]);
    return p.commit(p.treeWith(team, [line('web-shop', twice, '40000')]));
  }),
  refused('a file and a folder of one name', (p) => {
    const inner = p.tree([line('a', p.blob('x'))]);
    const both = p.tree([line('project.yaml', p.blob(goodSpec)), line('project.yaml', inner, '40000')]);
    return p.commit(p.treeWith(team, [line('web-shop', both, '40000')]));
  }),
  refused('entries out of order', (p) => {
    const wrong = p.tree([line('z', p.blob('1')), line('a', p.blob('2'))]);
    return p.commit(p.treeWith('notes', [line('wrong', wrong, '40000')]));
  }),
  refused('a path of more than 512 bytes', (p) => p.file(`${'abcdefg/'.repeat(64)}x`, 'x')),
  refused('a tree that is cut off', (p) => {
    const cut = p.object('tree', Buffer.from('100644 a\0abc'));
    return p.commit(p.treeWith('notes', [line('cut', cut, '40000')]));
  }),
  refused('an empty tree for a project', (p) =>
    p.commit(p.treeWith(team, [line('web-shop', p.tree([]), '40000'), line('x', p.blob('x'))])),
  ),
  refused('a file without meaning below environments', (p) => p.file(`${team}/web-shop/notes.md`, 'x')),
  refused('a project with a name in capitals', (p) => p.file(`${team}/SHOP/project.yaml`, goodSpec)),
  refused('an environment without environment.yaml', (p) =>
    p.file('environments/nowhere/mallory/web-shop/project.yaml', goodSpec),
  ),
  refused('the installation’s id', (p) =>
    p.file('environments/platform/installation.yaml', 'installation: ins_evil\n'),
  ),
  refused('manifests by hand', (p) => p.file(`${team}/web-shop/manifests.yaml`, 'kind: ClusterRole\n')),
  refused('the end of every environment', (p) => p.commit(p.tree([line('README', p.blob('gone'))]))),
  accepted('names that Windows keeps for itself', (p) =>
    p.commit(p.treeWith('notes', [line('CON', p.blob('x')), line('aux.txt', p.blob('y')), line('nul', p.blob('z'))])),
  ),
  accepted('text that runs from right to left', (p) => p.file('notes/\u202egpj.exe', 'x')),
  accepted('a name of emoji', (p) => p.file('notes/🔥🔥.md', 'x')),
  accepted('an executable', (p) => p.file('notes/run', '#!/bin/sh\nrm -rf /\n', '100755')),
  accepted('.gitattributes with filters', (p) => p.file('.gitattributes', '* filter=evil diff=evil\n')),
];

export const pathCases: readonly HostileCase[] = [
  ...names.map(([what, name]) =>
    refused(`a name: ${what}`, (p) => p.commit(p.treeWith('notes', [line(name, p.blob('x'))]))),
  ),
  ...names
    .slice(0, 8)
    .map(([what, name]) =>
      refused(`a folder of a project: ${what}`, (p) =>
        p.commit(p.treeWith(team, [line(name, p.tree([line('project.yaml', p.blob(goodSpec))]), '40000')])),
      ),
    ),
  ...modes.map(([what, mode]) =>
    refused(`a mode: ${what}`, (p) =>
      p.commit(p.treeWith(`${team}/web-shop`, [line('project.yaml', p.blob(goodSpec), mode)])),
    ),
  ),
  ...links.map((target) =>
    refused(`a link to ${target.slice(0, 40)}`, (p) => p.file(`${team}/web-shop/project.yaml`, target, '120000')),
  ),
  ...inTree,
];
