import { createHmac, hash } from 'node:crypto';
import type { Secret } from '#base/secret.ts';
import { at, fieldsOf, listOf } from './fields.ts';

/** The field manager of every apply. */
export const fieldManager = 'plinth';

/**
 * Digest of the fields that our field manager owns, with their values; '' when it owns none.
 *
 * The API server keeps, per manager, the set of fields it applied (managedFields). A foreign edit of such a field moves
 * its ownership or changes its value: either way the digest changes. Defaulting, status, fields of an autoscaler or
 * added by others are not in our set and do not touch it. The same function reads apply answers and watch events, so
 * our own echo is recognised by an equal digest.
 *
 * @param key for objects whose values are secret: the digest is stored, and nobody shall guess values by it
 */
export function ownedDigest(object: unknown, key?: Secret<Buffer>): string {
  const parts: string[] = [];
  for (const entry of listOf(at(object, 'metadata', 'managedFields'))) {
    const { manager, operation, subresource, fieldsV1 } = fieldsOf(entry);
    if (manager !== fieldManager || operation !== 'Apply' || subresource !== undefined) continue;
    collect(fieldsOf(fieldsV1), object, parts);
  }
  if (parts.length === 0) return '';
  const text = parts.join('\n');
  return key === undefined
    ? hash('sha256', text, 'base64url')
    : createHmac('sha256', key.reveal()).update(text).digest('base64url');
}

/** Writes one part for each owned leaf: its path, as a tree in brackets, and its live value. */
function collect(owned: Readonly<Record<string, unknown>>, live: unknown, parts: string[]): void {
  for (const key in owned) {
    if (key === '.') {
      parts.push(live === undefined ? '.gone' : '.');
      continue;
    }
    const below = fieldsOf(owned[key]);
    const value = step(live, key);
    parts.push(key);
    if (isEmpty(below)) parts.push(value === undefined ? 'gone' : JSON.stringify(value));
    else {
      parts.push('(');
      collect(below, value, parts);
      parts.push(')');
    }
  }
}

/**
 * One step of a managedFields path: `f:name` a field, `k:{…}` the list item with these keys, `v:…` the item of a set,
 * `i:…` an item by index.
 */
export function step(live: unknown, key: string): unknown {
  const rest = key.slice(2);
  switch (key.charCodeAt(0)) {
    case 102: // f
      return fieldsOf(live)[rest];
    case 107: // k
      return itemWith(listOf(live), rest);
    case 118: // v
      return listOf(live).find((item) => JSON.stringify(item) === rest);
    case 105: // i
      return listOf(live)[Number(rest)];
    default:
      return undefined;
  }
}

function itemWith(items: readonly unknown[], keys: string): unknown {
  const wanted = keysOf(keys);
  return items.find((item) => wanted.every(([name, value]) => fieldsOf(item)[name] === value));
}

function keysOf(text: string): readonly (readonly [string, unknown])[] {
  try {
    return Object.entries(fieldsOf(JSON.parse(text)));
  } catch {
    return []; // Not a path that an API server writes; the first item then stands for it.
  }
}

function isEmpty(value: object): boolean {
  for (const _ in value) return false;
  return true;
}
