import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { admin, type ControlPlane } from './control-plane.ts';
import { type GitOutput, git, runGit } from './git.ts';

/** A person's clone of the state repository, by the real git client. */
export interface StateClone {
  readonly directory: string;
  read(path: string): string;
  /** Writes files, makes one commit of them and pushes it; null removes a file or a folder. */
  push(files: Readonly<Record<string, string | null>>, subject?: string): Promise<GitOutput>;
  /** Goes back to what the server has, dropping whatever was refused. */
  reset(): Promise<void>;
  /** Any other git command in the clone. */
  git(...args: string[]): Promise<GitOutput>;
  /** The server's tip, asked anew. */
  remoteTip(): Promise<string>;
}

/** The address of the state repository with credentials in it, the administrator's unless others are given. */
export function stateUrl(plinth: ControlPlane, { email, password } = admin): string {
  const person = `${encodeURIComponent(email)}:${encodeURIComponent(password)}@`;
  return `${plinth.url.replace('http://', `http://${person}`)}/git/state.git`;
}

export async function cloneState(plinth: ControlPlane, directory: string): Promise<StateClone> {
  mkdirSync(directory, { recursive: true });
  await git(dirname(directory), 'clone', '--quiet', stateUrl(plinth), directory);
  const run = (...args: string[]) => runGit(directory, args);
  return {
    directory,
    read: (path) => readFileSync(join(directory, path), 'utf8'),
    push: async (files, subject = 'By hand') => {
      for (const [path, content] of Object.entries(files)) write(join(directory, path), content);
      await git(directory, 'add', '--all');
      await git(directory, 'commit', '--quiet', '--message', subject);
      return await run('push', '--quiet', 'origin', 'HEAD:main');
    },
    reset: async () => {
      await git(directory, 'fetch', '--quiet', 'origin');
      await git(directory, 'reset', '--quiet', '--hard', 'origin/main');
      await git(directory, 'clean', '-fdxq');
    },
    git: run,
    remoteTip: async () => (await git(directory, 'ls-remote', 'origin', 'refs/heads/main')).split('\t')[0] ?? '',
  };
}

function write(file: string, content: string | null): void {
  if (content === null) {
    rmSync(file, { recursive: true });
    return;
  }
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
}
