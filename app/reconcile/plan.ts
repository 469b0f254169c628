import type { LiveObject, ObjectKey } from '#runtime/runtime.ts';
import { objectText } from '#runtime/runtime.ts';
import { isPrecious, isWorkload, stageOf } from './stages.ts';

/** One object that should exist, as far as the decision needs it. */
export interface DesiredObject {
  readonly key: ObjectKey;
  /** Digest of the object as it is sent, versions of its secrets included, values excluded. */
  readonly digest: string;
  /** Names of the workloads of this namespace that must be healthy first. */
  readonly dependsOn: readonly string[];
}

/** One object that we made: what was sent, and the digest of our fields right after. */
export interface InventoryEntry {
  readonly key: ObjectKey;
  readonly uid: string;
  readonly desiredDigest: string;
  readonly ownedDigest: string;
}

export type ApplyReason = 'new' | 'changed' | 'edited' | 'missing';

export interface Plan {
  /** What to apply, stage by stage. */
  readonly apply: readonly (readonly { readonly key: ObjectKey; readonly reason: ApplyReason }[])[];
  /** Objects that are held back until the named workloads are healthy. */
  readonly waiting: readonly { readonly key: ObjectKey; readonly for: readonly string[] }[];
  /** Objects of ours that are no longer wanted and may be deleted now. */
  readonly remove: readonly InventoryEntry[];
  /** Objects of ours that are no longer wanted, but only a person may let go. */
  readonly unconfirmed: readonly InventoryEntry[];
  /** Everything of ours that is no longer wanted and still there, on its way out or not: each as `removalText`. */
  readonly leaving: ReadonlySet<string>;
  /** Entries whose object is already gone: nothing to do but to forget them. */
  readonly forget: readonly ObjectKey[];
  /** Live objects that our field manager made, that neither Git nor the inventory knows: taken into the inventory. */
  readonly adopt: readonly InventoryEntry[];
}

export interface PlanInput {
  readonly desired: readonly DesiredObject[];
  readonly inventory: readonly InventoryEntry[];
  /** The objects of the namespace as the watch knows them. */
  readonly live: readonly LiveObject[];
  /** True when `live` is a complete listing; without it nothing counts as missing and nothing is deleted. */
  readonly complete: boolean;
  /** True when the project's folder is gone from Git and its deletion was confirmed. */
  readonly removalConfirmed: boolean;
  /** True when every deletion waits for a person (see caution.ts). */
  readonly cautious: boolean;
  /** The deletions that a person confirmed, each as `removalText`. */
  readonly confirmed: ReadonlySet<string>;
}

/** More deletions than this in one run wait for a person: ten, or a fifth of the project where that is more. */
export const freeRemovals = (inventorySize: number): number => Math.max(10, Math.floor(inventorySize / 5));

/**
 * Decides what a run does, from what should be, what we made and what is there. Pure: the same input gives the same
 * plan. Deleting needs proof: an inventory entry whose uid is the live object's, in a complete listing; deleting much,
 * a namespace or a volume also needs a person.
 */
export function planRun(input: PlanInput): Plan {
  const live = new Map(input.live.map((object) => [objectText(object.key), object]));
  const adopt = adoptable(input);
  const inventory = [...input.inventory, ...adopt];
  const made = new Map(inventory.map((entry) => [objectText(entry.key), entry]));
  const wanted = new Set(input.desired.map((object) => objectText(object.key)));

  const { apply, waiting } = applications(input, made, live);
  const leaving = inventory.filter((entry) => !wanted.has(objectText(entry.key)));
  return { apply, waiting, ...removals(leaving, inventory.length, live, input), adopt };
}

/** True when a run would change nothing: no request, no write. */
export const isEmpty = (plan: Plan): boolean =>
  plan.apply.every((stage) => stage.length === 0) &&
  plan.remove.length === 0 &&
  plan.forget.length === 0 &&
  plan.adopt.length === 0;

