import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '#base/clock.ts';
import { createLog } from '#base/log.ts';
import { startEmbedded } from '#database/embedded.ts';
import { createDatabase } from '#database/pool.ts';
import { identityOf } from '#scripts/cluster/certificates.ts';
import type { SharedCluster } from '#support/cluster.ts';
import { startFaultProxy } from '#support/fault-proxy.ts';
import { temporaryDirectory } from '#support/temporary.ts';
import { type Point, pointsOf } from './crash/fuse.ts';
import { type House, openHouse } from './crash/house.ts';
import { type Blow, mostMsToConverge, runCrash, scenario } from './crash/run.ts';
import { onOwnCluster } from './stand/own-cluster.ts';
import type { Stand, Torture } from './stand/torture.ts';

/** `npm run torture -- crash` */
export const torture: Torture = {
  what: 'kill -9 of a control plane at every single side effect of a scenario (each writing statement and each writing API request before and after it, each file that Git makes), then at random instants while changes stream in; every 40th time it is only stopped, for 30 s. After the restart everything is as the newest changes say within 5 s; no acknowledged change is lost, none has two commits, nothing is deleted wrongly.',
  unit: 'ends',
  whole: 1_300,
  listed: true,
  parallel: 3,
  open: () => onOwnCluster((cluster) => openCrash(cluster, { stopMs: 30_000 }), { controllers: true }),
};

export interface CrashOptions {
  /** How long a process that is only stopped stands still. */
  readonly stopMs: number;
  /** So many points of the list at the most, spread evenly; all by default. */
  readonly mostPoints?: number;
  /** From the moment that the new process is ready until everything is as the newest changes say. */
  readonly mostMs?: number;
}

const stopEvery = 40;

/** The stand on a cluster that is there already. */
export async function openCrash(
  cluster: Pick<SharedCluster, 'url' | 'directory' | 'api'>,
  { stopMs, mostPoints = Number.POSITIVE_INFINITY, mostMs = mostMsToConverge }: CrashOptions,
): Promise<Stand> {
  const { path: directory, remove } = temporaryDirectory('plinth-crash');
  chmodSync(directory, 0o711); // As root the server runs as another user, which must be able to enter.
  const log = createLog({ level: 'silent' });
  const embedded = await startEmbedded({ directory: join(directory, 'postgres'), log, clock: systemClock });
  const admin = createDatabase({ connection: embedded.connection, log, connections: 1 });
  const identity = identityOf(`${cluster.directory}/pki`, 'admin');
  // The control plane finds HTTPS as with any cluster.
  const proxy = await startFaultProxy({ server: cluster.url, identity });
  const all: House[] = [];
  const idle: House[] = [];
  let opened = 0;
  const openNext = async () => {
    opened += 1;
    const number = opened;
    await admin.query(`create database house_${number}`);
    const connection = { ...embedded.connection, database: `house_${number}` };
    const house = await openHouse({ cluster, identity, proxy, connection, directory, number });
    all.push(house);
    await house.start();
    await scenario(house);
    await house.converge(30_000);
    return house;
  };
  const points = countPoints(await openNext(), mostPoints).then((list) => {
    idle.push(all[0] as House); // opened in this very statement
    return list;
  });
  return {
    run: async (seed) => {
      const list = await points;
      const house = idle.pop() ?? (await openNext());
      const result = await runCrash(house, blowOf(list, seed, stopMs), seed, mostMs);
      idle.push(house);
      return result;
    },
    close: async () => {
      await Promise.all(all.map((house) => house.close()));
      await admin.close();
      await proxy.close();
      await embedded.stop();
      remove();
    },
  };
}

function blowOf(points: readonly Point[], index: number, stopMs: number): Blow {
  const point = points[index];
  if (point !== undefined) return { kind: 'point', point };
  return (index - points.length) % stopEvery === 1 ? { kind: 'stop', ms: stopMs } : { kind: 'instant' };
}

/** The scenario is played twice undisturbed, with and without the second container: the larger counts are the list. */
async function countPoints(house: House, most: number): Promise<readonly Point[]> {
  const counts = { database: 0, api: 0, git: 0 };
  for (let round = 0; round < 2; round++) {
    house.fuse.arm(undefined, () => {});
    await scenario(house);
    for (const door of ['database', 'api', 'git'] as const)
      counts[door] = Math.max(counts[door], house.fuse.counts[door]);
  }
  const all = pointsOf(counts);
  const step = Math.max(1, all.length / most);
  return all.filter((_, index) => Math.floor(index / step) !== Math.floor((index - 1) / step));
}
