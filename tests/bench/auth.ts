import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { startAuthServer } from './auth/server.ts';
import { figure, median, printTable, printTimes, summarise } from './measure.ts';
import { processorMs } from './stand/processor.ts';

/**
 * `npm run bench -- auth`: what knowing the caller costs a request, and what a flood of sign-ins does to everybody else.
 * The server is a process of its own with real proofs, a real database and the real gate; its two routes do the same
 * work, one is public. The rounds of each kind take turns.
 */
const full = process.argv.includes('--full');
const server = await startAuthServer();
try {
  await measureCost(full ? 15 : 7, full ? 6000 : 3000);
  await measureFlood(full ? 20_000 : 8_000);
} finally {
  await server.stop();
}

/** Requests in a row on 16 connections: how many a second, and how much processor time of the server each took. */
async function measureCost(rounds: number, requests: number): Promise<void> {
  const kinds = { public: {}, token: server.token, session: server.session };
  const cpu = new Map<string, number[]>(Object.keys(kinds).map((kind) => [kind, []]));
  const rate = new Map<string, number[]>(Object.keys(kinds).map((kind) => [kind, []]));
  const pool = new Pool(server.url, { connections: 16, pipelining: 1 });
  const runs = async (kind: keyof typeof kinds, count: number) => {
    const path = kind === 'public' ? '/open' : '/closed';
    let left = count;
    const one = async () => {
      while (left-- > 0) {
        const { statusCode, body } = await pool.request({ method: 'GET', path, headers: kinds[kind] });
        await body.dump();
        if (statusCode !== 200) throw new Error(`${kind}: ${statusCode}`);
      }
    };
    await Promise.all(Array.from({ length: 16 }, one));
  };
  const names = Object.keys(kinds) as (keyof typeof kinds)[];
  for (const kind of names) await runs(kind, requests);
  for (let round = 0; round < rounds; round++)
    for (const kind of round % 2 === 0 ? names : names.toReversed()) {
      const began = { cpu: processorMs([server.pid]), at: performance.now() };
      await runs(kind, requests);
      rate.get(kind)?.push((requests / (performance.now() - began.at)) * 1000);
      cpu.get(kind)?.push(((processorMs([server.pid]) - began.cpu) / requests) * 1000);
    }
  await pool.close();
  const of = (kind: string, values: Map<string, number[]>) => values.get(kind) ?? [];
  const against = (kind: string, values: Map<string, number[]>, over: (a: number, b: number) => number) =>
    median(of(kind, values).map((value, round) => over(value, of('public', values)[round] ?? value)));
  console.log(`\n${rounds} rounds of ${requests} requests each; wanted is at most 1.30 times the public route`);
  printTable(
    ['proof', 'requests/s', 'CPU µs each', 'CPU ratio', 'time ratio'],
    names.map((kind) => [
      kind,
      figure(median(of(kind, rate))),
      figure(median(of(kind, cpu))),
      against(kind, cpu, (a, b) => a / b).toFixed(2),
      against(kind, rate, (a, b) => b / a).toFixed(2),
    ]),
  );
}

/** One caller with a token, ten times a second and more, while 64 connections guess passwords as fast as they can. */
async function measureFlood(forMs: number): Promise<void> {
  const pool = new Pool(server.url, { connections: 4, pipelining: 1 });
  const watch = async (untilMs: number) => {
    const times: number[] = [];
    while (performance.now() < untilMs) {
      const began = performance.now();
      const { body } = await pool.request({ method: 'GET', path: '/closed', headers: server.token });
      await body.dump();
      times.push(performance.now() - began);
      await sleep(5);
    }
    return times;
  };
  const quiet = await watch(performance.now() + forMs / 2);
  const until = performance.now() + forMs;
  const guessers = new Pool(server.url, { connections: 64, pipelining: 1 });
  const outcomes = new Map<number, number>();
  const guess = async (index: number) => {
    for (let count = 0; performance.now() < until; count++) {
      const { statusCode, body } = await guessers.request(server.guess(index, count));
      await body.dump();
      outcomes.set(statusCode, (outcomes.get(statusCode) ?? 0) + 1);
    }
  };
  const [flooded] = await Promise.all([watch(until), ...Array.from({ length: 64 }, (_, index) => guess(index))]);
  await Promise.all([pool.close(), guessers.close()]);
  console.log(`\na caller with a token, alone and beside 64 connections that guess passwords for ${forMs / 1000} s`);
  printTimes([
    { name: 'alone', times: quiet },
    { name: 'beside the flood', times: flooded },
  ]);
  const seconds = forMs / 1000;
  for (const [status, count] of [...outcomes].sort())
    console.log(`guesses answered with ${status}: ${figure(count / seconds)} a second`);
  console.log(`p99 is ${figure(summarise(flooded).p99 / summarise(quiet).p99)} times that of the quiet machine`);
}
