import { z } from 'zod';
import { idOf, tokenId } from './access.ts';
import { permissions, reaches } from './caller.ts';
import { newPassword } from './password.ts';
import { page, teamName, time } from './values.ts';

const userId = idOf('usr', 'a person');
const serviceAccountId = idOf('sva', 'a service account');
const memberId = z
  .string()
  .regex(/^(usr|sva)_[0-9a-hjkmnp-tv-z]{26}$/, 'the id of a person (usr_…) or of a service account (sva_…)')
  .describe('Id of a person or of a service account.');
const roleName = z
  .string()
  .regex(/^(?=.{2,40}$)[a-z](?:-?[a-z0-9])*$/, '2 to 40 characters: lower case letters, digits, single hyphens')
  .describe('Name of a role.');
const personName = z.string().trim().min(1).max(120);
/** Kept in lower case; two ways to write one address are one person. */
const emailAddress = z.string().trim().toLowerCase().max(254).pipe(z.email()).describe('E-mail address.');

export const userParams = z.strictObject({ user: userId });
export const usersQuery = z.strictObject({
  ...page,
  q: z.string().max(100).optional().describe('Only those with this in name or e-mail address.'),
});

export const newUserBody = z.strictObject({
  email: emailAddress,
  name: personName,
  role: roleName,
  password: newPassword
    .optional()
    .describe(`${newPassword.description} Without one they come by an identity provider, or reset it by mail.`),
});

export const userChangeBody = z.strictObject({
  name: personName.optional(),
  role: roleName.optional(),
  disabled: z.boolean().optional(),
});

const membershipView = z.object({
  team: z.string(),
  role: z.string().nullable().describe('Counts in this team in place of the role in the organization; null: that one.'),
  source: z.string().describe('manual, or identity:<provider>.'),
});

export const userView = z
  .object({
    id: z.string(),
    email: z.string(),
    name: z.string(),
    role: z.string().describe('Role in the organization.'),
    emailVerified: z.boolean(),
    disabled: z.boolean(),
    teams: z.array(membershipView),
    createdAt: time,
  })
  .meta({ id: 'User' });

export const teamParams = z.strictObject({ team: teamName });
export const teamBody = z.strictObject({
  title: z.string().trim().max(120).default('').describe('For people to read.'),
});
export const teamView = z
  .object({ name: z.string(), title: z.string(), members: z.int(), createdAt: time })
  .meta({ id: 'Team' });

export const memberParams = z.strictObject({ team: teamName, user: memberId });
export const memberBody = z.strictObject({
  role: roleName.nullable().default(null).describe('null: what the role in the organization says counts here too.'),
});
export const memberView = z
  .object({
    id: z.string(),
    name: z.string().describe('E-mail address, or the name of the service account.'),
    kind: z.enum(['user', 'service-account']),
    role: z.string().nullable(),
    source: z.string(),
    createdAt: time,
  })
  .meta({ id: 'Member' });

const grants = z
  .partialRecord(z.enum(permissions), z.enum(reaches))
  .describe('Permission → how far: personal, team (the teams one belongs to), organization.');
export const roleParams = z.strictObject({ role: roleName });
export const roleBody = z.strictObject({ about: z.string().trim().max(300).default(''), grants });
export const roleView = z
  .object({
    name: z.string(),
    about: z.string(),
    builtIn: z.boolean(),
    grants: z.record(z.string(), z.enum(reaches)),
  })
  .meta({ id: 'Role' });

export const invitationParams = z.strictObject({ id: idOf('inv', 'an invitation') });
export const invitationBody = z.strictObject({
  email: emailAddress,
  role: roleName.describe('Role in the organization.'),
  team: teamName.optional().describe('A team to begin in.'),
  send: z.enum(['mail', 'link']).default('link').describe('mail: the link is mailed and not shown. link: shown once.'),
});
export const invitationView = z
  .object({
    id: z.string(),
    email: z.string(),
    role: z.string(),
    team: z.string().nullable(),
    invitedBy: z.string().describe('Id of the person who invites.'),
    createdAt: time,
    expiresAt: time,
  })
  .meta({ id: 'Invitation' });
export const newInvitationView = z
  .object({
    ...invitationView.shape,
    link: z.string().nullable().describe('Pass it on: it is shown this once. null: it was mailed.'),
  })
  .meta({ id: 'NewInvitation' });

const invitationToken = z.string().max(100).describe('The last part of the link.');
export const invitationTokenBody = z.strictObject({ token: invitationToken });
export const openInvitationView = z
  .object({ email: z.string(), team: z.string().nullable(), expiresAt: time })
  .meta({ id: 'OpenInvitation' });
export const acceptanceBody = z.strictObject({ token: invitationToken, name: personName, password: newPassword });
export const acceptedView = z.object({ id: z.string(), email: z.string() }).meta({ id: 'Accepted' });

export const serviceAccountParams = z.strictObject({ id: serviceAccountId });
export const serviceAccountTokenParams = z.strictObject({ id: serviceAccountId, token: tokenId });
const accountName = z
  .string()
  .regex(/^(?=.{2,60}$)[a-z](?:-?[a-z0-9])*$/, '2 to 60 characters: lower case letters, digits, single hyphens');
export const serviceAccountBody = z.strictObject({
  name: accountName,
  role: roleName.describe('Role in the organization.'),
  teams: z
    .array(z.strictObject({ team: teamName, role: roleName.nullable().default(null) }))
    .max(100)
    .default([])
    .refine((all) => new Set(all.map(({ team }) => team)).size === all.length, 'each team once')
    .describe('The teams it belongs to; at least one, unless service-account:write is yours in the organization.'),
});
export const serviceAccountChangeBody = z.strictObject({
  name: accountName.optional(),
  role: roleName.optional(),
  disabled: z.boolean().optional(),
});
export const serviceAccountView = z
  .object({
    id: z.string(),
    name: z.string(),
    role: z.string(),
    disabled: z.boolean(),
    teams: z.array(membershipView),
    createdBy: z.string(),
    createdAt: time,
  })
  .meta({ id: 'ServiceAccount' });
