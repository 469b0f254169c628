import { setTimeout as sleep } from 'node:timers/promises';
import { Secret } from '#base/secret.ts';
import { namespaceOf } from '#environments/layout.ts';
import { startController } from '#reconcile/controller.ts';
import { createKubernetesRuntime } from '#runtime/kubernetes/kubernetes.ts';
import type { Runtime } from '#runtime/runtime.ts';
import { type Comparison, type Contender, compare, figure, printComparison, printTable } from '../measure.ts';
import { scriptOf, sendAll } from './bare-loop.ts';
import { type BenchCluster, startBenchCluster } from './cluster.ts';
import { makeNamespaces } from './namespaces.ts';
import { processorMs, quiet, withChildren } from './processor.ts';
import { type BenchProject, benchKeys, commitProjects, fullProject, plainProject } from './projects.ts';
import { type BenchStores, openStores } from './stores.ts';

export interface RateOptions {
  readonly kind: 'plain' | 'full';
  readonly projects: number;
  readonly rounds: number;
  readonly spec: string;
  /** Projects reconciled at once, as app/main.ts says. */
  readonly concurrency: number;
  /** Connections of the bare loop: as many as the control plane's client may open. */
  readonly connections: number;
}

export interface Rate {
  readonly comparison: Comparison;
  /** Objects of a round. */
  readonly objects: number;
}

const bareInstallation = 'ins_bare';
/** Stands still during a round: what it does about new objects comes late, and more of it would fall into the longer round. */
const controllers = 'kube-controller-manager';

/** Objects a second of a whole controller, from its hint to its last record, beside a bare loop of the same requests. */
export async function measureRate(options: RateOptions): Promise<Rate> {
  const stores = await openStores();
  const bench = await startBenchCluster();
  try {
    const controller = controllerContender(stores, bench, options);
    const cost = createCost(stores, bench);
    const contenders = [controller, bareContender(stores, bench, options)] as const;
    for (const contender of contenders) await warmUp(contender);
    const comparison = await compare(cost.watch(contenders[0]), cost.watch(contenders[1]), options.rounds);
    await controller.stop();
    printComparison('reconcile', 'bare loop', comparison);
    cost.print();
    const [first] = makeProjects(stores, { ...options, projects: 1 }, 'local', 'one');
    return { comparison, objects: options.projects * (first?.objects.length ?? 0) };
  } finally {
    await bench.cluster.stop();
    await stores.close();
  }
}

/** A round that does not count: a control plane runs for days, with its code compiled and its connections open. */
async function warmUp({ prepare, run }: Contender): Promise<void> {
  const round = 99;
  await prepare?.(round);
  await run(round);
}

function makeProjects(stores: BenchStores, { kind, projects, spec }: RateOptions, environment: string, round: string) {
  const make = kind === 'plain' ? plainProject : fullProject;
  return benchKeys(environment, round, projects).map((key) => make(stores, key, spec));
}

function controllerContender(stores: BenchStores, { found, cluster }: BenchCluster, options: RateOptions) {
  const { database, environment, installation } = stores;
  const runtime = createKubernetesRuntime({ digestKey: new Secret(Buffer.alloc(32)), ...stores, cluster: found });
  let applied = 0;
  const counted: Runtime = {
    ...runtime,
    apply: async (object, asked) => {
      const live = await runtime.apply(object, asked);
      applied += 1;
      return live;
    },
  };
  // The controller sees a commit only when it shall: its poll would find it while the round is being prepared.
  let shown: string | undefined;
  const controller = startController({
    ...stores,
    repository: { ...stores.repository, tip: async () => shown },
    environment: 'local',
    runtime: counted,
    concurrency: options.concurrency,
    environmentAt: async () => environment,
  });
  let projects: readonly BenchProject[] = [];
  const contender: Contender = {
    name: 'reconcile',
    prepare: async (round) => {
      await until(async () => runtime.state().complete);
      await controller.idle();
      projects = makeProjects(stores, options, 'local', `${round}`);
      if (options.kind === 'plain') {
        await makeNamespaces(cluster.api, projects, installation);
        await until(async () => projects.every(({ key }) => runtime.observed(namespaceOf(key)).length > 0));
      }
      await commitProjects(stores, projects);
    },
    run: async () => {
      const before = { applied, recorded: await countRecorded(database) };
      const objects = projects.reduce((sum, one) => sum + one.objects.length, 0);
      shown = await stores.repository.tip();
      controller.moved();
      // The database is asked only at the end: asking costs more than what is measured there.
      await until(async () => applied === before.applied + objects);
      await until(async () => (await countRecorded(database)) === before.recorded + projects.length);
      return objects;
    },
  };
  return { ...contender, stop: () => controller.stop() };
}

function bareContender(stores: BenchStores, { cluster, pool: open }: BenchCluster, options: RateOptions): Contender {
  let scripts: readonly ReturnType<typeof scriptOf>[] = [];
  const pool = open(options.connections);
  return {
    name: 'bare loop',
    prepare: async (round) => {
      const projects = makeProjects(stores, options, 'bare', `${round}`);
      if (options.kind === 'plain') await makeNamespaces(cluster.api, projects, bareInstallation);
      scripts = projects.map((project) => scriptOf(project, bareInstallation));
    },
    run: () => sendAll(pool, scripts),
  };
}

/** Processor time per object, which says what a change is worth where the machine is too busy for rates to say it. */
function createCost({ postgresPid }: BenchStores, { cluster }: BenchCluster) {
  const groups = {
    'this process': () => [process.pid],
    PostgreSQL: () => withChildren(postgresPid),
    cluster: () => Object.values(cluster.pids),
  };
  const read = () => Object.values(groups).map((pids) => processorMs(pids()));
  const rows: string[][] = [];
  const sums = new Map<string, { objects: number; ms: number[] }>();
  const watch = (contender: Contender): Contender => ({
    name: contender.name,
    prepare: async (round) => {
      await contender.prepare?.(round);
      await quiet(Object.values(groups).flatMap((pids) => pids()));
    },
    run: async (round) => {
      await cluster.processes.signal(controllers, 'SIGSTOP');
      const before = read();
      const objects = await contender.run(round);
      const after = read();
      await cluster.processes.signal(controllers, 'SIGCONT');
      const sum = sums.get(contender.name) ?? { objects: 0, ms: before.map(() => 0) };
      const ms = sum.ms.map((was, i) => was + after[i]! - before[i]!);
      sums.set(contender.name, { objects: sum.objects + objects, ms });
      return objects;
    },
  });
  const print = () => {
    for (const [name, { objects, ms }] of sums) rows.push([name, ...ms.map((one) => figure(one / objects))]);
    printTable(['processor ms per object', ...Object.keys(groups)], rows);
    const [ours = 1, bare = 1] = [...sums.values()].map(({ objects, ms }) => ms.reduce((a, b) => a + b, 0) / objects);
    console.log(
      `by processor time, which other work on the machine distorts least: ${Math.round((bare / ours) * 100)} %`,
    );
  };
  return { watch, print };
}

async function countRecorded(database: BenchStores['database']): Promise<number> {
  const { rows } = await database.query<{ count: number }>(
    `select count(*)::integer as count from project_status where phase = 'applied'`,
  );
  return rows[0]?.count ?? 0;
}

/** Every 5 ms, so that waiting costs the measured process next to nothing. */
async function until(test: () => Promise<boolean>): Promise<void> {
  while (!(await test())) await sleep(5);
}
