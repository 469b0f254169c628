import { type ChildProcess, spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#base/clock.ts';
import { type Home, port } from './home.ts';
import { lastLines, readText, startFailed } from './initialise.ts';
import { takeOver } from './orphan.ts';

const pollMs = 5;
/** Long enough to replay a full log on a slow disk. */
const startMs = 300_000;
const crashMs = 10_000;
const stopMs = 10_000;
const quitMs = 5_000;

/** One run of the server, as a child of this process. */
export interface Server {
  readonly pid: number;
  /** Resolves when it has ended, for whatever reason, with how. */
  readonly ended: Promise<string>;
  hasEnded(): boolean;
  /** Fast shutdown: open transactions are rolled back, everything committed is on disk. */
  stop(): Promise<void>;
}

export interface ServerOptions {
  readonly home: Home;
  readonly clock: Clock;
  readonly settings: Readonly<Record<string, string>>;
  readonly logFile: string;
  readonly signal: AbortSignal;
}

/**
 * Starts the server and waits until it takes connections. A server that a killed process left behind is stopped
 * first: then the settings are the present ones, and there is one kind of server, our child.
 *
 * @throws Fault DATABASE_START_FAILED with what the server said
 */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { home, clock, signal } = options;
  const beganMs = clock.monotonicMs();
  await takeOver(home, clock, signal);
  // After a crash the server refuses to start while processes of the crashed one are still on their way out.
  const crashed = (await readText(join(home.data, 'postmaster.pid'))) !== undefined;
  for (;;) {
    signal.throwIfAborted();
    const server = await launch(options);
    if (await untilReady(server, options, beganMs + startMs)) return server;
    if (!crashed || clock.monotonicMs() > beganMs + crashMs) throw await reasonOf(options, await server.ended);
    await clock.sleep(20, signal);
  }
}

/** true: it takes connections. false: it ended. */
async function untilReady(server: Server, options: ServerOptions, deadlineMs: number): Promise<boolean> {
  const { home, clock, signal } = options;
  while (!server.hasEnded()) {
    const lines = (await readText(join(home.data, 'postmaster.pid')))?.split('\n') ?? [];
    if (Number(lines[0]) === server.pid && lines[7]?.trim() === 'ready') return true;
    if (signal.aborted || clock.monotonicMs() > deadlineMs) {
      await server.stop();
      signal.throwIfAborted();
      throw startFailed(`it was not ready after ${startMs / 1000} s`);
    }
    await clock.sleep(pollMs);
  }
  return false;
}

async function launch({ home, clock, settings, logFile }: ServerOptions): Promise<Server> {
  const log = await open(logFile, 'a', 0o600);
  const as = { uid: home.user?.uid, gid: home.user?.gid, cwd: home.socket, env: { PATH: '/usr/bin:/bin' } };
  // Detached: Ctrl-C in a terminal goes to the whole group, and the database must be the last to stop.
  const child = spawn(home.programs.postgres, serverArguments(home, settings), {
    ...as,
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
  });
  const ended = endOf(child);
  try {
    await spawned(child);
  } finally {
    await log.close();
  }
  const pid = child.pid as number; // it was spawned, so it has one
  const watcher = watch(pid, as);
  const server: Server = {
    pid,
    ended,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    stop: () => stopChild(child, ended, clock),
  };
  void ended.then(() => watcher.kill());
  return server;
}

/** Ends the server when this process dies without stopping it: the pipe closes, and the shell reads its end. */
function watch(pid: number, as: { uid?: number; gid?: number; cwd: string; env: NodeJS.ProcessEnv }): ChildProcess {
  const watcher = spawn('/bin/sh', ['-c', 'read -r end; kill -INT "$0"', String(pid)], {
    ...as,
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  watcher.on('error', () => {});
  watcher.stdin?.on('error', () => {});
  return watcher;
}

async function stopChild(child: ChildProcess, ended: Promise<string>, clock: Clock): Promise<void> {
  const steps = [
    ['SIGINT', stopMs],
    ['SIGQUIT', quitMs],
    ['SIGKILL', quitMs],
  ] as const;
  for (const [signal, patienceMs] of steps) {
    child.kill(signal);
    const enough = new AbortController();
    const late = clock.sleep(patienceMs, enough.signal).then(
      () => 'late' as const,
      () => 'ended' as const,
    );
    const outcome = await Promise.race([ended.then(() => 'ended' as const), late]);
    enough.abort();
    if (outcome === 'ended') return;
  }
}

function serverArguments(home: Home, settings: Readonly<Record<string, string>>): string[] {
  const all: Record<string, string> = {
    listen_addresses: '',
    unix_socket_directories: home.socket,
    unix_socket_permissions: '0700',
    port: String(port),
    max_connections: '50',
    // Small: a control plane's data fits, and the system's cache does the rest.
    shared_buffers: '32MB',
    work_mem: '4MB',
    maintenance_work_mem: '32MB',
    max_wal_size: '256MB',
    min_wal_size: '32MB',
    jit: 'off',
    max_parallel_workers_per_gather: '0',
    max_logical_replication_workers: '0',
    autovacuum_max_workers: '2',
    fsync: 'on',
    synchronous_commit: 'on',
    full_page_writes: 'on',
    timezone: 'UTC',
    log_timezone: 'UTC',
    // What a statement carries, and the row that an error names, stay out of the log.
    log_error_verbosity: 'terse',
    log_min_error_statement: 'panic',
    log_checkpoints: 'off',
    // A client that is gone must not keep a long query running.
    client_connection_check_interval: '5s',
    ...settings,
  };
  return ['-D', home.data, ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
}

async function reasonOf({ logFile }: ServerOptions, end: string): Promise<Error> {
  return startFailed(`it ended (${end}) and said ${lastLines((await readText(logFile)) ?? '')}`);
}

function spawned(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) => reject(startFailed(error.message, error)));
  });
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ?? `status ${code}`));
  });
}
