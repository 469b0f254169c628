import { goodSpec } from './paths.ts';
import type { HostileCase, Line, Planter } from './planter.ts';

const team = 'environments/local/mallory';
const line = (name: string | Buffer, id: string, mode = '100644'): Line => ({ mode, name, id });
const many = (count: number, of: (index: number) => Line) => Array.from({ length: count }, (_, index) => of(index));
const padded = (index: number) => String(index).padStart(8, '0');

const at = (name: string, expected: HostileCase['expected'], plant: (planter: Planter) => string): HostileCase => ({
  name,
  expected,
  plant: (planter) => ({ commit: plant(planter) }),
});

/** A folder in a folder in a folder … */
function deep(p: Planter, levels: number, name: string): string {
  let inner = p.tree([line('a', p.blob('x'))]);
  for (let level = 0; level < levels; level++) inner = p.tree([line(name, inner, '40000')]);
  return inner;
}

/** Ten entries that are all the same folder, and so on: 10 to the power of `levels` files in a few objects. */
function bomb(p: Planter, levels: number): string {
  let inner = p.tree(many(10, (index) => line(`f${index}`, p.blob('boom'))));
  for (let level = 1; level < levels; level++) {
    const below = inner;
    inner = p.tree(many(10, (index) => line(`d${index}`, below, '40000')));
  }
  return inner;
}

const large: readonly HostileCase[] = [
  at('a blob of 1 GB below environments', 'refused', (p) => p.file(`${team}/web-shop/project.yaml`, Buffer.alloc(1e9))),
  at('a blob of 1 GB beside environments', 'refused', (p) => p.file('notes/zeros', Buffer.alloc(1e9))),
  at('a blob of 100 MB below environments', 'refused', (p) =>
    p.file(`${team}/web-shop/project.yaml`, Buffer.alloc(1e8)),
  ),
  at('a blob of one byte too many', 'refused', (p) =>
    p.file(`${team}/web-shop/project.yaml`, Buffer.alloc(2 ** 20 + 1, 'x')),
  ),
  at('a million entries in one tree', 'refused', (p) => {
    const id = p.blob('x');
    return p.commit(p.treeWith('notes', [line('many', p.tree(many(1_000_000, (i) => line(padded(i), id))), '40000')]));
  }),
  at('25,000 files', 'refused', (p) => {
    const id = p.blob('x');
    return p.commit(p.treeWith('notes', [line('files', p.tree(many(25_000, (i) => line(padded(i), id))), '40000')]));
  }),
  at('25,000 folders of one file', 'refused', (p) => {
    const id = p.tree([line('a', p.blob('x'))]);
    const all = p.tree(many(25_000, (i) => line(padded(i), id, '40000')));
    return p.commit(p.treeWith('notes', [line('folders', all, '40000')]));
  }),
  at('1,100 projects of one team', 'refused', (p) => {
    const project = p.tree([line('project.yaml', p.blob(goodSpec))]);
    return p.commit(
      p.treeWith(
        team,
        many(1_100, (i) => line(`p-${padded(i)}`, project, '40000')),
      ),
    );
  }),
  at('300 projects that cannot be read', 'refused', (p) => {
    const project = p.tree([line('project.yaml', p.blob('{'.repeat(10_000)))]);
    return p.commit(
      p.treeWith(
        team,
        many(300, (i) => line(`p-${padded(i)}`, project, '40000')),
      ),
    );
  }),
  at('ten to the tenth files by ten folders', 'refused', (p) =>
    p.commit(p.treeWith('notes', [line('bomb', bomb(p, 10), '40000')])),
  ),
  at('ten to the sixth files below environments', 'refused', (p) =>
    p.commit(p.treeWith(team, [line('bomb', bomb(p, 6), '40000')])),
  ),
  at('5,000 folders, one in another', 'refused', (p) =>
    p.commit(p.treeWith('notes', [line('deep', deep(p, 5_000, 'a'), '40000')])),
  ),
  at('300 folders, one in another', 'refused', (p) =>
    p.commit(p.treeWith('notes', [line('deep', deep(p, 300, 'a'), '40000')])),
  ),
  at('ten folders with long names', 'refused', (p) =>
    p.commit(p.treeWith('notes', [line('deep', deep(p, 10, 'n'.repeat(90)), '40000')])),
  ),
  at('5,000 small files beside environments', 'accepted', (p) => {
    const id = p.blob('x');
    return p.commit(p.treeWith('notes', [line('some', p.tree(many(5_000, (i) => line(padded(i), id))), '40000')]));
  }),
];

const raw = (p: Planter, text: string) => p.object('commit', text);
const who = 'A <a@b.example> 1 +0000';
const rootOf = (p: Planter) => p.treeWith('notes', [line('commit', p.blob(`${Math.random()}`))]);

