import { Fault } from '#base/errors.ts';
import {
  type Adopted,
  type AppliedObject,
  type ApplyOptions,
  annotations,
  type Conflict,
  type KubernetesObject,
  keyOf,
  labels,
  type ObjectKey,
  objectText,
} from '../runtime.ts';
import type { Answer, Client } from './client.ts';
import { at, textOf } from './fields.ts';
import { labelled } from './labelled.ts';
import { epochOf } from './live.ts';
import type { Index } from './observe.ts';
import { fieldManager } from './owned.ts';
import { managersOf } from './owners.ts';
import { causesOf, refusal } from './refusal.ts';
import type { Kinds } from './resources.ts';

export interface ApplyDoors {
  readonly client: Client;
  readonly index: Index;
  readonly installation: string;
  readonly kinds: Kinds;
}

type TakenOver = readonly Conflict[];

const usualRounds = 6;

/**
 * Server-side apply of one object that never touches what is not ours, in one request in the ordinary case.
 *
 * Verified against kube-apiserver 1.36 (tests/app/runtime/apply.test.ts): an apply honours
 *   - `metadata.uid`: absent object → 409 "no existing object was found"; other uid → 422 on metadata.uid, force or not;
 *   - `metadata.resourceVersion`: other version of an existing object → 409 without causes; absent object → created.
 * So an object that we know is applied as the one that was last seen, by both: a request that was held up on its way,
 * by a stopped process or a slow network, changes nothing once somebody else has written. One that we do not know is
 * applied with resource version 1, which no stored object has (the store's counter begins above it): this creates, and
 * refuses whatever exists. Only after such a refusal the object is read, to see whose it is. Neither precondition is
 * recorded in managedFields. A POST would not do: its fields belong to an Update of ours, which then conflicts with
 * our own Apply.
 */
export async function applyObject(
  doors: ApplyDoors,
  given: KubernetesObject,
  options: ApplyOptions,
): Promise<AppliedObject> {
  const key = keyOf(given);
  await assertOwnNamespace(doors, key, options);
  const flight = doors.index.flight(key);
  try {
    const { body, takenOver, adopted } = await settle(doors, key, labelled(given, doors.installation), options);
    const live = doors.index.read(key, body);
    if (options.dryRun !== true) flight.answered(live, body);
    return { ...live, takenOver, ...(adopted === undefined ? {} : { adopted }) };
  } finally {
    flight.end();
  }
}

interface Settled {
  readonly body: unknown;
  readonly takenOver: TakenOver;
  readonly adopted: Adopted | undefined;
}

/** The live object as it was last seen, which is the only one that a request may change. */
interface Seen {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly epoch?: number | undefined;
  readonly adopted?: Adopted | undefined;
}

/** Sends until the API server takes it: to what was last seen, then by force where others own fields. */
async function settle(
  doors: ApplyDoors,
  key: ObjectKey,
  object: KubernetesObject,
  options: ApplyOptions,
): Promise<Settled> {
  const rounds = options.rounds ?? usualRounds;
  let seen: Seen | undefined = doors.index.find(key) ?? (await known(doors, key, options));
  let takenOver: TakenOver = [];
  let force = options.force === true;
  for (let round = 1; ; round++) {
    const answer = await send(doors, key, object, seen, force, options);
    if (answer.status < 300) return { body: answer.body, takenOver, adopted: seen?.adopted };
    const conflicts = seen === undefined || force ? [] : conflictsOf(answer);
    const touchesLabel = conflicts.some(({ fields }) => fields.includes(labelField));
    if (round === rounds || !(isConflict(answer) || isOtherUid(answer))) throw refusal(key, answer);
    if (conflicts.length > 0) takenOver = conflicts;
    force ||= conflicts.length > 0;
    if (conflicts.length === 0 || (touchesLabel && seen?.adopted === undefined))
      seen = await look(doors, key, options, touchesLabel ? '' : options.uid);
    if (conflicts.length > 0) options.onConflicts?.(conflicts);
  }
}

/** What only the inventory knows, because somebody took our label away: it is looked at before it is written. */
const known = async (doors: ApplyDoors, key: ObjectKey, options: ApplyOptions): Promise<Seen | undefined> =>
  options.uid === undefined ? undefined : await look(doors, key, options, options.uid);

