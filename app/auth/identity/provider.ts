import type { Secret } from '#base/secret.ts';
import type { ProviderConfig } from '#contract/identity.ts';

/** GitHub or Google as the settings have it. */
export interface SocialSettings {
  readonly clientId: string;
  readonly clientSecret: Secret;
  /** As registered there; its path is served by us. */
  readonly redirectUri: string;
}

/** A provider that can be asked, wherever it was configured. */
export interface Provider {
  /** `idp_…`, or `github` and `google` for those of the settings. Links name it, and the source of memberships. */
  readonly id: string;
  /** For people: in addresses, and what sessions say they came by. */
  readonly name: string;
  readonly source: 'api' | 'settings';
  readonly config: ProviderConfig;
  /** Whether there is a client secret, or with SAML a private key. */
  readonly secretSet: boolean;
  /** Reads it, each time it is needed. @throws Fault SECRETS_UNAVAILABLE and others of the store */
  readSecret(): Promise<Secret | undefined>;
  /** The redirect URI, or with SAML the address of the assertion consumer service. */
  readonly callbackUrl: string;
  /** Another text whenever something of it changed: what was found out about it before is void then. */
  readonly version: string;
  readonly updatedAt: Date | null;
}

/** A person as a provider shows them; every field was proven by its signature or came over our connection to it. */
export interface Identity {
  readonly subject: string;
  readonly email: string | undefined;
  /** Whether the provider vouches for the address. */
  readonly emailVerified: boolean;
  readonly name: string;
  readonly claims: Readonly<Record<string, unknown>>;
}

export type OidcProvider = Provider & { readonly config: Extract<ProviderConfig, { kind: 'oidc' }> };
export type GithubProvider = Provider & { readonly config: Extract<ProviderConfig, { kind: 'github' }> };
export type SamlProvider = Provider & { readonly config: Extract<ProviderConfig, { kind: 'saml' }> };

const issuers: Readonly<Record<string, string>> = {
  google: 'https://accounts.google.com',
  gitlab: 'https://gitlab.com',
};
const everybodysIssuers = new Set(Object.values(issuers));

export const issuerOf = (config: OidcProvider['config']) => config.issuer ?? issuers[config.preset];

/** Whether anybody can have an account there, so that one is no reason to let somebody in. */
export function isForEverybody(config: ProviderConfig): boolean {
  if (config.domains.length > 0) return false;
  if (config.kind === 'github') return new URL(config.server).hostname === 'github.com';
  return config.kind === 'oidc' && config.hostedDomain === undefined && everybodysIssuers.has(issuerOf(config) ?? '');
}

export const makesPeople = (config: ProviderConfig) => config.createPeople ?? !isForEverybody(config);

/**
 * Who names the subjects, and how. When this changes, a subject of old may be somebody else now.
 */
export function subjectSpaceOf(config: ProviderConfig): string {
  if (config.kind === 'oidc') return `oidc ${issuerOf(config)} ${config.preset === 'entra' ? config.clientId : ''}`;
  if (config.kind === 'github') return `github ${new URL(config.server).origin}`;
  return `saml ${config.entityId ?? config.metadata ?? ''}`;
}

/** How a membership says that it came from the groups of this provider. */
export const membershipSource = ({ id }: Pick<Provider, 'id'>) => `identity:${id}`;

/**
 * An e-mail address that can find a person. Only ASCII: some other letters become ASCII ones in lower case (the Kelvin
 * sign a k), and the owner of one mailbox would be the person of another.
 */
export function addressOf(value: unknown): string | undefined {
  const text = typeof value === 'string' ? value.trim() : '';
  return text.length <= 254 && /^[\x21-\x3b\x3d\x3f\x41-\x7e]+@[a-z0-9.-]+$/i.test(text) ? text : undefined;
}
