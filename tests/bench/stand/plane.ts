import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Connection } from '#database/connection.ts';
import type { BenchCluster } from './cluster.ts';
import { processorMs, withChildren } from './processor.ts';
import type { BenchStores } from './stores.ts';

export interface PlaneOptions {
  readonly connection: Omit<Connection, 'password'> & { readonly password: string };
  readonly repository: string;
  readonly kubeconfig: string;
  readonly installation: string;
  readonly concurrency: number;
  readonly logLevel: 'silent' | 'warn' | 'error';
}

export interface Asked {
  readonly id: number;
  readonly ask: 'moved' | 'wakeAll' | 'settled' | 'state' | 'heap' | 'stop';
}

export interface Told {
  readonly id: number;
  readonly answer: unknown;
}

export interface PlaneState extends NodeJS.MemoryUsage {
  /** Processor time of the process itself so far. */
  readonly processorMs: number;
  /** Requests to Kubernetes so far, by verb. */
  readonly calls: Readonly<Record<string, number>>;
  /** Reconciles so far. */
  readonly runs: number;
  readonly complete: boolean;
}

/** The controller in a process of its own. */
export interface Plane {
  readonly pid: number;
  /** Says that Git moved, as the notice of a commit does. */
  moved(): Promise<void>;
  wakeAll(): Promise<void>;
  /** Resolves when the cluster was seen whole and nothing waits. */
  settled(): Promise<void>;
  state(): Promise<PlaneState>;
  /** Writes a heap snapshot and returns its path. */
  heap(): Promise<string>;
  /** Bytes of memory that the process occupies, as the kernel counts them. */
  resident(): number;
  /** Processor milliseconds of the process and of those that it started. */
  processorMs(): number;
  stop(): Promise<void>;
}

/** As app/loops.ts has it. */
const concurrency = 64;

/** Flags of Node that `npm start` gives the control plane. */
const startFlags = (): string[] => {
  const { scripts } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));
  return String(scripts.start)
    .split(' ')
    .filter((word) => word.startsWith('--'));
};

/** Starts it as `node app/main.ts` is started; resolves when its modules are loaded and it has begun. */
export async function startPlane(stores: BenchStores, { cluster }: BenchCluster): Promise<Plane> {
  const options: PlaneOptions = {
    connection: { ...stores.connection, password: stores.connection.password.reveal() },
    repository: stores.repository.directory,
    kubeconfig: cluster.kubeconfig,
    installation: stores.installation,
    concurrency,
    logLevel: 'error',
  };
  const program = fileURLToPath(new URL('./plane.process.ts', import.meta.url));
  const child = fork(program, [JSON.stringify(options)], { stdio: 'inherit', execArgv: startFlags() });
  const waiting = new Map<number, (answer: unknown) => void>();
  let last = 0;
  const started = new Promise<unknown>((resolve) => waiting.set(0, resolve));
  child.on('message', ({ id, answer }: Told) => waiting.get(id)?.(answer));
  const ended = once(child, 'exit');
  const ask = async (what: Asked['ask']): Promise<unknown> => {
    last += 1;
    const id = last;
    const answer = new Promise((resolve) => waiting.set(id, resolve));
    child.send({ id, ask: what } satisfies Asked);
    return await Promise.race([answer, ended.then(([code]) => Promise.reject(new Error(`it ended with ${code}`)))]);
  };
  await Promise.race([started, ended.then(() => Promise.reject(new Error('the controller did not start')))]);
  const pid = child.pid ?? 0;
  return {
    pid,
    moved: async () => void (await ask('moved')),
    wakeAll: async () => void (await ask('wakeAll')),
    settled: async () => void (await ask('settled')),
    state: async () => (await ask('state')) as PlaneState, // our own process answers
    heap: async () => String(await ask('heap')),
    resident: () => Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) * 1024,
    processorMs: () => processorMs(withChildren(pid)),
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.send({ id: -1, ask: 'stop' } satisfies Asked);
      await ended;
    },
  };
}
