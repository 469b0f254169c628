import type { Caller, Extent, Permission } from '#contract/caller.ts';
import type { MembershipRow, PrincipalRow } from './principal-store.ts';
import { grantsOf, type Membership, mayOf } from './roles.ts';

/** Who has rights, and which, before any token takes some away. */
export type Principal = Pick<Caller, 'id' | 'name' | 'kind' | 'role' | 'teams' | 'may'>;

/** A role that is no more, or that this version does not know, gives no rights, and makes nobody: undefined. */
export function principalOf(row: PrincipalRow): Principal | undefined {
  const { id, name, role } = row;
  const grants = grantsOf(role, row.grants);
  if (grants === undefined) return undefined;
  const memberships = effectiveMemberships(row.memberships);
  const kind = id.startsWith('sva_') ? 'service-account' : 'user';
  return { id, name, kind, role, teams: memberships.map(({ team }) => team), may: mayOf(grants, memberships) };
}

/** One for each team: what a person wrote goes before what an identity provider says. */
function effectiveMemberships(rows: readonly MembershipRow[]): readonly Membership[] {
  const teams = new Map<string, MembershipRow>();
  for (const row of rows) if (row.source === 'manual' || !teams.has(row.team)) teams.set(row.team, row);
  return [...teams.values()].map(({ team, role, grants }) => ({
    team,
    // A role that is no more grants nothing; it does not fall back on the one in the organization.
    grants: role === null ? null : (grantsOf(role, grants) ?? {}),
  }));
}

/** Beyond what a token may not go; null: no bound. */
export interface Bounds {
  readonly scopes: readonly string[] | null;
  readonly teams: readonly string[] | null;
}

/** What is left of rights within a token's bounds. */
export function within(
  may: ReadonlyMap<Permission, Extent>,
  { scopes, teams }: Bounds,
): ReadonlyMap<Permission, Extent> {
  if (scopes === null && teams === null) return may;
  const left = new Map<Permission, Extent>();
  for (const [permission, extent] of may)
    if (scopes === null || scopes.includes(permission)) left.set(permission, withinTeams(extent, teams));
  return left;
}

function withinTeams(extent: Extent, teams: readonly string[] | null): Extent {
  if (teams === null) return extent;
  return extent === 'organization' ? teams : extent.filter((team) => teams.includes(team));
}
