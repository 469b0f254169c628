import { identityOf } from '#scripts/cluster/certificates.ts';
import type { SharedCluster } from '#support/cluster.ts';
import { startFaultProxy } from '#support/fault-proxy.ts';
import { openStores } from '../bench/stand/stores.ts';
import { mostMsToConverge, runSchedule } from './faults/run.ts';
import { openSlot, type Slot } from './faults/slot.ts';
import { onOwnCluster } from './stand/own-cluster.ts';
import type { Stand, Torture } from './stand/torture.ts';

/** `npm run torture -- faults` */
export const torture: Torture = {
  what: 'A proxy before the API server plays seeded faults while commits and foreign hands go on; after the last fault everything is as Git says within 10 s, and nothing was deleted that Git wanted, that only a person may let go, or that is not ours.',
  unit: 'schedules',
  whole: 10_000,
  parallel: 24,
  open: () => onOwnCluster((cluster) => openFaults(cluster), { controllers: false }),
};

/** The stand on a cluster that is there already. `mostMs`: from the end of the faults until all is as Git says. */
export async function openFaults(
  cluster: Pick<SharedCluster, 'url' | 'directory' | 'api'>,
  mostMs = mostMsToConverge,
): Promise<Stand> {
  const stores = await openStores('silent');
  const identity = identityOf(`${cluster.directory}/pki`, 'admin');
  const proxy = await startFaultProxy({ server: cluster.url, identity });
  const idle: Slot[] = [];
  const all: Slot[] = [];
  const take = async () => {
    const free = idle.pop();
    if (free !== undefined) return free;
    opened += 1;
    const slot = await openSlot({ stores, cluster, proxy }, opened);
    all.push(slot);
    return slot;
  };
  let opened = 0;
  return {
    run: async (seed) => {
      const slot = await take();
      const result = await runSchedule(slot, cluster.api, seed, mostMs);
      idle.push(slot);
      return result;
    },
    close: async () => {
      await Promise.all(all.map((slot) => slot.close()));
      await proxy.close();
      await stores.close();
    },
  };
}
