import { z } from 'zod';
import { projectParams, time } from './values.ts';

const secretName = z
  .string()
  .regex(/^[a-zA-Z0-9](?:[a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?$/, '1 to 63 letters, digits, dots, hyphens and underscores')
  .describe('Name of the secret.');

export const secretParams = z.strictObject({ ...projectParams.shape, name: secretName });

/** The value goes in and never comes out again. */
export const secretBody = z.strictObject({
  value: z.string().min(1).max(262_144).describe('The value; only projects in the cluster see it again.'),
});

export const secretView = z
  .object({
    name: z.string(),
    version: z.int(),
    generated: z.boolean().describe('Made by Plinth, such as the password of a database.'),
    updatedBy: z.string(),
    updatedAt: time,
  })
  .meta({ id: 'Secret' });

export const organizationSecretParams = z.strictObject({ name: secretName });

/** A secret of the organization serves only the projects that it lists. */
export const organizationSecretBody = z.strictObject({
  ...secretBody.shape,
  grants: z
    .array(
      z
        .string()
        .regex(
          /^(\*|[a-z0-9-]+)(\/(\*|[a-z0-9-]+)){2}$/,
          '<environment>/<team>/<project>, each a name or *, such as local/shop/*',
        ),
    )
    .max(100)
    .optional()
    .describe('Which projects may use it; unset: as before, at first nobody.'),
});

export const organizationSecretView = z
  .object({ ...secretView.shape, grants: z.array(z.string()).describe('Which projects may use it.') })
  .meta({ id: 'OrganizationSecret' });
