import { createTwoFilesPatch } from 'diff';
import { stringify } from 'yaml';
import { namespaceOf, type ProjectKey } from '#environments/layout.ts';
import { type KubernetesObject, type ObjectKey, objectText } from '#runtime/runtime.ts';
import { readSource, type SourceDoors } from './source.ts';

export interface ObjectDifference {
  readonly key: ObjectKey;
  readonly state: 'equal' | 'different' | 'missing' | 'extra';
  /** Unified difference, Git against live, of the fields that Git names; values of Secrets are masked. */
  readonly diff: string;
}

/**
 * Compares what Git wants of a project with what is live. Fields that Git does not name (defaults, status, what other
 * controllers own) are left out: they are no drift.
 * @throws Fault MANIFESTS_UNKNOWN | RUNTIME_UNAVAILABLE | RUNTIME_NONE
 */
export async function diffProject(
  doors: SourceDoors,
  key: ProjectKey,
  revision: string,
  signal: AbortSignal,
): Promise<readonly ObjectDifference[]> {
  const { desired } = await readSource(doors, key, revision);
  const wanted = new Set(desired.map((object) => objectText(object.key)));
  const compared = await Promise.all(
    desired.map(async (object) => compare(object.key, object.object, await doors.runtime.read(object.key, signal))),
  );
  const extra = doors.runtime
    .observed(namespaceOf(key))
    .filter((live) => live.ownedDigest !== '' && !wanted.has(objectText(live.key)))
    .map((live) => ({ key: live.key, state: 'extra' as const, diff: '' }));
  return [...compared, ...extra];
}

function compare(key: ObjectKey, wanted: KubernetesObject, live: KubernetesObject | undefined): ObjectDifference {
  if (live === undefined) return { key, state: 'missing', diff: patch(key, toText(masked(wanted)), '') };
  const before = toText(masked(wanted));
  const after = toText(masked(sameFields(wanted, live) as KubernetesObject));
  return before === after
    ? { key, state: 'equal', diff: '' }
    : { key, state: 'different', diff: patch(key, before, after) };
}

const patch = (key: ObjectKey, before: string, after: string): string =>
  createTwoFilesPatch(`git ${objectText(key)}`, `live ${objectText(key)}`, before, after, '', '', { context: 3 });

const toText = (value: unknown): string =>
  stringify(value, { sortMapEntries: true, aliasDuplicateObjects: false, lineWidth: 0 });

/** Whatever stands in a Secret is shown as present, never as itself. */
function masked(object: KubernetesObject): KubernetesObject {
  if (object.kind !== 'Secret') return object;
  const hidden = Object.fromEntries(
    ['data', 'stringData'].filter((field) => field in object).map((field) => [field, '[secret]']),
  );
  return { ...object, ...hidden };
}

/** The part of `live` that `wanted` names, in the same shape. List items that have a name are matched by it. */
function sameFields(wanted: unknown, live: unknown): unknown {
  if (Array.isArray(wanted) && Array.isArray(live)) {
    return wanted
      .map((item, i) =>
        sameFields(item, named(item) === undefined ? live[i] : live.find((other) => named(other) === named(item))),
      )
      .filter((item) => item !== undefined);
  }
  if (isRecord(wanted) && isRecord(live)) {
    const fields = Object.keys(wanted).filter((field) => field in live);
    return Object.fromEntries(fields.map((field) => [field, sameFields(wanted[field], live[field])]));
  }
  return live;
}

const named = (value: unknown): unknown => (isRecord(value) ? value.name : undefined);

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
