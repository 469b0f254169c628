import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'undici';
import { scriptOf, sendAll } from '../stand/bare-loop.ts';
import type { BenchCluster } from '../stand/cluster.ts';
import { makeNamespaces } from '../stand/namespaces.ts';
import { benchKeys } from '../stand/projects.ts';
import type { Scale } from './scale.ts';

export interface FirstRow {
  /** Milliseconds from the notice of the push until all projects are applied and healthy, of each round. */
  readonly healthyMs: readonly number[];
  /** The same requests from a bare loop, nothing recorded and no health looked at. */
  readonly bareMs: readonly number[];
  /** Milliseconds of another client's requests: with nothing else going on, during our rounds, during the bare loop's. */
  readonly idle: readonly number[];
  readonly during: readonly number[];
  readonly duringBare: readonly number[];
}

/** Rounds of so many new projects, with a neighbour who goes on reading and writing one object of its own. */
export async function measureFirstRow(scale: Scale, projects: number, rounds: number): Promise<FirstRow> {
  const { bench, pool } = scale;
  const own = bench.pool(1);
  await makeOwn(bench);
  const idle = await neighbour(own, sleep(10_000));
  const [healthyMs, bareMs, during, duringBare]: number[][] = [[], [], [], []];
  for (let round = 1; round <= rounds; round++) {
    const growing = scale.grow(projects * round);
    during?.push(...(await neighbour(own, growing)));
    healthyMs?.push(await growing);
    const bare = benchKeys('bare', `r${round}`, projects).map((key) => scale.project(key));
    await makeNamespaces(bench.cluster.api, bare, 'ins_bare');
    const scripts = bare.map((one) => scriptOf(one, 'ins_bare'));
    await sleep(2_000);
    const begin = performance.now();
    const sending = sendAll(pool, scripts);
    duringBare?.push(...(await neighbour(own, sending)));
    bareMs?.push(performance.now() - begin);
    await sleep(2_000);
  }
  await own.destroy();
  return { healthyMs: healthyMs ?? [], bareMs: bareMs ?? [], idle, during: during ?? [], duringBare: duringBare ?? [] };
}

const path = '/api/v1/namespaces/default/configmaps/neighbour';

async function makeOwn({ cluster }: BenchCluster): Promise<void> {
  await cluster.api('POST', '/api/v1/namespaces/default/configmaps', { metadata: { name: 'neighbour' } });
}

/** Times of a client that reads its object and writes it, in turn, as long as something goes on. */
async function neighbour(pool: Pool, work: Promise<unknown>): Promise<number[]> {
  let over = false;
  const end = work.finally(() => {
    over = true;
  });
  const times: number[] = [];
  for (let count = 0; !over; count++) {
    const begin = performance.now();
    const { statusCode, body } = await pool.request(
      count % 2 === 0
        ? { method: 'GET', path }
        : {
            method: 'PATCH',
            path,
            headers: { 'content-type': 'application/merge-patch+json' },
            body: JSON.stringify({ data: { count: String(count) } }),
          },
    );
    await body.dump();
    if (statusCode !== 200) throw new Error(`the neighbour got ${statusCode}`);
    times.push(performance.now() - begin);
    await sleep(10);
  }
  await end;
  return times;
}
