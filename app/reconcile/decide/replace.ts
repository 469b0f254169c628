import { type LiveObject, type ObjectKey, objectText, type Propagation } from '#runtime/runtime.ts';
import type { DesiredObject, InventoryEntry } from './inventory.ts';
import { isWorkload } from './stages.ts';

/**
 * Some fields can never be changed in a living object: then it is deleted and made anew. The next run makes it, so that
 * a crash in between changes nothing. Where that would lose data a person is asked first.
 */

/** What the API server refused: sending the same to the same object again would end the same. */
export interface Refusal {
  readonly digest: string;
  /** Of the live object; undefined: there was none. */
  readonly uid: string | undefined;
  /** True: the object as such is right, but a living one cannot be changed to it. */
  readonly immutable: boolean;
  readonly fields: readonly string[];
}

export interface Replacement {
  readonly entry: InventoryEntry;
  /** What becomes of what the object owns. */
  readonly propagation: Propagation;
}

export interface Replacements {
  /** Objects to be deleted now, because only a new one can be as wanted. */
  readonly replace: readonly Replacement[];
  /** The same, but only a person may say so. */
  readonly unconfirmed: readonly InventoryEntry[];
  /** Objects that must not be replaced at all, and why. */
  readonly impossible: readonly { readonly key: ObjectKey; readonly why: string }[];
  /** Every object that may yet have to be replaced, as `replacementText`: an answer about it is kept. */
  readonly standing: ReadonlySet<string>;
}

/** A replacement as a person is shown it and confirms it: of the very object, not of one that has its name later. */
export const replacementText = ({ key, uid }: Pick<InventoryEntry, 'key' | 'uid'>): string =>
  `replace ${objectText(key)} (${uid})`;

export interface ReplaceInput {
  readonly desired: readonly DesiredObject[];
  readonly made: ReadonlyMap<string, InventoryEntry>;
  readonly live: ReadonlyMap<string, LiveObject>;
  readonly refusals: ReadonlyMap<string, Refusal>;
  readonly confirmed: ReadonlySet<string>;
  /** True when every deletion waits for a person. */
  readonly cautious: boolean;
  /** More replacements than this at once wait for a person. */
  readonly most: number;
}

interface Candidate {
  readonly object: DesiredObject;
  readonly entry: InventoryEntry;
  readonly live: LiveObject;
}

/** Decides what is made anew. Pure, and as careful as a deletion: only an object whose uid the inventory holds. */
export function planReplacements(input: ReplaceInput): Replacements {
  const ours = input.desired.map((object) => candidateOf(object, input)).filter((found) => found !== undefined);
  const changing = ours.filter(({ object, entry }) => entry.desiredDigest !== object.digest);
  const stuck = changing.filter((one) => isRefused(one, input.refusals));
  const never = stuck.filter(isNever);
  const claims = changing.filter((one) => isLeavingClaim(one, input));
  const going = stuck.filter((one) => !isNever(one) && !one.live.deleting);
  const free = going.filter((one) => isFree(one, going.length, input));
  const users = usersOf(claims, ours);
  return {
    replace: [
      ...free.map(({ object, entry }) => ({ entry, propagation: propagationOf(object, input.refusals) })),
      ...users.filter((one) => !free.includes(one)).map(({ entry }) => ({ entry, propagation: 'foreground' as const })),
    ],
    unconfirmed: going.filter((one) => !free.includes(one)).map(({ entry }) => entry),
    impossible: never.map(({ object: { key } }) => ({
      key,
      why:
        key.kind === 'Namespace'
          ? 'Kubernetes cannot change it, and a namespace is never made anew'
          : 'Kubernetes cannot change it, and its policy keep forbids to make it anew',
    })),
    standing: new Set(changing.map(({ entry }) => replacementText(entry))),
  };
}

function candidateOf(object: DesiredObject, { made, live }: ReplaceInput): Candidate | undefined {
  const text = objectText(object.key);
  const entry = made.get(text);
  const there = live.get(text);
  if (entry === undefined || there === undefined || there.uid !== entry.uid) return undefined;
  return { object, entry, live: there };
}

function isRefused({ object, live }: Candidate, refusals: ReadonlyMap<string, Refusal>): boolean {
  const refusal = refusals.get(objectText(object.key));
  return refusal?.immutable === true && refusal.digest === object.digest && refusal.uid === live.uid;
}

const isKept = ({ object, entry, live }: Candidate) =>
  object.policies?.keep === true || entry.keep === true || live.keep === true;

/** A namespace takes everything with it. */
const isNever = (one: Candidate) => isKept(one) || one.object.key.kind === 'Namespace';

/** A claim that goes with a person's yes, now or already. */
const isLeavingClaim = (one: Candidate, { confirmed, refusals }: ReplaceInput) =>
  one.object.key.kind === 'PersistentVolumeClaim' &&
  !isKept(one) &&
  confirmed.has(replacementText(one.entry)) &&
  (one.live.deleting || isRefused(one, refusals));

/** Whether an object goes without a question, or with its answer. */
function isFree({ object, entry }: Candidate, count: number, { confirmed, cautious, most, refusals }: ReplaceInput) {
  if (confirmed.has(replacementText(entry))) return true;
  if (losesData(object, refusals)) return false;
  return object.policies?.replace === true || (!cautious && count <= most);
}

/** A claim is its data. A StatefulSet that cannot hand its pods over takes the claims it made with it. */
const losesData = (object: DesiredObject, refusals: ReadonlyMap<string, Refusal>): boolean =>
  object.key.kind === 'PersistentVolumeClaim' ||
  (object.key.kind === 'StatefulSet' && propagationOf(object, refusals) !== 'orphan');

/**
 * A StatefulSet leaves its pods to the one that follows, which finds them by the same selector. A Deployment's pods end
 * before it does: two generations would write to the same volumes. Everything else owns nothing worth waiting for.
 */
function propagationOf({ key }: DesiredObject, refusals: ReadonlyMap<string, Refusal>): Propagation {
  if (key.kind === 'Deployment') return 'foreground';
  if (key.kind !== 'StatefulSet') return 'background';
  const fields = refusals.get(objectText(key))?.fields ?? [];
  return fields.some((field) => field.startsWith('spec.selector')) ? 'foreground' : 'orphan';
}

/** Whatever runs pods that mount these claims: a claim in use never goes, so they go too and come back after it. */
function usersOf(claims: readonly Candidate[], ours: readonly Candidate[]): readonly Candidate[] {
  if (claims.length === 0) return [];
  const names = new Set(claims.map(({ object }) => object.key.name));
  return ours.filter(
    (one) =>
      isWorkload(one.object.key.kind) &&
      !one.live.deleting &&
      !isKept(one) &&
      (one.object.claims ?? []).some((name) => names.has(name)),
  );
}
