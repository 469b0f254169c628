import { Pool } from 'undici';
import { systemClock } from '#base/clock.ts';
import { type Cluster, findCluster } from '#runtime/kubernetes/connect.ts';
import { identityOf } from '#scripts/cluster/certificates.ts';
import { startTestCluster, type TestCluster } from '#support/cluster.ts';

export interface BenchCluster {
  readonly cluster: TestCluster;
  /** As the control plane finds it. */
  readonly found: Cluster;
  /** Connections of the bench's own, as many as the control plane's client may open. */
  pool(connections: number): Pool;
}

export interface BenchClusterOptions {
  readonly audit?: boolean;
  readonly nodes?: boolean;
  /** The controllers of Kubernetes that work in it, by their names; absent: all. */
  readonly controllers?: readonly string[] | undefined;
}

/**
 * A cluster of the bench's own. Unless `nodes` are asked for, nothing in it starts pods: on a real cluster that happens
 * on other machines, here it would take the cores that are measured.
 */
export async function startBenchCluster(options: BenchClusterOptions = {}) {
  const { audit = false, controllers } = options;
  const few = controllers && { flags: { 'kube-controller-manager': [`--controllers=${controllers}`] } };
  const cluster = await startTestCluster({ audit, storage: false, ...few });
  if (options.nodes !== true)
    for (const part of ['kube-scheduler', 'kwok']) await cluster.processes.signal(part, 'SIGKILL');
  const found = await findCluster({
    kubeconfig: cluster.kubeconfig,
    dataDirectory: '/nonexistent',
    home: '/nonexistent',
    inCluster: { host: undefined, port: undefined, folder: '/nonexistent' },
    clock: systemClock,
  });
  if (found.kind !== 'cluster') throw new Error(`${found.kind}: ${found.advice}`);
  const connect = identityOf(`${cluster.directory}/pki`, 'admin');
  const pool = (connections: number) =>
    new Pool(cluster.url, { connections, pipelining: 1, allowH2: false, connect: { ...connect } });
  return { cluster, found, pool } satisfies BenchCluster;
}
