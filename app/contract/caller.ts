import { z } from 'zod';

/** Everything that a route can ask for; which role may do it stands in auth/roles.ts. */
export const permissions = [
  'self:read',
  'password:write',
  'environment:read',
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
] as const;
export type Permission = (typeof permissions)[number];

export const roles = ['admin'] as const;
export type Role = (typeof roles)[number];

/** Who asks. Made by auth only, once a request. */
export interface Caller {
  /** Id of the person; a token acts for the person who made it. */
  readonly id: string;
  /** What commits and the audit show: the e-mail address, or the token's name. */
  readonly name: string;
  readonly kind: 'user' | 'token';
  readonly role: Role;
  readonly teams: 'all' | readonly string[];
}

/** What is asked about, as far as the path names it. Nothing named: the whole installation. */
export interface Scope {
  readonly environment?: string;
  readonly team?: string;
  readonly project?: string;
}

export const callerView = z
  .object({
    id: z.string(),
    name: z.string().describe('E-mail address, or the name of the token.'),
    kind: z.enum(['user', 'token']),
    role: z.enum(roles),
    teams: z.union([z.literal('all'), z.array(z.string())]),
  })
  .meta({ id: 'Caller' });
