import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Fault } from '#base/errors.ts';
import { clearStaleLock, syncFolder } from './locks.ts';
import type { Repository } from './repository.ts';
import { pathFault } from './tree-rules.ts';

export interface Edit {
  readonly path: string;
  /** The whole new content; null removes the file, or the folder with all that is in it. */
  readonly content: string | Uint8Array | null;
}

export interface NewCommit {
  readonly edits: readonly Edit[];
  readonly subject: string;
  readonly body?: string;
  readonly trailers: readonly (readonly [string, string])[];
  readonly author: { readonly name: string; readonly email: string };
  readonly at: Date;
}

export interface CommitBatch {
  /** The revision that the edits were made on; undefined: the branch must not exist yet. */
  readonly expected: string | undefined;
  /** At least one; each is the child of the one before. */
  readonly commits: readonly NewCommit[];
}

const committer = 'Plinth <plinth@localhost>';

/**
 * Writes a batch of commits on top of `expected` and moves the branch to the last one: all of them or none, durable
 * when it returns. Gives the revisions in order.
 * @throws Fault REVISION_MOVED when the branch is not at `expected` (any more), PATH_INVALID, DISK_FULL,
 * REPOSITORY_UNAVAILABLE. After each of these the branch is where it was.
 */
export async function commit(repository: Repository, batch: CommitBatch): Promise<string[]> {
  const { branch, git } = repository;
  const { expected, commits } = batch;
  if (commits.length === 0) return [];
  for (const { edits } of commits) for (const { path } of edits) mustBeLegal(path);
  const moved = () => new Fault('REVISION_MOVED', { branch, expected: expected ?? 'nothing' });
  if ((await repository.tip()) !== expected) throw moved();
  const input = writeStream(branch, expected, commits);
  try {
    const { stdout } = await git.run(['fast-import', '--quiet', '--done'], { input });
    await syncFolder(join(git.directory, 'refs/heads'));
    return stdout.toString('latin1').trimEnd().split('\n');
  } catch (error) {
    const said = error instanceof Error ? String(error.cause) : '';
    await clearAfter(said, git.directory, branch);
    if ((await repository.tip()) !== expected) throw moved();
    throw error;
  }
}

/** Removes what a failed fast-import left and named, so that it does not keep a full disk full. */
async function clearAfter(said: string, directory: string, branch: string): Promise<void> {
  for (const [file] of said.matchAll(/\bobjects\/pack\/tmp_(pack|idx)_\w+|\bfast_import_crash_\d+/g))
    await rm(join(directory, file), { force: true });
  if (/\.lock': File exists/.test(said)) await clearStaleLock(directory, branch);
}

/** The batch in the language of fast-import; each commit's mark is asked back. */
function writeStream(branch: string, expected: string | undefined, commits: readonly NewCommit[]): Buffer {
  const parts: (string | Uint8Array)[] = [];
  const data = (content: string | Uint8Array) => {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    parts.push(`data ${bytes.length}\n`, bytes, '\n');
  };
  for (const [index, { edits, author, at, ...text }] of commits.entries()) {
    const when = `${Math.floor(at.getTime() / 1000)} +0000`;
    parts.push(`commit refs/heads/${branch}\nmark :${index + 1}\n`);
    parts.push(`author ${plain(author.name)} <${plain(author.email)}> ${when}\ncommitter ${committer} ${when}\n`);
    data(message(text));
    if (index === 0 && expected !== undefined) parts.push(`from ${expected}\n`);
    for (const { path, content } of edits) {
      const quoted = `"${path.replaceAll('"', '\\"')}"`;
      if (content === null) parts.push(`D ${quoted}\n`);
      else {
        parts.push(`M 100644 inline ${quoted}\n`);
        data(content);
      }
    }
    parts.push(`get-mark :${index + 1}\n`);
  }
  parts.push('done\n');
  return Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
}

function message({ subject, body, trailers }: Pick<NewCommit, 'subject' | 'body' | 'trailers'>): string {
  const lines = trailers.map(([key, value]) => `${key}: ${plain(value)}`).join('\n');
  const paragraphs = [plain(subject), (body ?? '').replaceAll('\0', '').trim(), lines];
  return `${paragraphs.filter((paragraph) => paragraph !== '').join('\n\n')}\n`;
}

/** One line without what ends a field of a commit. */
const plain = (text: string) => text.replace(/[\p{Cc}<>]+/gu, ' ').trim();

function mustBeLegal(path: string): void {
  const why = pathFault(path);
  if (why !== undefined) throw new Fault('PATH_INVALID', { path, why });
}
