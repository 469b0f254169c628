import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Duplex, Readable, Writable } from 'node:stream';
import { Fault } from '#base/errors.ts';

/** Where git is looked for when the caller does not say: no environment variable of ours reaches a git process. */
const standardSearchPath = '/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin:/run/current-system/sw/bin';

export type GitChild = ChildProcessByStdio<Writable, Readable, Readable>;

export interface GitResult {
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string | Uint8Array;
  /** Added to the environment that every git process gets. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Exit codes that are an answer and no failure; 0 by default. */
  readonly accept?: readonly number[];
  /** The most bytes of standard output; more ends the process. 64 MiB by default. */
  readonly limitBytes?: number;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Given, the process and all that it starts inherit descriptor 3, and this is our end of it. */
  readonly hear?: (channel: Duplex) => void;
}

export interface StartOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** Gives the process, and all that it starts, descriptor 3: a two-way channel, `child.stdio[3]`. */
  readonly channel?: boolean;
}

/** git on one repository. The only way to start git: no shell, no user or system configuration, no prompt, no hooks. */
export interface Git {
  readonly directory: string;
  /**
   * Runs to the end and gives what it wrote.
   * @throws Fault REPOSITORY_UNAVAILABLE | DISK_FULL with git's message when the exit code is not accepted, the time is
   * over or the output is too long; the signal's reason after an abort.
   */
  run(args: readonly string[], options?: RunOptions): Promise<GitResult>;
  /** A process that the caller talks to and ends. It leads a process group of its own, so that Ctrl-C passes it by. */
  start(args: readonly string[], options?: StartOptions): GitChild;
}

/** Git on the bare repository at `directory`, which need not exist yet. */
export function createGit(options: { directory: string; searchPath?: string }): Git {
  const { directory, searchPath = standardSearchPath } = options;
  const environment = {
    PATH: searchPath,
    HOME: '/nonexistent',
    LC_ALL: 'C',
    GIT_DIR: directory,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_OPTIONAL_LOCKS: '0',
    // The folder may belong to another user, as volumes of containers do; it is ours all the same.
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: 'safe.directory',
    GIT_CONFIG_VALUE_0: '*',
  };
  const start: Git['start'] = (args, { environment: more, channel = false } = {}) => {
    // With pipes for the three standard streams, none of them is null.
    const child = spawn('git', args, {
      env: { ...environment, ...more },
      stdio: ['pipe', 'pipe', 'pipe', ...(channel ? (['pipe'] as const) : [])],
      detached: true,
    }) as GitChild;
    // A process that ended early breaks its input; what its end says is what counts.
    child.stdin.on('error', () => {});
    child.on('error', () => {});
    return child;
  };
  const run: Git['run'] = (args, options = {}) => {
    const child = start(args, { environment: options.environment, channel: options.hear !== undefined });
    options.hear?.(child.stdio[3] as Duplex); // a pipe, as it was started with a channel
    return toTheEnd(child, directory, args, options);
  };
  return { directory, start, run };
}

/** Ends a process and everything it started, and waits for it. SIGTERM lets git remove its locks first. */
export async function endChild(child: GitChild): Promise<void> {
  if (child.pid === undefined || hasEnded(child)) return;
  const closed = once(child, 'close');
  try {
    process.kill(-child.pid, 'SIGTERM');
  } catch {
    // It ended meanwhile.
  }
  await closed;
}

export const hasEnded = (child: GitChild) => child.exitCode !== null || child.signalCode !== null;

/** What went wrong, from git's own words; all of them are the fault's cause. */
export function gitFault(directory: string, message: string, cause: unknown = message): Fault {
  if (/No space left on device|Out of diskspace|ENOSPC|Disk quota exceeded/i.test(message))
    return new Fault('DISK_FULL', { directory }, { cause });
  const lines = message.trim().split('\n');
  const why = (lines.find((line) => /^(fatal|error): /.test(line)) ?? lines[0] ?? '').slice(0, 500);
  return new Fault('REPOSITORY_UNAVAILABLE', { why: why || 'git said nothing' }, { cause });
}

function toTheEnd(
  child: GitChild,
  directory: string,
  args: readonly string[],
  { input, accept = [0], limitBytes = 64 * 2 ** 20, timeoutMs = 60_000, signal }: RunOptions,
): Promise<GitResult> {
  return new Promise((resolve, reject) => {
    const stdout: Buffer[] = [];
    let stdoutBytes = 0;
    let stderr = '';
    let ended: Error | undefined;
    const end = (reason: Error) => {
      ended ??= reason;
      void endChild(child);
    };
    const verb = args.find((arg) => /^[a-z]/.test(arg)) ?? 'git';
    const timer = setTimeout(() => end(gitFault(directory, `git ${verb} took longer than ${timeoutMs} ms`)), timeoutMs);
    const abort = () => end(signal?.reason instanceof Error ? signal.reason : new Fault('STOPPING'));
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted) abort();
    child.stdout.on('data', (chunk: Buffer) => {
      stdoutBytes += chunk.length;
      if (stdoutBytes > limitBytes) end(gitFault(directory, `git ${verb} wrote more than ${limitBytes} bytes`));
      else stdout.push(chunk);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr = `${stderr}${chunk.toString('utf8')}`.slice(-8192);
    });
    const settle = (code: number | null, killed: string | null, error?: Error) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      if (ended !== undefined) return reject(ended);
      if (error !== undefined) return reject(gitFault(directory, `git cannot be started: ${error.message}`, error));
      if (code === null) return reject(gitFault(directory, `${stderr}\ngit ${verb} was ended by ${killed}`));
      if (!accept.includes(code)) return reject(gitFault(directory, stderr || `git ${verb} ended with code ${code}`));
      resolve({ code, stdout: Buffer.concat(stdout), stderr });
    };
    child.on('error', (error) => settle(null, null, error));
    child.on('close', settle);
    child.stdin.end(input);
  });
}
