import type { LiveObject, ObjectKey } from '#runtime/runtime.ts';
import { objectText } from '#runtime/runtime.ts';
import type { Allowed } from '../allowed.ts';
import type { DesiredObject, InventoryEntry } from './inventory.ts';
import { planReplacements, type Refusal, type Replacements } from './replace.ts';
import { isPrecious, isWorkload, stageOf } from './stages.ts';

export type { DesiredObject, InventoryEntry } from './inventory.ts';

/** Why an object is applied. The first two are what Git brought, the others heal what a foreign hand did. */
export type ApplyReason = 'new' | 'changed' | 'edited' | 'missing';

export const isHeal = (reason: ApplyReason): boolean => reason === 'edited' || reason === 'missing';

/** Something that would be done if it were allowed. */
export interface Withheld {
  readonly key: ObjectKey;
  readonly reason: ApplyReason | 'unwanted';
}

/** An entry whose object cannot be looked at. */
export interface Unseen {
  readonly key: ObjectKey;
  readonly wanted: boolean;
  /** Why, in words that follow "it cannot be seen:". */
  readonly why: string;
}

export interface Plan {
  /** What to apply, stage by stage. */
  readonly apply: readonly (readonly { readonly key: ObjectKey; readonly reason: ApplyReason }[])[];
  /** Objects that are held back until the named workloads and claims are healthy; no name: until its old form is gone. */
  readonly waiting: readonly { readonly key: ObjectKey; readonly for: readonly string[] }[];
  /** What is not allowed at the moment. */
  readonly withheld: readonly Withheld[];
  /** Objects that somebody else rewrites all the time, and that rest before they are healed again. */
  readonly resting: readonly ObjectKey[];
  /** Objects that the API server refused in just this form: they are not sent again. */
  readonly refused: readonly ObjectKey[];
  readonly replacements: Replacements;
  /** Objects of ours that are no longer wanted and may be deleted now. */
  readonly remove: readonly InventoryEntry[];
  /** Objects of ours that are no longer wanted, but only a person may let go. */
  readonly unconfirmed: readonly InventoryEntry[];
  /** Everything of ours that is no longer wanted and still there, on its way out or not: each as `removalText`. */
  readonly leaving: ReadonlySet<string>;
  /** Entries whose object is already gone: nothing to do but to forget them. */
  readonly forget: readonly ObjectKey[];
  /** Entries that are no longer wanted and stay for ever, by their policy: forgotten too. */
  readonly kept: readonly InventoryEntry[];
  /** Entries of kinds that cannot be seen: whether their objects are there, nobody knows. They stay as they are. */
  readonly unseen: readonly Unseen[];
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
  /** By `objectText`, inventory entries of kinds that no listing shows, however complete, and why. */
  readonly unseen: ReadonlyMap<string, string>;
  /** What may be done at the moment. */
  readonly permits: Pick<Allowed, 'apply' | 'heal' | 'prune'>;
  /** Objects that are not healed now, each as `objectText`. */
  readonly resting: ReadonlySet<string>;
  /** What the API server refused, by `objectText`. */
  readonly refusals: ReadonlyMap<string, Refusal>;
  /** Our lease's epoch: what carries a newer one was made by who took over from us. Undefined: nobody can. */
  readonly epoch: number | undefined;
  /** True when the project's folder is gone from Git and its deletion was confirmed. */
  readonly removalConfirmed: boolean;
  /** True when every deletion waits for a person (see caution.ts). */
  readonly cautious: boolean;
  /** The deletions and replacements that a person confirmed, each as `removalText` or `replacementText`. */
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

  const applications = planApplications(input, made, live);
  const leaving = inventory.filter((entry) => !wanted.has(objectText(entry.key)));
  const unseen = unseenOf(input, wanted, live);
  const removals = planRemovals(leaving, inventory, live, input);
  // What leaves goes only when what takes its place may come.
  const mayRemove = input.permits.prune && !applications.withheld.some(({ reason }) => !isHealOrGone(reason));
  const going = mayRemove ? [] : [...removals.remove, ...removals.unconfirmed];
  return {
    ...applications,
    ...removals,
    ...(mayRemove ? {} : { remove: [], unconfirmed: [] }),
    withheld: [...applications.withheld, ...going.map(({ key }) => ({ key, reason: 'unwanted' as const }))],
    replacements: replacementsOf(input, made, live, inventory.length),
    unseen,
    adopt,
  };
}

