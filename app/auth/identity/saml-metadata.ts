import { X509Certificate } from 'node:crypto';
import { parseXml2JsFromString } from '@node-saml/node-saml/lib/xml.js';
import { z } from 'zod';
import { Fault } from '#base/errors.ts';
import type { ProviderConfig } from '#contract/identity.ts';
import { reasonOf } from './outbound.ts';

type SamlConfig = Extract<ProviderConfig, { kind: 'saml' }>;

const keyDescriptor = z.object({
  $: z.object({ use: z.string().optional() }).optional(),
  KeyInfo: z.array(
    z.object({ X509Data: z.array(z.object({ X509Certificate: z.array(z.object({ _: z.string() })) })) }),
  ),
});
const metadataForm = z.object({
  EntityDescriptor: z.object({
    $: z.object({ entityID: z.string() }),
    IDPSSODescriptor: z.tuple([
      z.object({
        KeyDescriptor: z.array(keyDescriptor).default([]),
        SingleSignOnService: z.array(z.object({ $: z.object({ Binding: z.string(), Location: z.string() }) })),
      }),
    ]),
  }),
});

const redirectBinding = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect';

/**
 * Fills from the provider's metadata what was not given, and checks that all is there. The document itself is not kept.
 * @throws Fault REQUEST_INVALID
 */
export async function completeSaml(config: SamlConfig): Promise<SamlConfig> {
  const { metadata, ...given } = config;
  const found = metadata === undefined ? {} : await readMetadata(metadata);
  const complete = { ...found, ...given };
  for (const key of ['entityId', 'entryPoint', 'certificates'] as const)
    if (complete[key] === undefined) throw invalid(key, `it is missing; give it, or metadata that holds it`);
  return { ...complete, certificates: (complete.certificates ?? []).map(normalCertificate) };
}

async function readMetadata(xml: string): Promise<Pick<SamlConfig, 'entityId' | 'entryPoint' | 'certificates'>> {
  // Entities are how a small document becomes a large one.
  if (/<!(DOCTYPE|ENTITY)/i.test(xml)) throw invalid('metadata', 'it holds a DTD');
  const parsed = await parseXml2JsFromString(xml).catch((error: unknown) => {
    throw invalid('metadata', `it is not XML: ${reasonOf(error)}`);
  });
  const result = metadataForm.safeParse(parsed);
  if (!result.success)
    throw invalid(
      'metadata',
      `it is not the metadata of one identity provider: ${result.error.issues[0]?.path.join('.')}`,
    );
  const { $, IDPSSODescriptor } = result.data.EntityDescriptor;
  const [descriptor] = IDPSSODescriptor;
  const service = descriptor.SingleSignOnService.find((each) => each.$.Binding === redirectBinding);
  const certificates = descriptor.KeyDescriptor.filter((each) => each.$?.use !== 'encryption').flatMap(({ KeyInfo }) =>
    KeyInfo.flatMap(({ X509Data }) => X509Data.flatMap((data) => data.X509Certificate.map(({ _ }) => _))),
  );
  return {
    entityId: $.entityID,
    ...(service === undefined ? {} : { entryPoint: service.$.Location }),
    ...(certificates.length === 0 ? {} : { certificates }),
  };
}

/** PEM, whatever it came as. */
function normalCertificate(text: string, index: number): string {
  try {
    return certificateOf(text).toString();
  } catch (error) {
    throw invalid(`certificates.${index}`, `it is no certificate: ${reasonOf(error)}`);
  }
}

function certificateOf(text: string): X509Certificate {
  if (text.includes('-----BEGIN CERTIFICATE-----')) return new X509Certificate(text);
  return new X509Certificate(Buffer.from(text.replace(/\s+/g, ''), 'base64'));
}

/** Until when the certificates hold, for people. */
export function certificateFacts(certificates: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    certificates.map((each, index) => {
      const { subject, validTo } = new X509Certificate(each);
      return [`certificate ${index + 1}`, `${subject.replaceAll('\n', ', ')} until ${new Date(validTo).toISOString()}`];
    }),
  );
}

const invalid = (path: string, message: string) =>
  new Fault('REQUEST_INVALID', { findings: [{ file: 'body', path, message }] });
