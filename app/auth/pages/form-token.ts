import { randomBytes, timingSafeEqual } from 'node:crypto';
import { Fault } from '#base/errors.ts';
import type { RequestFacts } from '#contract/route.ts';
import type { Cookies } from '../sign-in/cookies.ts';

/** What ties a form to the browser that it was sent to, as long as there is no session to tie it to. */
export interface FormToken {
  /** For the form's hidden field. */
  readonly value: string;
  /** `Set-Cookie` values; none where the browser has the token already. */
  readonly cookies: readonly string[];
}

const name = 'form';
const form = /^[A-Za-z0-9_-]{32}$/;
/** As long as anybody leaves a form open. */
const maxAgeSeconds = 24 * 60 * 60;

/** The browser's token; a new one if it has none. Forms in several tabs share it. */
export function formTokenOf(cookies: Cookies, request: RequestFacts): FormToken {
  const present = cookies.read(name, request.header('cookie')).find((value) => form.test(value));
  if (present !== undefined) return { value: present, cookies: [] };
  const value = randomBytes(24).toString('base64url');
  return { value, cookies: [cookies.write({ name, value, maxAgeSeconds, hostOnly: true }, request)] };
}

/** The hidden field must have come from a form of ours in this browser. @throws Fault CSRF_TOKEN_WRONG */
export function checkFormToken(cookies: Cookies, request: RequestFacts): void {
  const given = Buffer.from(request.csrf ?? '');
  // The first one only: a page of a neighbouring host could have added others, and could know them.
  const [present = ''] = cookies.read(name, request.header('cookie')).filter((value) => form.test(value));
  const wanted = Buffer.from(present);
  if (present === '' || wanted.length !== given.length || !timingSafeEqual(wanted, given))
    throw new Fault('CSRF_TOKEN_WRONG');
}
