import { Fault } from '#base/errors.ts';
import type { Caller } from '#contract/caller.ts';
import type { ProviderBody, RoleMapping } from '#contract/identity.ts';
import type { identityRoutes } from '#contract/identity-routes.ts';
import type { HandlersOf } from '#contract/route.ts';
import type { Database } from '#database/pool.ts';
import type { People } from '../people/people.ts';
import type { Flow } from './flow.ts';
import { beginMapping, checkMapping, decideRole, groupsOf, standardRole, teamsOf } from './mapping.ts';
import type { RedirectKind } from './oidc.ts';
import type { GithubProvider, OidcProvider, Provider, SamlProvider } from './provider.ts';
import type { Providers } from './providers.ts';
import { audienceOf, type Saml } from './saml.ts';
import { certificateFacts } from './saml-metadata.ts';
import { deleteLinkOf } from './store.ts';

export interface HandlerDependencies {
  readonly database: Database;
  readonly providers: Providers;
  readonly flow: Flow;
  readonly oidc: RedirectKind<OidcProvider>;
  readonly github: RedirectKind<GithubProvider>;
  readonly saml: Saml;
  readonly people: Pick<People, 'findByEmail'>;
  /** Whether they hold every right of the role. @throws Fault ROLE_NOT_FOUND */
  readonly mayGrantRole: (caller: Caller, role: string) => Promise<boolean>;
  /** What the last attempt at a provider met. */
  readonly problemOf: (provider: Provider) => string | undefined;
  readonly tried: (provider: Provider, problem: string | undefined) => void;
}

type IdentityHandlers = HandlersOf<typeof identityRoutes>;

export function createHandlers(dependencies: HandlerDependencies): IdentityHandlers {
  return { ...administration(dependencies), ...walks(dependencies) };
}

function administration(dependencies: HandlerDependencies) {
  const { database, providers, people, problemOf } = dependencies;
  const view = (provider: Provider) => viewOf(provider, problemOf(provider));
  return {
    listIdentityProviders: async () => ({ json: { items: (await providers.list()).map(view), next: null } }),
    getIdentityProvider: async ({ params }) => ({ json: view(await providers.get(params.provider)) }),
    createIdentityProvider: async ({ caller, body }) => {
      const { name, ...given } = body;
      await checkWish(dependencies, caller, given);
      const made = await providers.create(name, given, caller.name);
      const location = `/api/v1/identity-providers/${name}`;
      return { json: view(made), location, audit: { target: name, after: factsOf(made) } };
    },
    putIdentityProvider: async ({ caller, params, body }) => {
      await checkWish(dependencies, caller, body);
      const before = await providers.get(params.provider);
      const after = await providers.change(params.provider, body, caller.name);
      return { json: view(after), audit: { before: factsOf(before), after: factsOf(after) } };
    },
    deleteIdentityProvider: async ({ caller, params }) => {
      await checkTrust(dependencies, caller);
      const gone = await providers.remove(params.provider);
      return { audit: { before: factsOf(gone) } };
    },
    testIdentityProvider: async ({ params }) => ({
      json: await test(dependencies, await providers.get(params.provider)),
    }),
    tryIdentityMapping: async ({ params, body }) => {
      const { config } = await providers.get(params.provider);
      const { claims, roleMapping = config.roleMapping, teamSync = config.teamSync } = body;
      checkMapping(body.roleMapping, body.teamSync);
      const mapping = beginMapping(claims);
      const { allowed, role = null, rule = null } = decideRole(roleMapping, mapping);
      const groups = groupsOf(teamSync, mapping) ?? [];
      return { json: { allowed, role, rule, groups, ...teamsOf(teamSync, groups) } };
    },
    deleteIdentityLink: async ({ caller, params }) => {
      await checkTrust(dependencies, caller);
      const { id } = await providers.get(params.provider);
      const person = await people.findByEmail(params.email);
      if (person === undefined || !(await deleteLinkOf(database, id, person.id)))
        throw new Fault('IDENTITY_LINK_NOT_FOUND', params);
      return { audit: { before: { provider: params.provider, person: person.id } } };
    },
  } satisfies Partial<IdentityHandlers>;
}

