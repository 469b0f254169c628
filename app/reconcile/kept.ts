import { type ObjectKey, objectText } from '#runtime/runtime.ts';
import type { Desired } from './decide/desired.ts';
import type { DesiredObject, InventoryEntry } from './decide/plan.ts';

/**
 * A text of its own. What is cut out of a file keeps the whole file in memory for as long as it lives itself: a name of
 * ten letters would cost as much as the manifests it stands in.
 */
const ownText = (text: string): string => Buffer.from(text).toString();

const nobody: readonly string[] = [];

/** Texts of their own. */
export const ownTexts = (texts: readonly string[]): readonly string[] =>
  texts.length === 0 ? nobody : texts.map(ownText);

/**
 * What is kept of the wanted objects between runs: nothing of the file that they were read from, and the same key and
 * digest as in the inventory wherever they say the same.
 */
export function keptOf(
  desired: readonly Desired[],
  inventory: ReadonlyMap<string, InventoryEntry>,
): readonly DesiredObject[] {
  const texts = new Map<string, string>();
  const once = (text: string): string => {
    const own = texts.get(text) ?? ownText(text);
    texts.set(text, own);
    return own;
  };
  return desired.map(({ key, digest, dependsOn, policies, claims }) => {
    const known = inventory.get(objectText(key));
    return {
      key: known?.key ?? ownKey(key, once),
      digest: known?.desiredDigest === digest ? known.desiredDigest : digest,
      dependsOn: ownTexts(dependsOn),
      policies,
      claims: claims === undefined ? undefined : ownTexts(claims),
    };
  });
}

const ownKey = ({ apiVersion, kind, namespace, name }: ObjectKey, once: (text: string) => string): ObjectKey => ({
  apiVersion: once(apiVersion),
  kind: once(kind),
  namespace: once(namespace),
  name: once(name),
});

/** What is wanted of a project at rest: its inventory. */
export const recalledOf = (inventory: ReadonlyMap<string, InventoryEntry>): readonly DesiredObject[] =>
  [...inventory.values()].map(({ key, desiredDigest }) => ({ key, digest: desiredDigest, dependsOn: nobody }));
