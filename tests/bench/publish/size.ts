import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StateRemote } from '#base/config.ts';
import { newId } from '#base/ids.ts';
import { createListener } from '#database/listen.ts';
import { channels, createNotices } from '#database/notices.ts';
import { manifestsFile, type ProjectKey, specFile } from '#environments/layout.ts';
import { createEnvironments } from '#publish/environments.ts';
import { startPublisher } from '#publish/loop.ts';
import { acceptChange } from '#publish/store.ts';
import { render } from '#synth/render.ts';
import { type Comparison, compare } from '../measure.ts';
import type { BenchStores } from '../stand/stores.ts';
import { type BareFile, bareImport, copyRepository } from './bare-import.ts';
import { openSeeded, seedSpec } from './seeded.ts';

export interface SizeOptions {
  readonly projects: number;
  readonly rounds: number;
  /** Changes that wait at once, in each round. */
  readonly changes: number;
  /** Changes that come alone. */
  readonly singles: number;
  /** Where commits are pushed before they count. */
  readonly remote?: StateRemote;
}

export interface Measured {
  readonly commits: Comparison;
  /** Milliseconds of single changes, and of a fast-import of one such commit. */
  readonly single: { readonly publish: readonly number[]; readonly bare: readonly number[] };
}

/** As publish groups them, so that the bare loop does the same. */
const mostInGroup = 100;

/** Publishing on a repository of so many projects, and beside it fast-import on a copy of that repository. */
export async function measureSize({ projects, rounds, changes, singles, remote }: SizeOptions): Promise<Measured> {
  const { stores, keys } = await openSeeded(projects, remote);
  try {
    const bare = copyRepository(stores.repository.directory, join(stores.directory, 'bare.git'));
    const wishes = createWishes(keys);
    const commits = await compareRates(stores, bare, wishes, { rounds, changes });
    return { commits, single: await timeSingles(stores, bare, wishes, singles) };
  } finally {
    await stores.close();
  }
}

interface Wish {
  readonly key: ProjectKey;
  readonly spec: string;
}

/** Changes that really change something: another image for one project after the other, in an order that mixes teams. */
function createWishes(keys: readonly ProjectKey[]): (count: number) => readonly Wish[] {
  let made = 0;
  const one = (): Wish => {
    made += 1;
    const key = keys[(made * 7919) % keys.length]!; // a prime: every key comes before one comes again
    return { key, spec: seedSpec.replace(':1.29', `:1.29-${made}`) };
  };
  return (count) => Array.from({ length: count }, one);
}

async function compareRates(
  stores: BenchStores,
  bare: string,
  wishes: (count: number) => readonly Wish[],
  { rounds, changes }: Pick<SizeOptions, 'rounds' | 'changes'>,
): Promise<Comparison> {
  const publisher = startPublisher(publishDoors(stores));
  let groups: BareFile[][][] = [];
  const comparison = await compare(
    {
      name: 'publish',
      prepare: () => accept(stores, wishes(changes)),
      run: async () => {
        publisher.wake();
        while ((await countWaiting(stores)) > 0) await sleep(5);
        return changes;
      },
    },
    {
      name: 'fast-import',
      prepare: async () => {
        groups = inGroups(wishes(changes).map((wish) => filesOf(stores, wish)));
      },
      run: async () => {
        for (const group of groups) await bareImport(bare, group);
        return changes;
      },
    },
    rounds,
  );
  await publisher.stop();
  return comparison;
}

/** One after the other, in turn, each after a pause in which nothing happens. */
async function timeSingles(
  stores: BenchStores,
  bare: string,
  wishes: (count: number) => readonly Wish[],
  count: number,
): Promise<Measured['single']> {
  const publisher = startPublisher(publishDoors(stores));
  const notices = createNotices();
  notices.on('changes', () => publisher.wake());
  const listening = Promise.withResolvers<void>();
  const listener = createListener({
    ...stores,
    channels,
    onNotice: notices.deliver,
    onGap: listening.resolve,
  });
  await listening.promise;
  const single = { publish: [] as number[], bare: [] as number[] };
  for (let index = -5; index < count; index++) {
    const [wish, other] = wishes(2) as [Wish, Wish]; // as many as asked for
    const change = toChange(stores, wish);
    const ended = new Promise<number>((resolve) => {
      notices.on('change_ended', () => resolve(performance.now()), change.id);
    });
    await stores.database.transaction((tx) => acceptChange(tx, change));
    const accepted = performance.now();
    const published = (await ended) - accepted;
    await sleep(10);
    const files = filesOf(stores, other);
    const begin = performance.now();
    await bareImport(bare, [files]);
    const imported = performance.now() - begin;
    await sleep(10);
    if (index < 0) continue;
    single.publish.push(published);
    single.bare.push(imported);
  }
  await listener.stop();
  await publisher.stop();
  return single;
}

const publishDoors = (stores: BenchStores) => ({ ...stores, environments: createEnvironments(stores.repository) });

const toChange = ({ clock }: BenchStores, { key, spec }: Wish) => ({
  ...key,
  id: newId('change', clock.now()),
  kind: 'put' as const,
  actor: 'bench@localhost',
  content: spec,
  message: '',
});

async function accept(stores: BenchStores, wishes: readonly Wish[]): Promise<void> {
  await stores.database.transaction(async (tx) => {
    for (const wish of wishes) await acceptChange(tx, toChange(stores, wish));
  });
}

async function countWaiting({ database }: BenchStores): Promise<number> {
  const { rows } = await database.query<{ count: number }>(
    `select count(*)::integer as count from changes where state = 'accepted'`,
  );
  return rows[0]?.count ?? 0;
}

/** What publish commits for a wish. */
function filesOf({ environment }: BenchStores, { key, spec }: Wish): BareFile[] {
  return [
    { path: specFile(key), content: spec },
    { path: manifestsFile(key), content: render({ environment, key, spec }).manifests },
  ];
}

const inGroups = <T>(all: readonly T[]): T[][] =>
  Array.from({ length: Math.ceil(all.length / mostInGroup) }, (_, index) =>
    all.slice(index * mostInGroup, (index + 1) * mostInGroup),
  );
