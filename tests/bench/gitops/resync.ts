import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchStores } from '../stand/stores.ts';
import { objectsEach, type Scale } from './scale.ts';

export interface Resync {
  readonly objects: number;
  readonly runs: number;
  /** Requests of the controller meanwhile, by the audit log, watches that it renews aside. */
  readonly calls: number;
  /** Rows that were written. */
  readonly writes: number;
  readonly ms: number;
  readonly processorMs: number;
}

/** Every project is reconciled although nothing changed. */
export async function resync(scale: Scale): Promise<Resync> {
  const { bench, stores } = scale;
  const plane = scale.plane();
  await plane.settled();
  await sleep(1000);
  const since = await databaseNow(stores);
  const before = { ...(await plane.state()), all: plane.processorMs() };
  let ms = 0;
  const entries = await bench.cluster.auditLog?.during(async () => {
    const begin = performance.now();
    await plane.wakeAll();
    await plane.settled();
    ms = performance.now() - begin;
    await sleep(1000);
  });
  const after = { ...(await plane.state()), all: plane.processorMs() };
  return {
    objects: scale.projects().length * objectsEach,
    runs: after.runs - before.runs,
    calls: (entries ?? []).filter(({ userAgent, verb }) => userAgent.startsWith('plinth') && verb !== 'watch').length,
    writes: await writtenSince(stores, since),
    ms,
    processorMs: after.all - before.all,
  };
}

export interface LostWatch {
  /** Complete listings by resource, with how many there were. */
  readonly listings: ReadonlyMap<string, number>;
  /** Looks whether the store still counts on: at most one a kind. */
  readonly looks: number;
  /** Other requests that read or write. */
  readonly others: readonly string[];
  /** From the return of the API server until everything is seen and looked at again. */
  readonly ms: number;
}

/** The API server ends and comes back: every watch breaks, and its memory of what happened is gone. */
export async function loseWatches(scale: Scale): Promise<LostWatch> {
  const { cluster } = scale.bench;
  const plane = scale.plane();
  let ms = 0;
  scale.watch().stop();
  const entries = await cluster.auditLog?.during(async () => {
    await cluster.processes.signal('kube-apiserver', 'SIGKILL');
    await sleep(500);
    await cluster.processes.restart('kube-apiserver');
    await cluster.ready();
    const begin = performance.now();
    await sleep(1000); // The watches notice it, and try again after a pause.
    while (!(await plane.state()).complete) await sleep(20);
    await plane.settled();
    ms = performance.now() - begin;
    await sleep(3000);
  });
  await scale.watchAgain();
  const own = (entries ?? []).filter(({ userAgent }) => userAgent.startsWith('plinth'));
  // One object with the version of now: whether the store was restored from a backup meanwhile.
  const isLook = ({ requestURI }: (typeof own)[number]) => /\?limit=1(&|$)/.test(requestURI);
  const isListing = (entry: (typeof own)[number]) =>
    entry.code === 200 &&
    ((entry.verb === 'list' && !isLook(entry)) ||
      (entry.requestURI.includes('sendInitialEvents') && entry.stage === 'ResponseStarted'));
  const listings = new Map<string, number>();
  for (const entry of own.filter(isListing)) listings.set(entry.resource, (listings.get(entry.resource) ?? 0) + 1);
  return {
    listings,
    looks: own.filter(isLook).length,
    others: own
      .filter((entry) => entry.verb !== 'watch' && !isListing(entry) && !isLook(entry))
      .map(({ verb, requestURI }) => `${verb} ${requestURI}`),
    ms,
  };
}

/** Rows that reconcile wrote since then. */
async function writtenSince({ database }: BenchStores, since: Date): Promise<number> {
  const { rows } = await database.query<{ sum: number }>(
    `select ((select count(*) from project_status where updated_at > $1) + (select count(*) from history where at > $1)
       + (select count(*) from inventory where applied_at > $1))::integer as sum`,
    [since],
  );
  return rows[0]?.sum ?? 0;
}

async function databaseNow({ database }: BenchStores): Promise<Date> {
  const { rows } = await database.query<{ now: Date }>('select now() as now');
  return rows[0]?.now ?? new Date();
}
