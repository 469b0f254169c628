import { z } from 'zod';
import { teamName, time } from './values.ts';

/** Identity providers as they are asked for and shown. Secrets go in and never come out. */

const httpUrl = z.url({ protocol: /^https?$/, hostname: /./ }).max(500);
const short = z.string().trim().min(1).max(200);
const email = z.string().max(254);

/** Part of the callback's address, so it is chosen once and never changes. Upper and lower case are two spellings of it. */
const providerName = z
  .string()
  .regex(/^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?$/, 'letters, digits, - and _, 1 to 63 characters')
  .describe('Name of the identity provider, as it stands in its callback address.');

/** Addresses of ours that begin alike and mean something else. */
const takenNames = new Set(['email', 'password', 'sso', 'anonymous', 'username', 'social']);
const newProviderName = providerName.refine(
  (name) => !takenNames.has(name.toLowerCase()),
  'another name: this one has a meaning in addresses of sign-in',
);

const domain = z
  .string()
  .toLowerCase()
  .regex(/^(?=.{1,253}$)[a-z0-9-]+(\.[a-z0-9-]+)*$/, 'a domain such as example.com')
  .describe('Domain of an e-mail address.');

const roleName = z.string().min(1).max(80).describe('Name of a role.');
const expression = z
  .string()
  .min(1)
  .max(2000)
  .describe(
    'A Handlebars template over the claims, such as {{#includes groups "admins"}}true{{/includes}} or {{includes groups "admins"}}. Blocks: if, unless, each, with, else. Functions, as blocks or values: includes, equals, notEquals, contains, and, or, exists, json, pluck; text is compared in any case. Unusual names stand in brackets: [https://example.com/groups].',
  );

export const roleMapping = z
  .strictObject({
    rules: z
      .array(z.strictObject({ expression, role: roleName }))
      .max(100)
      .default([])
      .describe('Asked in this order; the first whose output is not empty gives the role.'),
    defaultRole: roleName.optional().describe('For whom no rule matches. Default: viewer.'),
    strict: z.boolean().default(false).describe('Whom no rule matches may not sign in.'),
    skipSync: z.boolean().default(false).describe('The role is set at the first sign-in only.'),
  })
  .meta({ id: 'RoleMapping' });
export type RoleMapping = z.output<typeof roleMapping>;

export const teamSync = z
  .strictObject({
    groupsExpression: expression
      .optional()
      .describe(
        'Gives the groups as a comma-separated list or a JSON array. Default: the first of the claims groups, group, memberOf, member_of, roles, role, teams and team that holds any.',
      ),
    teams: z
      .array(z.strictObject({ group: z.string().min(1).max(500), team: teamName }))
      .max(1000)
      .describe('Which group brings which team; the case of a group does not count.'),
  })
  .meta({ id: 'TeamSync' });
export type TeamSync = z.output<typeof teamSync>;

const common = {
  label: short.describe('What the button says.'),
  enabled: z.boolean().default(true),
  domains: z.array(domain).max(100).default([]).describe('Only people with an address of these domains; none: all.'),
  createPeople: z
    .boolean()
    .optional()
    .describe(
      'Whether a person is made at the first sign-in. Default: yes, unless everybody can have an account there.',
    ),
  roleMapping: roleMapping.optional(),
  teamSync: teamSync.optional(),
};

/** Where a secret is in Vault, in place of its value. */
const vaultPlace = z.strictObject({
  path: z.string().min(1).max(500).describe('As the API of Vault has it: `secret/data/plinth` in KV v2.'),
  key: z.string().min(1).max(200).describe('The field of the secret there.'),
});
const clientSecret = z.string().min(1).max(4096).optional().describe('Stored encrypted; left out: it stays as it is.');
const trustEmail = (standard: boolean) =>
  z
    .boolean()
    .default(standard)
    .describe(
      'Take its e-mail addresses as verified, although it does not say so of each. Only for your own provider.',
    );

const oidc = z.strictObject({
  kind: z.literal('oidc'),
  preset: z.enum(['okta', 'entra', 'google', 'gitlab', 'generic']).default('generic'),
  issuer: httpUrl.optional().describe('Where /.well-known/openid-configuration is. Google and GitLab have a default.'),
  clientId: short,
  clientSecret,
  clientSecretVault: vaultPlace.optional(),
  scopes: z
    .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,200}$/))
    .min(1)
    .max(30)
    .optional(),
  hostedDomain: domain.optional().describe('Only accounts of this Google Workspace domain.'),
  trustEmail: trustEmail(false),
  ...common,
});

const github = z.strictObject({
  kind: z.literal('github'),
  server: httpUrl.default('https://github.com').describe('Of GitHub Enterprise, if you have one.'),
  clientId: short,
  clientSecret,
  clientSecretVault: vaultPlace.optional(),
  ...common,
});

