import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '#base/clock.ts';
import type { ProjectKey } from '#environments/layout.ts';
import { identityOf } from '#scripts/cluster/certificates.ts';
import type { SharedCluster } from '#support/cluster.ts';
import { startFaultProxy } from '#support/fault-proxy.ts';
import { openStores } from '../bench/stand/stores.ts';
import { type Said, wrongDeletions } from './faults/judge.ts';
import { type Contents, isPreciousName, objectNames } from './faults/objects.ts';
import { settle } from './faults/run.ts';
import { openSlot, type Slot, strangers } from './faults/slot.ts';
import { onOwnCluster } from './stand/own-cluster.ts';
import { type Random, randomFrom } from './stand/random.ts';
import type { CaseResult, Stand, Torture } from './stand/torture.ts';

/** `npm run torture -- races` */
export const torture: Torture = {
  what: 'Commits and reconciling meet in another order every time: each read of Git, each apply and each removal waits at random before and after, hints come late, twice or in the middle of a run, and the wall clock jumps by hours. In the end the cluster is as the last commit says, without the poll having to find it.',
  unit: 'interleavings',
  whole: 10_000,
  parallel: 16,
  open: () => onOwnCluster(openRaces, { controllers: false }),
};

/** Below the controller's poll: what needs longer was found by the poll and not by its hint. */
const mostMsToConverge = 3_900;
const plainNames = objectNames.filter((name) => !isPreciousName(name));

/** A slot whose controller lives on from case to case. */
interface Racer {
  readonly slot: Slot;
  readonly contents: Map<ProjectKey, Contents>;
  /** Uids of objects that are not ours. */
  readonly foreign: ReadonlySet<string>;
  version: number;
}

/** The stand on a cluster that is there already. `mostMs`: from the last hint until all is as the last commit says. */
export async function openRaces(
  cluster: Pick<SharedCluster, 'url' | 'directory' | 'api'>,
  mostMs = mostMsToConverge,
): Promise<Stand> {
  const plain = await openStores('silent');
  let offMs = 0;
  const stores = { ...plain, clock: { ...systemClock, now: () => new Date(Date.now() + offMs) } };
  const proxy = await startFaultProxy({
    server: cluster.url,
    identity: identityOf(`${cluster.directory}/pki`, 'admin'),
  });
  const jitter = () => (Math.random() < 0.5 ? Promise.resolve() : sleep(Math.random() * 15));
  const idle: Racer[] = [];
  const all: Slot[] = [];
  let opened = 0;
  const open = async (): Promise<Racer> => {
    opened += 1;
    const slot = await openSlot({ stores, cluster, proxy, jitter }, opened);
    all.push(slot);
    await slot.clean();
    const foreign = new Set<string>();
    for (const key of slot.keys) {
      const live = await slot.live(key);
      for (const name of strangers) foreign.add(live.get(`ConfigMap/${name}`)?.metadata.uid);
    }
    const contents = new Map<ProjectKey, Contents>(slot.keys.map((key) => [key, new Map([['ConfigMap/c-0', 0]])]));
    await slot.commit([...contents]);
    slot.start();
    return { slot, foreign, contents, version: 0 };
  };
  return {
    run: async (seed) => {
      const racer = idle.pop() ?? (await open());
      const random = randomFrom(seed);
      if (random.chance(0.2)) offMs = Math.round(random.between(-2, 2) * 3_600_000);
      const result = await race(racer, random, mostMs);
      idle.push(racer);
      return result;
    },
    close: async () => {
      await Promise.all(all.map((slot) => slot.close()));
      await proxy.close();
      await plain.close();
    },
  };
}

/** Some commits, as fast as they come, each followed by its hint; then everything is as the last one says. */
async function race(racer: Racer, random: Random, mostMs: number): Promise<CaseResult> {
  const { slot, contents, foreign } = racer;
  const keys = slot.keys.slice(0, 2);
  const said = new Map<ProjectKey, Said[]>(keys.map((key) => [key, [saidNow(contents.get(key))]]));
  const before = slot.client.deletions.length;
  const hints: Promise<void>[] = [];
  const commits = 2 + random.below(5);
  for (let made = 0; made < commits; made++) {
    const key = random.pick(keys);
    racer.version += 1;
    const next = nextContents(random, contents.get(key) ?? new Map(), racer.version);
    contents.set(key, next);
    await slot.commit([[key, next]]);
    said.get(key)?.push(saidNow(next));
    hints.push(hint(slot, random.between(0, 30)));
    if (random.chance(0.2)) hints.push(hint(slot, random.between(0, 60)));
    await sleep(random.between(0, 40));
  }
  await Promise.all(hints);
  const truth = { said, foreign };
  const { why, ms, last } = await settle(slot, keys, truth, 15_000);
  const deletions = slot.client.deletions.slice(before);
  const failures = [...wrongDeletions(deletions, truth)];
  if (why !== undefined) failures.push(`is not as the last commit says: ${why}`);
  else if (ms > mostMs) failures.push(`needed the poll: ${Math.round(ms)} ms, ${last}`);
  return { failures, figures: { 'converged, ms': ms }, counts: { commits, deletions: deletions.length } };
}

const saidNow = (contents: Contents | undefined): Said => ({
  atMs: performance.now(),
  knownMs: performance.now(),
  contents,
});

async function hint(slot: Slot, afterMs: number): Promise<void> {
  await sleep(afterMs);
  slot.moved();
}

function nextContents(random: Random, before: Contents, version: number): Contents {
  const names = [...before.keys()];
  // Never down to nothing: that waits for a person.
  const out = names.length > 4 && random.chance(0.4) ? new Set(random.some(names, 2)) : new Set<string>();
  const changed = random.some(plainNames, 1 + random.below(3)).filter((name) => !out.has(name));
  const kept = [...before].filter(([name]) => !out.has(name));
  return new Map([...kept, ...changed.map((name) => [name, version] as const)]);
}
