import { createHmac, randomBytes, randomInt } from 'node:crypto';
import { Secret as OtpSecret, TOTP } from 'otpauth';
import type { Audit, AuditEntry } from '#audit/audit.ts';
import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import type { Database } from '#database/pool.ts';
import type { Mailer } from '#notify/mail.ts';
import { decrypt, encrypt } from '#secrets/cipher.ts';
import type { SignInLimits } from './limits.ts';
import * as store from './second-factor-store.ts';
import { findById } from './store.ts';

export interface SecondFactorState {
  readonly totp: boolean;
  /** A code by mail: for everyone while TWO_FA_ENABLED is set, as long as they have no TOTP. */
  readonly mail: boolean;
  readonly backupCodesLeft: number;
}

/** What a person must show beside the password, whichever way they come. */
export interface SecondFactor {
  state(userId: string): Promise<SecondFactorState>;
  /** Whether a session of this person begins as `due`. */
  isDue(userId: string): Promise<boolean>;
  /** A new TOTP secret, which counts once it is confirmed. `uri` is for a QR code. @throws Fault SECOND_FACTOR_ON */
  beginTotp(userId: string): Promise<{ readonly secret: Secret; readonly uri: Secret }>;
  /** @returns ten backup codes, shown this once @throws Fault CODE_WRONG | SIGN_IN_LIMITED | SECOND_FACTOR_OFF */
  confirmTotp(userId: string, code: string): Promise<readonly Secret[]>;
  /** @returns ten new backup codes in place of the old ones @throws Fault CODE_WRONG | SIGN_IN_LIMITED */
  renewBackupCodes(userId: string, code: string): Promise<readonly Secret[]>;
  /** @throws Fault CODE_WRONG | SIGN_IN_LIMITED */
  disableTotp(userId: string, code: string): Promise<void>;
  /** Mails a code of six digits, good for ten minutes. @throws Fault TOO_MANY_REQUESTS | MAIL_OFF | SECOND_FACTOR_OFF */
  mailCode(userId: string): Promise<void>;
  /**
   * Takes a TOTP code, a mailed code or a backup code; each works once. Failures are counted for the person, not for
   * the session: a new sign-in brings no new tries. @throws Fault CODE_WRONG | SIGN_IN_LIMITED
   */
  verify(userId: string, code: string): Promise<void>;
  /** Takes every second factor of the person away: for an administrator, and the recovery command on the server. */
  remove(userId: string): Promise<void>;
}

export interface SecondFactorDependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly limits: SignInLimits;
  readonly mailer: Mailer;
  readonly audit: Audit;
  /** 32 bytes: encrypts TOTP secrets, and keys the digests of codes. */
  readonly key: Secret<Buffer>;
  /** TWO_FA_ENABLED: a code by mail from everyone who has no TOTP. */
  readonly mailCodes: boolean;
}

const stepSeconds = 30;
const mailCodeMs = 10 * 60_000;
const triesOfMailCode = 5;
const backupCodes = 10;
/** Crockford's base 32: what people mistake for each other is not in it. Five whole bits a letter. */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

