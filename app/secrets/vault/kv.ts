import { Secret } from '#base/secret.ts';
import { complaint, unavailable, type VaultAnswer } from './client.ts';
import type { VaultSession } from './login.ts';

/** A secret of Vault's KV engine: its fields by name. What is no text is JSON. */
export type Fields = ReadonlyMap<string, Secret>;

/** What was found at a path; `why` says in words why there is nothing. */
export type Found = { readonly fields: Fields } | { readonly fields: undefined; readonly why: string };

/**
 * Reads a path as Vault's API has it (`secret/data/shop` in KV v2, `secret/shop` in v1); the reply shows which it is.
 * @throws Fault SECRETS_UNAVAILABLE, also where the policy says no
 */
export async function readKv(session: VaultSession, path: string): Promise<Found> {
  const what = `reading ${path}`;
  const answer = await session.ask({ method: 'GET', path, what });
  if (answer.status === 404) return { fields: undefined, why: absence(answer) };
  if (answer.status !== 200) throw unavailable(`${what} was refused: ${complaint(answer)}`);
  const { data } = answer.body;
  if (!isRecord(data)) return { fields: undefined, why: 'there is nothing' };
  const content = isVersioned(data) ? data.data : data;
  return { fields: new Map(Object.entries(content).map(([name, value]) => [name, toSecret(value)])) };
}

/**
 * Writes all fields of a path.
 * @returns false: with `onlyNew`, something is there already, which stays as it is
 * @throws Fault SECRETS_UNAVAILABLE
 */
export async function writeKv(
  session: VaultSession,
  { path, fields, kvVersion, onlyNew }: { path: string; fields: Fields; kvVersion: 1 | 2; onlyNew: boolean },
): Promise<boolean> {
  // Version 1 has no compare-and-set; callers make sure that nobody else writes.
  if (onlyNew && kvVersion === 1 && (await readKv(session, path)).fields !== undefined) return false;
  const data = Object.fromEntries([...fields].map(([name, value]) => [name, value.reveal()]));
  const body = kvVersion === 1 ? data : { data, ...(onlyNew ? { options: { cas: 0 } } : {}) };
  const what = `writing ${path}`;
  const answer = await session.ask({ method: 'POST', path, body, what });
  if (answer.status === 200 || answer.status === 204) return true;
  if (onlyNew && answer.status === 400 && complaint(answer).includes('check-and-set')) return false;
  throw unavailable(`${what} was refused: ${complaint(answer)}`);
}

/** Takes a secret away, with every version of it. None there: nothing to do. */
export async function removeKv(session: VaultSession, path: string, kvVersion: 1 | 2): Promise<void> {
  const what = `removing ${path}`;
  const target = kvVersion === 2 ? metadataPath(path) : path;
  const answer = await session.ask({ method: 'DELETE', path: target, what });
  if (![200, 204, 404].includes(answer.status)) throw unavailable(`${what} was refused: ${complaint(answer)}`);
}

/** Where KV v2 keeps what it knows of `secret/data/shop`: `secret/metadata/shop`. */
export const metadataPath = (path: string): string => path.replace('/data/', '/metadata/');

type Record_ = Readonly<Record<string, unknown>>;
const isRecord = (value: unknown): value is Record_ => typeof value === 'object' && value !== null;

const isVersioned = (data: Record_): data is Record_ & { data: Record_ } =>
  isRecord(data.data) && isRecord(data.metadata) && typeof data.metadata.version === 'number';

const toSecret = (value: unknown) => new Secret(typeof value === 'string' ? value : JSON.stringify(value));

function absence(answer: VaultAnswer): string {
  const said = complaint(answer);
  if (said.includes('Invalid path for a versioned')) return 'in KV v2 the path has data/ after the name of the engine';
  return 'there is nothing at this path';
}
