import { randomInt } from 'node:crypto';
import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import type { Database, Queryable } from '#database/pool.ts';
import { seal, unseal } from './cipher.ts';
import type { Keys } from './keys.ts';
import { isGrant, mayUse, type ProjectAddress, type Scope, scopesOf, scopeText } from './scope.ts';
import {
  deleteSecret,
  insertGenerated,
  listSecrets,
  readGrants,
  readSecrets,
  type SecretView,
  takeVersions,
  writeGrants,
  writeSecret,
} from './store.ts';

export interface SecretValue {
  readonly value: Secret;
  /** Another text for each value that the secret ever had; says nothing about the value. */
  readonly version: string;
}

export interface Generated {
  readonly name: string;
  /** Characters of `A-Z a-z 0-9`: 5.95 bits each. */
  readonly length: number;
}

/** Who asks: a project, which looks in its own scope, its team's and the organization's; or scopes, nearest first. */
export type From = ProjectAddress | readonly string[];

export interface Secrets {
  /**
   * Writes a value and returns its version.
   * @throws Fault BODY_TOO_LARGE beyond 1 MiB of UTF-8
   */
  set(scope: Scope, name: string, value: Secret, actor: string): Promise<number>;
  /** false: there was none. */
  remove(scope: Scope, name: string): Promise<boolean>;
  /** Every secret of this scope by name, without values. */
  list(scope: Scope): Promise<readonly SecretView[]>;
  /**
   * Says which projects may use a secret of a wider scope, in place of what was said before; none: nobody.
   * @returns false when there is no such secret
   * @throws Fault REQUEST_INVALID for what is not `<environment>/<team>/<project>` with names or `*`
   */
  grant(scope: Scope, name: string, grants: readonly string[], actor: string): Promise<boolean>;
  /**
   * The values by name, of the nearest scope that has one which may be used. Names without one are left out.
   * @throws Fault SECRET_UNREADABLE
   */
  resolve(from: From, names: readonly string[]): Promise<ReadonlyMap<string, SecretValue>>;
  /** The names that `resolve` would give a value for. */
  exists(from: From, names: readonly string[]): Promise<ReadonlySet<string>>;
  /** The names that `resolve` would leave out, in the given order. */
  missing(from: From, names: readonly string[]): Promise<readonly string[]>;
  /**
   * Makes the values that do not exist, all or none, and returns their names. What exists is never made again,
   * whoever wrote it.
   */
  ensureGenerated(scope: Scope, wanted: readonly Generated[], actor: string): Promise<readonly string[]>;
}

const mostBytes = 1024 * 1024;

/** The store in the database. Values are encrypted here and nowhere else, and leave it as `Secret`. */
export function createSecrets({ database, keys }: { database: Database; keys: Keys }): Secrets {
  const exists = async (from: From, names: readonly string[]) => {
    const scopes = scopesFrom(from);
    const rows = names.length === 0 ? [] : await readGrants(database, scopes, names);
    const usable = rows.filter((row) => mayUse(scopes[0] ?? '', row.scope, row.grants));
    return new Set(usable.map(({ name }) => name));
  };

  return {
    set: async (scope, name, value, actor) => {
      if (Buffer.byteLength(value.reveal()) > mostBytes) throw new Fault('BODY_TOO_LARGE', { limitBytes: mostBytes });
      return database.transaction(async (tx) => {
        const [version = 0] = await takeVersions(tx, 1);
        const address = { scope: scopeText(scope), name, version };
        await writeSecret(tx, { ...address, ...seal(value, address, keys.current) }, actor);
        return version;
      });
    },

    remove: (scope, name) => deleteSecret(database, scopeText(scope), name),

    list: (scope) => listSecrets(database, scopeText(scope)),

    grant: async (scope, name, grants, actor) => {
      const wrong = grants.filter((grant) => !isGrant(grant));
      if (wrong.length > 0) throw new Fault('REQUEST_INVALID', { findings: wrong.map(grantFinding) });
      return writeGrants(database, scopeText(scope), name, grants, actor);
    },

    resolve: async (from, names) => {
      const scopes = scopesFrom(from);
      const found = new Map<string, SecretValue>();
      const rows = names.length === 0 ? [] : await readSecrets(database, scopes, names);
      for (const row of rows) {
        if (found.has(row.name) || !mayUse(scopes[0] ?? '', row.scope, row.grants)) continue;
        found.set(row.name, { value: unseal(row, row, keys), version: `${row.name}@${row.version}` });
      }
      return found;
    },

    exists,

    missing: async (from, names) => {
      const present = await exists(from, names);
      return names.filter((name) => !present.has(name));
    },

    ensureGenerated: async (scope, wanted, actor) => {
      const text = scopeText(scope);
      // Nearly always all of them exist; that costs one read and no transaction.
      const present = await exists(
        [text],
        wanted.map(({ name }) => name),
      );
      const absent = wanted.filter(({ name }) => !present.has(name));
      if (absent.length === 0) return [];
      return database.transaction((tx) => generate(tx, keys, text, absent, actor));
    },
  };
}

async function generate(
  tx: Queryable,
  keys: Keys,
  scope: string,
  wanted: readonly Generated[],
  actor: string,
): Promise<readonly string[]> {
  const versions = await takeVersions(tx, wanted.length);
  const made: string[] = [];
  // In one order everywhere, so that two at once cannot wait for each other.
  const sorted = [...wanted].sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const [index, { name, length }] of sorted.entries()) {
    const address = { scope, name, version: versions[index] ?? 0 };
    const sealed = seal(new Secret(randomText(length)), address, keys.current);
    if (await insertGenerated(tx, { ...address, ...sealed }, actor)) made.push(name);
  }
  return made;
}

const characters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** Without signs that a shell, a URL or a YAML file would read as something else. */
function randomText(length: number): string {
  return Array.from({ length }, () => characters[randomInt(characters.length)]).join('');
}

const scopesFrom = (from: From) => ('project' in from ? scopesOf(from) : from);

const grantFinding = (grant: string) => ({
  file: 'request',
  path: 'grants',
  message: `${JSON.stringify(grant)} is not <environment>/<team>/<project>, each a name or *`,
});
