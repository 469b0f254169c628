import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import type { RequestFacts } from '#contract/route.ts';
import type { PageDoors, PageHandlers } from './doors.ts';
import { formOf, troubleBox } from './form.ts';
import { checkFormToken, formTokenOf } from './form-token.ts';
import { html } from './html.ts';
import { layout } from './layout.ts';
import { newPasswordField } from './new-password.ts';
import { fields, readFields, type Trouble, troubleOf } from './trouble.ts';
import { answerForm, type PageReply } from './visit.ts';

interface Typed {
  readonly name: string;
  readonly email: string;
}

/** /register: for anybody, where registration is open. */
export function registerPages(doors: PageDoors): Pick<PageHandlers, 'showRegister' | 'submitRegister'> {
  const { signIn, cookies, offers } = doors;
  const show = (request: RequestFacts, typed?: Typed, trouble?: Trouble): PageReply => {
    const token = formTokenOf(cookies, request);
    return { html: registerPage(token.value, typed, trouble), cookies: token.cookies };
  };
  return {
    showRegister: async ({ query, request }) => {
      if (query.done === 'mailed') return { html: mailedPage() };
      const { registration, passwordSignIn } = await offers();
      if (registration && passwordSignIn === 'everyone') return show(request);
      const trouble = troubleOf(new Fault('REGISTRATION_CLOSED'));
      return { status: trouble.status, html: closedPage(trouble) };
    },
    submitRegister: async ({ body, request }) =>
      answerForm(
        async () => {
          checkFormToken(cookies, request);
          const { email, name, password } = readFields(
            { name: fields.name, email: fields.email, password: fields.password },
            body,
            {
              name: 'Enter your name, in at most 100 characters',
              email: 'Enter an e-mail address such as ada@example.com',
              password: 'Choose a password',
            },
          );
          await signIn.register({ email, name, password: new Secret(password) }, request);
          return { location: '/register?done=mailed' };
        },
        (trouble) => show(request, body, trouble),
      ),
  };
}

function registerPage(csrf: string, typed: Typed | undefined, trouble: Trouble | undefined): string {
  const form = formOf({
    action: '/register',
    csrf,
    fields: [
      { name: 'name', label: 'Your name', autocomplete: 'name', value: typed?.name, first: true },
      { name: 'email', label: 'E-mail address', type: 'email', autocomplete: 'username', value: typed?.email },
      newPasswordField('Password'),
    ],
    send: 'Register',
    trouble,
    after: html`<a href="/sign-in">I have an account</a>`,
  });
  return layout({ title: 'Register', faulty: trouble !== undefined, content: html`${troubleBox(trouble)}${form}` });
}

/** The same whether the address has an account or not. */
const mailedPage = () =>
  layout({
    title: 'Look into your mail',
    content: html`<p>We have mailed you a link. Open it to confirm your address; then you can sign in.</p>
<p>Nothing came? Look into the spam folder, or <a href="/register">try again</a> in a few minutes.</p>`,
  });

const closedPage = (trouble: Trouble) =>
  layout({
    title: 'Register',
    faulty: true,
    content: html`${troubleBox(trouble)}<p><a href="/sign-in">Back to sign-in</a></p>`,
  });
