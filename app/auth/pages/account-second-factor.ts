import type { Secret } from '#base/secret.ts';
import type { Caller } from '#contract/caller.ts';
import type { PageDoors, PageHandlers } from './doors.ts';
import { doneBox, formOf, troubleBox } from './form.ts';
import { type Html, html } from './html.ts';
import { layout, type Visitor } from './layout.ts';
import { qrPicture } from './qr.ts';

import { fields, readFields, type Trouble } from './trouble.ts';
import { answerForm, ownSession, type PageReply, visitorOf } from './visit.ts';

type Handlers = Pick<
  PageHandlers,
  'showAccountFactor' | 'submitBeginTotp' | 'submitConfirmTotp' | 'submitBackupCodes' | 'submitDisableTotp'
>;

const here = '/account/second-factor';
const begin = '/account/second-factor/begin';

/** /account/second-factor: the authenticator app and its backup codes. What is secret is shown once, in a reply to a form. */
export function accountSecondFactorPages(doors: PageDoors): Handlers {
  const { sessions, secondFactor, passwordProof } = doors;
  const overview = (caller: Caller, trouble?: Trouble) => overviewPage(doors, caller, { trouble });
  const codeOf = (body: { readonly code: string }) =>
    readFields({ code: fields.code }, body, { code: 'Enter a code' }).code;

  return {
    showAccountFactor: async ({ caller, query }) => overviewPage(doors, caller, { done: query.done }),
    submitBeginTotp: async ({ caller, body, request }) =>
      answerForm(
        async () => {
          const { userId } = await ownSession(sessions, caller, request);
          await passwordProof.check(userId, body.password, request);

          const { uri } = await secondFactor.beginTotp(userId);
          return { html: enrolPage(visitorOf(sessions, caller), uri.reveal()) };
        },
        (trouble) => overview(caller, trouble),
      ),
    submitConfirmTotp: async ({ caller, body, request }) =>
      answerForm(
        async () => {
          const code = codeOf(body);
          const session = await ownSession(sessions, caller, request);
          const codes = await secondFactor.confirmTotp(session.userId, code);
          // From here on only devices count on which the app was shown; this one was.
          const passed = await sessions.pass(session, request);
          await sessions.endAll(session.userId, passed.session.id);
          const visitor = { email: caller.name, csrf: sessions.csrfTokenOf(passed.session.id) };
          const words = 'Your authenticator app is on. Your other devices were signed out.';
          return { html: codesPage(visitor, codes, words), cookies: passed.cookies };
        },
        (trouble) => {
          const uri = otpUri(body.uri);
          if (uri === undefined || !retries.has(trouble.code ?? '')) return overview(caller, trouble);
          return { html: enrolPage(visitorOf(sessions, caller), uri, trouble) };
        },
      ),
    submitBackupCodes: async ({ caller, body, request }) =>
      answerForm(
        async () => {
          const code = codeOf(body);
          const { userId } = await ownSession(sessions, caller, request);
          const codes = await secondFactor.renewBackupCodes(userId, code);
          return { html: codesPage(visitorOf(sessions, caller), codes, 'Your old backup codes no longer work.') };
        },
        (trouble) => overview(caller, trouble),
      ),
    submitDisableTotp: async ({ caller, body, request }) =>
      answerForm(
        async () => {
          const code = codeOf(body);
          const { userId } = await ownSession(sessions, caller, request);
          await secondFactor.disableTotp(userId, code);
          return { location: `${here}?done=off` };
        },
        (trouble) => overview(caller, trouble),
      ),
  };
}

/** After these the QR code is shown again, so that the secret just made can still be confirmed. */
const retries = new Set(['CODE_WRONG', 'SIGN_IN_LIMITED', 'REQUEST_INVALID']);

/** The form brings back what it showed; it is only ever shown, never believed. */
const otpUri = (text: string): string | undefined =>
  /^otpauth:\/\/totp\/[\x21-\x7e]{1,400}$/.test(text) && secretOf(text) !== undefined ? text : undefined;

const secretOf = (uri: string): string | undefined => /[?&]secret=([A-Z2-7]{16,128})(?:&|$)/.exec(uri)?.[1];