function walks({ providers, flow, saml }: HandlerDependencies) {
  return {
    listSignInButtons: async () => ({ json: { items: await listButtons(providers) } }),
    beginIdentitySignIn: ({ params, query, request }) => flow.begin(params.provider, query.next, request),
    finishOidcSignIn: ({ params, query, request }) => flow.finish(params.provider, query, request),
    finishSettingsSignIn: ({ params, query, request }) => flow.finish(params.provider, query, request),
    receiveSamlAnswer: ({ params, body, request }) =>
      flow.receiveSaml(params.provider, { response: body.SAMLResponse, state: body.RelayState }, request),
    finishSamlSignIn: ({ params, query, request }) => flow.finishSaml(params.provider, query.state, request),
    getSamlMetadata: async ({ params }) => {
      const provider = await providers.get(params.provider);
      if (!isSaml(provider)) throw new Fault('IDENTITY_PROVIDER_NOT_FOUND', { provider: params.provider });
      return { text: saml.metadata(provider) };
    },
  } satisfies Partial<IdentityHandlers>;
}

/** What the sign-in page offers. */
export async function listButtons(providers: Pick<Providers, 'list'>) {
  return (await providers.list())
    .filter(({ config }) => config.enabled)
    .map(({ name, config }) => ({ name, label: config.label, path: `/api/auth/sign-in/${name}` }));
}

/** @throws Fault REQUEST_INVALID | GRANT_BEYOND_OWN | ROLE_NOT_FOUND */
async function checkWish(dependencies: HandlerDependencies, caller: Caller, body: ProviderBody): Promise<void> {
  await checkTrust(dependencies, caller);
  checkMapping(body.roleMapping, body.teamSync);
  for (const role of rolesOf(body.roleMapping))
    if (!(await dependencies.mayGrantRole(caller, role)))
      throw new Fault('GRANT_BEYOND_OWN', { missing: `rights of the role ${role}` });
}

/** Who says which provider to believe can be anybody here: nobody does it who is not an administrator's equal. */
async function checkTrust({ mayGrantRole }: HandlerDependencies, caller: Caller): Promise<void> {
  if (await mayGrantRole(caller, 'admin')) return;
  throw new Fault('GRANT_BEYOND_OWN', { missing: 'rights of the role admin, which a provider could give to anybody' });
}

function rolesOf(mapping: RoleMapping | undefined): ReadonlySet<string> {
  if (mapping === undefined) return new Set();
  return new Set([...mapping.rules.map(({ role }) => role), mapping.defaultRole ?? standardRole]);
}

async function test({ oidc, github, tried }: HandlerDependencies, provider: Provider) {
  try {
    const facts = await ask({ oidc, github }, provider);
    tried(provider, undefined);
    return { works: true, problem: null, facts };
  } catch (error) {
    if (!Fault.is(error, 'IDENTITY_PROVIDER_UNAVAILABLE')) throw error;
    tried(provider, error.message);
    return { works: false, problem: error.message, facts: {} };
  }
}

function ask(
  { oidc, github }: Pick<HandlerDependencies, 'oidc' | 'github'>,
  provider: Provider,
): Promise<Readonly<Record<string, string>>> {
  if (isOidc(provider)) return oidc.check(provider);
  if (!isSaml(provider)) return github.check(provider as GithubProvider);
  const { certificates = [], entityId = '', entryPoint = '' } = provider.config;
  return Promise.resolve({ entityId, entryPoint, audience: audienceOf(provider), ...certificateFacts(certificates) });
}

const isSaml = (provider: Provider): provider is SamlProvider => provider.config.kind === 'saml';
const isOidc = (provider: Provider): provider is OidcProvider => provider.config.kind === 'oidc';

function viewOf(provider: Provider, problem: string | undefined) {
  const { name, source, config, secretSet, callbackUrl, updatedAt } = provider;
  return {
    ...config,
    name,
    source,
    secretSet,
    callbackUrl,
    metadataUrl: isSaml(provider) ? callbackUrl.replace('/sp/acs/', '/sp/metadata/') : null,
    problem: problem ?? null,
    updatedAt: updatedAt?.toISOString() ?? null,
  };
}

/** What the audit keeps a digest of; the secret by its version. */
const factsOf = ({ name, config, version }: Provider) => ({ name, config, version });
