import type { ErrorRows } from './kind.ts';

/** People, teams, roles and what they may do. */
export const peopleErrors = {
  FORBIDDEN: { status: 403, retry: false, text: '{actor} may not {permission} here.' },
  GRANT_BEYOND_OWN: { status: 403, retry: false, text: 'Nobody grants what they do not hold. You lack: {missing}.' },
  INVITATIONS_OFF: {
    status: 403,
    retry: false,
    text: 'Invitations are turned off here (AUTH_DISABLE_INVITATIONS). Ask an administrator for an account.',
  },
  TOKEN_NOT_FOUND: { status: 404, retry: false, text: 'There is no token {token} of yours.' },
  SESSION_NOT_FOUND: { status: 404, retry: false, text: 'There is no session {session} of yours.' },
  PERSON_NOT_FOUND: { status: 404, retry: false, text: 'There is no person {person}.' },
  TEAM_NOT_FOUND: { status: 404, retry: false, text: 'There is no team {team}.' },
  MEMBER_NOT_FOUND: { status: 404, retry: false, text: '{person} is not in team {team}.' },
  ROLE_NOT_FOUND: { status: 404, retry: false, text: 'There is no role {role}; there are {known}.' },
  INVITATION_NOT_FOUND: { status: 404, retry: false, text: 'There is no invitation {invitation} that waits.' },
  SERVICE_ACCOUNT_NOT_FOUND: { status: 404, retry: false, text: 'There is no service account {account}.' },
  IDENTITY_PROVIDER_NOT_FOUND: { status: 404, retry: false, text: 'There is no identity provider {provider}.' },
  IDENTITY_LINK_NOT_FOUND: { status: 404, retry: false, text: '{email} is not linked to an account of {provider}.' },
  TEAM_FULL: {
    status: 409,
    retry: false,
    text: 'Team {team} has {count} projects in {environment}; the most is {most}.',
  },
  PERSON_EXISTS: { status: 409, retry: false, text: '{email} has an account already.' },
  SERVICE_ACCOUNT_EXISTS: { status: 409, retry: false, text: 'There is a service account {name} already.' },
  IDENTITY_PROVIDER_EXISTS: { status: 409, retry: false, text: 'There is an identity provider {provider} already.' },
  IDENTITY_PROVIDER_FIXED: {
    status: 409,
    retry: false,
    text: 'Identity provider {provider} comes from the settings; change it there.',
  },
  LAST_ADMINISTRATOR: {
    status: 409,
    retry: false,
    text: '{email} is the last active administrator. Make somebody else administrator first.',
  },
  TEAM_IN_USE: { status: 409, retry: false, text: 'Team {team} still owns {left}; delete these first.' },
  ROLE_BUILT_IN: {
    status: 409,
    retry: false,
    text: 'Role {role} belongs to every installation and cannot be changed; make another one beside it.',
  },
  ROLE_IN_USE: {
    status: 409,
    retry: false,
    text: 'Role {role} is still given to {holders}; give them another one first.',
  },
} as const satisfies ErrorRows;
