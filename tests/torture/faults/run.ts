import { setTimeout as sleep } from 'node:timers/promises';
import type { ProjectKey } from '#environments/layout.ts';
import type { SharedCluster } from '#support/cluster.ts';
import { randomFrom } from '../stand/random.ts';
import type { CaseResult } from '../stand/torture.ts';
import { type Said, type Truth, unsettled, wrongDeletions } from './judge.ts';
import { type Action, type Schedule, scheduleOf } from './schedule.ts';
import { hands, type Slot, strangers } from './slot.ts';

/** From the end of the faults until everything is as Git says. */
export const mostMsToConverge = 10_000;
/** As the controller asks Git when nobody tells it. */
const pollMs = 5_000;
/** So long it is watched whether it converges at all. */
const mostMsToWait = 30_000;

type Api = SharedCluster['api'];

/** One seeded schedule in a slot: commits, foreign hands and faults, then peace, then the judgement. */
export async function runSchedule(slot: Slot, api: Api, seed: number, mostMs: number): Promise<CaseResult> {
  const schedule = scheduleOf(seed);
  const keys = slot.keys.slice(0, schedule.projects.length);
  const said = new Map<ProjectKey, Said[]>(keys.map((key) => [key, []]));
  const foreign = new Set<string>();
  const truth: Truth = { said, foreign };
  const tell: Storm['tell'] = async (changes, told) => {
    await slot.commit(changes);
    const atMs = performance.now();
    const knownMs = told ? atMs : atMs + pollMs;
    for (const [key, contents] of changes) said.get(key)?.push({ atMs, knownMs, contents });
  };
  await slot.clean();
  const before = await strangersOf(slot, keys);
  for (const { uid } of before.values()) foreign.add(uid);
  const begin = keys.map((key, index) => [key, schedule.projects[index]] as const);
  await tell(begin, true);
  try {
    if (!schedule.bornInStorm) {
      slot.start();
      const calm = await settle(slot, keys, truth, mostMsToWait);
      if (calm.why !== undefined) return failed(`in calm weather it did not converge: ${calm.why}`);
    }
    await storm(slot, api, schedule, { keys, seed, tell, foreign });
    const settled = await settle(slot, keys, truth, mostMsToWait);
    const failures = [...wrongDeletions(slot.client.deletions, truth), ...(await disturbed(slot, keys, before))];
    if (settled.why !== undefined) failures.push(`did not converge within ${mostMsToWait} ms: ${settled.why}`);
    else if (settled.ms > mostMs) failures.push(`converged after ${Math.round(settled.ms)} ms: ${settled.last}`);
    const faults = Object.values(slot.client.played).reduce((sum, count) => sum + count, 0);
    const counts = { faults, deletions: slot.client.deletions.length, steps: schedule.steps.length };
    return { failures, figures: { 'converged, ms': settled.ms }, counts };
  } finally {
    await slot.stop();
  }
}

const failed = (why: string): CaseResult => ({ failures: [why], figures: {}, counts: {} });

interface Storm {
  readonly keys: readonly ProjectKey[];
  readonly seed: number;
  readonly foreign: Set<string>;
  tell(changes: Parameters<Slot['commit']>[0], told: boolean): Promise<void>;
}

async function storm(slot: Slot, api: Api, schedule: Schedule, doors: Storm): Promise<void> {
  const begin = performance.now();
  const { requests, watches } = schedule;
  slot.client.weather = { requests, watches, chance: randomFrom(doors.seed + 1).next };
  if (schedule.bornInStorm) slot.start();
  for (const { atMs, project, action } of schedule.steps) {
    await sleep(Math.max(0, atMs - (performance.now() - begin)));
    const key = doors.keys[project];
    if (key !== undefined) await act(slot, api, key, action, doors);
  }
  await sleep(Math.max(0, schedule.endMs - (performance.now() - begin)));
  slot.client.weather = undefined;
  if (schedule.lies) slot.client.expire();
}

async function act(slot: Slot, api: Api, key: ProjectKey, action: Action, { tell, foreign }: Storm): Promise<void> {
  if (action.kind === 'commit') {
    await tell([[key, action.contents]], action.told);
    if (action.told) slot.moved();
  } else if (action.kind === 'restart') {
    await slot.stop();
    slot.start();
  } else if (action.kind === 'usurp') foreign.add(await hands.usurp(api, key, action.name));
  else if (action.kind !== 'unlabel' || (await slot.isRecorded(key, action.name)))
    await hands[action.kind](api, key, action.name);
}

/** What looking at everything takes on a busy machine. */
const usualMs = 500;

export interface Settled {
  readonly ms: number;
  /** What was wrong at the end, or undefined. */
  readonly why: string | undefined;
  /** What was wrong when it was looked at last before it was right. */
  readonly last: string;
}

/** Waits until every project stands as Git's last commit says. */
export async function settle(slot: Slot, keys: readonly ProjectKey[], truth: Truth, mostMs: number): Promise<Settled> {
  const begin = performance.now();
  let last = '';
  let stalledMs = 0;
  for (;;) {
    const askedMs = performance.now();
    const why = await whyUnsettled(slot, keys, truth);
    // Our own requests meet no faults: where they hang, it is the machine that has no time for anybody.
    stalledMs += Math.max(0, performance.now() - askedMs - usualMs);
    const ms = performance.now() - begin - stalledMs;
    if (why === undefined || ms > mostMs) return { ms, why, last };
    last = why;
    await sleep(40);
  }
}

async function whyUnsettled(slot: Slot, keys: readonly ProjectKey[], truth: Truth): Promise<string | undefined> {
  const phases = await slot.phases();
  const atRest = ['applied', 'needs-confirmation', undefined];
  // The cluster is asked only when it may be done: asking costs more than what is waited for.
  for (const { project } of keys) {
    const { phase, problem } = phases.get(project) ?? {};
    if (!atRest.includes(phase)) return `${project} is ${phase}: ${problem}`;
  }
  for (const key of keys) {
    const why = unsettled(key, { phase: phases.get(key.project)?.phase, live: await slot.live(key) }, truth);
    if (why !== undefined) return `${key.project}: ${why}`;
  }
  return undefined;
}

interface Stranger {
  readonly uid: string;
  readonly resourceVersion: string;
}

async function strangersOf(slot: Slot, keys: readonly ProjectKey[]): Promise<ReadonlyMap<string, Stranger>> {
  const found = new Map<string, Stranger>();
  for (const key of keys) {
    const live = await slot.live(key);
    for (const name of strangers) {
      const metadata: Stranger | undefined = live.get(`ConfigMap/${name}`)?.metadata;
      if (metadata !== undefined) found.set(`${key.project}/${name}`, metadata);
    }
  }
  return found;
}

async function disturbed(slot: Slot, keys: readonly ProjectKey[], before: ReadonlyMap<string, Stranger>) {
  const after = await strangersOf(slot, keys);
  return [...before].flatMap(([name, { uid, resourceVersion }]) => {
    const now = after.get(name);
    return now?.uid === uid && now.resourceVersion === resourceVersion ? [] : [`${name} of another was changed`];
  });
}
