import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { namespaceOf, type ProjectKey } from '#environments/layout.ts';
import { type ControlPlane, startControlPlane } from '#support/control-plane.ts';
import { temporaryDirectory } from '#support/temporary.ts';
import { type BenchCluster, startBenchCluster } from '../stand/cluster.ts';
import { benchKeys } from '../stand/projects.ts';
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

/** What a project was told: versions in their order, and which of them were acknowledged. */
interface Told {
  readonly key: ProjectKey;
  sent: number;
  acknowledged: { readonly version: number; readonly id: string }[];
}

/** Odd versions have a second container, which every even one takes out again: right deletions among the rest. */
const specOf = (version: number) => ({
  apiVersion: 'plinth.dev/v1',
  kind: 'Project',
  containers: {
    web: { image: `example.test/web:v${version}`, port: 8080 },
    ...(version % 2 === 1 ? { extra: { image: `example.test/extra:v${version}`, port: 9000 } } : {}),
  },
});

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

/** Sends the next version; false when the process is gone. */
async function putNext(plinth: ControlPlane, told: Told): Promise<boolean> {
  told.sent += 1;
  const version = told.sent;
  try {
    const { status, body, text } = await plinth.request('PUT', projectPath(told.key), specOf(version));
    if (status !== 202) throw new Error(`PUT was answered ${status}: ${text}`);
    told.acknowledged.push({ version, id: body.id });
    return true;
  } catch (error) {
    if (plinth.process.exitCode !== null || plinth.process.signalCode !== null || isBroken(error)) return false;
    throw error;
  }
}

/** What fetch throws when the far side is killed in the middle. */
const isBroken = (error: unknown) => error instanceof TypeError || (error as Error).name === 'SyntaxError';

async function keepPutting(plinth: ControlPlane, told: Told): Promise<void> {
  await sleep(Math.random() * 100);
  while (await putNext(plinth, told)) await sleep(Math.random() * 100);
}

/** Waits until every project stands in the cluster as its newest change says. */
async function converge(plinth: ControlPlane, bench: BenchCluster, told: readonly Told[]): Promise<void> {
  const end = performance.now() + mostMsToConverge;
  for (const one of told)
    for (;;) {
      const why = await unlike(plinth, bench, one);
      if (why === undefined) break;
      if (performance.now() > end) throw new Error(`${projectPath(one.key)} did not converge: ${why}\n${plinth.log()}`);
      await sleep(10);
    }
}

/** Why a project does not stand yet as it should, or undefined. */
async function unlike(plinth: ControlPlane, { cluster }: BenchCluster, { key, sent, acknowledged }: Told) {
  const { status, body } = await plinth.request('GET', projectPath(key));
  if (status !== 200) return `GET is answered ${status}`;
  if (body.phase !== 'applied' || body.appliedRevision !== body.revision) return `it is ${body.phase}`;
  const base = `/apis/apps/v1/namespaces/${namespaceOf(key)}/deployments`;
  const { body: list } = await cluster.api('GET', base);
  const live = new Map<string, string>(
    (list.items ?? []).map(
      (item: { metadata: { name: string }; spec: { template: { spec: { containers: { image: string }[] } } } }) => [
        item.metadata.name,
        item.spec.template.spec.containers[0]?.image ?? '',
      ],
    ),
  );
  const version = Number(/:v(\d+)$/.exec(live.get('web') ?? '')?.[1] ?? -1);
  // What was sent last may have come in without its answer.
  if (version < (acknowledged.at(-1)?.version ?? 0) || version > sent) return `the cluster has version ${version}`;
  if (live.has('extra') !== (version % 2 === 1)) return `extra is ${live.has('extra')} at version ${version}`;
  return undefined;
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
