import { z } from 'zod';
import { environmentParams, projectParams, teamName, time } from './values.ts';

const secretName = z
  .string()
  .regex(/^[a-zA-Z0-9](?:[a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?$/, '1 to 63 letters, digits, dots, hyphens and underscores')
  .describe('Name of the secret.');

export const secretParams = z.strictObject({ ...projectParams.shape, name: secretName });
export const organizationSecretParams = z.strictObject({ name: secretName });
export const environmentSecretParams = z.strictObject({ ...environmentParams.shape, name: secretName });
export const secretTeamParams = z.strictObject({ team: teamName });
export const teamSecretParams = z.strictObject({ team: teamName, name: secretName });

const vaultPlace = z.strictObject({
  path: z
    .string()
    .min(3)
    .max(500)
    .describe('As the API of Vault has it: secret/data/shop in KV v2, secret/shop in v1.'),
  key: z.string().min(1).max(200).describe('The field of the secret there.'),
});

const valueOrPlace = {
  value: z
    .string()
    .min(1)
    .max(262_144)
    .optional()
    .describe('The value; only projects in the cluster see it again. Refused where Plinth only reads Vault.'),
  vault: vaultPlace.optional().describe('In place of a value: where it stands in Vault, from where it is read at use.'),
};

const hasOne = (body: { readonly value?: unknown; readonly vault?: unknown }) =>
  (body.value === undefined) !== (body.vault === undefined);
const wanted = { message: 'either value or vault, not both' };

/** The value goes in and never comes out again. */
export const secretBody = z.strictObject(valueOrPlace).refine(hasOne, wanted);

export const secretView = z
  .object({
    name: z.string(),
    version: z.int(),
    generated: z.boolean().describe('Made by Plinth, such as the password of a database.'),
    vault: vaultPlace.nullable().describe('Where the value stands in Vault; null: encrypted in the database.'),
    updatedBy: z.string().describe('Who set it; `vault` where the value was changed in Vault itself.'),
    updatedAt: time,
  })
  .meta({ id: 'Secret' });

/** A secret that is wider than a project serves only the projects that it lists. */
export const grantedSecretBody = z
  .strictObject({
    ...valueOrPlace,
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
  })
  .refine(hasOne, wanted);

export const grantedSecretView = z
  .object({ ...secretView.shape, grants: z.array(z.string()).describe('Which projects may use it.') })
  .meta({ id: 'GrantedSecret' });

export const vaultFolderBody = z.strictObject({ path: vaultPlace.shape.path });

export const vaultFolderView = z
  .object({ team: z.string(), path: z.string(), updatedBy: z.string(), updatedAt: time })
  .meta({ id: 'VaultFolder' });
