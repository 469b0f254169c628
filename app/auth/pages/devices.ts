import type { Caller } from '#contract/caller.ts';
import type { Session } from '../sign-in/sessions.ts';
import { deviceWords } from './device-words.ts';
import type { PageDoors, PageHandlers, SignInButton } from './doors.ts';
import { doneBox, formOf, troubleBox } from './form.ts';
import { type Html, html } from './html.ts';
import { layout } from './layout.ts';
import { doneWords, type Trouble } from './trouble.ts';
import { answerForm, ownSession, type PageReply, visitorOf } from './visit.ts';

type Handlers = Pick<PageHandlers, 'showDevices' | 'submitEndSession' | 'submitEndOthers'>;

const said = {
  one: 'The device is signed out.',
  others: 'All your other devices are signed out.',
};

/** /account/devices: where a person is signed in, and how to end it. */
export function devicePages(doors: PageDoors): Handlers {
  const { sessions } = doors;
  return {
    showDevices: async ({ caller, query }) => devicesPage(doors, caller, { done: query.done }),
    submitEndSession: async ({ caller, body, request }) =>
      answerForm(
        async () => {
          await ownSession(sessions, caller, request);
          await sessions.end(caller.id, body.session);
          const audit = { target: body.session };
          if (body.session === caller.credential.id)
            return { location: '/sign-in?done=signed-out', cookies: sessions.farewell, audit };
          return { location: '/account/devices?done=one', audit };
        },
        (trouble) => devicesPage(doors, caller, { trouble }),
      ),
    submitEndOthers: async ({ caller, request }) =>
      answerForm(
        async () => {
          const session = await ownSession(sessions, caller, request);
          await sessions.endAll(caller.id, session.id);
          return { location: '/account/devices?done=others' };
        },
        (trouble) => devicesPage(doors, caller, { trouble }),
      ),
  };
}

async function devicesPage(
  doors: PageDoors,
  caller: Caller,
  { done, trouble }: { readonly done?: string | undefined; readonly trouble?: Trouble },
): Promise<PageReply> {
  const visitor = visitorOf(doors.sessions, caller);
  const [list, buttons] = await Promise.all([doors.sessions.list(caller.id), doors.signInButtons()]);
  const own = caller.credential.id;
  const sorted = list.toSorted(
    (a, b) => Number(b.id === own) - Number(a.id === own) || b.createdAt.getTime() - a.createdAt.getTime(),
  );
  const content = html`${troubleBox(trouble)}${doneBox(doneWords(said, done))}
<p>You are signed in on these devices. If you do not know one of them, sign it out and change your password.</p>
<ul class="list">${sorted.map((session) => deviceOf(session, { own, csrf: visitor.csrf, buttons }))}</ul>
${
  list.some(({ id }) => id !== own) &&
  formOf({
    action: '/account/devices/sign-out-others',
    csrf: visitor.csrf,
    send: 'Sign out all other devices',
    look: 'danger',
  })
}`;
  const here = '/account/devices';
  return { html: layout({ title: 'Devices', visitor, here, faulty: trouble !== undefined, content }) };
}

interface Shown {
  readonly own: string | undefined;
  readonly csrf: string;
  readonly buttons: readonly SignInButton[];
}

function deviceOf(session: Session, { own, csrf, buttons }: Shown): Html {
  const device = deviceWords(session.userAgent);
  const via =
    session.via === 'password'
      ? 'with the password'
      : `through ${buttons.find(({ name }) => name === session.via)?.label ?? session.via}`;
  const form = formOf({
    action: '/account/devices/sign-out',
    csrf,
    hidden: { session: session.id },
    send: 'Sign out',
    look: 'plain',
    label: `Sign out ${device}, signed in on ${timeWords(session.createdAt)}`,
  });
  return html`<li>
<div><strong>${device}</strong>${session.id === own && html` <span class="tag">This device</span>`}
<p class="hint">From ${session.address}. Signed in ${via} on ${timeOf(session.createdAt)}; ends on
${timeOf(session.expiresAt)}${session.secondFactor === 'due' && '. Waits for the second factor'}.</p></div>
${session.id !== own && form}
</li>`;
}

const timeOf = (time: Date): Html => html`<time datetime="${time.toISOString()}">${timeWords(time)}</time>`;

/** `22 November 2026, 07:21 UTC`. */
export function timeWords(time: Date): string {
  const day = time.toLocaleDateString('en-GB', { day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' });
  return `${day}, ${time.toISOString().slice(11, 16)} UTC`;
}
