import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Api } from './client.ts';
import type { Processes } from './processes.ts';

const driver = 'dir.csi.test';
const socket = 'csi.sock';

interface StorageOptions {
  readonly binaries: string;
  readonly directory: string;
  readonly nodes: readonly string[];
  readonly processes: Processes;
  readonly api: Api;
  /** Flags by which every controller reaches the API server. */
  readonly clientFlags: readonly string[];
  until(what: string, test: () => Promise<boolean>): Promise<void>;
}

/**
 * Volumes and snapshots that are directories: the snapshot API with its controller, the upstream sidecars and the
 * driver csi-dir. Makes StorageClasses `dir` (default, immediate) and `dir-wait` (at the first pod), and
 * VolumeSnapshotClasses `dir-retain` (default) and `dir-delete`.
 */
export async function startStorage(options: StorageOptions): Promise<void> {
  const { binaries, directory, api, processes, clientFlags, until } = options;
  for (const file of readdirSync(join(binaries, 'crds'))) {
    const name = file.replace(/^(.*)_(.*)\.yaml$/, '$2.$1');
    await put(
      api,
      `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}`,
      readFileSync(join(binaries, 'crds', file), 'utf8'),
    );
  }
  processes.start('csi-dir', ['-endpoint', socket, '-root', 'data']);
  await declareDriver(api, options.nodes);
  await until('the snapshot API', async () => {
    const classes = await api('GET', '/apis/snapshot.storage.k8s.io/v1/volumesnapshotclasses');
    return classes.status === 200;
  });
  await declareSnapshotClasses(api);
  await until('the CSI socket', async () => existsSync(join(directory, socket)));
  const flags = [...clientFlags, '--leader-election=false', '--retry-interval-start=100ms'];
  processes.start('snapshot-controller', flags);
  // By way of the working folder: a unix socket's path may not be longer than 107 characters, the sidecars want it whole.
  processes.start('csi-snapshotter', [...flags, `--csi-address=/proc/self/cwd/${socket}`]);
  processes.start('csi-provisioner', [
    ...flags,
    `--csi-address=/proc/self/cwd/${socket}`,
    '--immediate-topology=false',
  ]);
}

/** Applied, never posted: the API server sleeps 2 s in a POST to a custom resource established less than 2 s ago. */
export async function put(api: Api, path: string, object: unknown): Promise<void> {
  const answer = await api(
    'PATCH',
    `${path}?fieldManager=plinth-local&force=true`,
    object,
    'application/apply-patch+yaml',
  );
  if (answer.status >= 300) throw new Error(`${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
}

async function declareDriver(api: Api, nodes: readonly string[]): Promise<void> {
  const storage = '/apis/storage.k8s.io/v1';
  const apiVersion = 'storage.k8s.io/v1';
  await put(api, `${storage}/csidrivers/${driver}`, {
    apiVersion,
    kind: 'CSIDriver',
    metadata: { name: driver },
    spec: { attachRequired: false, podInfoOnMount: false, fsGroupPolicy: 'None' },
  });
  for (const name of nodes) {
    await put(api, `${storage}/csinodes/${name}`, {
      apiVersion,
      kind: 'CSINode',
      metadata: { name },
      spec: { drivers: [{ name: driver, nodeID: name, topologyKeys: [`${driver}/node`] }] },
    });
  }
  for (const [name, volumeBindingMode] of [
    ['dir', 'Immediate'],
    ['dir-wait', 'WaitForFirstConsumer'],
  ]) {
    await put(api, `${storage}/storageclasses/${name}`, {
      apiVersion,
      kind: 'StorageClass',
      metadata: { name, annotations: { 'storageclass.kubernetes.io/is-default-class': String(name === 'dir') } },
      provisioner: driver,
      reclaimPolicy: 'Delete',
      volumeBindingMode,
    });
  }
}

async function declareSnapshotClasses(api: Api): Promise<void> {
  for (const [name, deletionPolicy] of [
    ['dir-retain', 'Retain'],
    ['dir-delete', 'Delete'],
  ]) {
    await put(api, `/apis/snapshot.storage.k8s.io/v1/volumesnapshotclasses/${name}`, {
      apiVersion: 'snapshot.storage.k8s.io/v1',
      kind: 'VolumeSnapshotClass',
      metadata: {
        name,
        annotations: { 'snapshot.storage.kubernetes.io/is-default-class': String(name === 'dir-retain') },
      },
      driver,
      deletionPolicy,
    });
  }
}
