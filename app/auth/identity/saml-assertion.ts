import { z } from 'zod';

export interface AssertionFacts {
  readonly id: string;
  /** Nobody takes it after this. */
  readonly notOnOrAfter: Date;
}

export interface ExpectedAssertion {
  /** Entity id of the provider. */
  readonly issuer: string | undefined;
  /** Address of our assertion consumer service. */
  readonly recipient: string;
  /** Of our request; undefined: the provider began by itself. */
  readonly requestId: string | undefined;
  readonly now: Date;
  readonly skewMs: number;
}

/** As the library gives an assertion: from the bytes that were signed, attributes under `$`, text under `_`. */
const text = z.object({ _: z.string() });
const assertionForm = z.object({
  Assertion: z.object({
    $: z.object({ ID: z.string().min(1), Version: z.literal('2.0') }),
    Issuer: z.tuple([text]),
    Subject: z.tuple([
      z.object({
        SubjectConfirmation: z.array(
          z.object({
            $: z.object({ Method: z.string() }),
            SubjectConfirmationData: z
              .tuple([
                z.object({
                  $: z.object({
                    Recipient: z.string().optional(),
                    InResponseTo: z.string().optional(),
                    NotBefore: z.string().optional(),
                    NotOnOrAfter: z.string().optional(),
                  }),
                }),
              ])
              .optional(),
          }),
        ),
      }),
    ]),
    Conditions: z.tuple([z.object({ $: z.object({ NotOnOrAfter: z.string().optional() }).optional() })]),
    AuthnStatement: z.array(z.unknown()).min(1),
  }),
});

const bearer = 'urn:oasis:names:tc:SAML:2.0:cm:bearer';

/**
 * What the web browser profile asks of an assertion beyond signature, audience and conditions, all of it read from the
 * signed part: who made it, for whom, in answer to what, until when.
 */
export function checkAssertion(parsed: unknown, expected: ExpectedAssertion): AssertionFacts {
  const result = assertionForm.safeParse(parsed);
  if (!result.success)
    throw new Error(`its assertion is not complete: ${result.error.issues[0]?.path.join('.') ?? 'unknown'}`);
  const { $, Issuer, Subject } = result.data.Assertion;
  if (expected.issuer === undefined || Issuer[0]._.trim() !== expected.issuer)
    throw new Error('it is of another issuer');
  const reasons = Subject[0].SubjectConfirmation.map((each) => judge(each, expected));
  const accepted = reasons.find((each) => each instanceof Date);
  if (accepted === undefined) throw new Error(String(reasons[0] ?? 'nothing confirms its subject'));
  return { id: $.ID, notOnOrAfter: new Date(accepted.getTime() + expected.skewMs) };
}

type Confirmation = z.output<typeof assertionForm>['Assertion']['Subject'][0]['SubjectConfirmation'][number];

/** When it ends, or why it does not count. */
function judge({ $, SubjectConfirmationData }: Confirmation, expected: ExpectedAssertion): Date | string {
  const data = SubjectConfirmationData?.[0].$;
  if ($.Method !== bearer || data === undefined) return 'its subject is not confirmed for the bearer';
  if (data.Recipient !== expected.recipient) return 'it was made for another recipient';
  if (data.InResponseTo !== expected.requestId)
    return expected.requestId === undefined ? 'it answers a request' : 'it does not answer our request';
  const end = new Date(data.NotOnOrAfter ?? '');
  if (data.NotBefore !== undefined && new Date(data.NotBefore).getTime() > expected.now.getTime() + expected.skewMs)
    return 'it does not count yet';
  if (!(end.getTime() + expected.skewMs > expected.now.getTime()))
    return 'it does not say until when it counts, or is too old';
  return end;
}
