import type { Session } from '../sign-in/sessions.ts';
import type { PageDoors, PageHandlers } from './doors.ts';
import { doneBox, formOf, troubleBox } from './form.ts';
import { html } from './html.ts';
import { layout } from './layout.ts';
import { homePath, nextPath, withNext } from './next-path.ts';
import { fields, readFields, type Trouble } from './trouble.ts';
import { answerForm, checkSessionToken, type PageReply, sessionOf } from './visit.ts';

type Handlers = Pick<PageHandlers, 'showSecondFactor' | 'submitSecondFactor' | 'submitMailCode'>;

interface Shown {
  readonly next: string | undefined;
  readonly mailed?: boolean;
  readonly trouble?: Trouble;
}

/** /second-factor: what a person shows beside the password. A session that owes it can come here and sign out. */
export function secondFactorPages(doors: PageDoors): Handlers {
  const { sessions, secondFactor } = doors;
  return {
    showSecondFactor: async ({ query, request }) => {
      const next = nextPath(query.next);
      const session = await sessionOf(sessions, request);
      if (session?.secondFactor !== 'due') return elsewhere(session, next);
      return secondFactorPage(doors, session, { next, mailed: query.done === 'mailed' });
    },
    submitSecondFactor: async ({ body, request }) => {
      const next = nextPath(body.next);
      const session = await sessionOf(sessions, request);
      if (session?.secondFactor !== 'due') return elsewhere(session, next);
      return answerForm(
        async () => {
          checkSessionToken(sessions, session, request);
          const { code } = readFields({ code: fields.code }, body, { code: 'Enter a code' });
          await secondFactor.verify(session.userId, code);
          const { cookies } = await sessions.pass(session, request);
          return { location: next ?? homePath, cookies };
        },
        (trouble) => secondFactorPage(doors, session, { next, trouble }),
      );
    },
    submitMailCode: async ({ body, request }) => {
      const next = nextPath(body.next);
      const session = await sessionOf(sessions, request);
      if (session?.secondFactor !== 'due') return elsewhere(session, next);
      return answerForm(
        async () => {
          checkSessionToken(sessions, session, request);
          await secondFactor.mailCode(session.userId);
          const path = withNext('/second-factor', next);
          return { location: `${path}${path.includes('?') ? '&' : '?'}done=mailed`, audit: { target: session.userId } };
        },
        (trouble) => secondFactorPage(doors, session, { next, trouble }),
      );
    },
  };
}

/** Nothing is due: signed in already, or not at all. */
const elsewhere = (session: Session | undefined, next: string | undefined): PageReply =>
  session === undefined ? { location: withNext('/sign-in', next) } : { location: next ?? homePath };

async function secondFactorPage(doors: PageDoors, session: Session, shown: Shown): Promise<PageReply> {
  const { sessions, secondFactor, people } = doors;
  const [{ totp, mail }, person] = await Promise.all([secondFactor.state(session.userId), people.find(session.userId)]);
  const { next, mailed = false, trouble } = shown;
  const csrf = sessions.csrfTokenOf(session.id);
  const address = person?.email ?? 'your address';
  const code = formOf({
    action: '/second-factor',
    csrf,
    hidden: { next },
    fields: [{ name: 'code', label: 'Code', autocomplete: 'one-time-code', first: true, plain: true }],
    send: 'Continue',
    trouble,
  });
  const hint = totp
    ? 'Open your authenticator app and enter the six digits it shows for Plinth. Without the app, enter one of your backup codes.'
    : `Enter the six digits that we mail to ${address}. They are good for ten minutes.`;
  const content = html`${troubleBox(trouble)}${doneBox(mailed ? `A code is on its way to ${address}.` : undefined)}
<p>${hint}</p>
${code}
<div class="rows">
${mail && formOf({ action: '/second-factor/mail', csrf, hidden: { next }, send: mailed ? 'Mail another code' : 'Mail me a code', look: 'plain' })}
${formOf({ action: '/sign-out', csrf, send: 'Cancel and sign out', look: 'quiet' })}
</div>`;
  return { html: layout({ title: 'Second factor', faulty: trouble !== undefined, content }) };
}
