import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { newId } from '#base/ids.ts';
import { Secret } from '#base/secret.ts';
import type { ProviderBody, ProviderConfig } from '#contract/identity.ts';
import type { Database } from '#database/pool.ts';
import type { Secrets } from '#secrets/secrets.ts';
import type { Provider, SocialSettings } from './provider.ts';
import { membershipSource, subjectSpaceOf } from './provider.ts';
import { completeSaml } from './saml-metadata.ts';
import {
  deleteLinks,
  deleteMembershipsFrom,
  deleteProvider,
  findProvider,
  insertProvider,
  listProviders,
  type ProviderRow,
  updateProvider,
} from './store.ts';

export interface ProvidersOptions {
  readonly database: Database;
  readonly secrets: Pick<Secrets, 'set' | 'remove' | 'resolve' | 'exists'>;
  readonly clock: Clock;
  /** Where people reach the control plane, without a slash at the end. */
  readonly baseUrl: string;
  /** GITHUB_CLIENT_ID, GITHUB_CLIENT_SECRET, GITHUB_OAUTH_REDIRECT_URI, and the same of Google. */
  readonly github?: SocialSettings | undefined;
  readonly google?: SocialSettings | undefined;
  /** AUTH_ALLOW_REGISTRATION: anybody can have an account at GitHub or Google. */
  readonly allowRegistration: boolean;
}

/** Every identity provider. One that is down stays in the list. */
export interface Providers {
  /** In the order in which people see them; those that are off as well. */
  list(): Promise<readonly Provider[]>;
  /** @throws Fault IDENTITY_PROVIDER_NOT_FOUND */
  get(name: string): Promise<Provider>;
  /** @throws Fault IDENTITY_PROVIDER_EXISTS | REQUEST_INVALID */
  create(name: string, body: ProviderBody, actor: string): Promise<Provider>;
  /** @throws Fault IDENTITY_PROVIDER_NOT_FOUND | IDENTITY_PROVIDER_FIXED | REQUEST_INVALID */
  change(name: string, body: ProviderBody, actor: string): Promise<Provider>;
  /** @throws Fault IDENTITY_PROVIDER_NOT_FOUND | IDENTITY_PROVIDER_FIXED */
  remove(name: string): Promise<Provider>;
}

type VaultPlace = { readonly path: string; readonly key: string };
type GivenSecret = Secret | VaultPlace;

const secretName = 'secret';
const secretScope = (id: string) => `identity-provider/${id}`;

export function createProviders(options: ProvidersOptions): Providers {
  const { database, secrets, clock } = options;
  const fixed = settingsProviders(options);

  const from = async ({ id, name, config, updatedAt }: ProviderRow): Promise<Provider> => {
    const scope = [secretScope(id)];
    return {
      id,
      name,
      source: 'api',
      config,
      secretSet: (await secrets.exists(scope, [secretName])).has(secretName),
      readSecret: async () => (await secrets.resolve(scope, [secretName])).get(secretName)?.value,
      callbackUrl: callbackOf(options.baseUrl, name, config),
      version: updatedAt.toISOString(),
      updatedAt,
    };
  };
  const get = async (name: string) => {
    const row = fixed.find((each) => each.name === name) ?? (await findProvider(database, name));
    if (row === undefined) throw new Fault('IDENTITY_PROVIDER_NOT_FOUND', { provider: name });
    return 'source' in row ? row : from(row);
  };
  const own = async (name: string) => {
    const provider = await get(name);
    if (provider.source === 'settings') throw new Fault('IDENTITY_PROVIDER_FIXED', { provider: name });
    return provider;
  };
  const keep = async (id: string, secret: GivenSecret | undefined, actor: string) => {
    if (secret !== undefined) await secrets.set(secretScope(id), secretName, secret, actor);
  };

  return {
    list: async () => [...fixed, ...(await Promise.all((await listProviders(database)).map(from)))],
    get,
    create: async (name, body, actor) => {
      const { config, secret } = await separate(body);
      checkComplete(config, secret !== undefined);
      const id = newId('identityProvider', clock.now());
      const taken = fixed.some((each) => each.name === name.toLowerCase());
      // The secret first: a provider without its own would be one that cannot be told why it fails.
      if (!taken) await keep(id, secret, actor);
      const row = taken ? undefined : await insertProvider(database, { id, name, config, actor });
      if (row !== undefined) return from(row);
      await secrets.remove(secretScope(id), secretName);
      throw new Fault('IDENTITY_PROVIDER_EXISTS', { provider: name });
    },
    change: async (name, body, actor) => {
      const present = await own(name);
      const { config, secret } = await separate(body);
      const sameKind = present.config.kind === config.kind;
      checkComplete(config, secret !== undefined || (sameKind && present.secretSet));
      if (!sameKind && secret === undefined) await secrets.remove(secretScope(present.id), secretName);
      await keep(present.id, secret, actor);
      const row = await database.transaction(async (tx) => {
        if (subjectSpaceOf(present.config) !== subjectSpaceOf(config)) await deleteLinks(tx, present.id);
        if (config.teamSync === undefined) await deleteMembershipsFrom(tx, membershipSource(present));
        return updateProvider(tx, { id: present.id, config, actor });
      });
      if (row === undefined) throw new Fault('IDENTITY_PROVIDER_NOT_FOUND', { provider: name });
      return from(row);
    },
    remove: async (name) => {
      const present = await own(name);
      await database.transaction(async (tx) => {
        await deleteLinks(tx, present.id);
        await deleteMembershipsFrom(tx, membershipSource(present));
        await deleteProvider(tx, present.id);
      });
      await secrets.remove(secretScope(present.id), secretName);
      return present;
    },
  };
}

