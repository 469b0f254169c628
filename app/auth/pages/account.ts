import { Secret } from '#base/secret.ts';
import type { Caller } from '#contract/caller.ts';
import type { PageDoors, PageHandlers } from './doors.ts';
import { doneBox, formOf, troubleBox } from './form.ts';
import { html } from './html.ts';
import { layout } from './layout.ts';
import { newPasswordField } from './new-password.ts';
import { doneWords, fields, readFields, type Trouble } from './trouble.ts';
import { answerForm, ownSession, type PageReply, visitorOf } from './visit.ts';

const said = {
  password: 'Your password is changed. All your other devices were signed out.',
};

/** /account: who one is here, and the password. */
export function accountPages(doors: PageDoors): Pick<PageHandlers, 'showAccount' | 'submitPassword'> {
  const { signIn, sessions } = doors;
  return {
    showAccount: async ({ caller, query }) => accountPage(doors, caller, { done: query.done }),
    submitPassword: async ({ caller, body, request }) =>
      answerForm(
        async () => {
          const typed = readFields({ current: fields.password, password: fields.password }, body, {
            current: 'Enter your present password',
            password: 'Choose a new password',
          });

          const session = await ownSession(sessions, caller, request);
          const [current, next] = [new Secret(typed.current), new Secret(typed.password)];
          const cookies = await signIn.changePassword(session.userId, current, next, request);
          return { location: '/account?done=password', cookies };
        },
        (trouble) => accountPage(doors, caller, { trouble: presentPassword(trouble) }),
      ),
  };
}

/** Here only the password can be wrong. */
const presentPassword = (trouble: Trouble): Trouble =>
  trouble.code === 'CREDENTIALS_WRONG'
    ? { ...trouble, words: 'Your present password is not the one you entered.' }
    : trouble;

async function accountPage(
  doors: PageDoors,
  caller: Caller,
  { done, trouble }: { readonly done?: string | undefined; readonly trouble?: Trouble },
): Promise<PageReply> {
  const visitor = visitorOf(doors.sessions, caller);
  const [person, asksPassword] = await Promise.all([
    doors.people.find(caller.id),
    doors.passwordProof.isWanted(caller.id),
  ]);
  const form = formOf({
    action: '/account/password',
    csrf: visitor.csrf,
    account: visitor.email,
    fields: [
      { name: 'current', label: 'Present password', type: 'password', autocomplete: 'current-password' },
      newPasswordField('New password'),
    ],
    send: 'Change the password',
    trouble,
  });
  const content = html`${troubleBox(trouble)}${doneBox(doneWords(said, done))}
<dl>
<div><dt>Name</dt><dd>${person?.name ?? caller.name}</dd></div>
<div><dt>E-mail address</dt><dd>${visitor.email}</dd></div>
<div><dt>Role</dt><dd>${caller.role}</dd></div>
<div><dt>Teams</dt><dd>${caller.teams.length === 0 ? 'none' : caller.teams.join(', ')}</dd></div>
</dl>
${
  asksPassword &&
  html`<section><h2>Password</h2>
<p>Your other devices will be signed out.</p>
${form}</section>`
}`;
  return { html: layout({ title: 'Account', visitor, here: '/account', faulty: trouble !== undefined, content }) };
}