/**
 * What is of a kind that the environment does not list any more, or whose definition is gone from the cluster, may still
 * be there. Only where nothing at all is left of the project's namespace it is gone with it.
 */
function unseenOf(
  { inventory, unseen, complete }: PlanInput,
  wanted: ReadonlySet<string>,
  live: ReadonlyMap<string, LiveObject>,
): readonly Unseen[] {
  if (unseen.size === 0 || (complete && live.size === 0)) return [];
  return inventory.flatMap(({ key }) => {
    const text = objectText(key);
    const why = unseen.get(text);
    return why === undefined || live.has(text) ? [] : [{ key, wanted: wanted.has(text), why }];
  });
}

/** What is made anew, once more: after the API server refused something in the middle of a run. */
export function replanReplacements(input: PlanInput): Replacements {
  const made = new Map(input.inventory.map((entry) => [objectText(entry.key), entry]));
  const live = new Map(input.live.map((object) => [objectText(object.key), object]));
  return replacementsOf(input, made, live, input.inventory.length);
}

function replacementsOf(
  input: PlanInput,
  made: ReadonlyMap<string, InventoryEntry>,
  live: ReadonlyMap<string, LiveObject>,
  size: number,
): Replacements {
  const planned = planReplacements({ ...input, made, live, most: freeRemovals(size) });
  return input.complete && input.permits.apply ? planned : { ...planned, replace: [], unconfirmed: [], impossible: [] };
}

const isHealOrGone = (reason: Withheld['reason']): boolean => reason === 'unwanted' || isHeal(reason);

/** True when a run would change nothing: no request, no write. */
export const isEmpty = (plan: Plan): boolean =>
  plan.apply.every((stage) => stage.length === 0) &&
  plan.replacements.replace.length === 0 &&
  plan.remove.length === 0 &&
  plan.forget.length === 0 &&
  plan.kept.length === 0 &&
  plan.adopt.length === 0;

function planApplications(
  { desired, complete, unseen, permits, resting, refusals }: PlanInput,
  made: ReadonlyMap<string, InventoryEntry>,
  live: ReadonlyMap<string, LiveObject>,
): Pick<Plan, 'apply' | 'waiting' | 'withheld' | 'resting' | 'refused'> {
  const apply: { key: ObjectKey; reason: ApplyReason }[][] = [];
  const found = { waiting: [] as Plan['waiting'][number][], withheld: [] as Withheld[] };
  const rest: ObjectKey[] = [];
  const refused: ObjectKey[] = [];
  const unready = unreadyNames(desired, made, live);
  for (const object of desired) {
    const { key } = object;
    const text = objectText(key);
    const there = live.get(text);
    const reason = reasonToApply(object, made.get(text), there, complete && !unseen.has(text));
    if (reason === undefined) continue;
    const blockers = there?.deleting ? [] : blockersOf(object, unready);
    if (!(isHeal(reason) ? permits.heal : permits.apply)) found.withheld.push({ key, reason });
    else if (blockers !== undefined) found.waiting.push({ key, for: blockers });
    else if (isHeal(reason) && resting.has(text)) rest.push(key);
    else if (wasRefused(object, there, refusals.get(text))) refused.push(key);
    else {
      const stage = stageOf(key);
      while (apply.length <= stage) apply.push([]);
      apply[stage]?.push({ key, reason });
    }
  }
  return { apply, ...found, resting: rest, refused };
}

const wasRefused = ({ digest }: DesiredObject, live: LiveObject | undefined, refusal: Refusal | undefined): boolean =>
  refusal !== undefined && refusal.digest === digest && refusal.uid === live?.uid;

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

/** What an object waits for; undefined: nothing. */
function blockersOf({ dependsOn, claims = [] }: DesiredObject, unready: Unready): readonly string[] | undefined {
  const names = [
    ...dependsOn.filter((name) => unready.workloads.has(name)),
    ...claims.filter((name) => unready.claims.has(name)),
  ];
  return names.length === 0 ? undefined : names;
}

