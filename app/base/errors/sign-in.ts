import type { ErrorRows } from './kind.ts';

/** Ways in that stay closed, and why. */
export const signInErrors = {
  CREDENTIALS_MISSING: {
    status: 401,
    retry: false,
    text: 'Sign in first: send Authorization: Bearer <token>, or Basic with e-mail and password.',
  },
  CREDENTIALS_WRONG: { status: 401, retry: false, text: 'These credentials are not known here.' },
  PASSWORD_SIGN_IN_OFF: {
    status: 403,
    retry: false,
    text: 'Passwords are turned off here (AUTH_DISABLE_BASIC_AUTH). Sign in with an identity provider; programs send a token.',
  },
  SECOND_FACTOR_DUE: {
    status: 401,
    retry: false,
    text: 'A second factor is still due: verify a code first, or sign out.',
  },
  SECOND_FACTOR_BY_BASIC: {
    status: 403,
    retry: false,
    text: 'This account has a second factor, which HTTP Basic cannot carry: send a token in the place of the password.',
  },
  CODE_WRONG: { status: 401, retry: false, text: 'This code is wrong, used or too old.' },
  ACCOUNT_DISABLED: { status: 403, retry: false, text: 'This account is disabled. Ask an administrator.' },
  REGISTRATION_CLOSED: {
    status: 403,
    retry: false,
    text: 'Nobody can register here (AUTH_ALLOW_REGISTRATION). Ask an administrator for an account.',
  },
  LINK_INVALID: { status: 400, retry: false, text: 'This link is wrong, used or too old. Ask for a new one.' },
  PASSWORD_WEAK: { status: 422, retry: false, text: 'Choose another password: {why}.' },
  MAIL_ADDRESS_INVALID: { status: 422, retry: false, text: 'This is no address that a mail can be sent to.' },
  MAIL_OFF: {
    status: 409,
    retry: false,
    text: 'No mail can be sent from here: an administrator sets SMTP_HOST and SMTP_SENDER_EMAIL.',
  },
  SECOND_FACTOR_ON: {
    status: 409,
    retry: false,
    text: 'An authenticator app is set up already. Turn it off first, with one of its codes.',
  },
  SECOND_FACTOR_OWN: { status: 409, retry: false, text: 'Turn your own second factor off with one of its codes.' },
  SECOND_FACTOR_OFF: { status: 409, retry: false, text: 'There is no second factor of this kind to use: {why}.' },
  IDENTITY_STATE_UNKNOWN: {
    status: 400,
    retry: false,
    text: 'This sign-in was not begun in this browser, took longer than ten minutes, or was used already. Begin again.',
  },
  IDENTITY_ANSWER_INVALID: { status: 401, retry: false, text: 'The answer of {provider} is not accepted: {why}.' },
  IDENTITY_REFUSED: { status: 403, retry: false, text: 'The identity provider did not sign you in.' },
  IDENTITY_EMAIL_UNVERIFIED: {
    status: 403,
    retry: false,
    text: 'The identity provider gives no e-mail address of yours that it has verified.',
  },
  IDENTITY_DOMAIN: {
    status: 403,
    retry: false,
    text: 'People of your domain may not sign in with this identity provider.',
  },
  IDENTITY_UNKNOWN: {
    status: 403,
    retry: false,
    text: 'You have no account here, and this identity provider makes none. Ask an administrator for one.',
  },
  IDENTITY_DENIED: {
    status: 403,
    retry: false,
    text: 'Nothing that the identity provider says of you gives you a role here. Ask an administrator.',
  },
  IDENTITY_CLAIMS_TOO_LARGE: {
    status: 422,
    retry: false,
    text: 'The claims hold {what}. Let the identity provider send fewer of them, such as only the groups that matter here.',
  },
  IDENTITY_MAPPING_TOO_COSTLY: {
    status: 422,
    retry: false,
    text: 'Mapping roles and groups takes more than {steps} steps over these claims, or prints too much. Write fewer or simpler expressions, or let the identity provider send fewer groups.',
  },
  IDENTITY_LINKED_OTHERWISE: {
    status: 403,
    retry: false,
    text: 'Your account here belongs to another account of this identity provider. An administrator can remove that link.',
  },
  SIGN_IN_LIMITED: {
    status: 429,
    retry: true,
    text: 'Too many failed sign-ins {what}; try again in {seconds} s. A token that is valid still works.',
  },
  SECOND_FACTOR_UNREADABLE: {
    status: 500,
    retry: false,
    text: 'The second factor of this account cannot be decrypted with the keys that are here. An administrator takes it away, or the former key comes back.',
  },
  IDENTITY_PROVIDER_UNAVAILABLE: {
    status: 503,
    retry: true,
    text: 'Identity provider {provider} cannot be used: {why}.',
  },
} as const satisfies ErrorRows;
