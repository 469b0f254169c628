import { z } from 'zod';
import { defineRoute } from './route.ts';

/**
 * The pages for people: sign-in and what each does for themselves. Every form carries a CSRF token: that of the session
 * where there is one, else one of the browser. What else a form brought is judged by its page, which shows the form again
 * with what was wrong; so its fields take any text here.
 */

/** A field of a form. A missing one is as empty as one that was left empty. */
const field = z.string().default('');
const next = z.string().optional().describe('The path that the browser goes on to; only one of this host counts.');
const token = field.describe('From the link that was mailed.');
const done = z.string().optional().describe('What was just done, for the page to say so.');

/** No form of a page is larger. */
const mostBytes = 16 * 1024;
/** The room records these by itself, with the account that they are about. */
const audit = 'room';
const tag = 'Pages';
const html = 'A page for people.';

const page = { tag, method: 'GET', permission: 'public', reply: { html } } as const;
const ownPage = { ...page, permission: 'self:read', reach: 'personal' } as const;
const form = { tag, method: 'POST', permission: 'public', form: true, mostBytes, reply: { html } } as const;
const ownForm = { ...form, permission: 'self:write', reach: 'personal', inPerson: true } as const;

const signInPages = [
  defineRoute({ ...page, name: 'showHome', path: '/', summary: 'Leads to /account, or to /sign-in' }),
  defineRoute({
    ...page,
    name: 'showSignIn',
    path: '/sign-in',
    summary: 'The page to sign in on',
    query: z.object({ next, done, error: z.string().optional().describe('Why another way in did not work.') }),
  }),
  defineRoute({
    ...form,
    name: 'submitSignIn',
    path: '/sign-in',
    summary: 'Sign in with e-mail and password',
    audit,
    body: z.object({ next, email: field, password: field }),
  }),
  defineRoute({ ...page, name: 'showSignOut', path: '/sign-out', summary: 'Asks whether to sign out' }),
  defineRoute({
    ...form,
    name: 'submitSignOut',
    path: '/sign-out',
    summary: 'End this session',
    body: z.object({}),
  }),
  defineRoute({
    ...page,
    name: 'showSecondFactor',
    path: '/second-factor',
    summary: 'The page to show a second factor on, after the password',
    query: z.object({ next, done }),
  }),
  defineRoute({
    ...form,
    name: 'submitSecondFactor',
    path: '/second-factor',
    summary: 'Show a code of the authenticator, a mailed one or a backup code',
    audit,
    body: z.object({ next, code: field }),
  }),
  defineRoute({
    ...form,
    name: 'submitMailCode',
    path: '/second-factor/mail',
    summary: 'Have a code mailed',
    body: z.object({ next }),
  }),
] as const;

const linkPages = [
  defineRoute({
    ...page,
    name: 'showResetRequest',
    path: '/reset-password',
    summary: 'The page to ask for a new password on; with the token of a mailed link, to set it on',
    query: z.object({ token, done }),
  }),
  defineRoute({
    ...form,
    name: 'submitResetRequest',
    path: '/reset-password',
    summary: 'Have a link mailed that sets a new password',
    audit,
    body: z.object({ email: field }),
  }),
  defineRoute({
    ...form,
    name: 'submitReset',
    path: '/reset-password/new',
    summary: 'Set a new password',
    audit,
    body: z.object({ token, password: field }),
  }),
  defineRoute({
    ...page,
    name: 'showVerifyEmail',
    path: '/verify-email',
    summary: 'Where the mailed link leads: the page to confirm an e-mail address on',
    query: z.object({ token }),
  }),
  defineRoute({
    ...form,
    name: 'submitVerifyEmail',
    path: '/verify-email',
    summary: 'Confirm an e-mail address',
    body: z.object({ token }),
  }),
  defineRoute({
    ...page,
    name: 'showInvitation',
    path: '/invitation',
    summary: 'Where an invitation leads: the page to accept it on',
    query: z.object({ token }),
  }),
  defineRoute({
    ...form,
    name: 'submitInvitation',
    path: '/invitation',
    summary: 'Accept an invitation',
    body: z.object({ token, name: field, password: field }),
  }),
  defineRoute({
    ...page,
    name: 'showRegister',
    path: '/register',
    summary: 'The page to make an account on, where registration is open',
    query: z.object({ done }),
  }),
  defineRoute({
    ...form,
    name: 'submitRegister',
    path: '/register',
    summary: 'Make an account',
    audit,
    body: z.object({ name: field, email: field, password: field }),
  }),
] as const;

const accountPages = [
  defineRoute({
    ...ownPage,
    name: 'showAccount',
    path: '/account',
    summary: 'Who you are here, and your password',
    query: z.object({ done }),
  }),
  defineRoute({
    ...ownForm,
    name: 'submitPassword',
    path: '/account/password',
    summary: 'Change your password',
    audit,
    body: z.object({ current: field, password: field }),
  }),
  defineRoute({
    ...ownPage,
    name: 'showDevices',
    path: '/account/devices',
    summary: 'Where you are signed in',
    query: z.object({ done }),
  }),
  defineRoute({
    ...ownForm,
    name: 'submitEndSession',
    path: '/account/devices/sign-out',
    summary: 'Sign out one device',
    body: z.object({ session: field }),
  }),
  defineRoute({
    ...ownForm,
    name: 'submitEndOthers',
    path: '/account/devices/sign-out-others',
    summary: 'Sign out every device but this one',
    body: z.object({}),
  }),
  defineRoute({
    ...ownPage,
    name: 'showAccountFactor',
    path: '/account/second-factor',
    summary: 'Your second factor',
    query: z.object({ done }),
  }),
  defineRoute({
    ...ownForm,
    name: 'submitBeginTotp',
    path: '/account/second-factor/begin',
    summary: 'Show the QR code for an authenticator app',
    body: z.object({ password: field }),
  }),
  defineRoute({
    ...ownForm,
    name: 'submitConfirmTotp',
    path: '/account/second-factor/confirm',
    summary: 'Turn the authenticator app on; shows the backup codes',
    audit,
    body: z.object({ uri: field, code: field }),
  }),
  defineRoute({
    ...ownForm,
    name: 'submitBackupCodes',
    path: '/account/second-factor/backup-codes',
    summary: 'Make new backup codes; shows them',
    audit,
    body: z.object({ code: field }),
  }),
  defineRoute({
    ...ownForm,
    name: 'submitDisableTotp',
    path: '/account/second-factor/disable',
    summary: 'Turn the authenticator app off',
    audit,
    body: z.object({ code: field }),
  }),
] as const;

/** Every page, and every form of one. A form answers 303 when done, else the page again with a status from 400. */
export const pageRoutes = [...signInPages, ...linkPages, ...accountPages] as const;
