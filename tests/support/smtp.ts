import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';

/** A mail as it arrived. */
export interface ReceivedMail {
  readonly from: string;
  readonly to: readonly string[];
  /** Everything after DATA: headers, an empty line, the body. */
  readonly raw: string;
  /** The body as text. */
  readonly body: string;
  /** Whether TLS was spoken. */
  readonly secure: boolean;
  /** Who had signed in. */
  readonly user: string | undefined;
}

export interface SmtpTestServer {
  readonly port: number;
  readonly mails: readonly ReceivedMail[];
  /** Connections since the start. */
  readonly connections: number;
  close(): Promise<void>;
}

export interface SmtpTestOptions extends SMTPServerOptions {
  /** 0: any free one. */
  readonly port?: number;
  readonly credentials?: { readonly user: string; readonly password: string };
  /** What is said to each mail after its data: undefined takes it. */
  answer?(mail: ReceivedMail, count: number): { readonly code: number; readonly text: string } | undefined;
}

/** A real SMTP server on loopback; it offers STARTTLS with a certificate that nobody vouches for. */
export async function startSmtpServer(options: SmtpTestOptions = {}): Promise<SmtpTestServer> {
  const { port = 0, credentials, answer, ...rest } = options;
  const mails: ReceivedMail[] = [];
  let connections = 0;
  let seen = 0;
  const server = new SMTPServer({
    // Its own certificate is known to everyone, which it would say each time.
    logger: false,
    authOptional: credentials === undefined,
    disabledCommands: credentials === undefined ? ['AUTH'] : [],
    onConnect: (_session, done) => {
      connections += 1;
      done();
    },
    onAuth: ({ username, password }, _session, done) => {
      const right = username === credentials?.user && password === credentials?.password;
      if (right) done(null, { user: username });
      else done(Object.assign(new Error('Invalid credentials'), { responseCode: 535 }));
    },
    onData: (stream, session, done) => {
      text(stream).then((raw) => {
        const mail = {
          from: session.envelope.mailFrom === false ? '' : session.envelope.mailFrom.address,
          to: session.envelope.rcptTo.map(({ address }) => address),
          raw,
          body: bodyOf(raw),
          secure: session.secure,
          user: session.user,
        };
        seen += 1;
        const refusal = answer?.(mail, seen);
        if (refusal === undefined) mails.push(mail);
        done(refusal === undefined ? null : Object.assign(new Error(refusal.text), { responseCode: refusal.code }));
      }, done);
    },
    ...rest,
  });
  server.on('error', () => {}); // clients that leave in the middle
  server.listen(port, '127.0.0.1');
  await once(server.server, 'listening');
  return {
    port: (server.server.address() as AddressInfo).port, // a listening TCP server has one
    mails,
    get connections() {
      return connections;
    },
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

function bodyOf(raw: string): string {
  const [head = '', ...rest] = raw.split('\r\n\r\n');
  const body = rest.join('\r\n\r\n').replaceAll('\r\n', '\n').trimEnd();
  const encoding = /^content-transfer-encoding: *(\S+)/im.exec(head)?.[1]?.toLowerCase();
  if (encoding === 'base64') return Buffer.from(body, 'base64').toString('utf8').trimEnd();
  if (encoding !== 'quoted-printable') return body;
  const bytes = body
    .replace(/=\n/g, '')
    .replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
