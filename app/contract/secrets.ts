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
