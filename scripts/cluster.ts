import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, realpathSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { settings } from '#base/config.ts';
import { buildCluster, missingForCluster } from './cluster/build.ts';
import { contextName } from './cluster/kubeconfig.ts';
import { startCluster } from './cluster/start.ts';

/**
 * A real local Kubernetes API for trying things: `up` starts it in the foreground, with its state and its kubeconfig
 * in DATA_DIR/cluster; `build` only builds its tools and prints where they are.
 */
const usage = 'usage: node scripts/cluster.ts up | build';

async function up(): Promise<void> {
  const dataDirectory = settings.dataDirectory.parse(process.env.DATA_DIR || undefined);
  const directory = join(dataDirectory, 'cluster');
  // Root's PostgreSQL runs as another user, which must be able to pass through.
  mkdirSync(dataDirectory, { recursive: true, mode: process.getuid?.() === 0 ? 0o711 : 0o700 });
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  await holdAlone(directory);
  const binaries = await buildCluster({ say: console.error });
  const begin = performance.now();
  console.error('starting the cluster …');
  const starting = startCluster({ binaries, directory, durable: true });
  // From the first moment on: an impatient Ctrl-C must not leave parts behind.
  const asked = Promise.race((['SIGINT', 'SIGTERM', 'SIGHUP'] as const).map((signal) => once(process, signal)));
  const cluster = await starting;
  const watching = new AbortController();
  console.log(`Kubernetes is ready after ${((performance.now() - begin) / 1000).toFixed(1)} s.
  url         ${cluster.url}
  kubeconfig  ${cluster.kubeconfig}
  context     ${contextName}
  state       ${directory} (a later start continues with it; remove the folder to begin anew)

Next: run npm start in another terminal; the environment local finds this cluster by itself.
Or:   export KUBECONFIG=${cluster.kubeconfig}
Ctrl-C ends the cluster and removes the kubeconfig.`);
  const ended = await Promise.race([asked.then(() => undefined), untilPartEnds(cluster, watching.signal)]);
  watching.abort();
  await cluster.stop();
  if (ended !== undefined) throw new Error(`${ended.name} ended unasked; the end of its log:\n${ended.log}`);
  console.log('The cluster is stopped.');
}

type Running = Awaited<ReturnType<typeof startCluster>>;

/** A cluster without one of its parts is worse than none: it is ended, with the reason. */
async function untilPartEnds({ processes }: Running, signal: AbortSignal) {
  while (!signal.aborted) {
    const ended = processes.ended();
    if (ended !== undefined) return ended;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  return undefined;
}

/** One cluster a directory. The name is a socket's without a file: it is free again the moment its process is gone. */
async function holdAlone(directory: string): Promise<void> {
  const name = createHash('sha256').update(realpathSync(directory)).digest('hex').slice(0, 32);
  const hold = createServer().listen(`\0plinth-cluster-${name}`);
  hold.unref();
  await once(hold, 'listening').catch(() => {
    throw new Error(`a cluster with the state in ${directory} is running already; stop it, or choose another DATA_DIR`);
  });
}

async function main(verb: string | undefined): Promise<void> {
  const missing = missingForCluster();
  if (missing !== undefined) throw new Error(`no cluster can be had here: ${missing}`);
  if (verb === 'up') await up();
  else if (verb === 'build') console.log(await buildCluster({ say: console.error }));
  else throw new Error(usage);
}

try {
  await main(process.argv[2]);
  process.exit(0);
} catch (error) {
  console.error((error as Error).message);
  process.exit(1);
}
