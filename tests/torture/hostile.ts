import { join } from 'node:path';
import type { SharedCluster } from '#support/cluster.ts';
import { startControlPlane } from '#support/control-plane.ts';
import { temporaryDirectory } from '#support/temporary.ts';
import { type HostileCase, hostileCases } from './hostile/corpus.ts';
import { neighbourRuns, openVictim, runHostile } from './hostile/run.ts';
import { onOwnCluster } from './stand/own-cluster.ts';
import type { Stand, Torture } from './stand/torture.ts';

/** `npm run torture -- hostile` */
export const torture: Torture = {
  what: 'Every case of the corpus is pushed to a real control plane, by git or by hand where git would not send it: refused with a reason, or taken where it harms nobody; the branch is as before, a valid push right after works, and the neighbour goes on being reconciled. Times are of the whole push with its client, memory is the peak beyond what the server had before.',
  unit: 'cases',
  whole: hostileCases.length,
  listed: true,
  parallel: 1,
  open: () => onOwnCluster((cluster) => openHostile(cluster, hostileCases), { controllers: true }),
};

const lookEvery = 10;

/** The stand on a cluster that is there already, for some of the cases. */
export async function openHostile(
  cluster: Pick<SharedCluster, 'kubeconfig'>,
  cases: readonly HostileCase[],
): Promise<Stand> {
  const { path, remove } = temporaryDirectory('plinth-hostile');
  const plinth = await startControlPlane({
    dataDirectory: join(path, 'data'),
    environment: { KUBECONFIG: cluster.kubeconfig, LOG_LEVEL: 'warn' },
  });
  const victim = await openVictim(plinth, join(path, 'mallory.git'));
  await neighbourRuns(victim);
  return {
    run: async (seed) => {
      const one = cases[seed % cases.length] as HostileCase; // within, as there is at least one
      const result = await runHostile(victim, one);
      if (seed % lookEvery === 0) await neighbourRuns(victim);
      return result;
    },
    close: async () => {
      await plinth.stop();
      remove();
    },
  };
}
