import { isDeepStrictEqual } from 'node:util';
import { type Conflict, type KubernetesObject, keyOf } from '../runtime.ts';
import type { Client } from './client.ts';
import { at, fieldsOf, listOf, textOf } from './fields.ts';
import { fieldManager, step } from './owned.ts';
import { refusal } from './refusal.ts';
import type { Kinds } from './resources.ts';

/** Everybody who wrote fields of an object, but for its status. */
export const managersOf = (body: unknown): readonly string[] => [
  ...new Set(entriesOf(body).map(({ manager }) => manager)),
];

const entriesOf = (body: unknown) =>
  listOf(at(body, 'metadata', 'managedFields'))
    .filter((entry) => at(entry, 'subresource') === undefined)
    .map((entry) => ({
      manager: textOf(at(entry, 'manager')) || 'unknown',
      ours: at(entry, 'manager') === fieldManager && at(entry, 'operation') === 'Apply',
      fields: fieldsOf(at(entry, 'fieldsV1')),
    }));

/**
 * Who owns the fields that `object` names and whose value is another one in the cluster. One look, and nothing changed.
 * A field that somebody took away is owned by nobody: what is found so has no manager.
 * @throws Fault RUNTIME_UNAVAILABLE, or what the API server says instead of the object
 */
export async function foreignFieldsOf(
  { client, kinds }: { readonly client: Client; readonly kinds: Kinds },
  object: KubernetesObject,
  signal?: AbortSignal,
): Promise<readonly Conflict[]> {
  const key = keyOf(object);
  const answer = await client.request('GET', kinds.objectPath(key), { signal, lane: 'urgent' });
  if (answer.status === 404) return [];
  if (answer.status >= 300) throw refusal(key, answer);
  return foreignFields(object, answer.body);
}

/** The pure part of `foreignFieldsOf`. */
export function foreignFields(wanted: KubernetesObject, live: unknown): readonly Conflict[] {
  return entriesOf(live).flatMap(({ manager, ours, fields }) => {
    if (ours) return [];
    const found: string[] = [];
    collect(fields, wanted, live, '', found);
    return found.length === 0 ? [] : [{ manager, fields: found }];
  });
}

/** The owned leaves that `wanted` has with another value, written as the API server writes them in conflicts. */
function collect(
  owned: Readonly<Record<string, unknown>>,
  wanted: unknown,
  live: unknown,
  path: string,
  found: string[],
): void {
  for (const [key, value] of Object.entries(owned)) {
    if (key === '.') continue;
    const mine = step(wanted, key);
    if (mine === undefined) continue;
    const theirs = step(live, key);
    const below = fieldsOf(value);
    const here = path + stepText(key);
    if (Object.keys(below).length > 0) collect(below, mine, theirs, here, found);
    else if (!isDeepStrictEqual(mine, theirs)) found.push(here);
  }
}

/** `f:spec` as `.spec`, `k:{"name":"web"}` as `[name="web"]`. */
function stepText(key: string): string {
  const rest = key.slice(2);
  if (key.startsWith('f:')) return `.${rest}`;
  if (!key.startsWith('k:')) return `[${rest}]`;
  const names = Object.entries(fieldsOf(JSON.parse(rest)));
  return `[${names.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(',')}]`;
}
