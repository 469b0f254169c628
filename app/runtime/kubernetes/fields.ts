/**
 * Careful looks into objects whose shape a cluster decides. Nothing here throws: what is absent or of another type
 * reads as empty, so that one odd object never stops a watch.
 */
export type Fields = Readonly<Record<string, unknown>>;

const nothing: Fields = Object.freeze({});

/** The value as a record, or an empty one. */
export const fieldsOf = (value: unknown): Fields =>
  // A non-null object that is no array has string keys and unknown values, which is all that Fields says.
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : nothing;

/** The value at a path of keys, or undefined. */
export function at(value: unknown, ...path: readonly string[]): unknown {
  let here = value;
  for (const key of path) here = fieldsOf(here)[key];
  return here;
}

export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
export const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
export const numberOf = (value: unknown, otherwise = 0): number => (typeof value === 'number' ? value : otherwise);

/** An entry of `status.conditions`. */
export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

export function conditionsOf(status: unknown): readonly Condition[] {
  return listOf(at(status, 'conditions')).map((entry) => ({
    type: textOf(at(entry, 'type')),
    status: textOf(at(entry, 'status')),
    reason: textOf(at(entry, 'reason')),
    message: textOf(at(entry, 'message')),
  }));
}
