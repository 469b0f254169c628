import { z } from 'zod';
import { type ErrorCode, errorKinds, Fault } from '#base/errors.ts';
import type { Finding } from '#contract/problem.ts';
import { codeBody, emailBody, signInBody, signUpBody } from '#contract/sign-in.ts';

/** Why a form was not taken, in words for the person who sent it. */
export interface Trouble {
  /** undefined for what an identity provider reports by a name that is not ours. */
  readonly code?: ErrorCode;
  readonly status: number;
  /** After so long it can be tried again. */
  readonly seconds?: number | undefined;
  readonly words: string;
  readonly findings: readonly { readonly field: string; readonly words: string }[];
}

/** Where the API's sentence would not help a person in front of a page. The others are shown as they are. */
const pageWords: Readonly<Partial<Record<ErrorCode, string>>> = {
  CREDENTIALS_WRONG: 'The e-mail address or the password is wrong.',
  CODE_WRONG: 'This code is wrong, was used already, or is too old.',
  CSRF_TOKEN_WRONG: 'This page was too old, so nothing was done. Please try again.',
  PASSWORD_SIGN_IN_OFF: 'Passwords are turned off here. Please use one of the other ways to sign in.',
  SIGN_IN_LIMITED: 'Too many tries from here. Please wait a few minutes.',
  SECOND_FACTOR_BY_BASIC: 'This account needs a second factor.',
  LINK_INVALID: 'This link is wrong, was used already, or is too old. Please ask for a new one.',
  MAIL_OFF: 'No mail can be sent from here yet. Please ask an administrator.',
  REGISTRATION_CLOSED: 'Nobody can register here. Please ask an administrator for an invitation.',
  INVITATIONS_OFF: 'Invitations are turned off here. Please ask an administrator for an account.',
  IDENTITY_ANSWER_INVALID:
    'The answer of the identity provider was not accepted. Please try again, or tell an administrator.',
  IDENTITY_REFUSED: 'The identity provider did not sign you in.',
  IDENTITY_EMAIL_UNVERIFIED: 'The identity provider gives no e-mail address of yours that it has verified.',
  IDENTITY_DOMAIN: 'Addresses of your domain may not sign in this way.',
  IDENTITY_UNKNOWN: 'You have no account here, and signing in this way makes none. Please ask an administrator.',
  IDENTITY_DENIED: 'Nothing that the identity provider says of you gives you a role here. Please ask an administrator.',
  IDENTITY_CLAIMS_TOO_LARGE:
    'The identity provider says too much of you to be looked at. Please tell an administrator.',
  IDENTITY_MAPPING_TOO_COSTLY:
    'What the identity provider says of you takes too long to be looked at. Please tell an administrator.',
  IDENTITY_LINKED_OTHERWISE:
    'Your account here belongs to another account there. An administrator can remove that link.',
  IDENTITY_PROVIDER_UNAVAILABLE: 'The identity provider cannot be reached at present. Please try again later.',
  IDENTITY_PROVIDER_NOT_FOUND: 'There is no such way to sign in any more.',
  REQUEST_INVALID: 'Please look at what you have entered:',
};

/**
 * What a page says of an error.
 * @throws the error itself, if it is none of the list: that is not for the page to explain
 */
export function troubleOf(error: unknown): Trouble {
  if (!Fault.is(error) || error.code === 'INTERNAL') throw error;
  const { code, status, data, message } = error;
  const findings = Array.isArray(data.findings) ? (data.findings as readonly Finding[]) : []; // as problem.ts makes them
  const seconds = typeof data.seconds === 'number' ? data.seconds : undefined;
  const words =
    seconds === undefined ? (pageWords[code] ?? message) : `Too many tries. Please wait ${waiting(seconds)}.`;
  return {
    code,
    status,
    seconds,
    words,
    findings: findings.map(({ path, message: what }) => ({ field: path, words: what })),
  };
}

/** What a page says of a code that came in its address; of what is no code, only that something went wrong. */
export function faultWords(code: string): string {
  const known = Object.hasOwn(errorKinds, code) ? (code as ErrorCode) : undefined; // it is a key of the list
  const words = known === undefined ? undefined : (pageWords[known] ?? errorKinds[known].text);
  // A text with gaps for data makes no sense without it.
  return words === undefined || words.includes('{') ? 'Signing in did not work. Please try again.' : words;
}

/** What a page says was done, by the word in its address; of any other word nothing. */
export const doneWords = (words: Readonly<Record<string, string>>, done: string | undefined): string | undefined =>
  done !== undefined && Object.hasOwn(words, done) ? words[done] : undefined;

/**
 * What a form brought, as its fields are wanted. Each field that is not is named once, with the words given for it.
 * @throws Fault REQUEST_INVALID
 */
export function readFields<Fields extends z.ZodRawShape>(
  fields: Fields,
  given: Readonly<Record<keyof Fields & string, string>>,
  words: Readonly<Record<keyof Fields & string, string>>,
): z.output<z.ZodObject<Fields>> {
  const result = z.object(fields).safeParse(given);
  if (result.success) return result.data;
  const wrong = new Set(result.error.issues.map(({ path }) => String(path[0])));
  const findings = (Object.keys(words) as (keyof Fields & string)[]) // its own keys
    .filter((path) => wrong.has(path))
    .map((path) => ({ file: 'body', path, message: words[path] }));
  throw new Fault('REQUEST_INVALID', { findings });
}

/** Fields of forms. What was typed before and after is left out, but for passwords. */
export const fields = {
  /** Who signs in may have an address that today's rules would not take. */
  account: z.string().trim().min(1).max(254),
  email: z.string().trim().pipe(emailBody.shape.email),
  name: signUpBody.shape.name,
  password: signInBody.shape.password,
  code: codeBody.shape.code,
} as const;

/** `seconds`, rounded up to what a person counts in. */
function waiting(seconds: number): string {
  if (seconds <= 90) return seconds === 1 ? '1 second' : `${seconds} seconds`;
  return `${Math.ceil(seconds / 60)} minutes`;
}
