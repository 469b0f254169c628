import { z } from 'zod';

/**
 * Everything that a route can ask for, as `resource:action`. Which role may do what stands in the database; the three
 * roles that every installation has stand in auth/roles.ts.
 */
export const permissions = [
  'self:read',
  'self:write',
  'environment:read',
  'environment:write',
  'project:read',
  'project:write',
  'project:delete',
  'log:read',
  'secret:read',
  'secret:write',
  'state:read',
  'state:write',
  'token:read',
  'token:write',
  'user:read',
  'user:write',
  'team:read',
  'team:write',
  'role:read',
  'role:write',
  'invitation:read',
  'invitation:write',
  'service-account:read',
  'service-account:write',
  'identity-provider:read',
  'identity-provider:write',
  'audit:read',
] as const;
export type Permission = (typeof permissions)[number];

/**
 * How far a permission goes, the shorter way first: what is one's own, what belongs to one's teams, all of the
 * installation with what belongs to no team.
 */
export const reaches = ['personal', 'team', 'organization'] as const;
export type Reach = (typeof reaches)[number];

/** Where a caller has a permission. A list of teams may be empty: then it goes as far as what is one's own. */
export type Extent = 'organization' | readonly string[];

/** By which proof a request says who sends it. */
export interface Credential {
  readonly kind: 'session' | 'token' | 'password';
  /** Of the session or the token; passwords have none. */
  readonly id?: string;
}

/** Who asks. Made by auth only, once a request; frozen, and shared by requests with the same proof. */
export interface Caller {
  /** Id of the person or the service account; a token acts for whom it was made. */
  readonly id: string;
  /** What commits and the audit show: the e-mail address, or `token:<name>`. */
  readonly name: string;
  readonly kind: 'user' | 'service-account';
  readonly credential: Credential;
  /** Name of the role in the organization; for people to read, never to decide by. */
  readonly role: string;
  /** The teams they belong to. */
  readonly teams: readonly string[];
  /** What they may do and where, with all that the token takes away already taken. What is not named is denied. */
  readonly may: ReadonlyMap<Permission, Extent>;
  /** A token may be bound to some environments. */
  readonly environments: 'all' | readonly string[];
}

/** What is asked about: how far the route goes, and what its path names. */
export interface Scope {
  readonly reach: RouteReach;
  readonly environment?: string | undefined;
  readonly team?: string | undefined;
  readonly project?: string | undefined;
}

/**
 * What a route acts on. personal: what is the caller's own. team: the team that its path names. teams: whatever of the
 * caller's teams there is; the handler shows no more than `teamsOf` says. organization: all of it, or what belongs to
 * no team.
 */
export const routeReaches = ['personal', 'team', 'teams', 'organization'] as const;
export type RouteReach = (typeof routeReaches)[number];

/** The teams in which the caller has the permission, for handlers that show a part of many. */
export function teamsOf(caller: Caller, permission: Permission): 'all' | readonly string[] {
  const extent = caller.may.get(permission) ?? [];
  return extent === 'organization' ? 'all' : extent;
}

/** Whether a caller bound to some environments may touch this one. */
export const mayEnter = (caller: Caller, environment: string): boolean =>
  caller.environments === 'all' || caller.environments.includes(environment);

export const callerView = z
  .object({
    id: z.string(),
    name: z.string().describe('E-mail address, or the name of the token.'),
    kind: z.enum(['user', 'service-account']),
    credential: z.enum(['session', 'token', 'password']).describe('By which proof this request came.'),
    role: z.string().describe('Name of the role in the organization.'),
    teams: z.array(z.string()).describe('The teams they belong to.'),
    permissions: z
      .record(z.string(), z.union([z.literal('organization'), z.array(z.string())]))
      .describe('What they may do, and where: everywhere, or in these teams.'),
    environments: z.union([z.literal('all'), z.array(z.string())]),
  })
  .meta({ id: 'Caller' });
