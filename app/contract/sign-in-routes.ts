import { defineRoute } from './route.ts';
import {
  backupCodesView,
  beginTotpBody,
  begunView,
  changePasswordBody,
  codeBody,
  currentSessionView,
  doneView,
  emailBody,
  linkBody,
  newTotpView,
  resetBody,
  secondFactorView,
  sessionBody,
  sessionView,
  signInBody,
  signUpBody,
} from './sign-in.ts';
import { listOf } from './values.ts';

// No credential is large: who sends more than this wants something else.
const mostBytes = 16 * 1024;
const open = { tag: 'Sign-in', method: 'POST', permission: 'public', mostBytes } as const;
const own = {
  tag: 'Sign-in',
  method: 'POST',
  permission: 'self:write',
  reach: 'personal',
  inPerson: true,
  mostBytes,
} as const;
const read = { tag: 'Sign-in', method: 'GET', permission: 'self:read', reach: 'personal', inPerson: true } as const;
const done = { json: doneView } as const;
/** The room records these by itself, with the account that they are about. */
const audit = 'room';

/** What is done before there is a session, or with one whose second factor is still due. */
const openRoutes = [
  defineRoute({
    ...open,
    name: 'signIn',
    path: '/api/auth/sign-in/email',
    summary: 'Sign in with e-mail and password; the session is in the cookies',
    audit,
    body: signInBody,
    reply: { json: begunView },
  }),
  defineRoute({
    ...open,
    name: 'signUp',
    path: '/api/auth/sign-up/email',
    summary:
      'Register; a link to confirm the address is mailed. The answer is the same for an address that has an account',
    audit,
    body: signUpBody,
    reply: done,
    status: 202,
  }),
  defineRoute({
    ...open,
    name: 'verifyEmail',
    path: '/api/auth/verify-email',
    summary: 'Confirm an address with the token of the mailed link: the account is made',
    audit,
    body: linkBody,
    reply: done,
  }),
  defineRoute({
    ...open,
    name: 'requestPasswordReset',
    path: '/api/auth/request-password-reset',
    summary: 'Have a link mailed that sets a new password. The answer is the same for an unknown address',
    audit,
    body: emailBody,
    reply: done,
    status: 202,
  }),
  defineRoute({
    ...open,
    name: 'resetPassword',
    path: '/api/auth/reset-password',
    summary: 'Set a new password with the token of the mailed link; every session ends',
    audit,
    body: resetBody,
    reply: done,
  }),
  defineRoute({
    ...open,
    method: 'GET',
    name: 'getSession',
    path: '/api/auth/get-session',
    summary: 'The session of the cookie, its person and its CSRF token; all null without one',
    reply: { json: currentSessionView },
  }),
  defineRoute({
    ...open,
    name: 'signOut',
    path: '/api/auth/sign-out',
    summary: 'End the session of the cookie',
    reply: done,
  }),
  defineRoute({
    ...open,
    name: 'mailSecondFactorCode',
    path: '/api/auth/two-factor/send-otp',
    summary: 'Have a code mailed, where that is your second factor',
    reply: done,
    status: 202,
  }),
  defineRoute({
    ...open,
    name: 'verifySecondFactor',
    path: '/api/auth/two-factor/verify',
    summary: 'Show a code of the authenticator, a mailed one or a backup code',
    audit,
    body: codeBody,
    reply: { json: begunView },
  }),
] as const;

const sessionRoutes = [
  defineRoute({
    ...read,
    name: 'listSessions',
    path: '/api/auth/list-sessions',
    summary: 'The devices on which you are signed in',
    reply: { json: listOf(sessionView) },
  }),
  defineRoute({
    ...own,
    name: 'revokeSession',
    path: '/api/auth/revoke-session',
    summary: 'Sign one of your devices out',
    body: sessionBody,
    reply: done,
  }),
  defineRoute({
    ...own,
    name: 'revokeOtherSessions',
    path: '/api/auth/revoke-other-sessions',
    summary: 'Sign all your other devices out',
    reply: done,
  }),
  defineRoute({
    ...own,
    name: 'changePassword',
    path: '/api/auth/change-password',
    summary: 'Change your password; every other device is signed out',
    audit,
    body: changePasswordBody,
    reply: done,
  }),
] as const;

const secondFactorRoutes = [
  defineRoute({
    ...read,
    name: 'getSecondFactor',
    path: '/api/auth/two-factor',
    summary: 'Which second factor you have',
    reply: { json: secondFactorView },
  }),
  defineRoute({
    ...own,
    name: 'beginTotp',
    path: '/api/auth/two-factor/enable',
    summary: 'Begin to set an authenticator app up; it counts from its first code on',
    body: beginTotpBody,
    reply: { json: newTotpView },
  }),
  defineRoute({
    ...own,
    name: 'confirmTotp',
    path: '/api/auth/two-factor/confirm',
    summary: 'Show the first code of the authenticator app; your other devices are signed out',
    audit,
    body: codeBody,
    reply: { json: backupCodesView },
  }),
  defineRoute({
    ...own,
    name: 'renewBackupCodes',
    path: '/api/auth/two-factor/generate-backup-codes',
    summary: 'Ten new backup codes in place of the old ones',
    audit,
    body: codeBody,
    reply: { json: backupCodesView },
  }),
  defineRoute({
    ...own,
    name: 'disableTotp',
    path: '/api/auth/two-factor/disable',
    summary: 'Take the authenticator app away',
    audit,
    body: codeBody,
    reply: done,
  }),
] as const;

/** Signing in and out, one's own sessions, password and second factor. */
export const signInRoutes = [...openRoutes, ...sessionRoutes, ...secondFactorRoutes] as const;
