import { namespaceOf, type ProjectKey } from '#environments/layout.ts';
import { keyOf, type LiveObject, type ObjectKey, objectText, type Runtime } from '#runtime/runtime.ts';
import { readManifests } from './decide/desired.ts';

/** An object of a project: wanted by Git, there in the cluster, or both. */
export interface ProjectObject extends ObjectKey {
  /** null while it does not exist. */
  readonly uid: string | null;
  readonly health: LiveObject['health']['state'];
  /** Why it is not healthy; empty when it is. */
  readonly reason: string;
  readonly inGit: boolean;
  readonly deleting: boolean;
}

/** What Git wants of a project, beside what the watch sees in its namespace; asks nobody. */
export function projectObjects(
  runtime: Runtime | undefined,
  key: ProjectKey,
  manifests: string | undefined,
): readonly ProjectObject[] {
  const wanted = manifests === undefined ? [] : readManifests(manifests).map(keyOf);
  const live = runtime?.observed(namespaceOf(key)) ?? [];
  const found = new Map(live.map((object) => [objectText(object.key), object]));
  const inGit = new Set(wanted.map(objectText));
  const others = live.map((object) => object.key).filter((object) => !inGit.has(objectText(object)));
  return [...wanted, ...others].map((object) => {
    const there = found.get(objectText(object));
    return {
      ...object,
      uid: there?.uid ?? null,
      health: there?.health.state ?? 'missing',
      reason: there === undefined ? 'is not in the cluster' : there.health.reason,
      inGit: inGit.has(objectText(object)),
      deleting: there?.deleting ?? false,
    };
  });
}
