import type { Work } from './work.ts';

type TemplateFunction = (work: Work, ...values: readonly unknown[]) => unknown;

/**
 * The functions of the mapping language. Text is compared without regard to case, as group names are. What each looks
 * at is charged to `work` first.
 */
const functions = {
  /** Whether a list holds a value; a text counts as a list of one. */
  includes: (work, list, value) =>
    Array.isArray(list)
      ? work.foldAll(list).values.has(typeof value === 'string' ? work.fold(value) : value)
      : isThere(list) && same(work, list, value),
  equals: (work, one, other) => same(work, one, other),
  notEquals: (work, one, other) => !same(work, one, other),
  /** Whether a text holds another one, or one text of a list does. */
  contains: (work, text, part) => {
    if (typeof part !== 'string' || part === '') return false;
    const { texts, characters } = work.foldAll(Array.isArray(text) ? text : [text]);
    const wanted = work.fold(part);
    work.spend(texts.length);
    work.search(characters, wanted);
    return texts.some((each) => each.includes(wanted));
  },
  and: (_, ...values) => values.every(isTrue),
  or: (_, ...values) => values.some(isTrue),
  exists: (_, value) => isThere(value),
  /** Text that holds JSON becomes the value, and every other value JSON. */
  json: (work, value) => (typeof value === 'string' ? work.parse(value) : work.stringify(value)),
  /** One property of each item. */
  pluck: (work, list, key) => {
    if (!Array.isArray(list) || typeof key !== 'string') return [];
    work.spend(list.length);
    return list.map((item) => propertyOf(item, key)).filter((each) => each !== undefined);
  },
} as const satisfies Readonly<Record<string, TemplateFunction>>;

export type HelperName = keyof typeof functions;
export const helperNames = Object.keys(functions) as readonly HelperName[];

/** @throws Fault IDENTITY_MAPPING_TOO_COSTLY | IDENTITY_CLAIMS_TOO_LARGE */
export const callHelper = (work: Work, name: HelperName, values: readonly unknown[]): unknown =>
  (functions[name] as TemplateFunction)(work, ...values);

/** As Handlebars has it: an empty list is false as well. */
export const isTrue = (value: unknown): boolean => (Array.isArray(value) ? value.length > 0 : Boolean(value));

/** Own properties only: nothing that a claim is not. */
export function propertyOf(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[key];
}

function same(work: Work, one: unknown, other: unknown): boolean {
  if (typeof one === 'string' && typeof other === 'string') return work.fold(one) === work.fold(other);
  return one === other;
}

const isThere = (value: unknown) => value !== undefined && value !== null;
