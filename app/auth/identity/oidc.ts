import {
  allowInsecureRequests,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  type ClientAuth,
  ClientSecretBasic,
  ClientSecretPost,
  type Configuration,
  calculatePKCECodeChallenge,
  clockTolerance,
  customFetch,
  discovery,
  enableNonRepudiationChecks,
  fetchUserInfo,
  None,
} from 'openid-client';
import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Secret } from '#base/secret.ts';
import { answerFault, unavailable } from './answer-fault.ts';
import { createOutbound, type Outbound } from './outbound.ts';
import type { Identity, OidcProvider } from './provider.ts';
import { addressOf, issuerOf } from './provider.ts';

/** What is sent to the provider and comes back, or stays with us until then. */
export interface FlowSecrets {
  readonly state: string;
  readonly nonce: string;
  /** Of PKCE. */
  readonly verifier: string;
}

/** What a provider appended to the callback's address. */
export interface CallbackAnswer {
  readonly state: string;
  readonly code?: string | undefined;
  readonly iss?: string | undefined;
}

/** One kind of provider that works by sending the browser there and back. */
export interface RedirectKind<P> {
  /** Where to send the browser. @throws Fault IDENTITY_PROVIDER_UNAVAILABLE */
  begin(provider: P, secrets: FlowSecrets): Promise<URL>;
  /** Who came back. @throws Fault IDENTITY_ANSWER_INVALID | IDENTITY_DOMAIN | IDENTITY_PROVIDER_UNAVAILABLE */
  finish(provider: P, answer: CallbackAnswer, secrets: FlowSecrets): Promise<Identity>;
  /** Asks the provider anew. @returns facts for people @throws Fault IDENTITY_PROVIDER_UNAVAILABLE */
  check(provider: P): Promise<Readonly<Record<string, string>>>;
}

interface Known {
  readonly version: string;
  readonly untilMs: number;
  readonly secret: ReadSecret;
  readonly configuration: Promise<Configuration>;
}

/** What the client authenticates with: read anew for each sign-in, as it may change in Vault. */
interface ReadSecret {
  current: Secret | undefined;
}

const keepMs = 60 * 60_000;
const skewSeconds = 30;
const standardScopes = ['openid', 'email', 'profile'];

/**
 * OpenID Connect by the certified openid-client. Discovery happens at the first use and is kept for an hour; a failed
 * one is tried again at the next use. An ID token counts only with a signature by one of the provider's published keys,
 * so neither `none` nor a shared secret signs one.
 */
export function createOidc({ clock, allowHttp }: { clock: Clock; allowHttp: boolean }): RedirectKind<OidcProvider> {
  const known = new Map<string, Known>();
  const open = (provider: OidcProvider): Known => {
    const present = known.get(provider.id);
    if (present?.version === provider.version && clock.monotonicMs() < present.untilMs) return present;
    const secret: ReadSecret = { current: undefined };
    const configuration = discover(provider, secret, allowHttp);
    const { version } = provider;
    const opened = { version, untilMs: clock.monotonicMs() + keepMs, secret, configuration };
    known.set(provider.id, opened);
    configuration.catch(() => {
      if (known.get(provider.id)?.configuration === configuration) known.delete(provider.id);
    });
    return opened;
  };
  return {
    begin: async (provider, { state, nonce, verifier }) => {
      const { config, callbackUrl } = provider;
      return buildAuthorizationUrl(await open(provider).configuration, {
        redirect_uri: callbackUrl,
        scope: [...new Set(['openid', ...(config.scopes ?? standardScopes)])].join(' '),
        state,
        nonce,
        code_challenge: await calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        ...(config.hostedDomain === undefined ? {} : { hd: config.hostedDomain }),
      });
    },
    finish: async (provider, answer, secrets) => {
      const opened = open(provider);
      const configuration = await opened.configuration;
      opened.secret.current = await provider.readSecret();
      const claims = await exchange(provider, configuration, answer, secrets).catch(answerFault(provider));
      return identityFrom(provider, claims);
    },
    check: async (provider) => {
      known.delete(provider.id);
      const metadata = (await open(provider).configuration).serverMetadata();
      return {
        issuer: metadata.issuer,
        authorizationEndpoint: metadata.authorization_endpoint ?? '',
        tokenEndpoint: metadata.token_endpoint ?? '',
        keys: metadata.jwks_uri ?? '',
      };
    },
  };
}

