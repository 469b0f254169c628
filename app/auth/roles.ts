import { type Caller, type Permission, permissions, type Role, type Scope } from '#contract/caller.ts';

/** What a role may do. A permission that stands nowhere here is denied to everyone. */
const grants: Readonly<Record<Role, ReadonlySet<Permission>>> = {
  admin: new Set(permissions),
};

/** Git has no read right per folder: who reads the state repository reads every team's part of it. */
const overAllTeams: ReadonlySet<Permission> = new Set(['state:read']);

/** A token that leaked must not be able to make itself permanent. */
const onlyInPerson: ReadonlySet<Permission> = new Set(['token:write', 'password:write']);

/** The one answer to "may they?". What is not known is denied. */
export function authorise(caller: Caller, permission: Permission, scope: Scope): boolean {
  if (!Object.hasOwn(grants, caller.role) || !grants[caller.role].has(permission)) return false;
  if (caller.kind === 'token' && onlyInPerson.has(permission)) return false;
  if (caller.teams === 'all') return true;
  if (overAllTeams.has(permission)) return false;
  return scope.team === undefined || caller.teams.includes(scope.team);
}
