import { setTimeout as sleep } from 'node:timers/promises';
import { ownKinds } from '#runtime/kubernetes/resources.ts';
import { keyOf } from '#runtime/runtime.ts';
import type { Manifest } from '#synth/manifests.ts';
import type { BenchCluster } from './cluster.ts';
import type { BenchProject } from './projects.ts';
import type { ClusterWatch } from './watch.ts';

/** What a foreign hand does to an object of each kind; all of it to fields that Git says. */
const edits: Readonly<Record<string, object>> = {
  Deployment: { spec: { revisionHistoryLimit: 7 } },
  Service: { spec: { selector: { 'plinth.dev/project': 'another' } } },
  ResourceQuota: { spec: { hard: { pods: '999' } } },
  Ingress: { spec: { rules: [{ host: 'stolen.example.com' }] } },
  NetworkPolicy: { spec: { podSelector: { matchLabels: { nobody: 'here' } } } },
};

/** Puts an object back; absent: the control plane does. */
export type Healer = (target: Manifest) => Promise<unknown>;

/** Milliseconds from a foreign edit's answer until the object is as Git says again, one edit after the other. */
export async function timeHeals(
  { cluster }: BenchCluster,
  watch: ClusterWatch,
  projects: readonly BenchProject[],
  count: number,
  healer?: Healer,
): Promise<readonly number[]> {
  const targets = projects.flatMap(({ objects }) => objects.filter(({ kind }) => edits[kind] !== undefined));
  const times: number[] = [];
  for (let index = -3; index < count; index++) {
    const target = targets[(index * 7919 + 3 * 7919) % targets.length]!; // there is at least one
    const time = await timeHeal(cluster.api, watch, target, healer);
    if (index >= 0) times.push(time);
    await sleep(20);
  }
  return times;
}

async function timeHeal(
  api: BenchCluster['cluster']['api'],
  watch: ClusterWatch,
  target: Manifest,
  healer: Healer | undefined,
): Promise<number> {
  const path = ownKinds.objectPath(keyOf(target));
  await healer?.(target); // It may stand otherwise since somebody else measured on it.
  const before = (await api('GET', path)).body;
  const wanted = JSON.stringify(before.spec);
  let edited = false;
  const healed = watch.next(({ object }) => {
    if (object.metadata.uid !== before.metadata.uid) return false;
    const asBefore = JSON.stringify(object.spec) === wanted;
    edited ||= !asBefore;
    return edited && asBefore;
  });
  const patched = `${path}?fieldManager=somebody-else`;
  const { status, body } = await api('PATCH', patched, edits[target.kind], 'application/merge-patch+json');
  const done = performance.now();
  if (status !== 200) throw new Error(`the foreign edit of ${path} was answered ${status}: ${JSON.stringify(body)}`);
  await healer?.(target);
  return Math.max(0, (await healed).atMs - done);
}
