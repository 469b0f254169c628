import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import type { Database, Queryable } from '#database/pool.ts';
import { unseal } from './cipher.ts';
import type { Keys } from './keys.ts';
import { isGrant, mayUse, type ProjectAddress, type Scope, scopesOf, scopeText } from './scope.ts';
import {
  deleteSecret,
  deleteVaultFolder,
  listSecrets,
  readGrants,
  readSecretPairs,
  readSecrets,
  readVersionPairs,
  type SecretView,
  type StoredSecret,
  type VaultPlace,
  writeGrants,
} from './store.ts';
import { countGiven, deleteGenerated, dropGrantsTo, listGenerated } from './team-store.ts';
import { createWriter, type Generated, type SecretsOptions } from './write.ts';

export type { SecretView } from './store.ts';
export type { Generated, SecretsOptions } from './write.ts';

export interface SecretValue {
  readonly value: Secret;
  /** Another text for each value that the secret ever had; says nothing about the value. */
  readonly version: string;
}

/** Secrets that people set, and whose they are. */
export interface SecretsLeft {
  /** `<environment>/<team>/<project>`; undefined: the team's own. */
  readonly project?: string | undefined;
  readonly count: number;
}

/** What somebody asks for. */
export interface SecretsAsk {
  readonly from: From;
  readonly names: readonly string[];
}

/** Who asks: a project, which looks in its own scope and in the wider ones; or scopes, nearest first. */
export type From = ProjectAddress | readonly string[];

export interface Secrets {
  /**
   * Writes a value, or where it is in Vault, and returns its version.
   * @throws Fault BODY_TOO_LARGE beyond 1 MiB of UTF-8; SECRET_INLINE_REFUSED, SECRET_IN_VAULT_ONLY where the backend
   * does not take what is given; VAULT_PATH_REFUSED, VAULT_VALUE_MISSING; SECRETS_UNAVAILABLE
   */
  set(scope: Scope, name: string, value: Secret | VaultPlace, actor: string): Promise<number>;
  /** false: there was none. What Plinth itself wrote into Vault goes, too. */
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
   * The values by name, of the nearest scope that has one which may be used: project, team, environment, organization.
   * Names without one are left out.
   * @throws Fault SECRET_UNREADABLE, SECRETS_UNAVAILABLE, VAULT_VALUE_MISSING
   */
  resolve(from: From, names: readonly string[]): Promise<ReadonlyMap<string, SecretValue>>;
  /** `resolve` for many who ask at once, in their order; one that fails fails all. */
  resolveMany(asked: readonly SecretsAsk[]): Promise<readonly ReadonlyMap<string, SecretValue>[]>;
  /**
   * The versions that `resolve` would give, for many who ask at once, without looking at values; of a secret in Vault
   * the version of what was seen there last.
   */
  versions(asked: readonly SecretsAsk[]): Promise<readonly ReadonlyMap<string, string>[]>;
  /** The names that `resolve` would give a value for. */
  exists(from: From, names: readonly string[]): Promise<ReadonlySet<string>>;
  /** The names that `resolve` would leave out, in the given order. */
  missing(from: From, names: readonly string[]): Promise<readonly string[]>;
  /**
   * Makes the values that do not exist, all or none, and returns their names. What exists is never made again,
   * whoever wrote it. Where Vault is only read, they are kept in the database.
   */
  ensureGenerated(scope: Scope, wanted: readonly Generated[], actor: string): Promise<readonly string[]>;
  /**
   * For a team that goes and owns no project any more, so that who gets its name next gets nothing of it: takes away its
   * folder of Vault, what was made for its projects, and what others granted to it. As long as there are secrets that
   * people set, nothing is taken.
   * @returns these secrets, which people delete first @throws Fault SECRETS_UNAVAILABLE
   */
  endTeam(tx: Queryable, team: string): Promise<readonly SecretsLeft[]>;
}

/**
 * The store. Values are encrypted in the database, or are in Vault, where the database knows only their place; they
 * leave it as `Secret`. Values in the database stay readable when Vault is set up later.
 */
