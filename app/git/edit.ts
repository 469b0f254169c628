import { objectIdOf } from './blob-id.ts';
import type { NewObject } from './pack.ts';
import { folderMode, isFolder, type TreeEntry } from './trees.ts';

export interface Edit {
  readonly path: string;
  /** The whole new content; null removes the file, or the folder with all that is in it. */
  readonly content: string | Uint8Array | null;
}

/** What a batch of commits will write: new objects by id, in the order in which they were made. */
export interface Draft {
  readonly objects: Map<string, NewObject>;
  /** The entries of trees, made or read. */
  readonly trees: Map<string, Promise<readonly TreeEntry[]>>;
  tree(id: string): Promise<readonly TreeEntry[]>;
}

/** An empty draft on top of trees that `read` reads. */
export function createDraft(read: (id: string) => Promise<readonly TreeEntry[]>): Draft {
  const trees: Draft['trees'] = new Map();
  const tree = (id: string) => {
    const entries = trees.get(id) ?? read(id);
    trees.set(id, entries);
    return entries;
  };
  return { objects: new Map(), trees, tree };
}

/** Reads the folders on the way to these paths, all of a level at once, so that the edits find them read. */
export async function readAhead(draft: Draft, tree: string | undefined, paths: readonly string[]): Promise<void> {
  if (tree === undefined) return;
  const below = new Map<string, string[]>();
  for (const path of paths) {
    const slash = path.indexOf('/');
    const inside = slash < 0 ? undefined : (below.get(path.slice(0, slash)) ?? []);
    if (inside === undefined) continue;
    inside.push(path.slice(slash + 1));
    below.set(path.slice(0, slash), inside);
  }
  const folders = (await draft.tree(tree)).filter((entry) => isFolder(entry) && below.has(entry.name));
  await Promise.all(folders.map(({ id, name }) => readAhead(draft, id, below.get(name) ?? [])));
}

/** Adds an object to the draft and gives its id. */
export function addObject({ objects }: Draft, type: NewObject['type'], content: Uint8Array): string {
  const id = objectIdOf(type, content);
  if (!objects.has(id)) objects.set(id, { id, type, content });
  return id;
}

/**
 * The id of `tree` after the edits, in order; undefined when nothing is left. A file in the way of a folder, or a
 * folder in the way of a file, gives way. Only folders on the way to an edit are read and made.
 */
export async function editTree(
  draft: Draft,
  tree: string | undefined,
  edits: readonly Edit[],
): Promise<string | undefined> {
  const entries = new Map((tree === undefined ? [] : await draft.tree(tree)).map((entry) => [entry.name, entry]));
  const below = new Map<string, Edit[]>();
  for (const { path, content } of edits) {
    const slash = path.indexOf('/');
    if (slash < 0) {
      below.delete(path);
      if (content === null) entries.delete(path);
      else entries.set(path, fileEntry(draft, path, content));
      continue;
    }
    const name = path.slice(0, slash);
    const inside = below.get(name) ?? [];
    inside.push({ path: path.slice(slash + 1), content });
    below.set(name, inside);
  }
  for (const [name, inside] of below) {
    const entry = entries.get(name);
    const present = entry !== undefined && isFolder(entry) ? entry.id : undefined;
    const id = await editTree(draft, present, inside);
    if (id !== undefined) entries.set(name, { mode: folderMode, name, id });
    else if (present !== undefined) entries.delete(name);
  }
  if (entries.size === 0) return undefined;
  const rows = [...entries.values()];
  const id = addObject(draft, 'tree', writeTree(rows));
  draft.trees.set(id, Promise.resolve(rows));
  return id;
}

function fileEntry(draft: Draft, name: string, content: string | Uint8Array): TreeEntry {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  return { mode: '100644', name, id: addObject(draft, 'blob', bytes) };
}

/** A tree object's content. Entries stand in the order of their bytes, folders as if they ended in a slash. */
function writeTree(entries: readonly TreeEntry[]): Buffer {
  const rows = entries.map((entry) => ({ entry, key: Buffer.from(isFolder(entry) ? `${entry.name}/` : entry.name) }));
  rows.sort((a, b) => Buffer.compare(a.key, b.key));
  return Buffer.concat(
    rows.flatMap(({ entry }) => [Buffer.from(`${entry.mode} ${entry.name}\0`), Buffer.from(entry.id, 'hex')]),
  );
}