/** Namespaces are the fence: nothing is written into one that is not ours. */
async function assertOwnNamespace(doors: ApplyDoors, key: ObjectKey, options: ApplyOptions): Promise<void> {
  if (key.namespace === '') return;
  const namespace: ObjectKey = { apiVersion: 'v1', kind: 'Namespace', namespace: '', name: key.namespace };
  if (doors.index.find(namespace) !== undefined) return;
  const seen = await look(doors, namespace, { ...options, adopt: undefined }, undefined);
  if (seen === undefined && options.dryRun !== true)
    throw new Fault('NAMESPACE_TERMINATING', { namespace: key.namespace });
}

async function send(
  { client, kinds }: ApplyDoors,
  key: ObjectKey,
  object: KubernetesObject,
  seen: Seen | undefined,
  force: boolean,
  { dryRun, signal, lane, fence }: ApplyOptions,
): Promise<Answer> {
  const query =
    `?fieldManager=${fieldManager}&fieldValidation=Strict` +
    `${force ? '&force=true' : ''}${dryRun === true ? '&dryRun=All' : ''}`;
  const precondition =
    seen === undefined ? { resourceVersion: '1' } : { uid: seen.uid, resourceVersion: seen.resourceVersion };
  const sent = withEpoch(object, seen === undefined ? fence?.epoch : seen.epoch);
  return await client.request('PATCH', kinds.objectPath(key) + query, {
    body: { ...sent, metadata: { ...sent.metadata, ...precondition } },
    contentType: 'application/apply-patch+yaml',
    signal,
    lane,
    fence,
  });
}

/**
 * Notes the epoch on what is created, so that whoever takes over knows what was made after that; afterwards what is
 * there is said again, because an apply takes away what it no longer says.
 */
function withEpoch(object: KubernetesObject, epoch: number | undefined): KubernetesObject {
  if (epoch === undefined) return object;
  const noted = { ...object.metadata.annotations, [annotations.epoch]: String(epoch) };
  return { ...object, metadata: { ...object.metadata, annotations: noted } };
}

/**
 * The live object if it is ours or may become ours, undefined if there is none.
 * An object without any label is ours when it has the uid that the inventory knows (somebody took the label away), or
 * when Kubernetes itself put it into our namespace.
 * @throws Fault OBJECT_FOREIGN
 */
async function look(
  { client, installation, kinds }: ApplyDoors,
  key: ObjectKey,
  { signal, lane, adopt }: ApplyOptions,
  provenUid: string | undefined,
): Promise<Seen | undefined> {
  const answer = await client.request('GET', kinds.objectPath(key), { signal, lane });
  if (answer.status === 404) return undefined;
  if (answer.status >= 300) throw refusal(key, answer);
  const { body } = answer;
  const metadata = at(body, 'metadata');
  const uid = textOf(at(metadata, 'uid'));
  const seen = { uid, resourceVersion: textOf(at(metadata, 'resourceVersion')), epoch: epochOf(body) };
  const owner = at(metadata, 'labels', labels.installation);
  if (owner === installation) return seen;
  if (owner === undefined && (uid === provenUid || isBuiltIn(key))) return seen;
  const from = typeof owner === 'string' ? owner : undefined;
  if (adopt !== undefined && (from === undefined || adopt.installations.includes(from)))
    return { ...seen, epoch: undefined, adopted: { installation: from, managers: managersOf(body) } };
  throw new Fault('OBJECT_FOREIGN', {
    object: objectText(key),
    owner: from === undefined ? 'nobody that Plinth knows' : `installation ${from}`,
  });
}

/** The account that every namespace has from birth. */
const isBuiltIn = ({ kind, name }: ObjectKey) => kind === 'ServiceAccount' && name === 'default';

const labelField = `.metadata.labels.${labels.installation}`;

const isConflict = ({ status }: Answer) => status === 409;

/** 422 because the object behind the name has another uid than the one that was sent. */
const isOtherUid = (answer: Answer) =>
  answer.status === 422 && causesOf(answer.body).some(({ field }) => field === 'metadata.uid');

/** Who owns the fields that we wanted to set: `conflict with "kubectl" using v1: .data.a`. */
function conflictsOf(answer: Answer): TakenOver {
  if (answer.status !== 409) return [];
  const byManager = new Map<string, string[]>();
  for (const { reason, field, message } of causesOf(answer.body)) {
    if (reason !== 'FieldManagerConflict') continue;
    const manager = /conflict with "(.*?)"/.exec(message)?.[1] ?? 'unknown';
    byManager.set(manager, [...(byManager.get(manager) ?? []), field]);
  }
  return [...byManager].map(([manager, fields]) => ({ manager, fields }));
}
