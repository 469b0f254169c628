/**
 * Wishes about single objects, said in annotations that a spec's `patches` may set:
 * `plinth.dev/policy: keep, adopt` and `plinth.dev/ignore: /spec/replicas`.
 */

export interface Policies {
  /** Never deleted by us, also when it leaves Git: it stays as it is, and is told. */
  readonly keep: boolean;
  /** An object of this name that nobody has marked as his own is taken over. On the Namespace: everything in it. */
  readonly adopt: boolean;
  /** A change that Kubernetes refuses makes the object anew without asking, wherever nothing is lost by it. */
  readonly replace: boolean;
}

const policyNames = ['adopt', 'keep', 'replace'] as const;

const partsOf = (text: string | undefined): readonly string[] =>
  (text ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

/** What an annotation `plinth.dev/policy` says; undefined: nothing. What is no policy counts for nothing here. */
export function policiesOf(text: string | undefined): Policies | undefined {
  const parts = partsOf(text);
  if (parts.length === 0) return undefined;
  return { keep: parts.includes('keep'), adopt: parts.includes('adopt'), replace: parts.includes('replace') };
}

/** What is wrong with an annotation `plinth.dev/policy`, or undefined. */
export function policyFault(text: string | undefined): string | undefined {
  const unknown = partsOf(text).find((part) => !policyNames.some((name) => name === part));
  return unknown === undefined
    ? undefined
    : `${JSON.stringify(unknown)} is no policy; there are ${policyNames.join(', ')}`;
}

/** A JSON Pointer as its keys: `/spec/replicas` is `['spec', 'replicas']`. */
export type Pointer = readonly string[];

/** The fields that an annotation `plinth.dev/ignore` names. */
const pointersOf = (text: string | undefined): readonly Pointer[] =>
  partsOf(text).map((pointer) =>
    pointer
      .split('/')
      .slice(1)
      .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~')),
  );

/** Labels and annotations by which an object is known as its project's. */
const ownMark = /^(plinth\.dev|app\.kubernetes\.io)\//;

/** What is wrong with an annotation `plinth.dev/ignore`, or undefined. */
export function ignoreFault(text: string | undefined): string | undefined {
  for (const [index, pointer] of pointersOf(text).entries()) {
    const written = partsOf(text)[index] ?? '';
    const [first, second, third = ''] = pointer;
    if (!written.startsWith('/') || second === undefined || second === '')
      return `${JSON.stringify(written)} is no JSON Pointer to a field, such as /spec/replicas`;
    const isMap = first === 'metadata' && (second === 'labels' || second === 'annotations') && third !== '';
    const isOpen = first !== 'metadata' && first !== 'status' && !(first === 'spec' && second === 'selector');
    if (!(isMap || isOpen) || ownMark.test(third))
      return `${written} binds the object to its project and cannot be left to others`;
  }
  return undefined;
}

/** An object of manifests, as far as it is looked at here. */
interface Annotated {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
}

/**
 * The object without the fields that its annotation `plinth.dev/ignore` leaves to others: what is not sent is not
 * owned, and is no drift. The object itself where it names none.
 */
export function withoutIgnored<T extends Annotated>(object: T): T {
  const pointers = pointersOf(object.metadata.annotations?.['plinth.dev/ignore']);
  if (pointers.length === 0) return object;
  const copy = structuredClone(object);
  // From the last item of a list to its first, so that each index still means what it meant.
  for (const pointer of [...pointers].sort(byLastIndex)) drop(copy, pointer);
  return copy;
}

const byLastIndex = (a: Pointer, b: Pointer): number => Number(b.at(-1)) - Number(a.at(-1)) || 0;

function drop(value: unknown, [key = '', ...rest]: Pointer): void {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return;
  const fields = value as Record<string, unknown>; // any object that is no null has fields
  if (rest.length > 0) drop(fields[key], rest);
  else if (!Array.isArray(value)) delete fields[key];
  else if (/^\d+$/.test(key)) value.splice(Number(key), 1);
}
