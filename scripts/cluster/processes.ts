import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The running parts of one cluster, by name. Each writes `<name>.log` in the cluster's directory, its working folder. */
export interface Processes {
  start(name: string, args: readonly string[]): void;
  /** Starts a part that ended again, with the arguments it had. */
  restart(name: string): void;
  /**
   * Sends a signal and waits until it has its effect: SIGKILL ends a part, SIGSTOP makes it silent while its
   * connections stay open, until SIGCONT.
   */
  signal(name: string, signal: NodeJS.Signals): Promise<void>;
  pids(): Readonly<Record<string, number>>;
  /** The name and the end of the log of a part that ended by itself, or undefined. */
  ended(): { readonly name: string; readonly log: string } | undefined;
  /** Kills everything and waits until it is gone. */
  stop(): Promise<void>;
}

/**
 * Runs binaries of `binaries` in `directory`. They die with this process, even when it is killed, where util-linux's
 * setpriv can see to that; elsewhere what a killed process left behind in this directory is ended at the next start.
 */
export function createProcesses(binaries: string, directory: string): Processes {
  const children = new Map<string, { child: ChildProcess; args: readonly string[]; meant: boolean }>();
  const pidFile = join(directory, 'pids');
  const prefix = deathWithParent();
  endLeftBehind(pidFile, directory);

  const start = (name: string, args: readonly string[]) => {
    const log = openSync(join(directory, `${name}.log`), children.has(name) ? 'a' : 'w');
    const [command, ...rest] = [...prefix, join(binaries, name), ...args];
    // Own process groups: a signal to the group would end etcd first, and then kube-apiserver never ends.
    const child = spawn(command!, rest, {
      cwd: directory,
      stdio: ['ignore', log, log],
      detached: true,
      env: bareEnv(),
    });
    closeSync(log);
    child.on('error', () => {}); // seen as an ended part
    children.set(name, { child, args, meant: false });
    writeFileSync(pidFile, JSON.stringify(pids()));
  };
  const pids = () => Object.fromEntries([...children].map(([name, { child }]) => [name, child.pid ?? 0]));
  const signal = async (name: string, what: NodeJS.Signals) => {
    const part = children.get(name);
    if (part === undefined) throw new Error(`there is no part ${name}; there are ${[...children.keys()].join(', ')}`);
    if (what === 'SIGKILL' || what === 'SIGTERM') part.meant = true;
    if (isGone(part.child)) return;
    part.child.kill(what);
    if (part.meant) await once(part.child, 'exit');
    while (what === 'SIGSTOP' && !isStopped(part.child.pid)) await sleep(1);
  };

  return {
    start,
    restart: (name) => start(name, children.get(name)?.args ?? []),
    signal,
    pids,
    ended: () => {
      for (const [name, { child, meant }] of children) {
        if (!meant && isGone(child))
          return { name, log: readFileSync(join(directory, `${name}.log`), 'utf8').slice(-2000) };
      }
      return undefined;
    },
    // Nothing needs to end gracefully: etcd's log is written before it answers, and kube-apiserver would drain for seconds.
    stop: async () => {
      await Promise.all([...children.keys()].map((name) => signal(name, 'SIGKILL')));
    },
  };
}

const isGone = (child: ChildProcess) => child.pid === undefined || child.exitCode !== null || child.signalCode !== null;

/** True once every thread stands still: a signal to stop reaches those that are at work a moment later. */
function isStopped(pid: number | undefined): boolean {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    return threads.every((thread) => /^State:\tT/m.test(readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8')));
  } catch {
    return pid === undefined || !existsSync(`/proc/${pid}`); // a thread ended while it was looked at
  }
}

/** Without the caller's proxies, kubeconfigs and Go settings: the parts must not depend on them. */
function bareEnv(): NodeJS.ProcessEnv {
  const { PATH, HOME, TMPDIR } = process.env;
  return { PATH, HOME, ...(TMPDIR === undefined ? {} : { TMPDIR }) };
}

/** The command that makes what it starts die with us, or nothing where the machine has none (or busybox's). */
function deathWithParent(): readonly string[] {
  const prefix = ['setpriv', '--pdeathsig', 'KILL'];
  return spawnSync(prefix[0]!, [...prefix.slice(1), 'true']).status === 0 ? prefix : [];
}

/** Only processes that the pid file names and that work in this directory are ours; a pid may have been given again. */
function endLeftBehind(pidFile: string, directory: string): void {
  if (!existsSync(pidFile)) return;
  const pids = Object.values(JSON.parse(readFileSync(pidFile, 'utf8')) as Record<string, number>);
  for (const pid of pids) {
    try {
      if (readlinkSync(`/proc/${pid}/cwd`) === realpathSync(directory)) process.kill(pid, 'SIGKILL');
    } catch {
      // It is gone, or somebody else's.
    }
  }
}