const saml = z.strictObject({
  kind: z.literal('saml'),
  preset: z.enum(['okta', 'entra', 'google', 'generic']).default('generic'),
  metadata: z
    .string()
    .min(1)
    .max(262_144)
    .optional()
    .describe('The metadata document (XML) of the provider; it fills what is not given here.'),
  entityId: short.max(1024).optional().describe('Entity id of the provider.'),
  entryPoint: httpUrl.optional().describe('Where people are sent to sign in (HTTP-Redirect).'),
  certificates: z
    .array(z.string().min(1).max(16_384))
    .min(1)
    .max(10)
    .optional()
    .describe('The certificates that may sign assertions, PEM or base64.'),
  audience: short.max(1024).optional().describe('Our entity id. Default: the address of our metadata.'),
  emailAttribute: short.optional().describe('Default: email, mail and their usual long names, else the NameID.'),
  allowUnsolicited: z
    .boolean()
    .default(false)
    .describe('Accept sign-ins that begin at the provider. Anyone can then sign a visitor in as somebody else.'),
  privateKey: z.string().min(1).max(16_384).optional().describe('PEM; signs our requests. Stored encrypted.'),
  privateKeyVault: vaultPlace.optional(),
  trustEmail: trustEmail(true),
  ...common,
});

export const providerBody = z.discriminatedUnion('kind', [oidc, github, saml]).meta({ id: 'IdentityProviderBody' });
export const newProviderBody = z
  .discriminatedUnion('kind', [
    oidc.extend({ name: newProviderName }),
    github.extend({ name: newProviderName }),
    saml.extend({ name: newProviderName }),
  ])
  .meta({ id: 'NewIdentityProvider' });
export type ProviderBody = z.output<typeof providerBody>;

/** What is kept of a provider, its secrets left out. */
export type ProviderConfig =
  | Omit<z.output<typeof oidc>, 'clientSecret' | 'clientSecretVault'>
  | Omit<z.output<typeof github>, 'clientSecret' | 'clientSecretVault'>
  | Omit<z.output<typeof saml>, 'privateKey' | 'privateKeyVault'>;

const shown = {
  name: providerName,
  source: z.enum(['api', 'settings']).describe('Those of the settings are changed there.'),
  secretSet: z.boolean().describe('Whether a client secret, or with SAML a private key, is stored.'),
  callbackUrl: z.string().describe('To be registered at the provider: redirect URI, or with SAML the ACS address.'),
  metadataUrl: z.string().nullable().describe('With SAML: our metadata.'),
  problem: z
    .string()
    .nullable()
    .describe('Why it could not be used at the last attempt; null: it could, or was not tried.'),
  updatedAt: time.nullable(),
};

export const providerView = z
  .discriminatedUnion('kind', [
    oidc.omit({ clientSecret: true, clientSecretVault: true }).extend(shown),
    github.omit({ clientSecret: true, clientSecretVault: true }).extend(shown),
    saml.omit({ privateKey: true, privateKeyVault: true }).extend(shown),
  ])
  .meta({ id: 'IdentityProvider' });

export const providerParams = z.strictObject({ provider: providerName });

export const providerButton = z
  .object({ name: providerName, label: z.string(), path: z.string().describe('Where signing in begins.') })
  .meta({ id: 'SignInButton' });

export const providerCheck = z
  .object({
    works: z.boolean(),
    problem: z.string().nullable().describe('Why it cannot be used.'),
    facts: z
      .record(z.string(), z.string())
      .describe('What was found: issuer, endpoints, until when certificates hold.'),
  })
  .meta({ id: 'IdentityProviderCheck' });

/** What a provider may say of a person: values within values counted, texts and names in bytes of UTF-8. */
export const mostClaimValues = 20_000;
export const mostClaimBytes = 512 * 1024;
export const mostClaimDepth = 32;

export const mappingTrialBody = z.strictObject({
  claims: z
    .record(z.string().max(500), z.unknown())
    .describe(`As the provider would send them: at most ${mostClaimValues} values and ${mostClaimBytes / 1024} KiB.`),
  roleMapping: roleMapping.optional().describe('In place of the one that is stored.'),
  teamSync: teamSync.optional().describe('In place of the one that is stored.'),
});

export const mappingTrial = z
  .object({
    allowed: z.boolean().describe('false: strict, and no rule matches.'),
    role: z.string().nullable().describe('null: the role stays as it is.'),
    rule: z.int().nullable().describe('Which rule matched, counted from 0; null: none.'),
    groups: z.array(z.string()),
    teams: z.array(z.string()),
    unmapped: z.array(z.string()).describe('Groups that bring no team.'),
  })
  .meta({ id: 'MappingTrial' });

/** Where the browser goes on after signing in: a path of ours, else the front page. */
export const signInStartQuery = z.strictObject({ next: z.string().max(2000).optional() });

/** What a provider appends to the callback's address. Others than these are ignored. */
export const callbackQuery = z.looseObject({
  state: z.string().max(200).optional(),
  code: z.string().max(8192).optional(),
  iss: z.string().max(1000).optional(),
  error: z.string().max(200).optional(),
});

export const samlAnswer = z.object({
  SAMLResponse: z.string().min(1).max(350_000),
  RelayState: z.string().max(2000).optional(),
});

export const samlContinueQuery = z.strictObject({ state: z.string().max(200) });

export const linkParams = z.strictObject({ provider: providerName, email });