async function overviewPage(
  { sessions, secondFactor, passwordProof }: PageDoors,
  caller: Caller,
  { done, trouble }: { readonly done?: string | undefined; readonly trouble?: Trouble | undefined },
): Promise<PageReply> {
  const visitor = visitorOf(sessions, caller);
  const [{ totp, mail, backupCodesLeft }, asksPassword] = await Promise.all([
    secondFactor.state(caller.id),
    passwordProof.isWanted(caller.id),
  ]);

  const content = html`${troubleBox(trouble)}${doneBox(done === 'off' ? 'Your authenticator app is off.' : undefined)}
${totp ? appIsOn(visitor, backupCodesLeft) : appIsOff(visitor, { mail, asksPassword })}`;
  return { html: layout({ title: 'Second factor', visitor, here, faulty: trouble !== undefined, content }) };
}

const appIsOff = (
  { csrf, email }: Visitor,
  { mail, asksPassword }: { readonly mail: boolean; readonly asksPassword: boolean },
): Html => html`<p>
${
  mail
    ? 'At each sign-in we mail you a code. An authenticator app is safer and quicker, and takes its place.'
    : 'With an authenticator app nobody can sign in with your password alone: the app shows a new code every 30 seconds.'
}</p>
${formOf({
  action: begin,
  csrf,
  account: email,
  fields: asksPassword ? [presentPassword] : [],
  send: 'Set up an authenticator app',
})}`;

const presentPassword = {
  name: 'password',
  label: 'Your password',
  type: 'password',
  autocomplete: 'current-password',
} as const;

const appIsOn = ({ csrf }: Visitor, left: number): Html => html`<p>Your authenticator app is on. You have
<strong>${left === 1 ? '1 backup code' : `${left} backup codes`}</strong> left${left < 3 && ': make new ones soon'}.</p>
<section><h2>New backup codes</h2>
<p>The old ones no longer work then.</p>
${formOf({ action: '/account/second-factor/backup-codes', csrf, fields: [codeField('new')], send: 'Make new backup codes', look: 'plain' })}
</section>
<section><h2>Turn it off</h2>
<p>Before you change to another phone, or if you no longer want a second factor.</p>
${formOf({ action: '/account/second-factor/disable', csrf, fields: [codeField('off')], send: 'Turn the app off', look: 'danger' })}
</section>`;

/** A page can have the field twice; a name of its own for each place. */
const codeField = (place: string, label = 'Code from the app, or a backup code') =>
  ({ name: 'code', id: `code-${place}`, label, autocomplete: 'one-time-code', plain: true }) as const;

function enrolPage(visitor: Visitor, uri: string, trouble?: Trouble): string {
  const secret = secretOf(uri) ?? '';
  const content = html`${troubleBox(trouble)}
<ol class="steps">
<li><p>Scan this with your authenticator app.</p>
${qrPicture(uri, 'QR code for your authenticator app')}
<p class="hint">It cannot be scanned? Enter this key in the app: <code class="key">${secret.replace(/(.{4})(?=.)/g, '$1 ')}</code></p></li>
<li><p>Enter the six digits that the app shows now.</p>
${formOf({
  action: '/account/second-factor/confirm',
  csrf: visitor.csrf,
  hidden: { uri },
  fields: [
    { name: 'code', label: 'Code', autocomplete: 'one-time-code', inputmode: 'numeric', first: true, plain: true },
  ],
  send: 'Turn it on',
  trouble,
  after: html`<a href="${here}">Cancel</a>`,
})}</li>
</ol>`;
  return layout({ title: 'Set up an authenticator app', visitor, here, faulty: trouble !== undefined, content });
}

function codesPage(visitor: Visitor, codes: readonly Secret[], words: string): string {
  const content = html`${doneBox(words)}
<p>These are your backup codes. Each works once in place of the app, for when you do not have your phone. Print them or
keep them where you keep your passwords: <strong>they are shown this once</strong>.</p>
<ul class="codes">${codes.map((code) => html`<li><code>${code.reveal()}</code></li>`)}</ul>
<p><a class="button" href="${here}">I have kept them</a></p>`;
  return layout({ title: 'Your backup codes', visitor, here, content });
}
