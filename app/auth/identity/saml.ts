import { type Profile, SAML, ValidateInResponseTo } from '@node-saml/node-saml';
import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Secret } from '#base/secret.ts';
import { reasonOf } from './outbound.ts';
import { addressOf, type Identity, type SamlProvider } from './provider.ts';
import { type AssertionFacts, checkAssertion } from './saml-assertion.ts';

export interface SamlAnswer {
  readonly identity: Identity;
  /** By which it is known when it comes again. */
  readonly assertion: AssertionFacts;
}

/** SAML 2.0, the web browser profile: we ask by redirect, the provider answers by a form that the browser posts. */
export interface Saml {
  begin(provider: SamlProvider, flow: { readonly state: string; readonly requestId: string }): Promise<URL>;
  /**
   * Proves an answer. `requestId`: of the request that it must answer; undefined: it must answer none.
   * @throws Fault IDENTITY_ANSWER_INVALID
   */
  finish(provider: SamlProvider, answer: { response: string; requestId: string | undefined }): Promise<SamlAnswer>;
  /** Our side of it, for the provider. */
  metadata(provider: SamlProvider): string;
}

const skewMs = 60_000;

export function createSaml({ clock }: { clock: Clock }): Saml {
  return {
    begin: async (provider, { state, requestId }) => {
      const saml = libraryOf(provider, { requestId, privateKey: await provider.readSecret() });
      return new URL(await saml.getAuthorizeUrlAsync(state, undefined, {}));
    },
    finish: async (provider, { response, requestId }) => {
      const invalid = (error: unknown) =>
        new Fault('IDENTITY_ANSWER_INVALID', { provider: provider.name, why: reasonOf(error) });
      try {
        checkForm(response);
        const { profile } = await libraryOf(provider).validatePostResponseAsync({ SAMLResponse: response });
        if (profile === null) throw new Error('it holds no assertion');
        const { callbackUrl, config } = provider;
        const expected = { issuer: config.entityId, recipient: callbackUrl, requestId, now: clock.now(), skewMs };
        return {
          identity: identityFrom(provider, profile),
          assertion: checkAssertion(profile.getAssertion?.(), expected),
        };
      } catch (error) {
        throw invalid(error);
      }
    },
    metadata: (provider) => libraryOf(provider).generateServiceProviderMetadata(null, null),
  };
}

/** Our entity id: the address of our metadata, unless the administrator chose another. */
export const audienceOf = ({ config, callbackUrl }: SamlProvider) =>
  config.audience ?? callbackUrl.replace('/sp/acs/', '/sp/metadata/');

function libraryOf(
  provider: SamlProvider,
  { requestId, privateKey }: { readonly requestId?: string; readonly privateKey?: Secret | undefined } = {},
): SAML {
  const { config, callbackUrl } = provider;
  const audience = audienceOf(provider);
  return new SAML({
    issuer: audience,
    audience,
    callbackUrl,
    idpCert: [...(config.certificates ?? [])],
    ...(config.entryPoint === undefined ? {} : { entryPoint: config.entryPoint }),
    ...(privateKey === undefined ? {} : { privateKey: privateKey.reveal() }),
    ...(requestId === undefined ? {} : { generateUniqueId: () => requestId }),
    signatureAlgorithm: 'sha256',
    digestAlgorithm: 'sha256',
    identifierFormat: null,
    disableRequestedAuthnContext: true,
    // An unsigned envelope around a signed assertion is what most send; what counts is in the assertion.
    wantAssertionsSigned: true,
    wantAuthnResponseSigned: false,
    // The library looks at the envelope for it, which nobody signed: checkAssertion looks into the assertion.
    validateInResponseTo: ValidateInResponseTo.never,
    acceptedClockSkewMs: skewMs,
    maxAssertionAgeMs: 15 * 60_000,
  });
}

const mostCharacters = 350_000;
const mostTags = 3000;
const weakAlgorithms = /xmldsig#(rsa-sha1|dsa-sha1|hmac-sha1|sha1)["']|xmldsig-more#(hmac-|rsa-md5|md5)/;

/**
 * What no provider sends and attacks are made of is refused before anything reads it: entities (DTD), comments (which
 * cut names in two), CDATA, processing instructions, and signatures by SHA-1 or by a shared key.
 */
function checkForm(response: string): void {
  if (response.length > mostCharacters) throw new Error('it is too large');
  const compact = response.replace(/\s+/g, '');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(compact)) throw new Error('it is not base64');
  const xml = Buffer.from(compact, 'base64').toString('utf8');
  // Reading many small elements costs far more than their bytes, and anybody may send some.
  if (xml.split('<').length > mostTags) throw new Error('it has too many elements');
  const body = xml.replace(/^\uFEFF?\s*<\?xml [^>]*\?>/, '');
  if (/<[!?]/.test(body)) throw new Error('it holds a DTD, a comment or a processing instruction');
  if (weakAlgorithms.test(xml)) throw new Error('it is signed with an algorithm that is not safe any more');
  if (/<([A-Za-z0-9_]+:)?EncryptedAssertion[\s>/]/.test(xml))
    throw new Error('its assertion is encrypted; turn that off');
}

const emailAttributes = [
  'email',
  'mail',
  'emailAddress',
  'Email',
  'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress',
  'urn:oid:0.9.2342.19200300.100.1.3',
];
const nameAttributes = [
  'name',
  'displayName',
  'http://schemas.microsoft.com/identity/claims/displayname',
  'urn:oid:2.16.840.1.113730.3.1.241',
];

function identityFrom({ config }: SamlProvider, profile: Profile): Identity {
  const claims = Object.fromEntries(Object.entries((profile.attributes ?? {}) as Record<string, unknown>));
  const nameId = profile.nameID;
  if (typeof nameId !== 'string' || nameId === '') throw new Error('its subject has no NameID');
  if (profile.nameIDFormat?.endsWith(':transient')) throw new Error('its NameID is transient: another one each time');
  const first = (names: readonly string[]) =>
    names.map((name) => textOf(claims[name])).find((each) => each !== undefined);
  const email = first(config.emailAttribute === undefined ? emailAttributes : [config.emailAttribute]) ?? nameId;
  const usable = addressOf(email);
  const full = [first(['firstName', 'givenName']), first(['lastName', 'surname', 'sn'])].filter(Boolean).join(' ');
  return {
    subject: nameId,
    email: usable,
    emailVerified: usable !== undefined && config.trustEmail,
    name: first(nameAttributes) ?? (full === '' ? (usable ?? nameId) : full),
    claims: { ...claims, nameID: nameId, email: usable },
  };
}

function textOf(value: unknown): string | undefined {
  const one = Array.isArray(value) ? value[0] : value;
  return typeof one === 'string' && one.trim() !== '' ? one.trim() : undefined;
}
