import { Secret } from '#base/secret.ts';
import type { RequestFacts } from '#contract/route.ts';
import type { PageDoors, PageHandlers } from './doors.ts';
import { doneBox, formOf, troubleBox } from './form.ts';
import { checkFormToken, formTokenOf } from './form-token.ts';
import { attributes, type Html, html } from './html.ts';
import { layout } from './layout.ts';
import { homePath, nextPath, withNext } from './next-path.ts';
import { doneWords, faultWords, fields, readFields, type Trouble } from './trouble.ts';
import { answerForm, type PageReply, sessionOf } from './visit.ts';

interface Shown {
  readonly next?: string | undefined;
  readonly email?: string;
  readonly done?: string | undefined;
  readonly trouble?: Trouble | undefined;
}

const said = {
  'signed-out': 'You are signed out.',
  password: 'Your new password is set. Sign in with it; all your devices were signed out.',
  verified: 'Your e-mail address is confirmed. You can sign in now.',
  invited: 'Your account is ready. Sign in with your e-mail address and the password you have just chosen.',
};

/** /sign-in: e-mail and password, and the buttons of the identity providers. */
export function signInPages(doors: PageDoors): Pick<PageHandlers, 'showSignIn' | 'submitSignIn'> {
  const { signIn, sessions, secondFactor, cookies } = doors;
  const show = (request: RequestFacts, shown: Shown) => signInPage(doors, request, shown);
  return {
    showSignIn: async ({ query, request }) => {
      const next = nextPath(query.next);
      const session = await sessionOf(sessions, request);
      if (session?.secondFactor === 'due') return { location: withNext('/second-factor', next) };
      if (session !== undefined) return { location: next ?? homePath };
      const { error } = query;
      const trouble = error === undefined ? undefined : { status: 200, words: faultWords(error), findings: [] };
      return show(request, { next, done: query.done, trouble });
    },
    submitSignIn: async ({ body, request }) => {
      const next = nextPath(body.next);
      return answerForm(
        async () => {
          checkFormToken(cookies, request);
          const { email, password } = readFields({ email: fields.account, password: fields.password }, body, {
            email: 'Enter your e-mail address',
            password: 'Enter your password',
          });
          const begun = await signIn.withPassword(email, new Secret(password), request);
          if (begun.session.secondFactor !== 'due') return { location: next ?? homePath, cookies: begun.cookies };
          const done = await mailAtOnce(secondFactor, begun.session.userId);
          const path = withNext('/second-factor', next);
          const location = done ? `${path}${path.includes('?') ? '&' : '?'}done=mailed` : path;
          return { location, cookies: begun.cookies };
        },
        (trouble) => show(request, { next, email: body.email, trouble }),
      );
    },
  };
}

/** Who has no authenticator waits for a mail anyway. The page has a button for when this does not work. */
async function mailAtOnce(secondFactor: PageDoors['secondFactor'], userId: string): Promise<boolean> {
  try {
    const { totp, mail } = await secondFactor.state(userId);
    if (totp || !mail) return false;
    await secondFactor.mailCode(userId);
    return true;
  } catch {
    // Limits and a missing mail server are told when the button is pressed.
    return false;
  }
}

async function signInPage(doors: PageDoors, request: RequestFacts, shown: Shown): Promise<PageReply> {
  const { cookies, offers } = doors;
  const [{ passwordSignIn, registration }, buttons] = await Promise.all([offers(), doors.signInButtons()]);
  const token = formTokenOf(cookies, request);
  const { next, email, done, trouble } = shown;
  const providers = buttons.map(({ label, path }) => providerButton(label, withNext(path, next)));
  const form = passwordForm(token.value, { next, email, trouble });
  const content = html`${troubleBox(trouble)}${doneBox(doneWords(said, done))}
${providers.length > 0 && html`<div class="providers">${providers}</div>`}
${passwordPart[passwordSignIn](form, { providers: providers.length > 0, open: trouble !== undefined })}
${registration && passwordSignIn === 'everyone' && html`<p class="aside">No account yet? <a href="/register">Register</a></p>`}`;
  return { html: layout({ title: 'Sign in', faulty: trouble !== undefined, content }), cookies: token.cookies };
}

function passwordForm(csrf: string, { next, email, trouble }: Shown): Html {
  return formOf({
    action: '/sign-in',
    csrf,
    hidden: { next },
    fields: [
      { name: 'email', label: 'E-mail address', type: 'email', autocomplete: 'username', value: email, first: true },
      { name: 'password', label: 'Password', type: 'password', autocomplete: 'current-password' },
    ],
    send: 'Sign in',
    trouble,
    after: html`<a href="/reset-password">Forgotten your password?</a>`,
  });
}

const providerButton = (label: string, path: string): Html =>
  html`<a class="button plain" href="${path}">Sign in with ${label}</a>`;

/** Who may come in by e-mail and password decides how much of the page that takes. */
const passwordPart = {
  everyone: (form: Html, { providers }: { readonly providers: boolean }) =>
    html`${providers && html`<p class="or">or with your password</p>`}${form}`,
  administrators: (form: Html, { open }: { readonly open: boolean }) => html`<details${attributes({ open })}>
<summary>Sign in as an administrator with a password</summary>
<p>Others have no password here. Once an administrator has come in by an identity provider, passwords end.</p>
${form}</details>`,
  // The way back in is on the server, where only those can go who run it.
  nobody: () => html`<p class="hint">Passwords are turned off here. Administrators who cannot get in run
<code>npm run recover</code> on the server.</p>`,
};
