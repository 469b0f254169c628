/**
 * Every name that looks like a variable in a reference: capitals with underscores, and what a Helm value sets as
 * `env.NAME`. The references are flattened pages: a cell `N/A` may be glued to the name before it, and is no part of it.
 */
export function namesIn(text: string): ReadonlySet<string> {
  const separated = text.replaceAll('N/A', ' ');
  const underscored = separated.match(/\b[A-Z][A-Z0-9]*(?:_(?:[A-Z0-9]+|<[A-Z]+>))+/g) ?? [];
  const ofHelm = [...separated.matchAll(/\benv\.([A-Z]+)\b/g)].map(([, name = '']) => name);
  return new Set([...underscored, ...ofHelm]);
}
