import { Fault } from '#base/errors.ts';
import {
  type AppliedObject,
  type ApplyOptions,
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
import type { Index } from './observe.ts';
import { fieldManager } from './owned.ts';
import { causesOf, refusal } from './refusal.ts';
import { objectPath } from './resources.ts';

export interface ApplyDoors {
  readonly client: Client;
  readonly index: Index;
  readonly installation: string;
}

type TakenOver = readonly Conflict[];

const rounds = 6;

/**
 * Server-side apply of one object that never touches what is not ours, in one request in the ordinary case.
 *
 * Verified against kube-apiserver 1.36 (tests/app/runtime/apply.test.ts): an apply honours
 *   - `metadata.uid`: absent object → 409 "no existing object was found"; other uid → 422 on metadata.uid, force or not;
 *   - `metadata.resourceVersion`: other version of an existing object → 409 without causes; absent object → created.
 * So an object whose uid we know is applied with that uid. One that we do not know is applied with resource version 1,
 * which no stored object has (the store's counter begins above it): this creates, and refuses whatever exists. Only
 * after such a refusal the object is read, to see whose it is. Neither precondition is recorded in managedFields.
 * A POST would not do: its fields belong to an Update of ours, which then conflicts with our own Apply.
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
    const { body, takenOver } = await settle(doors, key, labelled(given, doors.installation), options);
    const live = doors.index.read(key, body);
    if (options.dryRun !== true) flight.answered(live, body);
    return { ...live, takenOver };
  } finally {
    flight.end();
  }
}

interface Settled {
  readonly body: unknown;
  readonly takenOver: TakenOver;
}

/** Sends until the API server takes it: with the precondition that fits, then by force where others own fields. */
async function settle(
  doors: ApplyDoors,
  key: ObjectKey,
  object: KubernetesObject,
  options: ApplyOptions,
): Promise<Settled> {
  let uid = doors.index.find(key)?.uid ?? options.uid;
  let takenOver: TakenOver = [];
  for (let round = 1; ; round++) {
    const answer = await send(doors.client, key, object, { ...options, uid, force: takenOver.length > 0 });
    if (answer.status < 300) return { body: answer.body, takenOver };
    const conflicts = uid === undefined || takenOver.length > 0 ? [] : conflictsOf(answer);
    const touchesLabel = conflicts.some(({ fields }) => fields.includes(labelField));
    if (round === rounds || !(isConflict(answer) || isOtherUid(answer))) throw refusal(key, answer);
    if (conflicts.length > 0) takenOver = conflicts;
    if (conflicts.length === 0 || touchesLabel)
      uid = await ownUid(doors, key, options, touchesLabel ? '' : options.uid);
    if (conflicts.length > 0) options.onConflicts?.(conflicts);
  }
}

/** Namespaces are the fence: nothing is written into one that is not ours. */
async function assertOwnNamespace(doors: ApplyDoors, key: ObjectKey, options: ApplyOptions): Promise<void> {
  if (key.namespace === '') return;
  const namespace: ObjectKey = { apiVersion: 'v1', kind: 'Namespace', namespace: '', name: key.namespace };
  if (doors.index.find(namespace) !== undefined) return;
  const uid = await ownUid(doors, namespace, options, undefined);
  if (uid === undefined && options.dryRun !== true)
    throw new Fault('NAMESPACE_TERMINATING', { namespace: key.namespace });
}

async function send(
  client: Client,
  key: ObjectKey,
  object: KubernetesObject,
  options: ApplyOptions & { readonly uid: string | undefined; readonly force: boolean },
): Promise<Answer> {
  const precondition = options.uid === undefined ? { resourceVersion: '1' } : { uid: options.uid };
  const query =
    `?fieldManager=${fieldManager}&fieldValidation=Strict` +
    `${options.force ? '&force=true' : ''}${options.dryRun === true ? '&dryRun=All' : ''}`;
  return await client.request('PATCH', objectPath(key) + query, {
    body: { ...object, metadata: { ...object.metadata, ...precondition } },
    contentType: 'application/apply-patch+yaml',
    signal: options.signal,
    lane: options.lane,
  });
}

/**
 * The uid of the live object if it is ours, undefined if there is none.
 * An object without any label is ours when it has the uid that the inventory knows (somebody took the label away), or
 * when Kubernetes itself put it into our namespace.
 * @throws Fault OBJECT_FOREIGN
 */
async function ownUid(
  { client, installation }: ApplyDoors,
  key: ObjectKey,
  { signal, lane }: ApplyOptions,
  provenUid: string | undefined,
): Promise<string | undefined> {
  const answer = await client.request('GET', objectPath(key), { signal, lane });
  if (answer.status === 404) return undefined;
  if (answer.status >= 300) throw refusal(key, answer);
  const uid = textOf(at(answer.body, 'metadata', 'uid'));
  const owner = at(answer.body, 'metadata', 'labels', labels.installation);
  if (owner === installation) return uid;
  if (owner === undefined && (uid === provenUid || isBuiltIn(key))) return uid;
  throw new Fault('OBJECT_FOREIGN', {
    object: objectText(key),
    owner: typeof owner === 'string' ? `installation ${owner}` : 'nobody that Plinth knows',
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