async function discover(provider: OidcProvider, secret: ReadSecret, allowHttp: boolean): Promise<Configuration> {
  const issuer = issuerOf(provider.config);
  if (issuer === undefined) throw unavailable(provider, new Error('it has no issuer'));
  const outbound = createOutbound({ named: issuer, allowHttp });
  const ask = () => askForConfiguration(provider, secret, issuer, { outbound, allowHttp });
  // Once more at once: most failures are a connection that was cut.
  const configuration = await ask()
    .catch(ask)
    .catch((error: unknown) => {
      throw unavailable(provider, error);
    });
  const { authorization_endpoint, token_endpoint, jwks_uri } = configuration.serverMetadata();
  const missing = Object.entries({ authorization_endpoint, token_endpoint, jwks_uri })
    .filter(([, value]) => value === undefined)
    .map(([name]) => name);
  if (missing.length > 0) throw unavailable(provider, new Error(`its discovery document lacks ${missing.join(', ')}`));
  return configuration;
}

function askForConfiguration(
  { config, secretSet }: OidcProvider,
  secret: ReadSecret,
  issuer: string,
  { outbound, allowHttp }: { outbound: Outbound; allowHttp: boolean },
): Promise<Configuration> {
  return discovery(
    new URL(issuer),
    config.clientId,
    { [clockTolerance]: skewSeconds },
    secretSet ? clientAuthOf(secret) : None(),
    {
      // The same calls in both: openid-client always gives plain headers and a text.
      [customFetch]: (url, { method, headers, body, signal }) => outbound(url, { method, headers, body, signal }),
      execute: [enableNonRepudiationChecks, ...(allowHttp ? [allowInsecureRequests] : [])],
      timeout: 10,
    },
  );
}

/** By POST where the provider takes it: Basic is spelled in two ways out there. Without a secret, PKCE alone. */
function clientAuthOf(secret: ReadSecret): ClientAuth {
  return (server, client, body, headers) => {
    const methods = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
    const auth = methods.includes('client_secret_post') ? ClientSecretPost : ClientSecretBasic;
    auth(secret.current?.reveal())(server, client, body, headers);
  };
}

/** The claims of the ID token over those of the userinfo endpoint. */
async function exchange(
  { callbackUrl }: OidcProvider,
  configuration: Configuration,
  answer: CallbackAnswer,
  { state, nonce, verifier }: FlowSecrets,
): Promise<Readonly<Record<string, unknown>>> {
  const url = new URL(callbackUrl);
  for (const name of ['code', 'state', 'iss'] as const)
    if (answer[name] !== undefined) url.searchParams.set(name, answer[name]);
  const tokens = await authorizationCodeGrant(configuration, url, {
    expectedState: state,
    expectedNonce: nonce,
    pkceCodeVerifier: verifier,
    idTokenExpected: true,
  });
  const idToken: Readonly<Record<string, unknown>> = { ...tokens.claims() };
  if (configuration.serverMetadata().userinfo_endpoint === undefined) return idToken;
  const about = { ...(await fetchUserInfo(configuration, tokens.access_token, String(idToken.sub))) };
  // An address and whether it is verified belong together: never one of here and one of there.
  const { email, email_verified, ...others } = about;
  return idToken.email === undefined ? { ...about, ...idToken } : { ...others, ...idToken };
}

function identityFrom(provider: OidcProvider, claims: Readonly<Record<string, unknown>>): Identity {
  const { config } = provider;
  if (config.hostedDomain !== undefined && claims.hd !== config.hostedDomain)
    throw new Fault('IDENTITY_DOMAIN', { domain: textOf(claims.hd) ?? 'no domain', provider: provider.name });
  const email = addressOf(claims.email);
  const names = [
    claims.name,
    [claims.given_name, claims.family_name].filter(Boolean).join(' '),
    claims.preferred_username,
  ];
  return {
    subject: String(claims.sub),
    email,
    emailVerified: email !== undefined && (config.trustEmail || isVerified(provider, claims)),
    name: names.map(textOf).find((each) => each !== undefined) ?? email ?? String(claims.sub),
    claims,
  };
}

/** Entra says it in a claim of its own, and only where the application asks for it. */
function isVerified({ config }: OidcProvider, claims: Readonly<Record<string, unknown>>): boolean {
  const said = config.preset === 'entra' ? (claims.xms_edov ?? claims.email_verified) : claims.email_verified;
  return said === true || said === 'true' || (config.preset === 'entra' && (said === 1 || said === '1'));
}

const textOf = (value: unknown) => (typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined);
