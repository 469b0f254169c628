import type { Handlers } from '#contract/routes.ts';
import type { SecondFactor } from '../sign-in/second-factor.ts';
import type { Tokens } from '../tokens.ts';
import type { Roles } from './custom-roles.ts';
import { createInvitationHandlers } from './invitation-handlers.ts';
import type { Invitations } from './invitations.ts';
import type { People } from './people.ts';
import { createRoleHandlers } from './role-handlers.ts';
import { createServiceAccountHandlers } from './service-account-handlers.ts';
import type { ServiceAccounts } from './service-accounts.ts';
import { createTeamHandlers } from './team-handlers.ts';
import type { Teams } from './teams.ts';
import { createUserHandlers } from './user-handlers.ts';

export interface PeopleDoors {
  readonly people: People;
  readonly teams: Teams;
  readonly roles: Roles;
  readonly invitations: Invitations;
  readonly serviceAccounts: ServiceAccounts;
  readonly tokens: Tokens;
  readonly secondFactor: Pick<SecondFactor, 'state' | 'remove'>;
}

/** The handlers of everything about people and what they may do; those of one's own tokens are in access.ts. */
export const createPeopleHandlers = (doors: PeopleDoors) =>
  ({
    ...createUserHandlers(doors),
    ...createTeamHandlers(doors),
    ...createRoleHandlers(doors),
    ...createInvitationHandlers(doors),
    ...createServiceAccountHandlers(doors),
  }) satisfies Partial<Handlers>;
