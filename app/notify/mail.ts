import { type Clock, waitAtMost } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { newId } from '#base/ids.ts';
import type { Log } from '#base/log.ts';
import { startLoop } from '#base/loop.ts';
import type { Secret } from '#base/secret.ts';
import type { Database, Queryable } from '#database/pool.ts';
import { decrypt, encrypt } from '#secrets/cipher.ts';
import { createSmtpDoor, type Letter, NotSent, type SmtpDoor, type SmtpOptions } from './smtp.ts';
import { claimMails, deleteMail, insertMail, type MailRow, nextDueMs, postponeMail } from './store.ts';

/** A message to one person. Its text may hold a link or a code, so it is a secret until it is sent. */
export interface Mail {
  readonly to: string;
  readonly subject: string;
  readonly text: Secret;
  /** Not sent any more after this many milliseconds: a code of old helps nobody. */
  readonly uselessAfterMs: number;
}

export interface Mailer {
  /** Whether mail can be sent at all: SMTP_HOST and SMTP_SENDER_EMAIL are set. */
  readonly enabled: boolean;
  /**
   * Returns when the mail is stored, encrypted; it is sent and tried again in the background. Stored with a transaction
   * it leaves when that has committed, and not if it is rolled back: call `wake` afterwards.
   * @throws Fault MAIL_OFF | MAIL_ADDRESS_INVALID
   */
  send(mail: Mail, tx?: Queryable): Promise<void>;
  /** Says that a transaction with mails has committed; unsaid, they wait for the next look, a minute at most. */
  wake(): void;
}

export interface MailerOptions {
  readonly database: Database;
  /** Absent: no mail can be sent. */
  readonly smtp?: SmtpOptions | undefined;
  /** 32 bytes for AES-256, the same at every start. */
  readonly key: Secret<Buffer>;
  readonly clock: Clock;
  readonly log: Log;
}

/** A mailer with its loop. */
export interface RunningMailer extends Mailer {
  /** Warns where the mail server does not answer or does not let us in; never throws. */
  verify(): Promise<void>;
  /** Lets what is under way end, for some seconds; the rest goes with the next start. */
  stop(): Promise<void>;
}

const atOnce = 5;
/** Longer than one try can take. */
const leaseMs = 120_000;
const pollMs = 60_000;
const firstPauseMs = 1000;
const mostPauseMs = 60_000;
const stopMs = 5000;

interface Outbox extends Omit<MailerOptions, 'smtp'> {
  readonly door: SmtpDoor;
}

/**
 * Mails by an outbox in the database: what was stored survives a kill and a mail server that is away. A mail is gone
 * from there as soon as the server has taken it; a kill between the two sends it twice, with the same Message-ID.
 */
export function createMailer({ smtp, ...rest }: MailerOptions): RunningMailer {
  const { log } = rest;
  if (smtp === undefined)
    return {
      enabled: false,
      send: () => Promise.reject(new Fault('MAIL_OFF')),
      wake: () => {},
      verify: async () => {},
      stop: async () => {},
    };
  const outbox: Outbox = { ...rest, door: createSmtpDoor(smtp) };
  const { wake, stop } = startOutbox(outbox);
  return {
    enabled: true,
    send: async (mail, tx) => {
      await store(outbox, mail, tx);
      if (tx === undefined) wake();
    },
    wake,
    verify: async () => {
      const { host, port } = smtp;
      await outbox.door.verify().catch((error: NotSent) => {
        log.warn({ host, port, reason: error.message }, 'the mail server cannot be used; mails wait until it can');
      });
    },
    stop,
  };
}

async function store({ database, key, clock }: Outbox, mail: Mail, tx: Queryable = database): Promise<void> {
  // One address, and nothing that could end a line or begin another address.
  if (!/^[^\s@,;:<>()[\]"\\]{1,64}@[^\s@,;:<>()[\]"\\]{1,255}$/.test(mail.to)) throw new Fault('MAIL_ADDRESS_INVALID');
  const id = newId('mail', clock.now());
  const subject = mail.subject.replace(/\p{Cc}+/gu, ' ').slice(0, 200);
  const letter: Letter = { id, to: mail.to, subject, text: mail.text.reveal() };
  const box = encrypt(Buffer.from(JSON.stringify(letter)), ['mail', id], key);
  await insertMail(tx, { id, ...box, uselessAfterMs: mail.uselessAfterMs });
}

function startOutbox(outbox: Outbox): { wake: () => void; stop: () => Promise<void> } {
  const { database, clock, log } = outbox;
  const stopping = new AbortController();
  const loop = startLoop({
    name: 'mail',
    log,
    clock,
    everyMs: pollMs,
    run: async (signal) => {
      const rows = await claimMails(database, atOnce, leaseMs);
      await Promise.all(rows.map((row) => sendOne(outbox, row, stopping.signal)));
      if (rows.length === atOnce || signal.aborted) return signal.aborted ? 'idle' : 'again';
      const ms = await nextDueMs(database);
      return ms === undefined ? 'idle' : { afterMs: ms };
    },
  });
  return {
    wake: loop.wake,
    stop: async () => {
      const ended = loop.stop();
      await waitAtMost(clock, stopMs, ended);
      stopping.abort(new Fault('STOPPING'));
      await ended;
    },
  };
}

async function sendOne({ database, door, key, log }: Outbox, row: MailRow, signal: AbortSignal): Promise<void> {
  const { id, attempts } = row;
  const drop = (why: string) => {
    log.error({ mail: id, attempts, reason: why }, 'a mail was given up');
    return deleteMail(database, id);
  };
  if (row.useless) return drop('it could not be sent before it was useless');
  const letter = open(row, key);
  if (letter === undefined) return drop('it was encrypted with another key');
  try {
    await door.send(letter, signal);
  } catch (error) {
    if (!(error instanceof NotSent)) throw error;
    if (error.final) return drop(error.message);
    const level = error.needsPerson && attempts === 1 ? 'error' : 'warn';
    log[level]({ mail: id, attempts, reason: error.message }, 'a mail could not be sent yet');
    return postponeMail(database, id, signal.aborted ? 0 : pauseMs(attempts));
  }
  await deleteMail(database, id);
  log.debug({ mail: id, attempts }, 'mail sent');
}

/** 1 s, 2 s, 4 s … a minute, a quarter of it by chance. */
const pauseMs = (attempts: number) =>
  Math.min(mostPauseMs, firstPauseMs * 2 ** (attempts - 1)) * (0.75 + Math.random() / 4);

function open(row: MailRow, key: Secret<Buffer>): Letter | undefined {
  try {
    return JSON.parse(decrypt(row, ['mail', row.id], key).toString('utf8')) as Letter; // we wrote it, and nobody else could
  } catch {
    return undefined;
  }
}
