import type { TreeEntry } from './trees.ts';

/** Bytes of a path, and of one of its names, at the most. */
const mostPathBytes = 512;
const mostNameBytes = 100;
/** Files and folders directly in one folder, at the most. */
const mostEntries = 20_000;
/** Bytes of a file below environments/, at the most. */
const mostFileBytes = 2 ** 20;
/** Of any other file, as the large Git hosts have it: nobody shall fill every clone with one push of zeros. */
const mostOtherBytes = 100 * 2 ** 20;

/** Why a path may not be in the state repository, or undefined. Every writer asks this: commit, push, pull request. */
export function pathFault(path: string): string | undefined {
  if (Buffer.byteLength(path) > mostPathBytes) return `the path is longer than ${mostPathBytes} bytes`;
  if (path.startsWith('/')) return 'the path is absolute; paths begin with a name';
  for (const name of path.split('/')) {
    const fault = nameFault(name);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/**
 * What is wrong with a folder after a change, for everything in it that the change brought: its names, its kinds of
 * entries, and names that differ only in case (which become one file on some systems).
 */
export function folderFaults(folder: string, before: readonly TreeEntry[], after: readonly TreeEntry[]): string[] {
  return entryFaults(folder, before, after).map(({ text }) => text);
}

/** As `folderFaults`, with the path that each fault is about. */
export function entryFaults(
  folder: string,
  before: readonly TreeEntry[],
  after: readonly TreeEntry[],
): { readonly path: string; readonly text: string }[] {
  if (after.length > mostEntries) return [{ path: folder, text: crowdedText(folder) }];
  const old = new Map(before.map((entry) => [entry.name, entry]));
  const brought = after.filter(({ name, mode, id }) => old.get(name)?.id !== id || old.get(name)?.mode !== mode);
  const pathOf = (name: string) => (folder === '' ? name : `${folder}/${name}`);
  const faults = brought.flatMap(({ name, mode }) => {
    const fault = pathFault(pathOf(name)) ?? modeFault(mode);
    return fault === undefined ? [] : [{ path: pathOf(name), text: `${quoted(pathOf(name))}: ${fault}` }];
  });
  const owner = new Map<string, string>();
  for (const { name } of after) if (old.has(name)) owner.set(folded(name), name);
  for (const { name } of after) {
    const other = owner.get(folded(name));
    if (other !== undefined && other !== name)
      faults.push({
        path: pathOf(name),
        text: `${quoted(pathOf(name))}: ${quoted(other)} stands beside it and differs only in case`,
      });
    owner.set(folded(name), other ?? name);
  }
  return faults;
}

/** What is wrong with a folder that holds too much, of which nothing more is read. */
export const crowdedText = (folder: string) =>
  `${quoted(folder)}: the folder has too many entries; the most is ${mostEntries}`;

/** Why a file of this size may not stand at this path, or undefined. */
export function sizeFault(path: string, bytes: number): string | undefined {
  const most = path.startsWith('environments/') ? mostFileBytes : mostOtherBytes;
  return bytes <= most ? undefined : `${quoted(path)}: the file has ${bytes} bytes; the most is ${most}`;
}

/** A path as it is shown to people: quoted, and cut where it is very long. */
const quoted = (path: string) => JSON.stringify(path.length > 200 ? `${path.slice(0, 200)}…` : path);

const folded = (name: string) => name.normalize('NFC').toLowerCase();

function modeFault(mode: string): string | undefined {
  if (mode === '100644' || mode === '100755' || mode === '40000') return undefined;
  if (mode === '120000') return 'this is a symbolic link; only files and folders are taken';
  if (mode === '160000') return 'this is a submodule; only files and folders are taken';
  return `mode ${mode} is none of 100644 and 100755`;
}

function nameFault(name: string): string | undefined {
  if (name === '') return 'the path holds an empty name';
  if (name === '.' || name === '..') return `the path holds ${name}`;
  if (Buffer.byteLength(name) > mostNameBytes) return `a name in the path is longer than ${mostNameBytes} bytes`;
  if (name.includes('\ufffd') || !name.isWellFormed()) return 'the path is not UTF-8';
  if (/[\p{Cc}\u2028\u2029]/u.test(name)) return 'the path holds control characters';
  if (name.includes('\\')) return 'the path holds a backslash, which some systems take for a slash';
  if (isGitFolder(name)) return 'the path holds .git, or a name that some systems take for it';
  return undefined;
}

/** `.git` in any case, as Windows (`git~1`, `.git.`, `.git::$INDEX`) and macOS (ignored characters) would read it. */
function isGitFolder(name: string): boolean {
  const plain = name
    .normalize('NFKC')
    .replace(/\p{Cf}/gu, '')
    .toLowerCase();
  return /^(\.git|git~\d+)[. ]*(:.*)?$/.test(plain);
}
