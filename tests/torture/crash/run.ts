import { setTimeout as sleep } from 'node:timers/promises';
import { namespaceOf } from '#environments/layout.ts';
import { randomFrom } from '../stand/random.ts';
import type { CaseResult } from '../stand/torture.ts';
import type { Point } from './fuse.ts';
import type { House } from './house.ts';

/** From the moment that the new process is ready until everything is as the newest changes say. */
export const mostMsToConverge = 5_000;
const mostMsToWait = 30_000;
const mostMsToLive = 600;

/** How a case ends the process: at an exact side effect, at some instant, or it is only stopped for a while. */
export type Blow =
  | { readonly kind: 'point'; readonly point: Point }
  | { readonly kind: 'instant' }
  | { readonly kind: 'stop'; readonly ms: number };

/** Changes stream in, the process ends, the next one begins: nothing acknowledged is lost, doubled or deleted wrongly. */
export async function runCrash(house: House, blow: Blow, seed: number, mostMs: number): Promise<CaseResult> {
  const { told, client } = house;
  const deletedBefore = client.deletions.length;
  const acknowledgedBefore = told.map(({ acknowledged }) => acknowledged.length);
  const failures: string[] = [];
  const reached = await strike(house, blow, seed);
  const begin = performance.now();
  if (blow.kind !== 'stop') {
    await house.plinth.kill();
    house.fuse.arm(undefined, () => {});
    await house.start();
  }
  const ready = performance.now();
  await house.converge(mostMsToWait).catch((error: Error) => failures.push(error.message));
  const converged = performance.now() - ready;
  if (failures.length === 0 && converged > mostMs)
    failures.push(`converged ${Math.round(converged)} ms after it was ready`);
  const acknowledged = told.flatMap((one, index) => one.acknowledged.slice(acknowledgedBefore[index] ?? 0));
  failures.push(...(await lost(house, acknowledged)));
  failures.push(...(await doubled(house)));
  const deletions = client.deletions.slice(deletedBefore);
  failures.push(
    ...wrong(
      house,
      deletions.map(({ path }) => path),
    ),
  );
  return {
    failures: failures.map((why) => `${textOf(blow)}: ${why}`),
    figures: { 'ready → converged, ms': converged, 'start → converged, ms': performance.now() - begin },
    counts: {
      'acknowledged changes': acknowledged.length,
      deletions: deletions.length,
      [`ended at ${blow.kind === 'point' ? `a side effect of ${blow.point.door}` : blow.kind}`]: 1,
      ...(reached ? {} : { 'points that this scenario did not reach': 1 }),
    },
  };
}

const textOf = (blow: Blow): string =>
  blow.kind === 'point' ? `${blow.point.when} write ${blow.point.count} of ${blow.point.door}` : blow.kind;

/** The scenario until its violent end. True when that came where it should. */
async function strike(house: House, blow: Blow, seed: number): Promise<boolean> {
  const random = randomFrom(seed);
  if (blow.kind === 'point') {
    const { process } = house.plinth;
    house.fuse.arm(blow.point, () => process.kill('SIGKILL'));
    await scenario(house);
    return house.fuse.blown();
  }
  const ended = new AbortController();
  const putting = house.told.map((one) => keepPutting(house, one, ended.signal, random.next));
  await sleep(random.between(0, mostMsToLive));
  if (blow.kind === 'stop') {
    house.plinth.process.kill('SIGSTOP');
    await Promise.all([sleep(blow.ms), disturb(house)]);
    house.plinth.process.kill('SIGCONT');
  } else await house.plinth.kill();
  ended.abort();
  await Promise.all(putting);
  return true;
}

/** One change of each project and one foreign hand, until all of it is done or the process is gone. */
export async function scenario(house: House): Promise<void> {
  await Promise.all([...house.told.map((one) => house.putNext(one)), disturb(house)]);
  for (const end = performance.now() + 5_000; performance.now() < end; await sleep(10)) {
    if (house.fuse.blown()) return;
    const done = await house.converge(0).then(
      () => true,
      () => false,
    );
    if (done) return;
  }
}

/** Another hand takes an object away, which is to come back. */
async function disturb(house: House): Promise<void> {
  const [one] = house.told;
  if (one !== undefined) await house.api('DELETE', `/api/v1/namespaces/${namespaceOf(one.key)}/services/web`);
}

async function keepPutting(house: House, told: House['told'][number], signal: AbortSignal, chance: () => number) {
  await sleep(chance() * 100);
  while (!signal.aborted && (await house.putNext(told))) await sleep(chance() * 100);
}

/** A later change of the same project takes the place of an earlier one; none may end in any other way. */
async function lost({ plinth }: House, acknowledged: readonly { readonly id: string }[]): Promise<readonly string[]> {
  const lost: string[] = [];
  for (const { id } of acknowledged) {
    const { status, body } = await plinth.request('GET', `/api/v1/changes/${id}`);
    const ended = status === 200 && ['committed', 'unchanged'].includes(body.state);
    if (!ended) lost.push(`change ${id} was acknowledged and is ${status} ${body.state}`);
  }
  return lost;
}

async function doubled(house: House): Promise<readonly string[]> {
  const written = await house.committed(100);
  return written
    .filter((id, index) => written.indexOf(id) !== index)
    .map((id) => `change ${id} has more than one commit`);
}

function wrong({ told }: House, paths: readonly string[]): readonly string[] {
  const spaces = told.map(({ key }) => `/namespaces/${namespaceOf(key)}/`);
  // Everything of the second container carries its name.
  const isRight = (path: string) => spaces.some((space) => path.includes(space)) && /\/extra[^/]*$/.test(path);
  return paths.filter((path) => !isRight(path)).map((path) => `wrong deletion of ${path}`);
}
