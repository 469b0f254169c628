import { Fault } from '#base/errors.ts';
import type { Caller } from '#contract/caller.ts';
import type { Database, Queryable } from '#database/pool.ts';
import { builtInRoles, grantsOf, isBuiltIn, mustHold, type RoleGrants } from '../roles.ts';
import { deleteRole, findRole, holdersOf, listRoles, lockRole, saveRole } from './role-store.ts';

export interface Role {
  readonly name: string;
  readonly about: string;
  readonly builtIn: boolean;
  readonly grants: RoleGrants;
}

export interface Roles {
  /** The built-in ones first. */
  list(): Promise<readonly Role[]>;
  /** @throws Fault ROLE_NOT_FOUND */
  get(name: string): Promise<Role>;
  /**
   * Makes a role or changes one. Anybody may be given it in any team, so its maker holds all of it in every team; and
   * who changes one holds what it was as well.
   * @throws Fault GRANT_BEYOND_OWN | ROLE_BUILT_IN
   */
  put(caller: Caller, role: { name: string; about: string; grants: RoleGrants }): Promise<Role>;
  /** @throws Fault ROLE_NOT_FOUND | ROLE_BUILT_IN | ROLE_IN_USE | GRANT_BEYOND_OWN */
  remove(caller: Caller, name: string): Promise<void>;
}

const mostHolders = 5;

const abouts: Readonly<Record<keyof typeof builtInRoles, string>> = {
  admin: 'Everything.',
  editor: 'Projects, secrets and service accounts of the own teams, and own tokens.',
  viewer: 'Sees the projects and logs of the own teams.',
};
const builtIns: readonly Role[] = Object.entries(builtInRoles).map(([name, grants]) => ({
  name,
  about: abouts[name as keyof typeof builtInRoles], // it is a key of the table
  builtIn: true,
  grants,
}));

export function createRoles(database: Database): Roles {
  const get = async (name: string): Promise<Role> => {
    const made = builtIns.find((role) => role.name === name) ?? (await findRole(database, name));
    if (made === undefined) throw await unknownRole(database, name);
    return { builtIn: false, ...made };
  };
  return {
    list: async () => [...builtIns, ...(await listRoles(database)).map((role) => ({ ...role, builtIn: false }))],
    get,
    put: async (caller, role) => {
      const { name, about, grants } = role;
      if (isBuiltIn(name)) throw new Fault('ROLE_BUILT_IN', { role: name });
      mustHold(caller, grants, 'all');
      await database.transaction(async (tx) => {
        const before = (await lockRole(tx, name)) ? await findRole(tx, name) : undefined;
        mustHold(caller, before?.grants ?? {}, 'all');
        await saveRole(tx, { name, about, grants });
      });
      return { name, about, grants, builtIn: false };
    },
    remove: async (caller, name) => {
      if (isBuiltIn(name)) throw new Fault('ROLE_BUILT_IN', { role: name });
      await database.transaction(async (tx) => {
        if (!(await lockRole(tx, name))) throw await unknownRole(tx, name);
        mustHold(caller, (await findRole(tx, name))?.grants ?? {}, 'all');
        const holders = await holdersOf(tx, name, mostHolders);
        if (holders.length > 0) throw new Fault('ROLE_IN_USE', { role: name, holders });
        await deleteRole(tx, name);
      });
    },
  };
}

/** What a role may do; it is not deleted before the transaction ends. @throws Fault ROLE_NOT_FOUND */
export async function keepRole(tx: Queryable, name: string): Promise<RoleGrants> {
  const grants = grantsOf(name, isBuiltIn(name) ? null : (await findRole(tx, name, 'keep'))?.grants);
  if (grants === undefined) throw await unknownRole(tx, name);
  return grants;
}

async function unknownRole(db: Queryable, role: string): Promise<Fault> {
  const known = [...builtIns, ...(await listRoles(db))].map(({ name }) => name);
  return new Fault('ROLE_NOT_FOUND', { role, known });
}