function callbackOf(baseUrl: string, name: string, config: ProviderConfig): string {
  return config.kind === 'saml'
    ? `${baseUrl}/api/auth/sso/saml2/sp/acs/${name}`
    : `${baseUrl}/api/auth/sso/callback/${name}`;
}

/** What is kept and what is secret of it; with SAML, what its metadata says filled in. */
async function separate(body: ProviderBody): Promise<{ config: ProviderConfig; secret: GivenSecret | undefined }> {
  if (body.kind === 'saml') {
    const { privateKey, privateKeyVault, ...config } = body;
    return { config: await completeSaml(config), secret: givenSecret(privateKey, privateKeyVault) };
  }
  const { clientSecret, clientSecretVault, ...config } = body;
  return { config, secret: givenSecret(clientSecret, clientSecretVault) };
}

const givenSecret = (text: string | undefined, place: VaultPlace | undefined): GivenSecret | undefined =>
  text === undefined ? place : new Secret(text);

/** @throws Fault REQUEST_INVALID */
function checkComplete(config: ProviderConfig, hasSecret: boolean): void {
  const findings: { file: string; path: string; message: string }[] = [];
  const add = (path: string, message: string) => findings.push({ file: 'body', path, message });
  if (config.kind === 'github' && !hasSecret) add('clientSecret', 'it is missing; GitHub asks for it');
  if (config.kind === 'oidc') {
    const needsIssuer = config.preset !== 'google' && config.preset !== 'gitlab';
    if (needsIssuer && config.issuer === undefined) add('issuer', `it is missing; ${issuerHints[config.preset]}`);
    if (config.preset === 'entra' && /\/(common|organizations|consumers)\//.test(`${config.issuer}/`))
      add('issuer', 'it stands for every tenant; name your own: https://login.microsoftonline.com/<tenant id>/v2.0');
    if (config.hostedDomain !== undefined && config.preset !== 'google') add('hostedDomain', 'only Google has it');
  }
  if (findings.length > 0) throw new Fault('REQUEST_INVALID', { findings });
}

const issuerHints: Readonly<Record<string, string>> = {
  okta: 'such as https://<your organization>.okta.com',
  entra: 'such as https://login.microsoftonline.com/<tenant id>/v2.0',
  generic: 'the address below which /.well-known/openid-configuration is',
};

/** What the settings name. Their people are made only where anybody may register. */
function settingsProviders({ github, google, allowRegistration }: ProvidersOptions): readonly Provider[] {
  const common = { enabled: true, domains: [], createPeople: allowRegistration };
  const providers: (Provider | undefined)[] = [
    github &&
      fixedProvider('github', github, {
        ...common,
        kind: 'github',
        label: 'GitHub',
        server: 'https://github.com',
        clientId: github.clientId,
      }),
    google &&
      fixedProvider('google', google, {
        ...common,
        kind: 'oidc',
        preset: 'google',
        label: 'Google',
        clientId: google.clientId,
        trustEmail: false,
      }),
  ];
  return providers.filter((each) => each !== undefined);
}

function fixedProvider(name: string, settings: SocialSettings, config: ProviderConfig): Provider {
  return {
    id: name,
    name,
    source: 'settings',
    config,
    secretSet: true,
    readSecret: async () => settings.clientSecret,
    callbackUrl: settings.redirectUri,
    version: 'settings',
    updatedAt: null,
  };
}