function applications(
  { desired, complete }: PlanInput,
  made: ReadonlyMap<string, InventoryEntry>,
  live: ReadonlyMap<string, LiveObject>,
): Pick<Plan, 'apply' | 'waiting'> {
  const apply: { key: ObjectKey; reason: ApplyReason }[][] = [];
  const waiting: { key: ObjectKey; for: string[] }[] = [];
  const unhealthy = unhealthyWorkloads(desired, made, live);
  for (const object of desired) {
    const reason = reasonToApply(object, made.get(objectText(object.key)), live.get(objectText(object.key)), complete);
    if (reason === undefined) continue;
    const blockers = object.dependsOn.filter((name) => unhealthy.has(name));
    if (blockers.length > 0) {
      waiting.push({ key: object.key, for: blockers });
      continue;
    }
    const stage = stageOf(object.key);
    while (apply.length <= stage) apply.push([]);
    apply[stage]?.push({ key: object.key, reason });
  }
  return { apply, waiting };
}

function reasonToApply(
  object: DesiredObject,
  entry: InventoryEntry | undefined,
  live: LiveObject | undefined,
  complete: boolean,
): ApplyReason | undefined {
  if (entry === undefined) return 'new';
  if (entry.desiredDigest !== object.digest) return 'changed';
  if (live === undefined) return complete ? 'missing' : undefined;
  if (live.deleting) return undefined; // It has to be gone before it can be made anew; the deletion event wakes us.
  if (live.uid !== entry.uid) return 'missing';
  return live.ownedDigest === entry.ownedDigest ? undefined : 'edited';
}

/** Workloads that others may wait for: those not yet applied as wanted, or applied and not healthy. */
function unhealthyWorkloads(
  desired: readonly DesiredObject[],
  made: ReadonlyMap<string, InventoryEntry>,
  live: ReadonlyMap<string, LiveObject>,
): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { key, digest } of desired) {
    if (!isWorkload(key.kind)) continue;
    const text = objectText(key);
    const ready = made.get(text)?.desiredDigest === digest && live.get(text)?.health.state === 'healthy';
    if (!ready) names.add(key.name);
  }
  return names;
}

function removals(
  leaving: readonly InventoryEntry[],
  size: number,
  live: ReadonlyMap<string, LiveObject>,
  { complete, cautious, removalConfirmed, confirmed }: PlanInput,
): Pick<Plan, 'remove' | 'unconfirmed' | 'leaving' | 'forget'> {
  if (!complete) return { remove: [], unconfirmed: [], leaving: new Set(leaving.map(removalText)), forget: [] };
  const isThere = (entry: InventoryEntry) => live.get(objectText(entry.key))?.uid === entry.uid;
  const there = leaving.filter(isThere);
  const isStanding = (entry: InventoryEntry) => live.get(objectText(entry.key))?.deleting !== true;
  // A namespace that leaves takes everything with it: nothing is deleted piecemeal before a person said yes.
  const all = there.length > freeRemovals(size) || there.some((entry) => entry.key.kind === 'Namespace');
  const needsPerson = (entry: InventoryEntry) =>
    !removalConfirmed && !confirmed.has(removalText(entry)) && (cautious || all || isPrecious(entry.key.kind));
  return {
    remove: inDeletionOrder(there.filter((entry) => !needsPerson(entry))).filter(isStanding),
    unconfirmed: there.filter((entry) => isStanding(entry) && needsPerson(entry)),
    leaving: new Set(there.map(removalText)),
    forget: leaving.filter((entry) => !isThere(entry)).map((entry) => entry.key),
  };
}

/** A deletion as a person is shown it and confirms it: the very object, not one that has its name later. */
export const removalText = ({ key, uid }: Pick<InventoryEntry, 'key' | 'uid'>): string => `${objectText(key)} (${uid})`;

/** A namespace takes its contents with it, so where one leaves nothing else needs a request. */
function inDeletionOrder(entries: readonly InventoryEntry[]): readonly InventoryEntry[] {
  const namespaces = entries.filter((entry) => entry.key.kind === 'Namespace');
  return namespaces.length > 0 ? namespaces : entries;
}

/**
 * A crash between an apply and its record leaves objects that only the cluster knows. They are ours beyond doubt when
 * they carry our installation's label and our field manager owns fields of them; labels alone can be copied.
 */
function adoptable({ live, inventory, desired, complete }: PlanInput): readonly InventoryEntry[] {
  if (!complete) return [];
  const known = new Set([...inventory, ...desired].map((object) => objectText(object.key)));
  return live
    .filter((object) => object.ownedDigest !== '' && !object.deleting && !known.has(objectText(object.key)))
    .map(({ key, uid, ownedDigest }) => ({ key, uid, desiredDigest: '', ownedDigest }));
}
