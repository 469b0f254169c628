import { join } from 'node:path';
import { Fault } from '#base/errors.ts';
import type { MoveOptions } from './branch.ts';
import { addObject, createDraft, type Draft, type Edit, editTree, readAhead } from './edit.ts';
import { clearStaleLock, syncFolder } from './locks.ts';
import { writePack } from './pack.ts';
import { gitFault } from './process.ts';
import type { Repository } from './repository.ts';
import { withSignature } from './signature.ts';
import { pathFault } from './tree-rules.ts';
import { readTree } from './trees.ts';

export interface NewCommit {
  readonly edits: readonly Edit[];
  readonly subject: string;
  readonly body?: string;
  readonly trailers: readonly (readonly [string, string])[];
  readonly author: { readonly name: string; readonly email: string };
  readonly at: Date;
}

const committer = 'Plinth <plinth@localhost>';

/**
 * Writes a batch of commits on top of `expected` (undefined: the branch must not exist yet), each the child of the one
 * before, and moves the branch to the last one: all of them or none, durable when it returns. Gives the revisions in
 * order. Objects are written here, as one pack; the branch is moved by git, under git's lock.
 * @throws Fault REVISION_MOVED when the branch is not at `expected` (any more), PATH_INVALID, DISK_FULL,
 * REPOSITORY_UNAVAILABLE. After each of these the branch is where it was. What `assert` throws, which is asked at the
 * last moment, is thrown on.
 */
export async function commit(
  repository: Repository,
  batch: { expected: string | undefined; commits: readonly NewCommit[] } & MoveOptions,
): Promise<string[]> {
  const { branch, directory } = repository;
  const { expected, commits, assert } = batch;
  for (const { edits } of commits) for (const { path } of edits) mustBeLegal(path);
  const moved = () => new Fault('REVISION_MOVED', { branch, expected: expected ?? 'nothing' });
  if ((await repository.tip()) !== expected) throw moved();
  const draft = createDraft((id) => readTree(repository.objects, id));
  const revisions = await writeCommits(draft, repository, expected, commits);
  const last = revisions.at(-1);
  if (last === undefined) return [];
  try {
    await writePack(directory, [...draft.objects.values()]);
    await repository.head.move(expected, last, { assert });
  } catch (error) {
    if (Fault.is(error, 'LEASE_LOST')) throw error;
    const fault = Fault.is(error) ? error : gitFault(directory, String(error), error);
    const tip = await repository.tip();
    // git may have been killed after the move and before it said so.
    if (tip !== last && tip !== expected) throw moved();
    if (/\.lock': File exists/.test(String(fault.cause))) await clearStaleLock(directory, branch);
    if (tip !== last) throw fault;
  }
  await syncFolder(join(directory, 'refs/heads'));
  return revisions;
}

async function writeCommits(
  draft: Draft,
  repository: Repository,
  expected: string | undefined,
  commits: readonly NewCommit[],
): Promise<string[]> {
  const { signer } = repository;
  const revisions: string[] = [];
  let parent = expected;
  let tree = expected === undefined ? undefined : (await repository.describe(expected)).tree;
  const paths = commits.flatMap(({ edits }) => edits.map(({ path }) => path));
  await readAhead(draft, tree, paths);
  for (const { edits, author, at, ...text } of commits) {
    tree = (await editTree(draft, tree, edits)) ?? addObject(draft, 'tree', Buffer.alloc(0));
    const when = `${Math.max(0, Math.floor(at.getTime() / 1000))} +0000`;
    const lines = [
      `tree ${tree}`,
      ...(parent === undefined ? [] : [`parent ${parent}`]),
      `author ${plain(author.name) || 'unknown'} <${plain(author.email)}> ${when}`,
      `committer ${committer} ${when}`,
    ];
    const content = Buffer.from(`${lines.join('\n')}\n\n${message(text)}`);
    parent = addObject(draft, 'commit', signer === undefined ? content : withSignature(content, signer.sign(content)));
    revisions.push(parent);
  }
  return revisions;
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
