import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { namespaceOf } from '#environments/layout.ts';
import { type ControlPlane, startControlPlane } from '#support/control-plane.ts';
import { temporaryDirectory } from '#support/temporary.ts';
import { type BenchCluster, startBenchCluster } from '../stand/cluster.ts';
import { benchKeys } from '../stand/projects.ts';
import { putNext, type Told, unlike } from '../stand/told.ts';
import { projectPath } from './latency.ts';

export interface Kills {
  readonly kills: number;
  readonly acknowledged: number;
  /** Changes that were acknowledged and are not committed, or whose wish does not stand although none came after it. */
  readonly lost: readonly string[];
  /** Deletions by the control plane of objects that nobody took out of a spec. */
  readonly wrongDeletes: readonly string[];
  readonly rightDeletes: number;
  /** From the start of the new process until it answers, and until the cluster is as the newest changes say. */
  readonly ready: readonly number[];
  readonly converged: readonly number[];
}

const projectCount = 8;
const mostMsToLive = 600;
const mostMsToConverge = 30_000;

/** Kills the control plane again and again, at random instants while changes stream in, and looks at what came of them. */
export async function killOften(count: number, report: (done: number) => void = () => {}): Promise<Kills> {
  const bench = await startBenchCluster({ audit: true });
  const { path, remove } = temporaryDirectory('plinth-kills');
  const start = () =>
    startControlPlane({
      dataDirectory: join(path, 'data'),
      environment: { KUBECONFIG: bench.cluster.kubeconfig, LOG_LEVEL: 'warn' },
    });
  const told = benchKeys('local', 'kill', projectCount).map((key): Told => ({ key, sent: -1, acknowledged: [] }));
  const [ready, converged]: [number[], number[]] = [[], []];
  let plinth = await start();
  try {
    await Promise.all(told.map((one) => putNext(plinth, one)));
    await converge(plinth, bench, told);
    for (let done = 0; done < count; done++) {
      const putting = told.map((one) => keepPutting(plinth, one));
      await sleep(Math.random() * mostMsToLive);
      await plinth.kill();
      await Promise.all(putting);
      const begin = performance.now();
      plinth = await start();
      ready.push(performance.now() - begin);
      await converge(plinth, bench, told);
      converged.push(performance.now() - begin);
      report(done + 1);
    }
    const { wrong, right } = await deletes(bench, told);
    return {
      kills: count,
      acknowledged: told.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0),
      lost: await lostOf(plinth, told),
      wrongDeletes: wrong,
      rightDeletes: right,
      ready,
      converged,
    };
  } finally {
    await plinth.kill();
    await bench.cluster.stop();
    remove();
  }
}

async function keepPutting(plinth: ControlPlane, told: Told): Promise<void> {
  await sleep(Math.random() * 100);
  while (await putNext(plinth, told)) await sleep(Math.random() * 100);
}

/** Waits until every project stands in the cluster as its newest change says. */
async function converge(plinth: ControlPlane, bench: BenchCluster, told: readonly Told[]): Promise<void> {
  const end = performance.now() + mostMsToConverge;
  for (const one of told)
    for (;;) {
      const why = await unlike(plinth, bench.cluster.api, one);
      if (why === undefined) break;
      if (performance.now() > end) throw new Error(`${projectPath(one.key)} did not converge: ${why}\n${plinth.log()}`);
      await sleep(10);
    }
}

/** A later change of the same project takes the place of an earlier one; none may end in any other way. */
async function lostOf(plinth: ControlPlane, told: readonly Told[]): Promise<readonly string[]> {
  const lost: string[] = [];
  for (const { acknowledged } of told)
    for (const { id } of acknowledged) {
      const { status, body } = await plinth.request('GET', `/api/v1/changes/${id}`);
      const ended = status === 200 && ['committed', 'unchanged'].includes(body.state);
      if (!ended) lost.push(`${id}: ${status} ${body.state}`);
    }
  return lost;
}

async function deletes({ cluster }: BenchCluster, told: readonly Told[]) {
  const namespaces = new Set(told.map(({ key }) => namespaceOf(key)));
  const entries = ((await cluster.auditLog?.entries()) ?? []).filter(
    ({ verb, userAgent }) => verb.startsWith('delete') && userAgent.startsWith('plinth'),
  );
  // Everything of the second container carries its name.
  const isRight = (entry: (typeof entries)[number]) =>
    entry.verb === 'delete' && namespaces.has(entry.namespace) && /^extra\b/.test(entry.name);
  return {
    right: entries.filter(isRight).length,
    wrong: entries.filter((entry) => !isRight(entry)).map(({ verb, requestURI }) => `${verb} ${requestURI}`),
  };
}
