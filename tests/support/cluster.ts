import { get } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, inject } from 'vitest';
import { buildCluster, missingForCluster } from '#scripts/cluster/build.ts';
import { identityOf } from '#scripts/cluster/certificates.ts';
import { type Api, createClient } from '#scripts/cluster/client.ts';
import type { Processes } from '#scripts/cluster/processes.ts';
import { startCluster } from '#scripts/cluster/start.ts';
import { type AuditLog, auditFlags, readAuditLog } from './audit-log.ts';
import { describeUnless } from './missing.ts';
import { temporaryDirectory } from './temporary.ts';

export interface TestClusterOptions {
  /** Turns on an audit log at level Metadata, so that a test can count API calls. */
  readonly audit?: boolean;
  /** Fake nodes; standard 1. */
  readonly nodes?: number;
  /** false: no volumes and snapshots, 0.4 s faster. */
  readonly storage?: boolean;
  /** More flags by the name of the part (`kube-apiserver`, `kwok` …). */
  readonly flags?: Readonly<Record<string, readonly string[]>>;
}

/** What every test may do with a cluster, its own or the run's shared one. */
export interface SharedCluster {
  readonly url: string;
  /** Path of the administrator's kubeconfig; its context is plainly local. */
  readonly kubeconfig: string;
  /** Requests of the administrator: `await api('GET', '/api/v1/namespaces')` gives `{ status, body }`. */
  readonly api: Api;
  readonly pids: Readonly<Record<string, number>>;
  /** State, `<part>.log` of every part, and `data/volumes`. */
  readonly directory: string;
  /** The shared cluster has one; others where `audit` was asked for. */
  readonly auditLog?: AuditLog;
}

/** A cluster of a test's own, whose parts it may kill, silence and start again. */
export interface TestCluster extends SharedCluster {
  readonly auditLog?: AuditLog;
  readonly processes: Processes;
  /** Resolves once the API server answers (after a restart). */
  ready(): Promise<void>;
  /** Ends every part and removes the directory. */
  stop(): Promise<void>;
}

/**
 * Why no cluster can be had here, or undefined. With Go and no build yet, the first cluster builds for minutes.
 * @throws in CI on Linux, where everything can be installed: there a missing part is a failure, never a skip.
 */
export function missing(): string | undefined {
  const reason = process.env.PLINTH_NO_CLUSTER ?? missingForCluster();
  if (reason !== undefined && process.env.CI === 'true' && process.platform === 'linux')
    throw new Error(`CI must have a cluster, but: ${reason}`);
  return reason;
}

/**
 * Starts a cluster of one's own in a temporary folder on free ports: about 3.5 s and 0.6 GB. For tests that end parts,
 * count every request or need flags; all others share one by `describeWithCluster`.
 */
export async function startTestCluster(options: TestClusterOptions = {}): Promise<TestCluster> {
  const { audit = false, flags = {}, ...rest } = options;
  const binaries = await buildCluster({ say: console.error });
  const { path: directory, remove } = temporaryDirectory('plinth-cluster');
  const apiServerFlags = [...(flags['kube-apiserver'] ?? []), ...(audit ? auditFlags(directory) : [])];
  try {
    const cluster = await startCluster({
      ...rest,
      binaries,
      directory,
      flags: { ...flags, 'kube-apiserver': apiServerFlags },
    });
    return {
      ...cluster,
      get pids() {
        return cluster.processes.pids();
      },
      auditLog: audit ? readAuditLog(directory, cluster.api) : undefined,
      stop: async () => {
        await cluster.stop();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}

/** What the door of the run's shared cluster says; `tests/support/shared-cluster.ts` opens it. */
export type DoorAnswer =
  | {
      readonly url: string;
      readonly kubeconfig: string;
      readonly directory: string;
      readonly pids: Record<string, number>;
    }
  | { readonly error: string };

/** A build may come first, where somebody runs the tests for the first time. */
const mostMsToBuildAndStart = 20 * 60_000;

/**
 * A suite on the run's one cluster, skipped with its reason where none can be had (in CI: failed). Suites share it, so
 * each keeps to its own namespaces and installation ids. `cluster()` works in hooks and tests.
 */
export function describeWithCluster(name: string, tests: (cluster: () => SharedCluster) => void): void {
  describeUnless(missing(), name, () => tests(useCluster()));
}

/** Joins the run's cluster before the suite's other hooks run, and leaves it at the end. */
function useCluster(): () => SharedCluster {
  let cluster: SharedCluster | undefined;
  let leave = async () => {};
  beforeAll(async () => {
    ({ cluster, leave } = await joinShared());
  }, mostMsToBuildAndStart);
  afterAll(() => leave());
  return () => {
    if (cluster === undefined) throw new Error('the cluster is there in hooks and tests only');
    return cluster;
  };
}

async function joinShared(): Promise<{ cluster: SharedCluster; leave(): Promise<void> }> {
  const reason = missing();
  if (reason !== undefined) throw new Error(reason);
  const socket: string | undefined = inject('sharedCluster');
  if (socket === undefined)
    throw new Error('tests of this folder have no cluster (vitest.config.ts); name the file *.doors.test.ts');
  const answer = await askDoor(socket);
  if ('error' in answer) throw new Error(answer.error);
  const { api, close } = createClient(answer.url, identityOf(`${answer.directory}/pki`, 'admin'));
  return { cluster: { ...answer, api, auditLog: readAuditLog(answer.directory, api) }, leave: close };
}

async function askDoor(socketPath: string): Promise<DoorAnswer> {
  const body = await new Promise<string>((resolve, reject) => {
    get({ socketPath, path: '/' }, (response) => text(response).then(resolve, reject)).on('error', reject);
  });
  return JSON.parse(body);
}

declare module 'vitest' {
  interface ProvidedContext {
    /** The socket by which a test file asks for the run's shared cluster; the first who asks starts it. */
    sharedCluster: string;
  }
}
