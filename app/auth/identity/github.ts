import {
  allowInsecureRequests,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  ClientSecretPost,
  Configuration,
  calculatePKCECodeChallenge,
  customFetch,
  fetchProtectedResource,
} from 'openid-client';
import { z } from 'zod';
import type { Secret } from '#base/secret.ts';
import { answerFault, unavailable } from './answer-fault.ts';
import type { RedirectKind } from './oidc.ts';
import { createOutbound, type Outbound } from './outbound.ts';
import { addressOf, type GithubProvider, type Identity } from './provider.ts';

const user = z.object({
  id: z.int(),
  login: z.string(),
  name: z.string().nullable().optional(),
});
const emails = z.array(z.object({ email: z.string(), primary: z.boolean(), verified: z.boolean() }));
const teams = z.array(z.object({ slug: z.string(), organization: z.object({ login: z.string() }) }));

/**
 * GitHub speaks OAuth 2 with PKCE, not OpenID Connect: who came is asked at its API, over our own connection. The
 * address is the primary one, if GitHub has verified it. Its teams are the groups `organization/team` and
 * `organization`, and are asked for only where a mapping wants groups.
 */
export function createGithub({ allowHttp }: { allowHttp: boolean }): RedirectKind<GithubProvider> {
  // One for each server, for its connections.
  const outbounds = new Map<string, Outbound>();
  const outboundOf = ({ config: { server } }: GithubProvider) => {
    const outbound = outbounds.get(server) ?? createOutbound({ named: server, allowHttp });
    outbounds.set(server, outbound);
    return outbound;
  };
  const open = async (provider: GithubProvider) =>
    configurationOf(provider, await provider.readSecret(), outboundOf(provider), allowHttp);
  return {
    begin: async (provider, { state, verifier }) =>
      buildAuthorizationUrl(await open(provider), {
        redirect_uri: provider.callbackUrl,
        scope: ['read:user', 'user:email', ...(wantsGroups(provider) ? ['read:org'] : [])].join(' '),
        state,
        code_challenge: await calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
      }),
    finish: async (provider, { code, state }, secrets) => {
      const configuration = await open(provider);
      const url = new URL(provider.callbackUrl);
      url.searchParams.set('state', state);
      if (code !== undefined) url.searchParams.set('code', code);
      const checks = { expectedState: secrets.state, pkceCodeVerifier: secrets.verifier };
      return authorizationCodeGrant(configuration, url, checks)
        .then(({ access_token }) => readIdentity(provider, configuration, access_token))
        .catch(answerFault(provider));
    },
    check: async (provider) => {
      const address = `${apiOf(provider)}/meta`;
      const reply = await outboundOf(provider)(address, { headers: { Accept: 'application/json' } }).catch(
        (error: unknown) => {
          throw unavailable(provider, error);
        },
      );
      if (!reply.ok) throw unavailable(provider, new Error(`${address} answers ${reply.status}`));
      return { server: provider.config.server, api: apiOf(provider) };
    },
  };
}

function configurationOf(
  { config }: GithubProvider,
  secret: Secret | undefined,
  outbound: Outbound,
  allowHttp: boolean,
): Configuration {
  const server = config.server.replace(/\/$/, '');
  const configuration = new Configuration(
    {
      issuer: server,
      authorization_endpoint: `${server}/login/oauth/authorize`,
      token_endpoint: `${server}/login/oauth/access_token`,
    },
    config.clientId,
    undefined,
    ClientSecretPost(secret?.reveal()),
  );
  configuration.timeout = 10;
  configuration[customFetch] = (url, { method, headers, body, signal }) =>
    outbound(url, { method, headers, body, signal });
  if (allowHttp) allowInsecureRequests(configuration);
  return configuration;
}

/** github.com has its API on a host of its own; GitHub Enterprise below a path. */
function apiOf({ config }: GithubProvider): string {
  const { origin, hostname } = new URL(config.server);
  return hostname === 'github.com' ? 'https://api.github.com' : `${origin}/api/v3`;
}

async function readIdentity(provider: GithubProvider, configuration: Configuration, token: string): Promise<Identity> {
  const get = async <T>(path: string, schema: z.ZodType<T>): Promise<T> => {
    const url = new URL(`${apiOf(provider)}${path}`);
    const headers = new Headers({ Accept: 'application/vnd.github+json' });
    const reply = await fetchProtectedResource(configuration, token, url, 'GET', undefined, headers);
    if (!reply.ok) throw new Error(`${path} answers ${reply.status}`);
    const parsed = schema.safeParse(await reply.json());
    if (!parsed.success) throw new Error(`${path} answers in a form that is not GitHub's`);
    return parsed.data;
  };
  const { id, login, name } = await get('/user', user);
  const primary = (await get('/user/emails', emails)).find((each) => each.primary && each.verified);
  const groups = wantsGroups(provider)
    ? (await get('/user/teams?per_page=100', teams)).flatMap(({ slug, organization }) => [
        `${organization.login}/${slug}`,
        organization.login,
      ])
    : [];
  const shown = name === undefined || name === null || name === '' ? login : name;
  const email = addressOf(primary?.email);
  const claims = { sub: String(id), login, name: shown, email, email_verified: email !== undefined, groups };
  return {
    subject: String(id),
    email,
    emailVerified: email !== undefined,
    name: shown,
    claims: { ...claims, groups: [...new Set(groups)] },
  };
}

const wantsGroups = ({ config }: GithubProvider) => config.roleMapping !== undefined || config.teamSync !== undefined;
