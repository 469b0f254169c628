import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadEnvironment } from '#environments/load.ts';
import { type ControlPlane, startControlPlane } from '#support/control-plane.ts';
import { temporaryDirectory } from '#support/temporary.ts';
import { figure, printTable, printTimes, summarise } from './measure.ts';
import { killOften } from './reconcile/kill.ts';
import { timeProjects } from './reconcile/latency.ts';
import { countNoOp } from './reconcile/no-op.ts';
import { type BenchCluster, startBenchCluster } from './stand/cluster.ts';
import { timeHeals } from './stand/heal.ts';
import { benchKeys, fullProject, goldenSpec, routedSpec } from './stand/projects.ts';
import { measureRate } from './stand/rate.ts';
import { watchCluster } from './stand/watch.ts';

/**
 * `npm run bench -- reconcile`: the table of issue 3, every line beside its bound. Sections can be named alone:
 * `plain`, `full`, `latency` (with heal), `no-op`, `kill`; together they are cut down to four minutes.
 */
const sections = ['plain', 'full', 'latency', 'no-op', 'kill'] as const;
const asked = process.argv.slice(2);
const full = asked.includes('--full');
const named = sections.filter((name) => asked.includes(name));
const wants = (name: (typeof sections)[number]) => named.length === 0 || named.includes(name);
const whole = full || named.length > 0;

const spec = goldenSpec('local/smallest');
// As app/loops.ts and app/runtime/kubernetes/client.ts have them.
const like = {
  spec,
  concurrency: 64,
  connections: 64,
  projects: 200,
  rounds: full ? 11 : 5,
};
const environment = loadEnvironment(
  'local',
  readFileSync(new URL('../../environments/local/environment.yaml', import.meta.url)),
);

if (wants('plain')) {
  console.log('\n200 projects of 4 plain objects, objects a second; wanted: at least 80 %');
  await measureRate({ ...like, kind: 'plain', spec: routedSpec });
}
if (wants('full')) {
  console.log('\n200 full projects, objects a second; wanted: at least 80 %');
  await measureRate({ ...like, kind: 'full', spec });
}
if (wants('latency')) await onControlPlane({ nodes: true }, measureLatency);
if (wants('no-op')) await onControlPlane({ audit: true, nodes: true }, measureNoOp);
if (wants('kill')) await measureKills(whole ? 50 : 12);

/** The whole control plane in a process of its own, on a cluster of its own. */
async function onControlPlane(
  options: { readonly audit?: boolean; readonly nodes?: boolean },
  measure: (plinth: ControlPlane, bench: BenchCluster) => Promise<void>,
): Promise<void> {
  const bench = await startBenchCluster(options);
  const { path, remove } = temporaryDirectory('plinth-bench');
  try {
    const plinth = await startControlPlane({
      dataDirectory: join(path, 'data'),
      environment: { KUBECONFIG: bench.cluster.kubeconfig, LOG_LEVEL: 'warn' },
    });
    await plinth.until('/ready', ({ ready }) => ready);
    await measure(plinth, bench).finally(() => plinth.stop());
  } finally {
    await bench.cluster.stop();
    remove();
  }
}

async function measureLatency(plinth: ControlPlane, bench: BenchCluster): Promise<void> {
  const pool = bench.pool(64);
  const watch = await watchCluster(pool, 'plinth.dev/team');
  const { create, change, projects } = await timeProjects(plinth, watch, { environment }, { spec, count: 60 });
  const heals = await timeHeals(bench, watch, projects, whole ? 200 : 100);
  watch.stop();
  await pool.destroy();
  console.log('\nidle system, through the whole control plane; wanted: applied 150 / 500, restored 100 / 500');
  printTimes([
    { name: 'PUT of a new project → all objects applied', times: create },
    { name: 'PUT of a change → applied', times: change },
    { name: 'foreign edit → restored', times: heals },
  ]);
}

async function measureNoOp(plinth: ControlPlane, bench: BenchCluster): Promise<void> {
  const projects = benchKeys('local', 'idle', 40).map((key) => fullProject({ environment }, key, spec));
  const at = ({ key }: (typeof projects)[number]) => `/api/v1/environments/local/projects/${key.team}/${key.project}`;
  await Promise.all(projects.map((project) => plinth.request('PUT', at(project), spec)));
  for (const project of projects)
    await plinth.until(at(project), (body) => body.phase === 'applied' && body.health === 'healthy');
  const { reconciles, objects, calls } = await countNoOp(plinth, bench, projects);
  const each = figure(calls.length / objects);
  console.log(
    `\n${reconciles} reconciles of ${objects} objects without a change: ${calls.length} API calls, ${each} an object; wanted: 0`,
  );
  for (const call of calls.slice(0, 10)) console.log(`  ${call}`);
}

async function measureKills(count: number): Promise<void> {
  const kills = await killOften(count);
  console.log(`\nkill -9 at ${kills.kills} random instants of publish and reconcile`);
  printTable(
    ['', 'measured', 'wanted'],
    [
      ['acknowledged changes', String(kills.acknowledged), ''],
      ['of them lost', String(kills.lost.length), '0'],
      ['deletions', String(kills.rightDeletes + kills.wrongDeletes.length), ''],
      ['of them wrong', String(kills.wrongDeletes.length), '0'],
      ['converged after the restart, s, most', figure(summarise(kills.converged).most / 1000), '5'],
    ],
  );
  printTimes([
    { name: 'restart → answers', times: kills.ready },
    { name: 'restart → converged', times: kills.converged },
  ]);
  for (const line of [...kills.lost, ...kills.wrongDeletes].slice(0, 10)) console.log(`  ${line}`);
}
