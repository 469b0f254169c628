import { type BenchCluster, startBenchCluster } from '../../bench/stand/cluster.ts';
import type { Stand } from './torture.ts';

/**
 * Opens a stand on a cluster of its own, which goes with it.
 * @param controllers false: the cluster's own controllers are ended where nothing needs them; on a real cluster they run
 * on other machines
 */
export async function onOwnCluster(
  open: (cluster: BenchCluster['cluster']) => Promise<Stand>,
  { controllers }: { readonly controllers: boolean },
): Promise<Stand> {
  const { cluster } = await startBenchCluster();
  if (!controllers) await cluster.processes.signal('kube-controller-manager', 'SIGKILL');
  const { run, close } = await open(cluster);
  return {
    run,
    close: async () => {
      await close();
      await cluster.stop();
    },
  };
}