/** TOTP, codes by mail and backup codes, one count of failures for all of them. */
export function createSecondFactor(dependencies: SecondFactorDependencies): SecondFactor {
  const { database, clock, limits, mailer, audit, mailCodes } = dependencies;
  const key = dependencies.key.reveal();

  const state = async (userId: string): Promise<SecondFactorState> => {
    const totp = (await store.findTotp(database, userId))?.confirmed_at != null;
    return { totp, mail: mailCodes && !totp, backupCodesLeft: await store.countBackupCodes(database, userId) };
  };

  const takeTotp = async (userId: string, code: string) => {
    const row = await store.findTotp(database, userId);
    if (row?.confirmed_at == null) return false;
    const step = stepOf(unseal(row.secret, userId, dependencies.key), code, clock.now());
    return step !== undefined && store.takeStep(database, userId, row.secret, step);
  };
  const takeMailed = (userId: string, code: string) =>
    store.takeMailCode(database, userId, {
      hash: digestOf(key, 'mail', userId, code),
      now: clock.now(),
      mostTries: triesOfMailCode,
    });
  const takeCode = async (userId: string, code: string) => {
    if (/^\d{6}$/.test(code)) return (await takeTotp(userId, code)) || (await takeMailed(userId, code));
    return store.takeBackupCode(database, userId, digestOf(key, 'backup', userId, code));
  };

  const record = async (userId: string, action: string, outcome: AuditEntry['outcome']) => {
    const name = await emailOf(database, userId);
    await audit.record({ actor: { id: userId, name, kind: 'user' }, action, target: `people/${name}`, outcome });
  };
  /** Counts the try before the code is looked at. */
  const attempt = async (userId: string, action: string, take: () => Promise<boolean>) => {
    const counted = await limits.code(userId);
    const right = await take();
    await record(userId, action, right ? 'done' : 'failed');
    if (!right) throw new Fault('CODE_WRONG');
    await counted.succeeded();
  };
  const verify = (userId: string, code: string, action = 'verifySecondFactor') =>
    attempt(userId, action, () => takeCode(userId, plain(code)));

  const renewCodes = async (userId: string) => {
    const codes = Array.from({ length: backupCodes }, newBackupCode);
    const hashes = codes.map((code) => digestOf(key, 'backup', userId, plain(code.reveal())));
    await database.transaction((tx) => store.replaceBackupCodes(tx, userId, hashes));
    return codes;
  };

  return {
    state,
    isDue: async (userId) => mailCodes || (await store.findTotp(database, userId))?.confirmed_at != null,
    beginTotp: async (userId) => {
      const secret = new OtpSecret({ size: 20 });
      const sealed = seal(Buffer.from(secret.bytes), userId, dependencies.key);
      const email = await emailOf(database, userId);
      if (!(await store.saveTotp(database, userId, sealed, clock.now()))) throw new Fault('SECOND_FACTOR_ON');
      const uri = new TOTP({ issuer: 'Plinth', label: email, secret, period: stepSeconds }).toString();
      return { secret: new Secret(secret.base32), uri: new Secret(uri) };
    },
    confirmTotp: async (userId, code) => {
      const row = await store.findTotp(database, userId);
      if (row === undefined || row.confirmed_at !== null)
        throw new Fault('SECOND_FACTOR_OFF', { why: 'no authenticator app waits for its first code' });
      const now = clock.now();
      await attempt(userId, 'confirmTotp', async () => {
        const step = stepOf(unseal(row.secret, userId, dependencies.key), plain(code), now);
        return step !== undefined && store.confirmTotp(database, userId, { secret: row.secret, step, now });
      });
      await store.deleteMailCode(database, userId);
      return renewCodes(userId);
    },
    renewBackupCodes: async (userId, code) => {
      await verify(userId, code, 'renewBackupCodes');
      return renewCodes(userId);
    },
    disableTotp: async (userId, code) => {
      await verify(userId, code, 'disableTotp');
      await removeAll(database, userId);
    },
    mailCode: async (userId) => {
      if (!(await state(userId)).mail)
        throw new Fault('SECOND_FACTOR_OFF', { why: 'codes are not mailed to this account' });
      if (!mailer.enabled) throw new Fault('MAIL_OFF');
      await limits.mail('code', userId);
      const code = String(randomInt(1_000_000)).padStart(6, '0');
      const expiresAt = new Date(clock.now().getTime() + mailCodeMs);
      await store.saveMailCode(database, userId, digestOf(key, 'mail', userId, code), expiresAt);
      await mailer.send({
        to: await emailOf(database, userId),
        subject: 'Your code to sign in to Plinth',
        text: new Secret(codeText(code)),
        uselessAfterMs: mailCodeMs,
      });
    },
    verify: (userId, code) => verify(userId, code),
    remove: (userId) => removeAll(database, userId),
  };
}

async function removeAll(database: Database, userId: string): Promise<void> {
  await database.transaction(async (tx) => {
    await store.deleteTotp(tx, userId);
    await store.replaceBackupCodes(tx, userId, []);
    await store.deleteMailCode(tx, userId);
  });
}

async function emailOf(database: Database, userId: string): Promise<string> {
  const person = await findById(database, userId);
  if (person === undefined) throw new Fault('PERSON_NOT_FOUND', { person: userId });
  return person.email;
}

/** As people type codes: in groups, with capitals, with letters that look like digits. */
const plain = (code: string) => code.replace(/[\s-]/g, '').toLowerCase().replaceAll('o', '0').replace(/[il]/g, '1');

/** Number of the time step that the code belongs to: now, or one to either side for clocks that differ. */
function stepOf(secret: Buffer, code: string, now: Date): number | undefined {
  if (!/^\d{6}$/.test(code)) return undefined;
  const bytes = new Uint8Array(secret);
  const totp = new TOTP({ secret: new OtpSecret({ buffer: bytes.buffer }), period: stepSeconds });
  const delta = totp.validate({ token: code, timestamp: now.getTime(), window: 1 });
  return delta === null ? undefined : Math.floor(now.getTime() / 1000 / stepSeconds) + delta;
}

/** Fifty bits: `abcde-fghjk`. */
function newBackupCode(): Secret {
  const letters = Array.from(randomBytes(10), (byte) => alphabet[byte % alphabet.length]).join('');
  return new Secret(`${letters.slice(0, 5)}-${letters.slice(5)}`);
}

/** Bound to the person and the kind; without the key, six digits would be found by trying them all. */
const digestOf = (key: Buffer, kind: 'mail' | 'backup', userId: string, code: string) =>
  createHmac('sha256', key)
    .update(JSON.stringify([kind, userId, code]))
    .digest();

const nonceBytes = 12;

/** Nonce and box in one column. Moved to another person it is unreadable. */
function seal(secret: Buffer, userId: string, key: Secret<Buffer>): Buffer {
  const { nonce, ciphertext } = encrypt(secret, ['totp', userId], key);
  return Buffer.concat([nonce, ciphertext]);
}

function unseal(sealed: Buffer, userId: string, key: Secret<Buffer>): Buffer {
  const box = { nonce: sealed.subarray(0, nonceBytes), ciphertext: sealed.subarray(nonceBytes) };
  try {
    return decrypt(box, ['totp', userId], key);
  } catch (error) {
    throw new Fault('SECOND_FACTOR_UNREADABLE', {}, { cause: error });
  }
}

const codeText = (code: string) => `Your code to sign in to Plinth is ${code}

It works once, for ten minutes. If you did not just sign in, somebody knows your password: change it.
`;
