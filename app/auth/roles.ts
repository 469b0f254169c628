import { Fault } from '#base/errors.ts';
import { type Caller, type Extent, type Permission, permissions, type Reach } from '#contract/caller.ts';

/** What a role may do, and how far. What it does not name is denied. */
export type RoleGrants = Readonly<Partial<Record<Permission, Reach>>>;

const own = { 'self:read': 'personal', 'self:write': 'personal' } as const satisfies RoleGrants;

const viewer = {
  ...own,
  'environment:read': 'organization',
  'project:read': 'team',
  'log:read': 'team',
  'team:read': 'team',
  'user:read': 'team',
} as const satisfies RoleGrants;

const editor = {
  ...viewer,
  'project:write': 'team',
  'project:delete': 'team',
  'secret:read': 'team',
  'secret:write': 'team',
  'state:write': 'team',
  'token:read': 'personal',
  'token:write': 'personal',
  'service-account:read': 'team',
  'service-account:write': 'team',
} as const satisfies RoleGrants;

/** The roles of every installation. They cannot be changed; other ones are made beside them. */
export const builtInRoles = {
  admin: Object.fromEntries(permissions.map((permission) => [permission, 'organization'])) as RoleGrants,
  editor,
  viewer,
} as const satisfies Readonly<Record<string, RoleGrants>>;

/** A membership: a team, and the role that counts there in place of the organization's (null: that one). */
export interface Membership {
  readonly team: string;
  readonly grants: RoleGrants | null;
}

/** What a person with this role and these memberships may do, and where. */
export function mayOf(grants: RoleGrants, memberships: readonly Membership[]): ReadonlyMap<Permission, Extent> {
  const may = new Map<Permission, Extent>();
  for (const permission of permissions) {
    if (grants[permission] === 'organization') {
      may.set(permission, 'organization');
      continue;
    }
    const teams = memberships.filter((each) => isIn(each.grants ?? grants, permission)).map(({ team }) => team);
    if (teams.length > 0 || grants[permission] !== undefined) may.set(permission, teams);
  }
  return may;
}

/** A role of a membership goes no further than its team, whatever it says. */
function isIn(grants: RoleGrants, permission: Permission): boolean {
  const reach = grants[permission];
  return reach === 'team' || reach === 'organization';
}

const builtIn: Readonly<Record<string, RoleGrants>> = builtInRoles;

export const isBuiltIn = (role: string): boolean => Object.hasOwn(builtIn, role);

/** What a role may do; `custom` is what the database says of it. A role that nobody knows: undefined. */
export function grantsOf(role: string, custom: RoleGrants | null | undefined): RoleGrants | undefined {
  if (isBuiltIn(role)) return builtIn[role];
  // Whoever signs in may see and change what is their own, whatever the role forgot.
  return custom === null || custom === undefined ? undefined : { ...custom, ...own };
}

/** What a role comes to as the role of a membership. */
export function inTeam(grants: RoleGrants): RoleGrants {
  const granted = permissions.filter((permission) => isIn(grants, permission));
  return Object.fromEntries(granted.map((permission) => [permission, 'team'] as const));
}

/**
 * What the caller lacks to grant this, in the table's order: nobody grants what they do not hold. `teams` says where
 * the grants of reach `team` would count: 'all' for a role that anybody may be given anywhere.
 */
export function missingFor(
  caller: Pick<Caller, 'may'>,
  grants: RoleGrants,
  teams: 'all' | readonly string[],
): readonly Permission[] {
  return permissions.filter((permission) => {
    const reach = grants[permission];
    if (reach === undefined) return false;
    const extent = caller.may.get(permission);
    if (extent === undefined) return true;
    if (extent === 'organization' || reach === 'personal') return false;
    if (reach === 'organization' || teams === 'all') return true;
    return !teams.every((team) => extent.includes(team));
  });
}

/** @throws Fault GRANT_BEYOND_OWN naming what is missing */
export function mustHold(caller: Pick<Caller, 'may'>, grants: RoleGrants, teams: 'all' | readonly string[]): void {
  const missing = missingFor(caller, grants, teams);
  if (missing.length > 0) throw new Fault('GRANT_BEYOND_OWN', { missing });
}

/**
 * Whoever changes, disables or deletes someone, or acts in their place, holds all that they hold.
 * @throws Fault GRANT_BEYOND_OWN naming what is missing
 */
export function mustHoldAllOf(caller: Pick<Caller, 'may'>, other: ReadonlyMap<Permission, Extent>): void {
  const missing = [...other].flatMap(([permission, extent]) => {
    const reach = extent === 'organization' ? 'organization' : extent.length > 0 ? 'team' : 'personal';
    return missingFor(caller, { [permission]: reach }, extent === 'organization' ? 'all' : extent);
  });
  if (missing.length > 0) throw new Fault('GRANT_BEYOND_OWN', { missing });
}
