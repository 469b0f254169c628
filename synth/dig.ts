/** The value at `spec.template.spec` of data whose shape is not known, or undefined. */
export function dig(value: unknown, path: string): unknown {
  let at = value;
  for (const part of path.split('.')) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, part)) return undefined;
    at = (at as Record<string, unknown>)[part];
  }
  return at;
}

/** The list at a path; empty where there is none. */
export function digList(value: unknown, path: string): unknown[] {
  const found = dig(value, path);
  return Array.isArray(found) ? found : [];
}

/** The map at a path; empty where there is none. */
export function digMap(value: unknown, path: string): Readonly<Record<string, unknown>> {
  const found = dig(value, path);
  return typeof found === 'object' && found !== null && !Array.isArray(found) ? (found as Record<string, unknown>) : {};
}
