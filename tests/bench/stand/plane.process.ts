import { join } from 'node:path';
import { writeHeapSnapshot } from 'node:v8';
import { systemClock } from '#base/clock.ts';
import { createLog } from '#base/log.ts';
import { createMetrics } from '#base/metrics.ts';
import { Secret } from '#base/secret.ts';
import { createDatabase } from '#database/pool.ts';
import { openRepository } from '#git/repository.ts';
import { createEnvironments } from '#publish/environments.ts';
import { startController } from '#reconcile/controller.ts';
import { findCluster } from '#runtime/kubernetes/connect.ts';
import { createKubernetesRuntime } from '#runtime/kubernetes/kubernetes.ts';
import { openSecrets } from '#secrets/open.ts';
// What the whole control plane has in memory before it does anything.
import '../../../app/server.ts';
import '../../../app/loops.ts';
import '../../../app/stores.ts';
import type { Asked, PlaneOptions, Told } from './plane.ts';

/** The controller as the control plane runs it, in a process of its own: what is measured, without the bench around it. */
const options: PlaneOptions = JSON.parse(process.argv[2] ?? '{}');
const clock = systemClock;
const log = createLog({ level: options.logLevel });
const metrics = createMetrics();
const database = createDatabase({
  connection: { ...options.connection, password: new Secret(options.connection.password) },
  log,
  clock,
});
const repository = await openRepository({ directory: options.repository, branch: 'main', log });
const { secrets } = await openSecrets({
  database,
  log,
  clock,
  encryption: { dataDirectory: join(options.repository, '..') },
});
const cluster = await findCluster({
  kubeconfig: options.kubeconfig,
  dataDirectory: '/nonexistent',
  home: '/nonexistent',
  inCluster: { host: undefined, port: undefined, folder: '/nonexistent' },
  clock,
});
if (cluster.kind !== 'cluster') throw new Error(`no cluster: ${cluster.kind}`);
const runtime = createKubernetesRuntime({
  digestKey: new Secret(Buffer.alloc(32)),
  installation: options.installation,
  cluster,
  clock,
  log,
  metrics,
});
const controller = startController({
  environment: 'local',
  repository,
  database,
  secrets,
  runtime,
  clock,
  log,
  metrics,
  concurrency: options.concurrency,
  environmentAt: createEnvironments(repository).one,
});

/** The channel is closed once it was told to stop. */
const tell = (told: Told) => process.connected && process.send?.(told);

/** How much of Kubernetes was asked so far, by verb. */
const calls = async (): Promise<Readonly<Record<string, number>>> => {
  const sums: Record<string, number> = {};
  for (const { labels, value } of (await metrics.apiCalls.get()).values) {
    const verb = String(labels.verb);
    sums[verb] = (sums[verb] ?? 0) + value;
  }
  return sums;
};

const runs = async (): Promise<number> =>
  (await metrics.reconcileSeconds.get()).values
    .filter(({ metricName }) => metricName?.endsWith('_count') === true)
    .reduce((sum, { value }) => sum + value, 0);

const answers: Readonly<Record<Asked['ask'], () => Promise<unknown> | unknown>> = {
  moved: () => controller.moved(),
  wakeAll: () => controller.wakeAll(),
  settled: async () => {
    while (!runtime.state().complete) await clock.sleep(5);
    await controller.idle();
  },
  state: async () => ({
    ...process.memoryUsage(),
    processorMs: (process.cpuUsage().user + process.cpuUsage().system) / 1000,
    calls: await calls(),
    runs: await runs(),
    complete: runtime.state().complete,
  }),
  heap: () => writeHeapSnapshot(join(options.repository, '..', `heap-${process.pid}.heapsnapshot`)),
  stop: async () => {
    await controller.stop();
    await repository.close();
    await database.close();
    process.disconnect();
  },
};

process.on('message', async ({ id, ask }: Asked) => tell({ id, answer: await answers[ask]() }));
tell({ id: 0, answer: 'started' });
