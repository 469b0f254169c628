import { z } from 'zod';
import { givenPassword, newPassword } from './password.ts';
import { time } from './values.ts';

/** Of an account, which the operator may have named as they like: `admin@localhost`. */
const email = z
  .string()
  .trim()
  .max(254)
  .regex(/^[^\s@]+@[^\s@]+$/, 'an e-mail address')
  .describe('In whatever case.');
const code = z.string().trim().min(1).max(64).describe('Six digits, or a backup code.');
const token = z.string().min(1).max(200).describe('Of the mailed link.');

export const signInBody = z.strictObject({ email, password: givenPassword });
export const signUpBody = z.strictObject({
  email: z.email().max(254),
  name: z
    .string()
    .trim()
    .min(1)
    .max(100)
    .regex(/^\P{Cc}+$/u, 'one line of text'),
  password: newPassword,
});
export const emailBody = z.strictObject({ email });
export const linkBody = z.strictObject({ token });
export const resetBody = z.strictObject({ token, newPassword });
export const changePasswordBody = z.strictObject({
  currentPassword: givenPassword,
  newPassword,
});
export const sessionBody = z.strictObject({ id: z.string().min(1).max(64).describe('Id of the session.') });
export const codeBody = z.strictObject({ code });
export const beginTotpBody = z.strictObject({
  password: givenPassword.optional().describe('Your password; needed unless your account has none.'),
});

const secondFactorStatus = z
  .enum(['none', 'due', 'passed'])
  .describe('due: show a code at /api/auth/two-factor/verify; until then the session may do nothing else.');

export const sessionView = z
  .object({
    id: z.string(),
    via: z.string().describe('password, or the id of the identity provider.'),
    secondFactor: secondFactorStatus,
    address: z.string(),
    userAgent: z.string(),
    createdAt: time,
    expiresAt: time,
    current: z.boolean().describe('The one that this request came with.'),
  })
  .meta({ id: 'Session' });

/** The cookies hold the session; what a client must know beside them. */
export const begunView = z
  .object({
    user: z.object({ id: z.string() }),
    secondFactor: secondFactorStatus,
    twoFactorRedirect: z.boolean().describe('Whether a second factor is due.'),
    csrfToken: z.string().describe('To be sent as X-CSRF-Token with everything that changes something.'),
  })
  .meta({ id: 'SignedIn' });

export const currentSessionView = z
  .object({
    session: sessionView.nullable(),
    user: z.object({ id: z.string(), email: z.string(), name: z.string() }).nullable(),
    csrfToken: z.string().nullable(),
  })
  .meta({ id: 'CurrentSession' });

export const doneView = z.object({ success: z.literal(true) }).meta({ id: 'Done' });

export const secondFactorView = z
  .object({
    totp: z.boolean().describe('An authenticator app is set up.'),
    mail: z.boolean().describe('Codes are mailed.'),
    backupCodesLeft: z.int(),
  })
  .meta({ id: 'SecondFactor' });

export const newTotpView = z
  .object({
    secret: z.string().describe('Base 32, to type in.'),
    totpURI: z.string().describe('For a QR code.'),
  })
  .meta({ id: 'NewTotp' });

export const backupCodesView = z
  .object({ backupCodes: z.array(z.string()).describe('Each works once. They are shown this once.') })
  .meta({ id: 'BackupCodes' });
