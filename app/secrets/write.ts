import { randomInt } from 'node:crypto';
import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import type { Database, Queryable } from '#database/pool.ts';
import { seal } from './cipher.ts';
import type { Keys } from './keys.ts';
import {
  insertGenerated,
  lockScope,
  readSecrets,
  takeVersions,
  type VaultPlace,
  type Written,
  writeSecret,
} from './store.ts';
import { cleanPath } from './vault/reference.ts';
import type { VaultValues } from './vault/values.ts';
import type { Vault } from './vault/vault.ts';

/** What the store stands on. */
export interface SecretsOptions {
  readonly database: Database;
  readonly keys: Keys;
  /** Absent: values are kept in the database. */
  readonly vault?: { readonly door: Vault; readonly values: VaultValues } | undefined;
}

export interface Generated {
  readonly name: string;
  /** Characters of `A-Z a-z 0-9`: 5.95 bits each. */
  readonly length: number;
}

/** Puts values where the backend keeps them. */
export interface Writer {
  set(scope: string, name: string, value: Secret, actor: string): Promise<number>;
  /** Notes where a value is in Vault, once it was seen there. */
  refer(scope: string, name: string, place: VaultPlace, actor: string): Promise<number>;
  generate(scope: string, wanted: readonly Generated[], actor: string): Promise<readonly string[]>;
  /** Takes a value that Plinth wrote out of Vault; of anything else nothing is touched. */
  removeFromVault(scope: string, name: string): Promise<void>;
}

const mostBytes = 1024 * 1024;
/** The field of a secret that Plinth writes into Vault. */
const ownField = 'value';

export function createWriter({ database, keys, vault }: SecretsOptions): Writer {
  const writable = vault === undefined || vault.door.readOnly ? undefined : vault;

  const write = (scope: string, name: string, what: Secret | Placed, actor: string) =>
    database.transaction(async (tx) => {
      const [make] = await versions(tx, 1);
      const written = make!(scope, name, what);
      await writeSecret(tx, written, actor);
      return written.version;
    });

  const set: Writer['set'] = async (scope, name, value, actor) => {
    if (vault?.door.readOnly) throw new Fault('SECRET_INLINE_REFUSED', { secret: name });
    if (Buffer.byteLength(value.reveal()) > mostBytes) throw new Fault('BODY_TOO_LARGE', { limitBytes: mostBytes });
    // Into Vault first: what the database knows is there. If the second step fails, the comparison finds the new value.
    const place = writable === undefined ? undefined : await putIntoVault(writable, scope, name, value);
    return write(scope, name, place ?? value, actor);
  };

  const refer: Writer['refer'] = async (scope, name, { path: given, key }, actor) => {
    if (vault === undefined) throw new Fault('SECRET_IN_VAULT_ONLY', { secret: name });
    const path = cleanPath(given);
    if (vault.door.isOwn(path))
      throw new Fault('VAULT_PATH_REFUSED', { path, why: 'Plinth keeps the secrets of everybody there' });
    const found = await vault.door.read(path);
    const value = found.fields?.get(key);
    if (value === undefined) {
      const why = found.fields === undefined ? found.why : 'the secret there has other fields';
      throw new Fault('VAULT_VALUE_MISSING', { secret: name, path, key, why });
    }
    const [before] = await readSecrets(database, [scope], [name]);
    const version = await write(scope, name, { path, key, managed: false, seen: vault.values.digestOf(value) }, actor);
    if (before?.vault?.managed === true) await writable?.door.remove(before.vault.path);
    return version;
  };

  /** For each version what makes a row of a value or a place. */
  const versions = async (tx: Queryable, count: number) => {
    const taken = await takeVersions(tx, count);
    const key = (await keys.load([taken.keyId])).get(taken.keyId);
    return taken.versions.map((version) => (scope: string, name: string, what: Secret | Placed): Written => {
      const address = { scope, name, version };
      if (!(what instanceof Secret)) return { ...address, vault: what };
      if (key === undefined) throw new Fault('SECRET_UNREADABLE', { secret: `${scope}/${name}`, key: taken.keyId });
      return { ...address, sealed: seal(what, address, key) };
    });
  };

  return {
    set,
    refer,
    generate: (scope, wanted, actor) =>
      database.transaction(async (tx) => {
        if (writable !== undefined) await lockScope(tx, scope);
        const makers = await versions(tx, wanted.length);
        const made: string[] = [];
        // In one order everywhere, so that two at once cannot wait for each other.
        const sorted = [...wanted].sort((a, b) => (a.name < b.name ? -1 : 1));
        for (const [index, { name, length }] of sorted.entries()) {
          const value = new Secret(randomText(length));
          const what = writable === undefined ? value : await makeInVault(writable, scope, name, value);
          if (await insertGenerated(tx, makers[index]!(scope, name, what), actor)) made.push(name);
        }
        return made;
      }),
    removeFromVault: async (scope, name) => {
      if (writable === undefined) return;
      const [row] = await readSecrets(database, [scope], [name]);
      if (row?.vault?.managed === true) await writable.door.remove(row.vault.path);
    },
  };
}

type WritableVault = NonNullable<SecretsOptions['vault']>;
type Placed = { readonly path: string; readonly key: string; readonly managed: boolean; readonly seen: string };

async function putIntoVault(vault: WritableVault, scope: string, name: string, value: Secret): Promise<Placed> {
  const path = vault.door.pathOf(scope, name);
  await vault.door.write(path, new Map([[ownField, value]]), { onlyNew: false });
  vault.values.forget(path);
  return { path, key: ownField, managed: true, seen: vault.values.digestOf(value) };
}

/** A value that stands in Vault already was made by a publish that was killed before its record: it stays. */
async function makeInVault(vault: WritableVault, scope: string, name: string, value: Secret): Promise<Placed> {
  const path = vault.door.pathOf(scope, name);
  const isNew = await vault.door.write(path, new Map([[ownField, value]]), { onlyNew: true });
  const present = isNew ? value : (await vault.door.read(path)).fields?.get(ownField);
  // Removed, but its history is there: nobody else writes here, so it may be written once more.
  if (present === undefined) return putIntoVault(vault, scope, name, value);
  return { path, key: ownField, managed: true, seen: vault.values.digestOf(present) };
}

const characters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** Without signs that a shell, a URL or a YAML file would read as something else. */
function randomText(length: number): string {
  return Array.from({ length }, () => characters[randomInt(characters.length)]).join('');
}
