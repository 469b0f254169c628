import ipaddr from 'ipaddr.js';
import { createTransport } from 'nodemailer';
import type { Secret } from '#base/secret.ts';

/** A mail server, and how it is spoken to. */
export interface SmtpOptions {
  /** SMTP_HOST. */
  readonly host: string;
  /** SMTP_PORT. 465 begins with TLS; with any other one TLS is asked for (STARTTLS) before anything is said. */
  readonly port: number;
  /** SMTP_USERNAME. */
  readonly username?: string | undefined;
  /** SMTP_PASSWORD. */
  readonly password?: Secret | undefined;
  /** SMTP_SENDER_EMAIL: an address, or one with a name before it. */
  readonly sender: string;
  /** Begin with TLS at another port than 465 too. */
  readonly secure?: boolean | undefined;
  /** Speak to a server without TLS that is not on this machine. Whoever listens reads every code and link. */
  readonly allowPlain?: boolean | undefined;
}

/** A letter to one person, ready to leave. */
export interface Letter {
  /** The same for every try, so that a second one can be told from a new letter. */
  readonly id: string;
  readonly to: string;
  readonly subject: string;
  readonly text: string;
}

/** Why a letter did not leave. What the server said is cut, and never holds the letter. */
export class NotSent extends Error {
  /** true: the server refused this letter for good. false: it may go later. */
  readonly final: boolean;
  /** true: whoever runs Plinth must mend something: credentials, TLS, a name. */
  readonly needsPerson: boolean;

  constructor(why: string, kind: { readonly final: boolean; readonly needsPerson: boolean }, cause: unknown) {
    super(why, { cause });
    this.name = 'NotSent';
    this.final = kind.final;
    this.needsPerson = kind.needsPerson;
  }
}

export interface SmtpDoor {
  /** Returns when the server has taken it. @throws NotSent */
  send(letter: Letter, signal: AbortSignal): Promise<void>;
  /** Connects, and signs in. @throws NotSent */
  verify(): Promise<void>;
}

const connectMs = 10_000;
const silenceMs = 20_000;

/** Speaks to the mail server; a connection a letter, as letters are few. */
export function createSmtpDoor({ sender, ...options }: SmtpOptions): SmtpDoor {
  const { username, password } = options;
  const isHere = isLoopback(options.host);
  const secure = options.secure ?? options.port === 465;
  const transport = createTransport({
    host: options.host,
    port: options.port,
    secure,
    requireTLS: !secure && !isHere && options.allowPlain !== true,
    // The certificate of a server on this machine is for no name that anyone could vouch for.
    tls: { rejectUnauthorized: !isHere },
    auth: username === undefined ? undefined : { user: username, pass: password?.reveal() ?? '' },
    connectionTimeout: connectMs,
    greetingTimeout: connectMs,
    dnsTimeout: connectMs,
    socketTimeout: silenceMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  const from = addressOf(sender);
  const domain = from.address.split('@')[1] ?? 'localhost';
  return {
    send: async ({ id, to, subject, text }, signal) => {
      await transport
        .sendMail({
          from,
          // An object: a text would be read as a list of addresses.
          to: { name: '', address: to },
          envelope: { from: from.address, to: [to] },
          subject,
          text,
          messageId: `<${id}@${domain}>`,
          headers: { 'Auto-Submitted': 'auto-generated' },
          signal,
        })
        .catch(rethrow);
    },
    verify: async () => {
      await transport.verify().catch(rethrow);
    },
  };
}

/** `Plinth <plinth@example.com>`, or the address alone. */
function addressOf(sender: string): { name: string; address: string } {
  const [, name, address] = /^([^<>]*)<([^<>]+)>\s*$/.exec(sender) ?? [];
  return { name: name?.trim().replace(/^"|"$/g, '') ?? '', address: address ?? sender };
}

/** What nodemailer puts on its errors. */
interface SmtpError extends Error {
  readonly code?: string;
  readonly responseCode?: number;
  readonly command?: string;
}

const personCodes: ReadonlySet<string> = new Set(['EAUTH', 'ENOAUTH', 'ETLS', 'EDNS', 'ECONFIG']);
const letterCodes: ReadonlySet<string> = new Set(['EENVELOPE', 'EMESSAGE']);

/** 5xx about the letter is final. 5xx about us (credentials, TLS) is mended by a person, and the letter waits. */
function rethrow(error: SmtpError): never {
  const { code = '', responseCode = 0, command = '' } = error;
  const isAboutLetter = letterCodes.has(code);
  const final = isAboutLetter && responseCode >= 500 && responseCode !== 503;
  const said = responseCode === 0 ? error.message.split('\n')[0]?.slice(0, 200) : `it answers ${responseCode}`;
  const why = `${command === '' ? '' : `${command}: `}${said} (${code})`;
  throw new NotSent(why, { final, needsPerson: personCodes.has(code) }, undefined);
}

function isLoopback(host: string): boolean {
  if (host === 'localhost') return true;
  return ipaddr.isValid(host) && ipaddr.process(host).range() === 'loopback';
}
