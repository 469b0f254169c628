import type { Secret } from '../secret.ts';
import { anyText, email, ignoresServiceLink, port, secretText, truth } from './parse.ts';
import type { Findings, Values } from './setting.ts';
import { setting } from './setting.ts';

/** How mail is sent. */
export const mailRows = {
  smtpHost: setting({
    names: ['SMTP_HOST'],
    about: 'Mail server, for second factors, password resets and verification of addresses.',
    unset: 'no mail is sent',
    read: anyText,
  }),
  smtpPort: setting({
    names: ['SMTP_PORT'],
    about: 'Port of the mail server: 465 begins with TLS, the others ask for it (STARTTLS).',
    standard: '587',
    ignores: ignoresServiceLink,
    read: port,
  }),
  smtpUsername: setting({
    names: ['SMTP_USERNAME'],
    about: 'User at the mail server.',
    unset: 'no sign-in there',
    read: anyText,
  }),
  smtpPassword: setting({
    names: ['SMTP_PASSWORD'],
    about: 'Password at the mail server.',
    unset: 'no sign-in there',
    secret: true,
    read: secretText,
  }),
  smtpSenderEmail: setting({
    names: ['SMTP_SENDER_EMAIL'],
    about: 'The address that mails come from.',
    unset: 'SMTP_USERNAME, where that is an e-mail address',
    read: sender,
  }),
  smtpAllowPlain: setting({
    names: ['SMTP_ALLOW_PLAIN'],
    about:
      'Mail may go to another machine without TLS, where the mail server has none. Whoever listens reads every code.',
    standard: 'false',
    read: truth,
  }),
};

/** An address, or one with a name before it: `Plinth <plinth@example.com>`. */
function sender(text: string, reading: Parameters<typeof email>[1]): string {
  const [, address] = /<([^<>]+)>\s*$/.exec(text) ?? [];
  const checked = email(address ?? text.trim(), reading);
  return address === undefined ? checked : text.trim();
}

/** The mail server, whole. */
export interface MailServer {
  readonly host: string;
  readonly port: number;
  readonly username: string | undefined;
  readonly password: Secret | undefined;
  /** An address, with or without a name before it. */
  readonly sender: string;
  readonly allowPlain: boolean;
}

/** How to send mail, or undefined; and whether a second factor by mail can work at all. */
export function mailServer(
  values: Values<typeof mailRows> & { readonly twoFactorRequired: boolean },
  findings: Findings,
): MailServer | undefined {
  const { smtpHost: host, smtpPort, smtpUsername: username, smtpPassword: password } = values;
  const from = values.smtpSenderEmail ?? (username?.includes('@') ? username : undefined);
  if (host !== undefined && (username === undefined) !== (password === undefined))
    findings.fault(
      ['smtpUsername', 'smtpPassword'],
      `SMTP_USERNAME and SMTP_PASSWORD belong together; SMTP_${username === undefined ? 'USERNAME' : 'PASSWORD'} is not set`,
    );
  const missing = host === undefined ? 'SMTP_HOST' : 'SMTP_SENDER_EMAIL';
  const isMeant = host !== undefined || username !== undefined || values.smtpSenderEmail !== undefined;
  if ((host === undefined || from === undefined) && values.twoFactorRequired)
    findings.fault(
      ['smtpHost', 'smtpSenderEmail', 'twoFactorRequired'],
      `TWO_FA_ENABLED asks everyone for a code by mail, but ${missing} is not set: nobody could sign in; set it, or switch TWO_FA_ENABLED off`,
    );
  else if ((host === undefined || from === undefined) && isMeant)
    findings.warn(`${missing} is not set: no mail is sent, whatever the other SMTP_ settings say.`);
  if (host === undefined || from === undefined) return undefined;
  return { host, port: smtpPort, username, password, sender: from, allowPlain: values.smtpAllowPlain };
}