const commits: readonly HostileCase[] = [
  at('no author', 'refused', (p) => raw(p, `tree ${rootOf(p)}\nparent ${p.tip}\n\nNobody\n`)),
  at('a date that is no number', 'refused', (p) =>
    raw(p, `tree ${rootOf(p)}\nparent ${p.tip}\nauthor A <a@b> yesterday\ncommitter ${who}\n\nx\n`),
  ),
  at('a date beyond 64 bits', 'refused', (p) =>
    raw(p, `tree ${rootOf(p)}\nparent ${p.tip}\nauthor A <a@b> 99999999999999999999 +0000\ncommitter ${who}\n\nx\n`),
  ),
  at('an address that never ends', 'refused', (p) =>
    raw(p, `tree ${rootOf(p)}\nparent ${p.tip}\nauthor A <a@b 1 +0000\ncommitter ${who}\n\nx\n`),
  ),
  at('a NUL in the message', 'refused', (p) => p.commit(rootOf(p), { message: 'a\0b\n' })),
  at('a thousand parents that are one', 'accepted', (p) =>
    p.commit(rootOf(p), { parents: Array.from({ length: 1000 }, () => p.tip) }),
  ),
  at('a history of its own', 'refused', (p) => p.commit(rootOf(p), { parents: [] })),
  at('a tree for a commit', 'refused', (p) => rootOf(p)),
  at('a blob for a commit', 'refused', (p) => p.blob('not a commit')),
  at('a tag for a commit', 'refused', (p) =>
    p.object('tag', `object ${p.tip}\ntype commit\ntag v1\ntagger ${who}\n\nx\n`),
  ),
  at('a link in a commit that the next one takes back', 'accepted', (p) => {
    const first = p.file(`${team}/web-shop/project.yaml`, '/etc/passwd', '120000');
    return p.commit(p.treeWith('', []), { parents: [first] });
  }),
  at('a message of 10 MB', 'refused', (p) => p.commit(rootOf(p), { message: 'm'.repeat(1e7) })),
  at('a forged trailer', 'accepted', (p) =>
    p.commit(rootOf(p), { message: 'Hello\n\nPlinth-Change: chg_1\nPlinth-Actor: admin@localhost.ai\n' }),
  ),
  at('escape sequences in the message', 'accepted', (p) =>
    p.commit(rootOf(p), { message: '\u001b[2J\u001b]0;x\u0007\n' }),
  ),
  at('2,000 commits', 'accepted', (p) => {
    const root = rootOf(p);
    let last = p.tip;
    for (let made = 0; made < 2_000; made++) last = p.commit(root, { parents: [last], message: `${made}\n` });
    return last;
  }),
  at('a signature that is none', 'accepted', (p) =>
    raw(p, `tree ${rootOf(p)}\nparent ${p.tip}\nauthor ${who}\ncommitter ${who}\ngpgsig -----BEGIN\n garbage\n\nx\n`),
  ),
];

const refs = (name: string, of: (planter: Planter) => readonly string[]): HostileCase => ({
  name: `refs: ${name}`,
  expected: 'refused',
  plant: (planter) => ({ refspecs: of(planter) }),
});
const good = (p: Planter) => p.file(`notes/${Math.random()}`, 'x');

const refCases: readonly HostileCase[] = [
  refs('a tag', (p) => [`${good(p)}:refs/tags/v1`]),
  refs('another branch', (p) => [`${good(p)}:refs/heads/other`]),
  refs('a branch below the branch', (p) => [`${good(p)}:refs/heads/main/x`]),
  refs('notes', (p) => [`${good(p)}:refs/notes/commits`]),
  refs('a replacement', (p) => [`${good(p)}:refs/replace/${p.tip}`]),
  refs('a ref of another program', (p) => [`${good(p)}:refs/pull/1/head`]),
  refs('the branch and a tag', (p) => [`${good(p)}:refs/heads/main`, `${good(p)}:refs/tags/v2`]),
  refs('a hundred branches', (p) => {
    const commit = good(p);
    return Array.from({ length: 100 }, (_, index) => `${commit}:refs/heads/b${index}`);
  }),
  refs('the end of the branch', () => [':refs/heads/main']),
  {
    name: 'refs: a rewritten history',
    expected: 'refused',
    plant: (p) => ({ commit: p.commit(p.treeWith('', []), { parents: [] }), force: true }),
  },
];

export const bulkCases: readonly HostileCase[] = [
  ...large.map((one): HostileCase => ({ ...one, heavy: true })),
  ...commits.map((one): HostileCase => ({ ...one, name: `a commit: ${one.name}` })),
  ...refCases,
];
