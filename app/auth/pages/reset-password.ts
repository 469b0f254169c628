import { Secret } from '#base/secret.ts';
import type { RequestFacts } from '#contract/route.ts';
import type { PageDoors, PageHandlers } from './doors.ts';
import { formOf, troubleBox } from './form.ts';
import { checkFormToken, formTokenOf } from './form-token.ts';
import { html } from './html.ts';
import { layout } from './layout.ts';
import { newPasswordField } from './new-password.ts';
import { fields, readFields, type Trouble } from './trouble.ts';
import { answerForm, type PageReply } from './visit.ts';

type Handlers = Pick<PageHandlers, 'showResetRequest' | 'submitResetRequest' | 'submitReset'>;

/**
 * /reset-password: asks for a link by mail; with the token of that link it is the page to choose a password on. Opening
 * the link does nothing by itself, as scanners of mail open every link.
 */
export function resetPasswordPages({ signIn, sessions, cookies }: PageDoors): Handlers {
  const ask = (request: RequestFacts, email?: string, trouble?: Trouble) => {
    const token = formTokenOf(cookies, request);
    return { html: askPage(token.value, email, trouble), cookies: token.cookies };
  };
  const choose = (request: RequestFacts, resetToken: string, trouble?: Trouble): PageReply => {
    const token = formTokenOf(cookies, request);
    return { html: choosePage(token.value, resetToken, trouble), cookies: token.cookies };
  };
  return {
    showResetRequest: async ({ query, request }) => {
      if (query.token !== '') return choose(request, query.token);
      return query.done === 'mailed' ? { html: mailedPage() } : ask(request);
    },
    submitResetRequest: async ({ body, request }) =>
      answerForm(
        async () => {
          checkFormToken(cookies, request);
          const { email } = readFields({ email: fields.account }, body, { email: 'Enter your e-mail address' });
          await signIn.requestReset(email, request);
          return { location: '/reset-password?done=mailed' };
        },
        (trouble) => ask(request, body.email, trouble),
      ),
    submitReset: async ({ body, request }) =>
      answerForm(
        async () => {
          checkFormToken(cookies, request);
          const { password } = readFields({ password: fields.password }, body, { password: 'Choose a password' });
          await signIn.reset(new Secret(body.token), new Secret(password), request);
          // Whoever was signed in here before is so no more: the link's owner signs in now.
          return { location: '/sign-in?done=password', cookies: sessions.farewell };
        },
        (trouble) => choose(request, body.token, trouble),
      ),
  };
}

function askPage(csrf: string, email: string | undefined, trouble: Trouble | undefined): string {
  const form = formOf({
    action: '/reset-password',
    csrf,
    fields: [
      { name: 'email', label: 'E-mail address', type: 'email', autocomplete: 'username', value: email, first: true },
    ],
    send: 'Mail me a link',
    trouble,
    after: html`<a href="/sign-in">Back to sign-in</a>`,
  });
  const content = html`${troubleBox(trouble)}
<p>We mail you a link with which you can choose a new password.</p>
${form}`;
  return layout({ title: 'Reset your password', faulty: trouble !== undefined, content });
}

/** The same whether there is such an account or not. */
const mailedPage = () =>
  layout({
    title: 'Look into your mail',
    content: html`<p>If there is an account with that address, a link is on its way to it. It works once, and only for a
short time.</p>
<p>Nothing came? Look into the spam folder, or <a href="/reset-password">try again</a> in a few minutes.</p>
<p><a href="/sign-in">Back to sign-in</a></p>`,
  });

function choosePage(csrf: string, token: string, trouble: Trouble | undefined): string {
  const form = formOf({
    action: '/reset-password/new',
    csrf,
    hidden: { token },
    fields: [{ ...newPasswordField('New password'), first: true }],
    send: 'Set the password',
    trouble,
    after: html`<a href="/reset-password">Ask for another link</a>`,
  });
  const content = html`${troubleBox(trouble)}
<p>All devices that are signed in to your account will be signed out.</p>
${form}`;
  return layout({ title: 'Choose a new password', faulty: trouble !== undefined, content });
}
