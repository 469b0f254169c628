import type { Secret } from '../secret.ts';
import { anyText, email, httpUrl, secretText, truth } from './parse.ts';
import type { Findings, Parser, Values } from './setting.ts';
import { setting } from './setting.ts';

/** Secrets that are the default of a reference, so that everybody knows them. */
function unlessKnown(known: string, read: Parser<Secret>): Parser<Secret> {
  return (text, reading) => {
    const secret = read(text, reading);
    if (secret.reveal() !== known) return secret;
    if (reading.production) throw new Error('one of your own: this is the default that everybody knows');
    reading.warn('is the default that everybody knows; production refuses it');
    return secret;
  };
}

/** Who may sign in, and how. */
export const accessRows = {
  adminEmail: setting({
    names: ['AUTH_ADMIN_EMAIL', 'ARCHESTRA_AUTH_ADMIN_EMAIL'],
    about: 'E-mail address of the first administrator.',
    standard: 'admin@localhost.ai',
    read: email,
  }),
  adminPassword: setting({
    names: ['AUTH_ADMIN_PASSWORD', 'ARCHESTRA_AUTH_ADMIN_PASSWORD'],
    about: 'Password of the first administrator.',
    unset: 'generated at the first start',
    secret: true,
    read: unlessKnown('password', (text, reading) => {
      const secret = secretText(text, reading);
      const { length } = secret.reveal();
      if (length < 8 || length > 128) throw new Error('8 to 128 characters');
      return secret;
    }),
  }),
  metricsSecret: setting({
    names: ['METRICS_SECRET', 'ARCHESTRA_METRICS_SECRET'],
    about: 'Bearer token that /metrics asks for.',
    unset: 'generated at the first start',
    secret: true,
    read: unlessKnown('archestra-metrics-secret', secretText),
  }),
  allowRegistration: setting({
    names: ['AUTH_ALLOW_REGISTRATION'],
    about: 'Whether people may make themselves an account. Without it, they are invited.',
    standard: 'false',
    read: truth,
  }),
  disableBasicAuth: setting({
    names: ['AUTH_DISABLE_BASIC_AUTH', 'ARCHESTRA_AUTH_DISABLE_BASIC_AUTH'],
    about:
      'Ends sign-in by password, on the page and by HTTP Basic, once an identity provider works. Tokens stay; npm run recover lets an administrator in.',
    standard: 'false',
    read: truth,
  }),
  disableInvitations: setting({
    names: ['AUTH_DISABLE_INVITATIONS', 'ARCHESTRA_AUTH_DISABLE_INVITATIONS'],
    about: 'Nobody can be invited any more.',
    standard: 'false',
    read: truth,
  }),
  twoFactorRequired: setting({
    names: ['TWO_FA_ENABLED'],
    about: 'Asks everyone without an authenticator app for a code by mail at each sign-in. Needs SMTP_HOST.',
    standard: 'false',
    read: truth,
  }),
  enterpriseLicenseActivated: setting({
    names: ['ENTERPRISE_LICENSE_ACTIVATED', 'ARCHESTRA_ENTERPRISE_LICENSE_ACTIVATED'],
    about: 'Read and without effect: in Plinth every feature is free.',
    unset: 'not needed',
    read: anyText,
  }),
  githubClientId: setting({
    names: ['GITHUB_CLIENT_ID'],
    about: 'Sign-in with GitHub: id of the OAuth application.',
    unset: 'no sign-in with GitHub',
    read: anyText,
  }),
  githubClientSecret: setting({
    names: ['GITHUB_CLIENT_SECRET'],
    about: 'Sign-in with GitHub: secret of the OAuth application.',
    unset: 'no sign-in with GitHub',
    secret: true,
    read: secretText,
  }),
  githubRedirectUri: setting({
    names: ['GITHUB_OAUTH_REDIRECT_URI'],
    about: 'Sign-in with GitHub: the callback that is registered there. Plinth answers at its path.',
    unset: '/api/auth/github/callback at FRONTEND_URL',
    read: httpUrl,
  }),
  googleClientId: setting({
    names: ['GOOGLE_CLIENT_ID'],
    about: 'Sign-in with Google: id of the OAuth client.',
    unset: 'no sign-in with Google',
    read: anyText,
  }),
  googleClientSecret: setting({
    names: ['GOOGLE_CLIENT_SECRET'],
    about: 'Sign-in with Google: secret of the OAuth client.',
    unset: 'no sign-in with Google',
    secret: true,
    read: secretText,
  }),
  googleRedirectUri: setting({
    names: ['GOOGLE_OAUTH_REDIRECT_URI'],
    about: 'Sign-in with Google: the callback that is registered there. Plinth answers at its path.',
    unset: '/api/auth/google/callback at FRONTEND_URL',
    read: httpUrl,
  }),
};

/** Plinth as a client of an identity provider. */
export interface OAuthClient {
  readonly clientId: string;
  readonly clientSecret: Secret;
  /** undefined: the provider's usual path at Plinth's own address. */
  readonly redirectUri: string | undefined;
}

/** The providers that are whole, and what is missing of the others. */
export function signInProviders(
  values: Values<typeof accessRows>,
  findings: Findings,
): { readonly github: OAuthClient | undefined; readonly google: OAuthClient | undefined } {
  const client = (name: 'github' | 'google', id?: string, secret?: Secret, redirectUri?: string) => {
    const prefix = name.toUpperCase();
    if (id !== undefined && secret !== undefined) return { clientId: id, clientSecret: secret, redirectUri };
    if (id !== undefined || secret !== undefined)
      findings.fault(
        [`${name}ClientId`, `${name}ClientSecret`],
        `${prefix}_CLIENT_ID and ${prefix}_CLIENT_SECRET belong together; ${prefix}_CLIENT_${id === undefined ? 'ID' : 'SECRET'} is not set`,
      );
    return undefined;
  };
  return {
    github: client('github', values.githubClientId, values.githubClientSecret, values.githubRedirectUri),
    google: client('google', values.googleClientId, values.googleClientSecret, values.googleRedirectUri),
  };
}
