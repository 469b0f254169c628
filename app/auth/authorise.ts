import type { Caller, Permission, Scope } from '#contract/caller.ts';

/** Git has no read right per folder: who reads the state repository reads every team's part of it. */
const overAllTeams: ReadonlySet<Permission> = new Set(['state:read']);

/** What is about things in environments: lists of these can be cut to a caller's environments. */
const inEnvironments: ReadonlySet<Permission> = new Set([
  'environment:read',
  'environment:write',
  'project:read',
  'project:write',
  'project:delete',
  'log:read',
  'state:write',
]);

/**
 * The one answer to "may they?". What is not known is denied: a permission that the caller lacks, a route that does not
 * say what it acts on, a team route without a team.
 */
export function authorise(caller: Caller, permission: Permission, scope: Scope): boolean {
  const extent = caller.may.get(permission);
  if (extent === undefined || !mayBeThere(caller, permission, scope)) return false;
  const { reach, team } = scope;
  if (reach === 'team' && team === undefined) return false;
  if (extent === 'organization') return true;
  if (overAllTeams.has(permission)) return false;
  if (reach === 'team') return extent.includes(team ?? '');
  // What is shown of many is cut to the caller's teams by the handler.
  return reach === 'personal' || reach === 'teams';
}

/**
 * Who is bound to environments acts in these, and sees what is their own: never what stands above the environments,
 * such as people, teams and the secrets of the organization.
 */
function mayBeThere(caller: Caller, permission: Permission, { reach, environment }: Scope): boolean {
  if (caller.environments === 'all') return true;
  if (environment !== undefined) return caller.environments.includes(environment);
  return reach === 'personal' || (reach === 'teams' && inEnvironments.has(permission));
}

/** A place in the state repository: a project of a team, an environment, or (nothing named) all that is above. */
export interface StatePlace {
  readonly environment?: string | undefined;
  readonly team?: string | undefined;
  /** The project's spec goes away. */
  readonly removed?: boolean;
}

/** What a caller may do with Git: see all, push at all, and change which places. */
export function gitRights(caller: Caller) {
  const mayIn = (permission: Permission, { environment, team }: StatePlace) =>
    authorise(caller, permission, { reach: team === undefined ? 'organization' : 'team', environment, team });
  return {
    mayRead: authorise(caller, 'state:read', { reach: 'organization' }),
    mayPush: authorise(caller, 'state:write', { reach: 'teams' }),
    mayWrite: (place: StatePlace): boolean =>
      mayIn('state:write', place) &&
      mayIn('project:write', place) &&
      // environment.yaml says all that a switch of the environment does, and more.
      (place.environment === undefined || place.team !== undefined || mayIn('environment:write', place)) &&
      (place.removed !== true || mayIn('project:delete', place)),
  };
}