export function createSecrets(options: SecretsOptions): Secrets {
  const { database } = options;
  const writer = createWriter(options);

  const exists = async (from: From, names: readonly string[]) => {
    const scopes = scopesFrom(from);
    const rows = names.length === 0 ? [] : await readGrants(database, scopes, names);
    const usable = rows.filter((row) => mayUse(scopes[0] ?? '', row.scope, row.grants));
    return new Set(usable.map(({ name }) => name));
  };

  return {
    set: (scope, name, value, actor) =>
      value instanceof Secret
        ? writer.set(scopeText(scope), name, value, actor)
        : writer.refer(scopeText(scope), name, value, actor),

    remove: async (scope, name) => {
      await writer.removeFromVault(scopeText(scope), name);
      return deleteSecret(database, scopeText(scope), name);
    },

    list: (scope) => listSecrets(database, scopeText(scope)),

    grant: async (scope, name, grants, actor) => {
      const wrong = grants.filter((grant) => !isGrant(grant));
      if (wrong.length > 0) throw new Fault('REQUEST_INVALID', { findings: wrong.map(grantFinding) });
      return writeGrants(database, scopeText(scope), name, grants, actor);
    },

    resolve: async (from, names) => {
      const rows = await usable(database, scopesFrom(from), names);
      const values = await readAll(options, rows);
      return new Map([...values].map(([{ name }, value]) => [name, value]));
    },

    resolveMany: async (asked) => {
      const pairs = pairsOf(asked);
      const rows = nearest(asked, pairs.length === 0 ? [] : await readSecretPairs(database, pairs));
      const values = await readAll(options, [...new Set(rows.flat())]);
      return rows.map((own) => new Map(own.map((row) => [row.name, values.get(row) as SecretValue])));
    },

    versions: async (asked) => {
      const pairs = pairsOf(asked);
      const rows = nearest(asked, pairs.length === 0 ? [] : await readVersionPairs(database, pairs));
      return rows.map((own) => new Map(own.map((row) => [row.name, versionText(row)])));
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
      return absent.length === 0 ? [] : writer.generate(text, absent, actor);
    },

    endTeam: async (tx, team) => {
      const left = await countGiven(tx, team);
      if (left.length > 0) return left.map(({ scope, count }) => ({ project: projectOf(scope), count }));
      // In Vault first: what stays there would be taken up by the next project of the same name.
      for (const { scope, name } of await listGenerated(tx, team)) await writer.removeFromVault(scope, name);
      await deleteGenerated(tx, team);
      await dropGrantsTo(tx, team);
      await deleteVaultFolder(tx, team);
      return [];
    },
  };
}

/** Of each name the nearest one that may be used. */
async function usable(
  database: Database,
  scopes: readonly string[],
  names: readonly string[],
): Promise<readonly StoredSecret[]> {
  const rows = names.length === 0 ? [] : await readSecrets(database, scopes, names);
  const found = new Map<string, StoredSecret>();
  for (const row of rows)
    if (!found.has(row.name) && mayUse(scopes[0] ?? '', row.scope, row.grants)) found.set(row.name, row);
  return [...found.values()];
}

/** Every secret that somebody may mean. */
const pairsOf = (asked: readonly SecretsAsk[]) =>
  asked.flatMap(({ from, names }) =>
    names.length === 0 ? [] : scopesFrom(from).flatMap((scope) => names.map((name) => ({ scope, name }))),
  );

/** For each who asks, of each name the nearest one that may be used. */
function nearest<Row extends Pick<StoredSecret, 'scope' | 'name' | 'grants'>>(
  asked: readonly SecretsAsk[],
  rows: readonly Row[],
): readonly (readonly Row[])[] {
  const found = new Map(rows.map((row) => [pairText(row), row]));
  return asked.map(({ from, names }) => {
    const scopes = scopesFrom(from);
    const [own = ''] = scopes;
    return [...new Set(names)].flatMap((name) => {
      const candidates = scopes.map((scope) => found.get(pairText({ scope, name })));
      return candidates.find((row) => row !== undefined && mayUse(own, row.scope, row.grants)) ?? [];
    });
  });
}

/** Scopes hold no blank. */
const pairText = ({ scope, name }: Pick<StoredSecret, 'scope' | 'name'>) => `${scope} ${name}`;

const versionText = ({ name, version }: { readonly name: string; readonly version: number }) => `${name}@${version}`;

async function readAll(
  options: SecretsOptions,
  rows: readonly StoredSecret[],
): Promise<ReadonlyMap<StoredSecret, SecretValue>> {
  const known = await options.keys.load(rows.flatMap(({ sealed }) => sealed?.keyId ?? []));
  const read = async (row: StoredSecret): Promise<[StoredSecret, SecretValue]> => {
    const { value, version } = await readOne(options, row, known);
    return [row, { value, version: versionText({ name: row.name, version }) }];
  };
  return new Map(await Promise.all(rows.map(read)));
}

async function readOne(
  { database, keys, vault }: SecretsOptions,
  row: StoredSecret,
  known: Awaited<ReturnType<Keys['load']>>,
): Promise<{ value: Secret; version: number }> {
  if (row.sealed === undefined) return readFromVault(vault, row);
  if (known.has(row.sealed.keyId))
    return { value: unseal(row.sealed, row, known.get(row.sealed.keyId)), version: row.version };
  // A rotation ended between the read of the value and that of the keys: the row names another key now.
  const [again = row] = await readSecrets(database, [row.scope], [row.name]);
  const keyId = again.sealed?.keyId ?? row.sealed.keyId;
  const key = (await keys.load([keyId])).get(keyId);
  return { value: unseal(again.sealed ?? row.sealed, again, key), version: again.version };
}

async function readFromVault(
  vault: SecretsOptions['vault'],
  row: StoredSecret,
): Promise<{ value: Secret; version: number }> {
  const place = row.vault;
  if (vault === undefined || place === undefined)
    throw new Fault('SECRET_IN_VAULT_ONLY', { secret: `${row.scope}/${row.name}` });
  return vault.values.read({ ...row, vault: place });
}

const projectOf = (scope: string) => /^project\/(.+)$/.exec(scope)?.[1];

const scopesFrom = (from: From) => ('project' in from ? scopesOf(from) : from);

const grantFinding = (grant: string) => ({
  file: 'request',
  path: 'grants',
  message: `${JSON.stringify(grant)} is not <environment>/<team>/<project>, each a name or *`,
});
