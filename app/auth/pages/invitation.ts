import { Secret } from '#base/secret.ts';
import type { RequestFacts } from '#contract/route.ts';
import type { PageDoors, PageHandlers } from './doors.ts';
import { formOf, troubleBox } from './form.ts';
import { checkFormToken, formTokenOf } from './form-token.ts';
import { html } from './html.ts';
import { layout } from './layout.ts';
import { newPasswordField } from './new-password.ts';
import { fields, readFields, type Trouble, troubleOf } from './trouble.ts';
import { answerForm, type PageReply, sessionOf } from './visit.ts';

interface Typed {
  readonly token: string;
  readonly name?: string;
}

/** /invitation: where the link of an invitation leads; name and password make the account. */
export function invitationPages(doors: PageDoors): Pick<PageHandlers, 'showInvitation' | 'submitInvitation'> {
  const { invitations, sessions, cookies } = doors;
  const show = async (request: RequestFacts, typed: Typed, trouble?: Trouble): Promise<PageReply> => {
    let invited: { readonly email: string; readonly team: string | null };
    try {
      invited = await invitations.read(typed.token);
    } catch (error) {
      const invalid = trouble ?? troubleOf(error);
      return { status: invalid.status, html: invalidPage(invalid) };
    }
    const token = formTokenOf(cookies, request);
    return { html: invitationPage(token.value, invited, typed, trouble), cookies: token.cookies };
  };
  return {
    showInvitation: async ({ query, request }) => show(request, query),
    submitInvitation: async ({ body, request }) =>
      answerForm(
        async () => {
          checkFormToken(cookies, request);
          const { name, password } = readFields({ name: fields.name, password: fields.password }, body, {
            name: 'Enter your name, in at most 100 characters',
            password: 'Choose a password',
          });
          const { email } = await invitations.accept(body.token, { name, password: new Secret(password) });
          // Whoever was signed in here before makes room for the new person.
          const session = await sessionOf(sessions, request);
          if (session !== undefined) await sessions.end(session.userId, session.id);
          const audit = { target: email };
          return { location: '/sign-in?done=invited', cookies: sessions.farewell, audit };
        },
        (trouble) => show(request, body, trouble),
      ),
  };
}

function invitationPage(
  csrf: string,
  { email, team }: { readonly email: string; readonly team: string | null },
  { token, name }: Typed,
  trouble: Trouble | undefined,
): string {
  const form = formOf({
    action: '/invitation',
    csrf,
    hidden: { token },
    account: email,
    fields: [
      { name: 'name', label: 'Your name', autocomplete: 'name', value: name, first: true },
      newPasswordField('Password'),
    ],
    send: 'Make my account',
    trouble,
  });
  const content = html`${troubleBox(trouble)}
<p>You are invited to Plinth${team !== null && html`, to begin in team <strong>${team}</strong>`}. Your account will be
<strong>${email}</strong>.</p>
${form}`;
  return layout({ title: 'Accept the invitation', faulty: trouble !== undefined, content });
}

const invalidPage = (trouble: Trouble) =>
  layout({
    title: 'This invitation cannot be used',
    faulty: true,
    content: html`${troubleBox(trouble)}<p><a href="/sign-in">Go to sign-in</a></p>`,
  });
