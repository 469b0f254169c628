import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { createLog, type Log } from '#base/log.ts';
import type { NewCommit } from '#git/commit.ts';
import { openRepository, type Repository } from '#git/repository.ts';
import { createGitServer, type GitCaller, type GitServerOptions } from '#git/serve.ts';
import { temporaryDirectory } from './temporary.ts';

export const silent: Log = createLog({ level: 'silent' });

/** A new empty state repository; `remove` closes it and takes it away. */
export async function openTemporary(): Promise<{ repository: Repository; remove(): Promise<void> }> {
  const { path, remove } = temporaryDirectory('plinth-git');
  const repository = await openRepository({ directory: join(path, 'state.git'), branch: 'main', log: silent });
  return {
    repository,
    remove: async () => {
      await repository.close();
      remove();
    },
  };
}

/** A new empty state repository for one test. */
export async function useRepository(): Promise<Repository> {
  const { repository, remove } = await openTemporary();
  onTestFinished(remove);
  return repository;
}

/** A commit that writes these files; null removes one. */
export const newCommit = (files: Record<string, string | null>, subject = 'A change'): NewCommit => ({
  edits: Object.entries(files).map(([path, content]) => ({ path, content })),
  subject,
  trailers: [],
  author: { name: 'Ada', email: 'ada@example.com' },
  at: new Date('2026-01-02T03:04:05Z'),
});

export interface GitOutput {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the real git client, without any configuration of this machine. */
export async function runGit(
  directory: string,
  args: readonly string[],
  options: { input?: string | Uint8Array; environment?: Record<string, string> } = {},
): Promise<GitOutput> {
  const child = execFile('git', args, {
    cwd: directory,
    maxBuffer: 2 ** 28,
    env: {
      PATH: process.env.PATH,
      HOME: directory,
      LC_ALL: 'C',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_TERMINAL_PROMPT: '0',
      GIT_AUTHOR_NAME: 'Ada',
      GIT_AUTHOR_EMAIL: 'ada@example.com',
      GIT_COMMITTER_NAME: 'Ada',
      GIT_COMMITTER_EMAIL: 'ada@example.com',
      ...options.environment,
    },
  });
  const texts = { stdout: '', stderr: '' };
  child.stdout?.on('data', (text: string) => {
    texts.stdout += text;
  });
  child.stderr?.on('data', (text: string) => {
    texts.stderr += text;
  });
  child.stdin?.on('error', () => {});
  child.stdin?.end(options.input);
  const [code] = await once(child, 'close');
  return { code: code ?? -1, ...texts };
}

/** Runs git and gives its output. @throws when git fails */
export async function git(directory: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runGit(directory, args);
  if (code !== 0) throw new Error(`git ${args.join(' ')} ended with ${code}: ${stderr}`);
  return stdout.trim();
}

export interface ServedRepository {
  readonly repository: Repository;
  /** Where `git clone` finds it. */
  readonly url: string;
  /** The requests that came, for what only headers show. */
  readonly requests: readonly IncomingMessage[];
  /** A new clone for this test. */
  clone(...args: string[]): Promise<string>;
}

/** A served repository, over real HTTP, without authentication: every caller is `caller`. */
export async function serveRepository(
  options: Partial<GitServerOptions> & { caller?: Partial<GitCaller> } = {},
): Promise<ServedRepository> {
  const repository = options.repository ?? (await useRepository());
  const server = await createGitServer({
    repository,
    log: silent,
    checkPush: async () => [],
    pushed: () => {},
    ...options,
  });
  const caller = {
    name: 'ada',
    actor: 'ada@example.com',
    mayRead: true,
    mayPush: true,
    mayWrite: () => true,
    record: async () => {},
    ...options.caller,
  };
  const requests: IncomingMessage[] = [];
  const http = createServer((request, response) => {
    requests.push(request);
    void server.handle(request, response, new URL(request.url ?? '', 'http://git').pathname, caller);
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const { path, remove } = temporaryDirectory('plinth-clone');
  onTestFinished(async () => {
    http.close();
    http.closeAllConnections();
    await server.close();
    remove();
  });
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/git/state.git`; // it listens on TCP
  let clones = 0;
  const clone = async (...args: string[]) => {
    clones += 1;
    await git(path, 'clone', '--quiet', ...args, url, `clone-${clones}`);
    return join(path, `clone-${clones}`);
  };
  return { repository, url, requests, clone };
}

/** Why a test cannot have a small disk of its own, or undefined. */
export function whyNoSmallDisk(): string | undefined {
  const { path, remove } = temporaryDirectory('plinth-mount');
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', path], { stdio: 'pipe' });
    execFileSync('umount', [path]);
    return undefined;
  } catch {
    return 'a small disk needs the right to mount a tmpfs (root)';
  } finally {
    remove();
  }
}

/** A state repository on a disk of 2 MiB. */
export async function useSmallDisk(): Promise<Repository> {
  const { path, remove } = temporaryDirectory('plinth-full');
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', path]);
  const repository = await openRepository({ directory: join(path, 'state.git'), branch: 'main', log: silent });
  onTestFinished(async () => {
    await repository.close();
    execFileSync('umount', [path]);
    remove();
  });
  return repository;
}
