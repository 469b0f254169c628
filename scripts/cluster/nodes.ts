import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { choosePort } from './port.ts';

const ownStages = join(import.meta.dirname, 'stages');

/** The file in a cluster's directory that stands for the log of every container, in the format of container runtimes. */
export const containerLogFile = 'container.log';

/** Played by kwok: all nodes, the pods on them by the stages, and the kubelet that is asked for logs. */
export async function kwokFlags(options: {
  readonly directory: string;
  readonly certificates: string;
  readonly upstreamStages: string;
}): Promise<readonly string[]> {
  const { directory, certificates, upstreamStages } = options;
  const stages = readdirSync(ownStages).sort();
  // Remembered, because a node keeps the address that it was made with.
  const port = await choosePort(join(directory, 'kubelet-port'));
  return [
    '--manage-all-nodes=true',
    '--cidr=10.244.0.0/16',
    // Without leases the node controller takes every node for lost after 50 s.
    '--node-lease-duration-seconds=40',
    '--node-ip=127.0.0.1',
    `--node-port=${port}`,
    `--server-address=127.0.0.1:${port}`,
    `--tls-cert-file=${certificates}/server.crt`,
    `--tls-private-key-file=${certificates}/server.key`,
    ...[upstreamStages, ...stages.map((file) => join(ownStages, file)), writeLogs(directory)].map(
      (file) => `--config=${file}`,
    ),
  ];
}

/** Nothing runs, so every container has the same log. Lines that a test adds to the file are followed. */
function writeLogs(directory: string): string {
  const log = join(directory, containerLogFile);
  if (!existsSync(log))
    writeFileSync(log, `${new Date().toISOString()} stdout F no container runs here: kwok plays it\n`);
  const file = join(directory, 'logs.json');
  const clusterLogs = {
    apiVersion: 'kwok.x-k8s.io/v1alpha1',
    kind: 'ClusterLogs',
    metadata: { name: 'all' },
    spec: { logs: [{ logsFile: log }] },
  };
  writeFileSync(file, JSON.stringify(clusterLogs));
  return file;
}

/** A fake node that kwok keeps ready; the label is what the CSI driver knows it by. */
export const nodeObject = (name: string) => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: {
    name,
    labels: {
      'kubernetes.io/hostname': name,
      'kubernetes.io/os': 'linux',
      'kubernetes.io/arch': 'amd64',
      'dir.csi.test/node': name,
    },
  },
});

interface Node {
  readonly spec: { readonly taints?: readonly unknown[] };
  readonly status: {
    readonly addresses?: readonly unknown[];
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

/** Ready, without the taints that keep pods away at first, and with the address at which logs are asked for. */
export const isReadyNode = ({ spec, status }: Node) =>
  spec.taints === undefined &&
  (status.addresses ?? []).length > 0 &&
  (status.conditions ?? []).some((condition) => condition.type === 'Ready' && condition.status === 'True');
