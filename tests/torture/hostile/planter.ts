import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { constants, deflateSync } from 'node:zlib';

export type ObjectType = 'blob' | 'tree' | 'commit' | 'tag';

/** One line of a tree, as it is written: nothing is checked. */
export interface Line {
  readonly mode: string;
  readonly name: string | Buffer;
  readonly id: string;
}

/** Writes objects that no git would write into a plain bare repository. */
export interface Planter {
  readonly directory: string;
  /** The commit that everything is planted upon. */
  readonly tip: string;
  object(type: ObjectType, content: string | Buffer): string;
  blob(content: string | Buffer): string;
  /** In the given order, whatever git would say to it. */
  tree(lines: readonly Line[]): string;
  linesOf(tree: string): readonly Line[];
  /** The tip's tree with these lines at a folder, in git's order, in place of those with the same name. */
  treeWith(folder: string, lines: readonly Line[]): string;
  commit(tree: string, more?: { readonly parents?: readonly string[]; readonly message?: string | Buffer }): string;
  /** A commit upon the tip in which this file has this content. */
  file(path: string, content: string | Buffer, mode?: string): string;
}

const author = 'Mallory <mallory@example.com> 1767323045 +0000';

/** @param directory a bare repository that has `tip` and all that it needs */
export function createPlanter(directory: string, tip: string): Planter {
  const object = (type: ObjectType, content: string | Buffer) => writeObject(directory, type, content);
  const git = (...args: string[]) =>
    spawnSync('git', ['--git-dir', directory, ...args], { maxBuffer: 2 ** 28, env: { PATH: process.env.PATH } }).stdout;
  const rootOf = (commit: string) => git('rev-parse', `${commit}^{tree}`).toString().trim();
  const linesOf = (tree: string) => readLines(git('cat-file', 'tree', tree));
  const tree = (lines: readonly Line[]) => object('tree', Buffer.concat(lines.map(lineBytes)));
  const within = (at: string | undefined, folders: readonly string[], lines: readonly Line[]): string => {
    const before = at === undefined ? [] : linesOf(at);
    const [name, ...rest] = folders;
    if (name === undefined) return tree(sorted([...without(before, lines), ...lines]));
    const there = before.find((line) => String(line.name) === name && line.mode === '40000');
    const line: Line = { mode: '40000', name, id: within(there?.id, rest, lines) };
    return tree(sorted([...without(before, [line]), line]));
  };
  const treeWith = (folder: string, lines: readonly Line[]) =>
    within(rootOf(tip), folder === '' ? [] : folder.split('/'), lines);
  const commit: Planter['commit'] = (root, { parents = [tip], message = 'Planted\n' } = {}) =>
    object(
      'commit',
      Buffer.concat([
        Buffer.from(
          `tree ${root}\n${parents.map((parent) => `parent ${parent}\n`).join('')}author ${author}\ncommitter ${author}\n\n`,
        ),
        Buffer.from(message),
      ]),
    );
  const blob = (content: string | Buffer) => object('blob', content);
  return {
    directory,
    tip,
    object,
    blob,
    tree,
    linesOf,
    treeWith,
    commit,
    file: (path, content, mode = '100644') => {
      const slash = path.lastIndexOf('/');
      const folder = slash < 0 ? '' : path.slice(0, slash);
      return commit(treeWith(folder, [{ mode, name: path.slice(slash + 1), id: blob(content) }]));
    },
  };
}

const bytesOf = (name: string | Buffer) => (typeof name === 'string' ? Buffer.from(name) : name);
const lineBytes = ({ mode, name, id }: Line) =>
  Buffer.concat([Buffer.from(`${mode} `), bytesOf(name), Buffer.from([0]), Buffer.from(id, 'hex')]);

const without = (lines: readonly Line[], others: readonly Line[]) =>
  lines.filter(({ name }) => !others.some((other) => bytesOf(other.name).equals(bytesOf(name))));

function sorted(lines: readonly Line[]): readonly Line[] {
  const keyOf = ({ mode, name }: Line) => Buffer.concat([bytesOf(name), Buffer.from(mode === '40000' ? '/' : '')]);
  return lines.toSorted((a, b) => Buffer.compare(keyOf(a), keyOf(b)));
}

function readLines(content: Buffer): readonly Line[] {
  const lines: Line[] = [];
  for (let at = 0; at < content.length; ) {
    const space = content.indexOf(32, at);
    const end = content.indexOf(0, space);
    const name = content.subarray(space + 1, end);
    lines.push({
      mode: content.toString('latin1', at, space),
      name: name.toString(),
      id: content.toString('hex', end + 1, end + 21),
    });
    at = end + 21;
  }
  return lines;
}

function writeObject(directory: string, type: ObjectType, content: string | Buffer): string {
  const body = bytesOf(content);
  const whole = Buffer.concat([Buffer.from(`${type} ${body.length}\0`), body]);
  const id = createHash('sha1').update(whole).digest('hex');
  const file = join(directory, 'objects', id.slice(0, 2), id.slice(2));
  if (existsSync(file)) return id;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, deflateSync(whole, { level: constants.Z_BEST_SPEED }));
  return id;
}

/** What a case wants to push. */
export type Planted =
  /** Moves the branch to this commit. */
  | { readonly commit: string; readonly force?: boolean }
  /** Any refspecs. */
  | { readonly refspecs: readonly string[] }
  /** The body of a receive-pack request, for what git itself would not send. */
  | { readonly body: Buffer; readonly headers?: Readonly<Record<string, string>> };

export interface HostileCase {
  readonly name: string;
  /** Refused with a reason, or taken because it harms nobody. */
  readonly expected: 'refused' | 'accepted';
  /** Takes seconds to make: not for a sample. */
  readonly heavy?: boolean;
  plant(planter: Planter): Planted;
}
