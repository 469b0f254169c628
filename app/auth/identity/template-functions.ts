/** The functions of the mapping language. Text is compared without regard to case, as group names are. */
const functions = {
  /** Whether a list holds a value; a text counts as a list of one. */
  includes: (list, value) => listOf(list).some((each) => same(each, value)),
  equals: (one, other) => same(one, other),
  notEquals: (one, other) => !same(one, other),
  /** Whether a text holds another one, or one text of a list does. */
  contains: (text, part) =>
    typeof part === 'string' &&
    part !== '' &&
    listOf(text).some((each) => typeof each === 'string' && fold(each).includes(fold(part))),
  and: (...values) => values.every(isTrue),
  or: (...values) => values.some(isTrue),
  exists: (value) => value !== undefined && value !== null,
  /** Text that holds JSON becomes the value, and every other value JSON. */
  json: (value) => (typeof value === 'string' ? parsed(value) : (JSON.stringify(value) ?? '')),
  /** One property of each item. */
  pluck: (list, key) =>
    Array.isArray(list) && typeof key === 'string'
      ? list.map((item) => propertyOf(item, key)).filter((each) => each !== undefined)
      : [],
} as const satisfies Readonly<Record<string, (...values: readonly unknown[]) => unknown>>;

export type HelperName = keyof typeof functions;
export const helperNames = Object.keys(functions) as readonly HelperName[];

export const callHelper = (name: HelperName, values: readonly unknown[]): unknown =>
  (functions[name] as (...given: readonly unknown[]) => unknown)(...values);

/** As Handlebars has it: an empty list is false as well. */
export const isTrue = (value: unknown): boolean => (Array.isArray(value) ? value.length > 0 : Boolean(value));

/** Own properties only: nothing that a claim is not. */
export function propertyOf(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[key];
}

function same(one: unknown, other: unknown): boolean {
  if (typeof one === 'string' && typeof other === 'string') return fold(one) === fold(other);
  return one === other;
}

const fold = (text: string) => text.normalize('NFC').toLowerCase();

const listOf = (value: unknown): readonly unknown[] =>
  Array.isArray(value) ? value : value === undefined || value === null ? [] : [value];

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
