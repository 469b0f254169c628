import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BuildOptions, buildOnce, directoryOf } from '../golang/build-once.ts';
import { buildFlags, go, goEnv, missingGo } from '../golang/go.ts';

const tools = join(import.meta.dirname, 'tools');
const sources = ['go.mod', 'go.sum', 'hyper/main.go', 'csi-dir/main.go'];

/** The name of each part and of what it is linked to in the built directory. */
const partsOfHyper = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kwok'];

/** The directory of the built tools, whether it exists or not: one for each content of `tools/`. */
export function buildDirectory(cache?: string): string {
  return directoryOf('cluster', { folder: tools, files: sources }, cache);
}

/** Why a cluster cannot be had on this machine, with what to do about it; undefined when it can. Takes no longer than 0.1 s. */
export function missingForCluster(cache?: string): string | undefined {
  if (process.platform !== 'linux') return `the cluster runs on Linux only, this is ${process.platform}`;
  if (spawnSync('openssl', ['version']).status !== 0)
    return 'openssl is missing; install the package openssl (apt-get install openssl)';
  if (existsSync(buildDirectory(cache))) return undefined;
  return missingGo(tools);
}

/** Builds the tools into the cache when they are not there, which takes 3 to 6 minutes, and returns their directory. */
export async function buildCluster({ cache, say = () => {} }: BuildOptions = {}): Promise<string> {
  const directory = buildDirectory(cache);
  if (existsSync(directory)) return directory;
  const missing = missingForCluster(cache);
  if (missing !== undefined) throw new Error(missing);

  return await buildOnce(directory, async (unfinished) => {
    await compile(unfinished, say);
    for (const part of partsOfHyper) symlinkSync('hyper', join(unfinished, part));
    collectFiles(unfinished);
  });
}

async function compile(to: string, say: (line: string) => void): Promise<void> {
  const begin = performance.now();
  const elapsed = () => `${Math.round((performance.now() - begin) / 1000)} s`;
  say('building the cluster tools (Kubernetes, etcd, kwok, CSI) from Go modules; this takes 3 to 6 minutes, once');
  say('downloading and reading the modules (up to 660 MB) …');
  const targets = ['./hyper', './csi-dir', 'tool'];
  const version = moduleVersion('k8s.io/kubernetes').replace(/^v/, '');
  const [major, minor] = version.split('.');
  const stamp = 'k8s.io/component-base/version.git';
  const stamps = `-X ${stamp}Version=v${version} -X ${stamp}Major=${major} -X ${stamp}Minor=${minor}`;
  let packages = 0;
  await go(tools, ['list', '-deps', ...targets], { output: () => (packages += 1) });
  say(`modules are there after ${elapsed()}; compiling up to ${packages} packages …`);

  let compiled = 0;
  const ticker = setInterval(() => say(`${compiled} of at most ${packages} packages compiled, ${elapsed()}`), 15_000);
  try {
    await go(tools, ['build', '-v', ...buildFlags(), '-ldflags', `-s -w ${stamps}`, '-o', `${to}/`, ...targets], {
      complaint: () => (compiled += 1),
    });
  } finally {
    clearInterval(ticker);
  }
  say(`built in ${elapsed()}`);
}

/** The stages and CRDs that upstream ships inside its modules. */
function collectFiles(to: string): void {
  const stages = join(moduleFolder('sigs.k8s.io/kwok'), 'kustomize', 'stage');
  const upstream = [
    'node/fast/node-initialize.yaml',
    'node/heartbeat-with-lease/node-heartbeat-with-lease.yaml',
    'pod/fast/pod-delete.yaml',
  ];
  writeFileSync(
    join(to, 'stages.yaml'),
    upstream.map((file) => readFileSync(join(stages, file), 'utf8')).join('\n---\n'),
  );
  const crds = join(moduleFolder('github.com/kubernetes-csi/external-snapshotter/client/v8'), 'config', 'crd');
  mkdirSync(join(to, 'crds'));
  for (const kind of ['volumesnapshotclasses', 'volumesnapshotcontents', 'volumesnapshots']) {
    const file = `snapshot.storage.k8s.io_${kind}.yaml`;
    copyFileSync(join(crds, file), join(to, 'crds', file));
  }
}

const moduleVersion = (module: string) => moduleField(module, '{{.Version}}');
const moduleFolder = (module: string) => moduleField(module, '{{.Dir}}');

function moduleField(module: string, format: string): string {
  const listed = spawnSync('go', ['list', '-m', '-f', format, module], { cwd: tools, encoding: 'utf8', env: goEnv() });
  if (listed.status !== 0) throw new Error(`go list -m ${module} failed: ${listed.stderr}`);
  return listed.stdout.trim();
}
