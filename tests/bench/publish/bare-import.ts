import { execFile } from 'node:child_process';
import { cpSync } from 'node:fs';
import { promisify } from 'node:util';

/** One file of a commit. */
export interface BareFile {
  readonly path: string;
  readonly content: string;
}

const branch = 'refs/heads/main';

/** A copy of a bare repository, settings for durability included, and nothing between git and the bench. */
export function copyRepository(from: string, to: string): string {
  cpSync(from, to, { recursive: true });
  return to;
}

/** One fast-import of these commits on the branch's tip, each with its own files; resolves when they are durable. */
export async function bareImport(directory: string, commits: readonly (readonly BareFile[])[]): Promise<void> {
  const parts = ['feature done\n'];
  const data = (text: string) => parts.push(`data ${Buffer.byteLength(text)}\n${text}\n`);
  for (const [index, files] of commits.entries()) {
    parts.push(`commit ${branch}\ncommitter Bench <bench@localhost> 1800000000 +0000\n`);
    data('Change a project');
    if (index === 0) parts.push(`from ${branch}^0\n`);
    for (const { path, content } of files) {
      parts.push(`M 100644 inline ${path}\n`);
      data(content);
    }
  }
  parts.push('done\n');
  const importing = promisify(execFile)('git', ['--git-dir', directory, 'fast-import', '--quiet', '--done']);
  importing.child.stdin?.end(parts.join(''));
  await importing;
}
