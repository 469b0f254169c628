import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { identityOf, makeCertificates } from './certificates.ts';
import { type Api, createClient } from './client.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import { isReadyNode, kwokFlags, nodeObject } from './nodes.ts';
import { choosePort } from './port.ts';
import { createProcesses, type Processes } from './processes.ts';
import { put, startStorage } from './storage.ts';

export interface ClusterOptions {
  /** What `buildCluster` returned. */
  readonly binaries: string;
  /** Where state lives: a new folder is a new cluster, an old one continues with its objects and its port. */
  readonly directory: string;
  /** Fake nodes, `node-0` and on; standard 1. */
  readonly nodes?: number;
  /** true: what was acknowledged survives a power cut too (a fifth slower); else it survives the end of the parts. */
  readonly durable?: boolean;
  /** Without volumes and snapshots when false: 0.4 s and 0.2 GB less. */
  readonly storage?: boolean;
  /** More flags by the name of the part. */
  readonly flags?: Readonly<Record<string, readonly string[]>>;
}

/** A running Kubernetes control plane. */
export interface Cluster {
  readonly url: string;
  /** Path of the administrator's kubeconfig, in `directory`; removed by `stop`. */
  readonly kubeconfig: string;
  readonly directory: string;
  /** The administrator's requests. */
  readonly api: Api;
  /** kube-apiserver, etcd, …: to be killed, silenced and started again by tests. */
  readonly processes: Processes;
  /** Resolves once the API server answers and its start is complete. */
  ready(): Promise<void>;
  stop(): Promise<void>;
}

const mostMsToStart = 120_000;

/** Starts a cluster and waits until it can be used: API, default service account, nodes. @throws with a part's log. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { binaries, directory } = options;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const certificates = join(directory, 'pki');
  makeCertificates(certificates);
  const url = `https://127.0.0.1:${await choosePort(join(directory, 'port'))}`;
  const kubeconfig = join(directory, 'kubeconfig');
  const processes = createProcesses(binaries, directory);
  const client = createClient(url, identityOf(certificates, 'admin'));
  const stop = async () => {
    rmSync(kubeconfig, { force: true });
    await processes.stop();
    await client.close();
  };
  const until = (what: string, test: () => Promise<boolean>) => waitFor(what, test, processes);
  const ready = () => until('the API server', async () => (await client.api('GET', '/readyz')).status === 200);
  try {
    await startParts({ ...options, certificates, url, processes, api: client.api, ready, until });
    writeKubeconfig(kubeconfig, url, identityOf(certificates, 'admin'));
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, kubeconfig, directory, api: client.api, processes, ready, stop };
}

interface Starting extends ClusterOptions {
  readonly certificates: string;
  readonly url: string;
  readonly processes: Processes;
  readonly api: Api;
  ready(): Promise<void>;
  until(what: string, test: () => Promise<boolean>): Promise<void>;
}

async function startParts(options: Starting): Promise<void> {
  const { binaries, directory, certificates, url, api, processes, until } = options;
  const start = (name: string, args: readonly string[]) =>
    processes.start(name, [...args, ...(options.flags?.[name] ?? [])]);
  start('etcd', etcdFlags(options.durable ?? false));
  start('kube-apiserver', apiServerFlags(certificates, url));
  await options.ready();

  const partsKubeconfig = join(directory, 'parts.kubeconfig');
  writeKubeconfig(partsKubeconfig, url, identityOf(certificates, 'parts'));
  const clientFlags = [`--kubeconfig=${partsKubeconfig}`, '--kube-api-qps=1000', '--kube-api-burst=2000'];
  const controllerFlags = [...clientFlags, '--leader-elect=false', '--secure-port=0'];
  start('kube-controller-manager', [...controllerFlags, ...controllerManagerFlags(certificates)]);
  start('kube-scheduler', controllerFlags);
  start('kwok', [
    `--kubeconfig=${partsKubeconfig}`,
    ...(await kwokFlags({ directory, certificates, upstreamStages: join(binaries, 'stages.yaml') })),
  ]);

  const nodes = Array.from({ length: options.nodes ?? 1 }, (_, index) => `node-${index}`);
  for (const name of nodes) await put(api, `/api/v1/nodes/${name}`, nodeObject(name));
  if (options.storage !== false) await startStorage({ binaries, directory, nodes, processes, api, clientFlags, until });
  await until('the default service account', async () => {
    const account = await api('GET', '/api/v1/namespaces/default/serviceaccounts/default');
    return account.status === 200;
  });
  await until('the nodes', async () => (await api('GET', '/api/v1/nodes')).body.items.every(isReadyNode));
}

function etcdFlags(durable: boolean): readonly string[] {
  // etcd wants host:port even of a unix socket: this is the file `etcd:1` in its working folder.
  const client = 'unix://etcd:1';
  const peer = 'unix://etcd:2';
  return [
    '--data-dir=etcd',
    '--log-level=warn',
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    ...(durable ? [] : ['--unsafe-no-fsync']),
  ];
}

function apiServerFlags(certificates: string, url: string): readonly string[] {
  return [
    '--etcd-servers=unix://etcd:1',
    '--bind-address=127.0.0.1',
    `--secure-port=${new URL(url).port}`,
    `--tls-cert-file=${certificates}/server.crt`,
    `--tls-private-key-file=${certificates}/server.key`,
    `--client-ca-file=${certificates}/ca.crt`,
    '--authorization-mode=RBAC',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${certificates}/sa.pub`,
    `--service-account-signing-key-file=${certificates}/sa.key`,
    '--service-cluster-ip-range=10.96.0.0/16',
    '--endpoint-reconciler-type=none', // the standard one refuses a loopback address
    '--allow-privileged',
  ];
}

const controllerManagerFlags = (certificates: string): readonly string[] => [
  `--service-account-private-key-file=${certificates}/sa.key`,
  `--root-ca-file=${certificates}/ca.crt`,
  '--use-service-account-credentials',
  '--pvclaimbinder-sync-period=1s',
  '--concurrent-namespace-syncs=50',
];

async function waitFor(what: string, test: () => Promise<boolean>, processes: Processes): Promise<void> {
  for (const end = Date.now() + mostMsToStart; ; await sleep(10)) {
    if (await test().catch(() => false)) return;
    const ended = processes.ended();
    if (ended !== undefined) throw new Error(`${ended.name} ended while the cluster waited for ${what}:\n${ended.log}`);
    if (Date.now() > end) throw new Error(`${what} was not there after ${mostMsToStart / 1000} s`);
  }
}
