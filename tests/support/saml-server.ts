import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as samlify from 'samlify';
import { temporaryDirectory } from './temporary.ts';

export interface KeyPair {
  readonly privateKey: string;
  readonly certificate: string;
}

/** Why no certificate can be made here, or undefined. */
export const certificatesMissing = (): string | undefined =>
  spawnSync('openssl', ['version']).status === 0 ? undefined : 'openssl is not installed';

/** A key and a certificate that it signed itself. */
export function makeKeyPair(subject: string): KeyPair {
  const { path, remove } = temporaryDirectory('plinth-saml');
  const [key, certificate] = [join(path, 'key.pem'), join(path, 'certificate.pem')];
  const subjectArgument = ['-subj', `/CN=${subject}`];
  const files = ['-keyout', key, '-out', certificate];
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', ...subjectArgument, ...files],
    {
      stdio: 'ignore',
    },
  );
  const pair = { privateKey: readFileSync(key, 'utf8'), certificate: readFileSync(certificate, 'utf8') };
  remove();
  return pair;
}

/** What an assertion says; tests change one thing at a time. */
export interface AssertionWish {
  readonly nameId: string;
  readonly nameIdFormat?: string;
  readonly attributes?: Readonly<Record<string, readonly string[]>>;
  readonly audience?: string;
  readonly recipient?: string;
  /** null: none. */
  readonly inResponseTo?: string | null;
  readonly issuer?: string;
  readonly expiresInSeconds?: number;
  readonly beginsInSeconds?: number;
  readonly assertionId?: string;
  readonly method?: string;
}

const entityId = 'https://idp.example/metadata';

/** An identity provider of npm samlify. `answer` gives the fields of the form that a browser would post. */
export function createSamlServer(keys: KeyPair) {
  samlify.setSchemaValidator({ validate: async () => 'the library asks for a validator' });
  const idp = samlify.IdentityProvider({
    entityID: entityId,
    privateKey: keys.privateKey,
    signingCert: keys.certificate,
    isAssertionEncrypted: false,
    singleSignOnService: [
      { Binding: 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect', Location: 'https://idp.example/sso' },
    ],
    loginResponseTemplate: { context: samlify.SamlLib.defaultLoginResponseTemplate.context, attributes: [] },
  });
  return {
    entityId,
    metadata: idp.getMetadata(),
    /** Reads the request with which we sent the browser there. */
    read: async (spMetadata: string, url: string) => {
      const { searchParams } = new URL(url);
      const query = Object.fromEntries(searchParams);
      const sp = samlify.ServiceProvider({ metadata: spMetadata });
      const { extract } = await idp.parseLoginRequest(sp, 'redirect', { query });
      return {
        requestId: String(extract.request?.id),
        acs: String(extract.request?.assertionConsumerServiceUrl),
        state: query.RelayState ?? '',
      };
    },
    /** The signed response, as base64. */
    answer: async (spMetadata: string, wish: AssertionWish) => {
      const sp = samlify.ServiceProvider({ metadata: spMetadata });
      const acs = String(sp.entityMeta.getAssertionConsumerService('post'));
      const audience = sp.entityMeta.getEntityID();
      const xml = responseXml({ recipient: acs, audience, issuer: entityId, ...wish });
      const request = { extract: { request: { id: wish.inResponseTo ?? '' } } };
      const made = await idp.createLoginResponse(sp, request, 'post', { email: wish.nameId }, () => ({
        id: 'unused',
        context: xml,
      }));
      return made.context;
    },
  };
}

export const fromBase64 = (text: string) => Buffer.from(text, 'base64').toString('utf8');
export const toBase64 = (xml: string) => Buffer.from(xml).toString('base64');
export const newXmlId = () => `_${randomBytes(16).toString('hex')}`;

function responseXml(wish: AssertionWish & { recipient: string; audience: string; issuer: string }): string {
  const at = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();
  const end = at(wish.expiresInSeconds ?? 300);
  const begin = at(wish.beginsInSeconds ?? -30);
  const now = at(Math.min(0, (wish.expiresInSeconds ?? 300) - 300));
  const answers =
    wish.inResponseTo === null || wish.inResponseTo === undefined ? '' : ` InResponseTo="${wish.inResponseTo}"`;
  const format = wish.nameIdFormat ?? 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress';
  const attributes = Object.entries(wish.attributes ?? {}).map(
    ([name, values]) =>
      `<saml:Attribute Name="${name}">${values.map((value) => `<saml:AttributeValue>${value}</saml:AttributeValue>`).join('')}</saml:Attribute>`,
  );
  const statement =
    attributes.length === 0 ? '' : `<saml:AttributeStatement>${attributes.join('')}</saml:AttributeStatement>`;
  return `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="${newXmlId()}" Version="2.0" IssueInstant="${now}" Destination="${wish.recipient}"${answers}><saml:Issuer>${wish.issuer}</saml:Issuer><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status><saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="${wish.assertionId ?? newXmlId()}" Version="2.0" IssueInstant="${now}"><saml:Issuer>${wish.issuer}</saml:Issuer><saml:Subject><saml:NameID Format="${format}">${wish.nameId}</saml:NameID><saml:SubjectConfirmation Method="${wish.method ?? 'urn:oasis:names:tc:SAML:2.0:cm:bearer'}"><saml:SubjectConfirmationData NotOnOrAfter="${end}" Recipient="${wish.recipient}"${answers}/></saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore="${begin}" NotOnOrAfter="${end}"><saml:AudienceRestriction><saml:Audience>${wish.audience}</saml:Audience></saml:AudienceRestriction></saml:Conditions><saml:AuthnStatement AuthnInstant="${now}" SessionIndex="${newXmlId()}"><saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>${statement}</saml:Assertion></samlp:Response>`;
}
