import { setTimeout as sleep } from 'node:timers/promises';
import { parseAllDocuments } from 'yaml';
import { namespaceOf, type ProjectKey } from '#environments/layout.ts';
import type { SharedCluster } from '#support/cluster.ts';
import { digestOf } from '#synth/render.ts';
import type { Contents } from '../faults/objects.ts';
import { hands, type Slot } from '../faults/slot.ts';
import { randomFrom } from '../stand/random.ts';
import type { CaseResult } from '../stand/torture.ts';
import { mutationOf } from './mutations.ts';

/** Enough that a part of it is many. */
export const contents: Contents = new Map(
  [
    ...Array.from({ length: 30 }, (_, index) => `ConfigMap/c-${index}`),
    'Service/web',
    'Deployment/web',
    'NetworkPolicy/inside',
    'PersistentVolumeClaim/data',
  ].map((name) => [name, 1]),
);

const mostMs = 20_000;

/** One mutated manifests.yaml, recorded as rendered: what it would delete waits, and nothing of it gets out. */
export async function runMutation(slot: Slot, api: SharedCluster['api'], seed: number): Promise<CaseResult> {
  const [key, neighbour] = slot.keys as [ProjectKey, ProjectKey];
  const { name, manifests } = mutationOf(randomFrom(seed), seed, key, contents);
  const before = await slot.live(key);
  const others = await versionsOf(slot, neighbour);
  const deletions = slot.client.deletions.length;
  const ours = new Map(
    [...before].filter(([one]) => contents.has(one)).map(([one, { metadata }]) => [one, metadata.uid]),
  );
  const expected = expectedOf(manifests, namespaceOf(key), [...ours.keys()]);
  await slot.commitBytes(key, manifests);
  slot.moved();
  const failures: string[] = [];
  const began = performance.now();
  const why = await until(async () => whyNotYet(slot, key, manifests, expected, ours));
  if (why !== undefined) failures.push(why);
  const ms = performance.now() - began;
  const done = slot.client.deletions.slice(deletions).map(({ path }) => path);
  const free = expected.kind === 'leaves' && expected.names.length <= 10 && expected.namespace === 'stays';
  if (!free && done.length > 0) failures.push(`${done.length} deletions: ${done.slice(0, 3).join(', ')}`);
  const after = await slot.live(key);
  for (const [one, uid] of ours)
    if (!free && after.get(one)?.metadata.uid !== uid) failures.push(`${one} is not the same any more`);
  if ((await versionsOf(slot, neighbour)) !== others) failures.push('the neighbour was touched');
  await slot.commit([[key, contents]]);
  slot.moved();
  const back = await until(async () => {
    const record = (await slot.phases()).get(key.project);
    // What the mutation made beside it is many, too, and waits for a person.
    if (record?.phase === 'needs-confirmation') await removeNew(slot, api, key);
    return record?.phase === 'applied' && record.asked.length === 0
      ? undefined
      : `after the mend it is ${record?.phase}: ${record?.problem}`;
  });
  if (back !== undefined) failures.push(back);
  return {
    failures: failures.map((one) => `${name}: ${one}`),
    figures: { 'commit → stopped, ms': ms },
    counts: {
      [expected.kind === 'refused'
        ? 'refused as a whole'
        : free
          ? 'few enough to go'
          : 'stopped, with what to confirm']: 1,
    },
  };
}

type Expected =
  | { readonly kind: 'refused' }
  /** These objects of ours are no longer wanted. */
  | { readonly kind: 'leaves'; readonly names: readonly string[]; readonly namespace: 'stays' | 'leaves' };

/** What a reader of its own makes of the bytes. */
function expectedOf(manifests: string, namespace: string, ours: readonly string[]): Expected {
  const documents = parseAllDocuments(manifests, { uniqueKeys: false, logLevel: 'silent' });
  const objects = Array.isArray(documents) ? documents.map((one) => one.toJS()).filter((one) => one !== null) : [];
  const broken = Array.isArray(documents) && documents.some(({ errors }) => errors.length > 0);
  if (broken || objects.some((object) => !isAllowed(object, namespace))) return { kind: 'refused' };
  const wanted = new Set(objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`));
  return {
    kind: 'leaves',
    names: ours.filter((one) => !wanted.has(one)),
    namespace: wanted.has(`Namespace/${namespace}`) ? 'stays' : 'leaves',
  };
}

const kinds = ['Namespace', 'ConfigMap', 'Service', 'Deployment', 'NetworkPolicy', 'PersistentVolumeClaim'];

// biome-ignore lint/suspicious/noExplicitAny: anything may stand there
function isAllowed(object: any, namespace: string): boolean {
  if (
    typeof object !== 'object' ||
    !kinds.includes(object.kind) ||
    !['v1', 'apps/v1', 'networking.k8s.io/v1'].includes(object.apiVersion)
  )
    return false;
  const place = object.kind === 'Namespace' ? object.metadata?.name : object.metadata?.namespace;
  return place === namespace && /^[a-z0-9.-]+$/.test(object.metadata?.name) && !object.metadata.name.startsWith('.');
}

/** Why the controller has not come to what is expected yet, or undefined. */
async function whyNotYet(
  slot: Slot,
  key: ProjectKey,
  manifests: string,
  expected: Expected,
  ours: ReadonlyMap<string, string>,
): Promise<string | undefined> {
  const record = (await slot.phases()).get(key.project);
  const stands = `it is ${record?.phase}, ${record?.asked.length} to confirm: ${record?.problem}`;
  if (expected.kind === 'refused') return record?.phase === 'failed' ? undefined : `should be refused: ${stands}`;
  // Objects may be refused by the API server, which is as good.
  if (record?.phase === 'failed') return undefined;
  if (record?.digest !== digestOf(manifests)) return `is not carried out yet: ${stands}`;
  const many = expected.names.length > 10 || expected.namespace === 'leaves';
  const asked = many ? expected.names : expected.names.filter((name) => name.startsWith('PersistentVolumeClaim/'));
  const missing = asked.filter(
    (name) => !record.asked.some((text) => text.includes(`/${name.split('/')[1]} (${ours.get(name)})`)),
  );
  return missing.length === 0 ? undefined : `${missing.length} are not among what is to be confirmed: ${stands}`;
}

async function removeNew(slot: Slot, api: SharedCluster['api'], key: ProjectKey): Promise<void> {
  for (const [name, { metadata }] of await slot.live(key))
    if (metadata.name.endsWith('-new')) await hands.delete(api, key, name);
}

async function versionsOf(slot: Slot, key: ProjectKey): Promise<string> {
  const live = await slot.live(key);
  return JSON.stringify([...live].map(([name, { metadata }]) => [name, metadata.uid, metadata.resourceVersion]).sort());
}

async function until(why: () => Promise<string | undefined>): Promise<string | undefined> {
  for (const end = performance.now() + mostMs; ; await sleep(20)) {
    const now = await why();
    if (now === undefined || performance.now() > end) return now;
  }
}
