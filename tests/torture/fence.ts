import { identityOf } from '#scripts/cluster/certificates.ts';
import type { SharedCluster } from '#support/cluster.ts';
import { startFaultProxy } from '#support/fault-proxy.ts';
import { openStores } from '../bench/stand/stores.ts';
import { settle } from './faults/run.ts';
import { openSlot, type Slot } from './faults/slot.ts';
import { contents, runMutation } from './fence/run.ts';
import { onOwnCluster } from './stand/own-cluster.ts';
import type { Stand, Torture } from './stand/torture.ts';

/** `npm run torture -- fence` */
export const torture: Torture = {
  what: 'Mutated renders (empty, half, cut, of another project, other kinds, names and namespaces) are committed as if publish had made them: no mass deletion is carried out, what waits is shown, nothing gets into another namespace, and the next good render mends all of it.',
  unit: 'mutated renders',
  whole: 200,
  listed: true,
  parallel: 4,
  open: () => onOwnCluster(openFence, { controllers: false }),
};

export async function openFence(cluster: Pick<SharedCluster, 'url' | 'directory' | 'api'>): Promise<Stand> {
  const stores = await openStores('silent');
  const proxy = await startFaultProxy({
    server: cluster.url,
    identity: identityOf(`${cluster.directory}/pki`, 'admin'),
  });
  const idle: Slot[] = [];
  const all: Slot[] = [];
  let opened = 0;
  const open = async () => {
    opened += 1;
    const slot = await openSlot({ stores, cluster, proxy }, opened);
    all.push(slot);
    await slot.clean();
    const keys = slot.keys.slice(0, 2);
    await slot.commit(keys.map((key) => [key, contents] as const));
    slot.start();
    const foreign = new Set<string>();
    for (const key of keys)
      for (const [name, { metadata }] of await slot.live(key)) if (name.includes('stranger')) foreign.add(metadata.uid);
    const said = new Map(keys.map((key) => [key, [{ atMs: 0, knownMs: 0, contents }]] as const));
    const { why } = await settle(slot, keys, { said, foreign }, 30_000);
    if (why !== undefined) throw new Error(why);
    return slot;
  };
  return {
    run: async (seed) => {
      const slot = idle.pop() ?? (await open());
      const result = await runMutation(slot, cluster.api, seed);
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
