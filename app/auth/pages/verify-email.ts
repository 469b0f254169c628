import { Secret } from '#base/secret.ts';
import type { RequestFacts } from '#contract/route.ts';
import type { PageDoors, PageHandlers } from './doors.ts';
import { formOf, troubleBox } from './form.ts';
import { checkFormToken, formTokenOf } from './form-token.ts';
import { html } from './html.ts';
import { layout } from './layout.ts';
import type { Trouble } from './trouble.ts';
import { answerForm, type PageReply } from './visit.ts';

/** /verify-email: where the mailed link leads. Only the button confirms, as scanners of mail open every link. */
export function verifyEmailPages(doors: PageDoors): Pick<PageHandlers, 'showVerifyEmail' | 'submitVerifyEmail'> {
  const { signIn, cookies } = doors;
  const show = (request: RequestFacts, token: string, trouble?: Trouble): PageReply => {
    const { value: csrf, cookies: set } = formTokenOf(cookies, request);
    const form = formOf({ action: '/verify-email', csrf, hidden: { token }, send: 'Confirm the address' });
    const content = html`${troubleBox(trouble)}
<p>You have asked for an account here. Confirm that this e-mail address is yours.</p>
${form}`;
    return {
      html: layout({ title: 'Confirm your e-mail address', faulty: trouble !== undefined, content }),
      cookies: set,
    };
  };
  return {
    showVerifyEmail: async ({ query, request }) => show(request, query.token),
    submitVerifyEmail: async ({ body, request }) =>
      answerForm(
        async () => {
          checkFormToken(cookies, request);
          await signIn.verifyEmail(new Secret(body.token));
          return { location: '/sign-in?done=verified' };
        },
        (trouble) => show(request, body.token, trouble),
      ),
  };
}