interface Unready {
  readonly workloads: ReadonlySet<string>;
  /** Claims that are being deleted: pods that mounted them now would keep them from going. */
  readonly claims: ReadonlySet<string>;
}

function unreadyNames(
  desired: readonly DesiredObject[],
  made: ReadonlyMap<string, InventoryEntry>,
  live: ReadonlyMap<string, LiveObject>,
): Unready {
  const leaving = desired.filter(
    ({ key }) => key.kind === 'PersistentVolumeClaim' && live.get(objectText(key))?.deleting === true,
  );
  return { workloads: unhealthyWorkloads(desired, made, live), claims: new Set(leaving.map(({ key }) => key.name)) };
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

function planRemovals(
  leaving: readonly InventoryEntry[],
  inventory: readonly InventoryEntry[],
  live: ReadonlyMap<string, LiveObject>,
  { desired, complete, unseen, cautious, removalConfirmed, confirmed, live: all }: PlanInput,
): Pick<Plan, 'remove' | 'unconfirmed' | 'leaving' | 'forget' | 'kept'> {
  if (!complete)
    return { remove: [], unconfirmed: [], leaving: new Set(leaving.map(removalText)), forget: [], kept: [] };
  const isThere = (entry: InventoryEntry) => live.get(objectText(entry.key))?.uid === entry.uid;
  const hidden = all.length === 0 ? [] : leaving.filter(({ key }) => unseen.has(objectText(key)));
  const left = leftBehind(all);
  const holdsKept = left.size > 0 || inventory.some((entry) => entry.keep === true && isThere(entry));
  const stays = ({ key, keep }: InventoryEntry) =>
    keep === true || left.has(objectText(key)) || (key.kind === 'Namespace' && holdsKept);
  const there = leaving.filter((entry) => isThere(entry) && !stays(entry));
  const isStanding = (entry: InventoryEntry) => live.get(objectText(entry.key))?.deleting !== true;
  // A namespace that leaves takes everything with it: nothing is deleted piecemeal before a person said yes. Nor is
  // anything where nothing is wanted any more, whether or not the namespace can be seen (its label may be gone).
  const many =
    desired.length === 0 ||
    there.length > freeRemovals(inventory.length) ||
    there.some((entry) => entry.key.kind === 'Namespace');
  const needsPerson = (entry: InventoryEntry) =>
    !removalConfirmed && !confirmed.has(removalText(entry)) && (cautious || many || isPrecious(entry.key.kind));
  return {
    remove: inDeletionOrder(there.filter((entry) => !needsPerson(entry))).filter(isStanding),
    unconfirmed: there.filter((entry) => isStanding(entry) && needsPerson(entry)),
    leaving: new Set([...there, ...hidden].map(removalText)),
    forget: leaving.filter((entry) => !isThere(entry) && !hidden.includes(entry)).map((entry) => entry.key),
    // What does not say so itself any more is remembered: else it would look like something that a crash left.
    kept: leaving.filter((entry) => isThere(entry) && left.has(objectText(entry.key))),
  };
}

/**
 * Objects that say themselves that they are never deleted, and the namespace around them: what is found of a project
 * that is gone. As `objectText`.
 */
export function leftBehind(live: readonly LiveObject[]): ReadonlySet<string> {
  const kept = live.filter(({ keep }) => keep === true);
  const around = kept.length === 0 ? [] : live.filter(({ key }) => key.kind === 'Namespace');
  return new Set([...kept, ...around].map(({ key }) => objectText(key)));
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
function adoptable({ live, inventory, desired, complete, epoch }: PlanInput): readonly InventoryEntry[] {
  if (!complete) return [];
  const known = new Set([...inventory, ...desired].map((object) => objectText(object.key)));
  const left = leftBehind(live);
  return live
    .filter((object) => object.ownedDigest !== '' && !object.deleting && !isNewer(object, epoch))
    .filter(({ key }) => !known.has(objectText(key)) && !left.has(objectText(key)))
    .map(({ key, uid, ownedDigest }) => ({ key, uid, desiredDigest: '', ownedDigest }));
}

/** True when whoever took over from us made it: then it is not ours to judge. */
const isNewer = ({ epoch: made }: LiveObject, epoch: number | undefined): boolean =>
  epoch !== undefined && made !== undefined && made > epoch;
