import type { PageDoors, PageHandlers } from './doors.ts';
import { formOf, troubleBox } from './form.ts';
import { html } from './html.ts';
import { layout } from './layout.ts';
import type { Trouble } from './trouble.ts';
import { answerForm, checkSessionToken, sessionOf } from './visit.ts';

const signedOut = '/sign-in?done=signed-out';

/** /sign-out: ends the session, also one whose second factor is still due. */
export function signOutPages({ sessions }: PageDoors): Pick<PageHandlers, 'showSignOut' | 'submitSignOut'> {
  const show = (sessionId: string, trouble?: Trouble) => {
    const csrf = sessions.csrfTokenOf(sessionId);
    const content = html`${troubleBox(trouble)}
<p>You will have to sign in again on this device.</p>
${formOf({ action: '/sign-out', csrf, send: 'Sign out', after: html`<a href="/">Stay signed in</a>` })}`;
    return { html: layout({ title: 'Sign out?', faulty: trouble !== undefined, content }) };
  };
  return {
    showSignOut: async ({ request }) => {
      const session = await sessionOf(sessions, request);
      return session === undefined ? { location: '/sign-in' } : show(session.id);
    },
    submitSignOut: async ({ request }) => {
      const session = await sessionOf(sessions, request);
      if (session === undefined) return { location: signedOut, cookies: sessions.farewell };
      return answerForm(
        async () => {
          checkSessionToken(sessions, session, request);
          await sessions.end(session.userId, session.id);
          return { location: signedOut, cookies: sessions.farewell, audit: { target: session.userId } };
        },
        (trouble) => show(session.id, trouble),
      );
    },
  };
}
