import { setTimeout as sleep } from 'node:timers/promises';
import type { ControlPlane } from '#support/control-plane.ts';
import type { BenchCluster } from '../stand/cluster.ts';
import type { BenchProject } from '../stand/projects.ts';
import { projectPath } from './latency.ts';

export interface NoOp {
  readonly reconciles: number;
  readonly objects: number;
  /** Requests of the control plane meanwhile, watches that it renews aside. */
  readonly calls: readonly string[];
}

/** Asks for a reconcile of every project, although nothing changed, and counts what the audit log has of it. */
export async function countNoOp(
  plinth: ControlPlane,
  { cluster }: BenchCluster,
  projects: readonly BenchProject[],
): Promise<NoOp> {
  if (cluster.auditLog === undefined) throw new Error('the cluster has no audit log');
  const before = await reconciles(plinth);
  const entries = await cluster.auditLog.during(async () => {
    for (const { key } of projects) {
      const { status, text } = await plinth.request('POST', `${projectPath(key)}/reconcile`);
      if (status !== 202) throw new Error(`reconcile was answered ${status}: ${text}`);
    }
    while ((await reconciles(plinth)) < before + projects.length) await sleep(10);
    await sleep(200);
  });
  return {
    reconciles: (await reconciles(plinth)) - before,
    objects: projects.reduce((sum, { objects }) => sum + objects.length, 0),
    calls: entries
      .filter(({ userAgent, verb }) => userAgent.startsWith('plinth') && verb !== 'watch')
      .map(({ verb, requestURI }) => `${verb} ${requestURI}`),
  };
}

/** How many runs there were, as the control plane's metrics say. */
async function reconciles(plinth: ControlPlane): Promise<number> {
  const text = await plinth.metrics();
  return [...text.matchAll(/^plinth_reconcile_seconds_count\{.*\} (\d+)$/gm)].reduce(
    (sum, [, n]) => sum + Number(n),
    0,
  );
}
