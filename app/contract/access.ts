import { z } from 'zod';
import { permissions } from './caller.ts';
import { givenPassword, newPassword } from './password.ts';
import { environmentName, flag, teamName, time } from './values.ts';

/** An id as base/ids.ts makes it; `kind` is what it begins with. */
export const idOf = (kind: string, what: string) =>
  z
    .string()
    .regex(new RegExp(`^${kind}_[0-9a-hjkmnp-tv-z]{26}$`), `the id of ${what}: ${kind}_ and 26 letters and digits`)
    .describe(`Id of ${what}.`);

export const tokenId = idOf('tok', 'a token');
export const tokenParams = z.strictObject({ id: tokenId });

export const tokensQuery = z.strictObject({
  all: flag.describe('Those of everybody, service accounts included; needs token:read in the organization.'),
});

/** At least one, each once: an empty list would be a token for nothing. */
const bound = <Item extends z.ZodType<string>>(item: Item) =>
  z
    .array(item)
    .min(1)
    .max(100)
    .refine((items) => new Set(items).size === items.length, 'each one once')
    .optional();

export const tokenBody = z.strictObject({
  name: z.string().trim().min(1).max(80).describe('What the token is for; shown in commits made with it.'),
  scopes: bound(z.enum(permissions)).describe('What it may do of what its owner may; all of it unless this is given.'),
  teams: bound(teamName).describe('In which teams; all that its owner has unless this is given.'),
  environments: bound(environmentName).describe('In which environments; in all unless this is given.'),
  expiresInDays: z.int().min(1).max(3650).optional().describe('It never expires unless this is given.'),
});

export const tokenView = z
  .object({
    id: z.string(),
    name: z.string(),
    hint: z.string().describe('How the token begins, to recognise it.'),
    owner: z.string().describe('Id of the person or the service account that it acts for.'),
    createdBy: z.string().describe('Who made it.'),
    scopes: z.array(z.string()).nullable().describe('null: all that its owner may.'),
    teams: z.array(z.string()).nullable().describe('null: in all teams of its owner.'),
    environments: z.array(z.string()).nullable().describe('null: in all.'),
    createdAt: time,
    expiresAt: time.nullable(),
    lastUsedAt: time.nullable().describe('To the minute.'),
  })
  .meta({ id: 'Token' });

/** The only time that the token itself is shown. */
export const newTokenView = z
  .object({ ...tokenView.shape, token: z.string().describe('Keep it: it is shown this once.') })
  .meta({ id: 'NewToken' });

export const passwordBody = z.strictObject({
  current: givenPassword.describe('The password as it is now.'),
  next: newPassword,
});
