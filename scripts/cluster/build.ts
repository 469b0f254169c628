import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, homedir, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';

/** The binaries, CRDs and stages of one content of `tools/`, and whoever says what is under way (one line a call). */
export interface BuildOptions {
  /** Where built tools are kept; standard: PLINTH_CACHE, else ~/.cache/plinth. */
  readonly cache?: string;
  say?(line: string): void;
}

const tools = join(import.meta.dirname, 'tools');
const sources = ['go.mod', 'go.sum', 'hyper/main.go', 'csi-dir/main.go'];
const wantedGo = { major: 1, minor: 26 };
/** One Go compiler at work on Kubernetes takes up to this much memory. */
const bytesPerCompiler = 2 * 1024 ** 3;

/** The name of each part and of what it is linked to in the built directory. */
const partsOfHyper = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kwok'];

/** The directory of the built tools, whether it exists or not: one for each content of `tools/`. */
export function buildDirectory(cache?: string): string {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}\n`);
  for (const file of sources) hash.update(readFileSync(join(tools, file)));
  const folder = cache ?? (process.env.PLINTH_CACHE || join(homedir(), '.cache', 'plinth'));
  return join(folder, 'cluster', hash.digest('hex').slice(0, 16));
}

/** Why a cluster cannot be had on this machine, with what to do about it; undefined when it can. Takes no longer than 0.1 s. */
export function missingForCluster(cache?: string): string | undefined {
  if (process.platform !== 'linux') return `the cluster runs on Linux only, this is ${process.platform}`;
  if (spawnSync('openssl', ['version']).status !== 0)
    return 'openssl is missing; install the package openssl (apt-get install openssl)';
  if (existsSync(buildDirectory(cache))) return undefined;
  const wanted = `${wantedGo.major}.${wantedGo.minor}`;
  const found = spawnSync('go', ['version'], { cwd: tools, encoding: 'utf8' });
  if (found.error)
    return `Go is missing; install Go ${wanted} or newer and put it on the PATH (see go.dev/doc/install)`;
  const [, major, minor] = /go(\d+)\.(\d+)/.exec(found.stdout) ?? [];
  const enough = Number(major) === wantedGo.major && Number(minor) >= wantedGo.minor;
  return enough ? undefined : `Go ${wanted} or newer is wanted, here is: ${(found.stdout || found.stderr).trim()}`;
}

/** Builds the tools into the cache when they are not there, which takes 3 to 6 minutes, and returns their directory. */
export async function buildCluster({ cache, say = () => {} }: BuildOptions = {}): Promise<string> {
  const directory = buildDirectory(cache);
  if (existsSync(directory)) return directory;
  const missing = missingForCluster(cache);
  if (missing !== undefined) throw new Error(missing);

  forgetUnfinished(dirname(directory));
  const unfinished = `${directory}.${process.pid}`;
  const forget = () => rmSync(unfinished, { recursive: true, force: true });
  process.once('exit', forget);
  try {
    mkdirSync(unfinished, { recursive: true });
    await compile(unfinished, say);
    for (const part of partsOfHyper) symlinkSync('hyper', join(unfinished, part));
    collectFiles(unfinished);
    publish(unfinished, directory);
  } finally {
    forget();
    process.off('exit', forget);
  }
  return directory;
}

/** What a killed build left in the cache: several hundred megabytes that nobody will use. */
function forgetUnfinished(folder: string): void {
  for (const path of existsSync(folder) ? readdirSync(folder) : []) {
    const [, pid] = /^[0-9a-f]{16}\.(\d+)$/.exec(path) ?? [];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(join(folder, path), { recursive: true, force: true });
  }
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
  await go(['list', '-deps', ...targets], { output: () => (packages += 1) });
  say(`modules are there after ${elapsed()}; compiling up to ${packages} packages …`);

  let compiled = 0;
  const ticker = setInterval(() => say(`${compiled} of at most ${packages} packages compiled, ${elapsed()}`), 15_000);
  const compilers = Math.max(1, Math.min(availableParallelism(), Math.floor(totalmem() / bytesPerCompiler)));
  // Without debug information: a fifth less CPU and memory.
  const flags = ['-v', `-p=${compilers}`, '-trimpath', '-buildvcs=false', '-gcflags=all=-dwarf=false'];
  try {
    await go(['build', ...flags, '-ldflags', `-s -w ${stamps}`, '-o', `${to}/`, ...targets], {
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

/** Somebody else may have built the same meanwhile; then theirs stays. */
function publish(unfinished: string, directory: string): void {
  try {
    renameSync(unfinished, directory);
  } catch (error) {
    if (!existsSync(directory)) throw error;
  }
}

const moduleVersion = (module: string) => moduleField(module, '{{.Version}}');
const moduleFolder = (module: string) => moduleField(module, '{{.Dir}}');

function moduleField(module: string, format: string): string {
  const listed = spawnSync('go', ['list', '-m', '-f', format, module], { cwd: tools, encoding: 'utf8', env: goEnv() });
  if (listed.status !== 0) throw new Error(`go list -m ${module} failed: ${listed.stderr}`);
  return listed.stdout.trim();
}

/** Neither a workspace around the checkout nor the caller's flags may change what is built. */
const goEnv = () => ({ ...process.env, CGO_ENABLED: '0', GOWORK: 'off', GOFLAGS: '' });

/** Runs go in tools/, a line of its two outputs at a time; a failure carries the last lines of what it complained about. */
async function go(
  args: readonly string[],
  each: { output?: (line: string) => void; complaint?: (line: string) => void },
): Promise<void> {
  const child = spawn('go', args, { cwd: tools, env: goEnv(), stdio: ['ignore', 'pipe', 'pipe'] });
  const last: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => each.output?.(line));
  createInterface({ input: child.stderr }).on('line', (line) => {
    last.push(line);
    if (last.length > 20) last.shift();
    each.complaint?.(line);
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`go ${args[0]} ended with ${code}:\n${last.join('\n')}`);
}
