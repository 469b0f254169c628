import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Clock, systemClock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import { createMailer, type RunningMailer } from '#notify/mail.ts';
import type { SmtpOptions } from '#notify/smtp.ts';
import { captureLog } from '#support/captured-log.ts';
import { startProcess } from '#support/child-process.ts';
import { useDatabase } from '#support/postgres.ts';
import { type SmtpTestOptions, type SmtpTestServer, startSmtpServer } from '#support/smtp.ts';

const db = useDatabase();
const key = new Secret(randomBytes(32));
const credentials = { user: 'plinth', password: 'hunter2' };
const soon = { interval: 5, timeout: 20_000 };

let endings: (() => Promise<void>)[] = [];
let captured = captureLog();
beforeEach(() => {
  captured = captureLog();
});
afterEach(async () => {
  for (const end of endings.reverse()) await end();
  endings = [];
  await db.database.query('delete from mail');
});

async function serve(options?: SmtpTestOptions): Promise<SmtpTestServer> {
  const server = await startSmtpServer(options);
  endings.push(() => server.close());
  return server;
}

/** Waits are a hundredth as long. */
const hurried: Clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(ms > 4000 ? ms : ms / 100, signal) };

function mailerTo(port: number, smtp: Partial<SmtpOptions> = {}, clock: Clock = hurried): RunningMailer {
  const mailer = createMailer({
    database: db.database,
    smtp: { host: '127.0.0.1', port, sender: 'Plinth <plinth@example.com>', ...smtp },
    key,
    clock,
    log: captured.log,
  });
  endings.push(() => mailer.stop());
  return mailer;
}

const mail = (to: string, subject = 'Your code') => ({
  to,
  subject,
  text: new Secret('The code is 123456, ünïcode.\n.\nEnd'),
  uselessAfterMs: 600_000,
});
const waiting = async () => (await db.database.query<{ attempts: number }>('select attempts from mail')).rows;
/** Makes every mail due now that waits for its next try: of the waits only that they are over matters here. */
const hurry = () => db.database.query("update mail set due_at = now() where due_at < now() + interval '70 s'");
const nothingWaits = () =>
  expect
    .poll(async () => {
      await hurry();
      return waiting();
    }, soon)
    .toEqual([]);
/** As if whoever took the mails were long gone. */
const endLeases = () => db.database.query('update mail set due_at = now()');

describe('sending', () => {
  test('a mail arrives whole, over TLS, signed in, and is gone from here', async () => {
    const server = await serve({ credentials });
    const mailer = mailerTo(server.port, { username: credentials.user, password: new Secret(credentials.password) });
    await mailer.verify();
    await mailer.send(mail('ada@example.com'));
    await nothingWaits();
    const [came] = server.mails;
    expect(came).toMatchObject({
      from: 'plinth@example.com',
      to: ['ada@example.com'],
      body: 'The code is 123456, ünïcode.\n.\nEnd',
      secure: true,
      user: 'plinth',
    });
    expect(came?.raw).toMatch(/^From: Plinth <plinth@example.com>\r$/m);
    expect(came?.raw).toMatch(/^Message-ID: <mai_[0-9a-z]{26}@example.com>\r$/m);
    expect(came?.raw).toMatch(/^Auto-Submitted: auto-generated\r$/m);
    expect(captured.lines().filter(({ level }) => level !== 'debug')).toEqual([]);
  });

  test('port 465 begins with TLS; so does what is told to', async () => {
    const server = await serve({ secure: true });
    const mailer = mailerTo(server.port, { secure: true });
    await mailer.send(mail('ada@example.com'));
    await nothingWaits();
    expect(server.mails).toMatchObject([{ secure: true }]);
  });

  test('many mails all arrive once', async () => {
    const server = await serve();
    const mailer = mailerTo(server.port);
    await Promise.all(Array.from({ length: 23 }, (_, i) => mailer.send(mail(`p${i}@example.com`))));
    await nothingWaits();
    expect(new Set(server.mails.map(({ to }) => to[0])).size).toBe(23);
    expect(server.mails).toHaveLength(23);
  });

  test('two replicas send each mail once', async () => {
    const server = await serve();
    const mailers = [mailerTo(server.port), mailerTo(server.port)];
    await Promise.all(Array.from({ length: 20 }, (_, i) => mailers[i % 2]?.send(mail(`p${i}@example.com`))));
    await nothingWaits();
    expect(server.mails).toHaveLength(20);
  });

  test('what is stored cannot be read', async () => {
    const server = await serve();
    await server.close();
    endings.pop();
    await mailerTo(server.port).send(mail('ada@example.com'));
    const { rows } = await db.database.query<{ row: string }>(
      `select encode(ciphertext, 'escape') || mail::text as row from mail`,
    );
    expect(rows).toHaveLength(1);
    for (const word of ['ada@', '123456', 'code']) expect(rows[0]?.row).not.toContain(word);
  });
});

describe('what comes from outside', () => {
  test.each([
    'ada@example.com\r\nBcc: eve@example.com',
    'ada@example.com, eve@example.com',
    'ada@example.com;eve@example.com',
    'Ada <ada@example.com>',
    'ada',
    '"a b"@example.com',
    `${'a'.repeat(65)}@example.com`,
  ])('no mail leaves for %j', async (to) => {
    const server = await serve();
    const fault = await mailerTo(server.port)
      .send(mail(to))
      .catch((error: unknown) => error);
    expect(Fault.is(fault, 'MAIL_ADDRESS_INVALID')).toBe(true);
    expect(await waiting()).toEqual([]);
  });

  test('a subject begins no header', async () => {
    const server = await serve();
    await mailerTo(server.port).send(mail('ada@example.com', 'Hello\r\nBcc: eve@example.com\r\n\r\nbody'));
    await nothingWaits();
    expect(server.mails[0]?.to).toEqual(['ada@example.com']);
    expect(server.mails[0]?.raw).toMatch(/^Subject: Hello Bcc: eve@example.com body\r$/m);
    expect(server.mails[0]?.raw).not.toMatch(/^Bcc:/m);
  });
});

describe('trying again', () => {
  test('a temporary refusal is tried again, the same letter', async () => {
    const server = await serve({ answer: (_, count) => (count < 3 ? { code: 451, text: 'Later' } : undefined) });
    await mailerTo(server.port).send(mail('ada@example.com'));
    await nothingWaits();
    expect(server.mails).toHaveLength(1);
    expect(captured.lines().filter(({ level }) => level === 'warn')).toMatchObject(
      [1, 2].map((attempts) => ({
        attempts,
        msg: 'a mail could not be sent yet',
        reason: 'DATA: it answers 451 (EMESSAGE)',
      })),
    );
  });

  test('a final refusal is final, and said without the letter', async () => {
    const server = await serve({ answer: () => ({ code: 554, text: 'The code is 123456' }) });
    await mailerTo(server.port).send(mail('ada@example.com'));
    await nothingWaits();
    expect(server.connections).toBe(1);
    expect(captured.lines().filter(({ level }) => level === 'error')).toMatchObject([
      { msg: 'a mail was given up', reason: 'DATA: it answers 554 (EMESSAGE)' },
    ]);
    expect(captured.text()).not.toMatch(/123456|ada@/);
  });

  test('an unknown recipient is final too', async () => {
    const server = await serve({
      onRcptTo: (_address, _session, done) => done(Object.assign(new Error('No such user'), { responseCode: 550 })),
    });
    await mailerTo(server.port).send(mail('ada@example.com'));
    await nothingWaits();
    expect(captured.lines().map(({ reason }) => reason)).toContain('RCPT TO: it answers 550 (EENVELOPE)');
  });

  test('a server that is away gets the mail when it is back', async () => {
    const server = await startSmtpServer();
    await server.close();
    const mailer = mailerTo(server.port);
    await mailer.verify();
    expect(captured.lines()).toMatchObject([
      { level: 'warn', msg: 'the mail server cannot be used; mails wait until it can', port: server.port },
    ]);
    await mailer.send(mail('ada@example.com'));
    await expect.poll(waiting, soon).toMatchObject([{ attempts: 2 }]);
    const back = await serve({ port: server.port });
    await nothingWaits();
    expect(back.mails).toHaveLength(1);
  });

  test('wrong credentials keep the mail, and ask for a person', async () => {
    const server = await serve({ credentials });
    const wrong = mailerTo(server.port, { username: 'plinth', password: new Secret('wrong') });
    await wrong.send(mail('ada@example.com'));
    await expect.poll(() => captured.lines().length, soon).toBeGreaterThan(0);
    expect(captured.lines()[0]).toMatchObject({ level: 'error', reason: 'AUTH PLAIN: it answers 535 (EAUTH)' });
    expect(await waiting()).toHaveLength(1);
    await wrong.stop();
    mailerTo(server.port, { username: credentials.user, password: new Secret(credentials.password) });
    await nothingWaits();
    expect(server.mails).toHaveLength(1);
  });

  test('a mail that nobody can use any more is not sent', async () => {
    const server = await serve({ answer: () => ({ code: 451, text: 'Later' }) });
    await mailerTo(server.port).send({ ...mail('ada@example.com'), uselessAfterMs: 1 });
    await nothingWaits();
    expect(captured.lines().at(-1)).toMatchObject({ reason: 'it could not be sent before it was useless' });
    expect(server.mails).toEqual([]);
  });

  test('a mail of another key is given up', async () => {
    const server = await serve();
    await db.database.query(
      `insert into mail (id, nonce, ciphertext, useless_at)
       values ('mai_x', decode(repeat('00', 12), 'hex'), decode(repeat('00', 40), 'hex'), now() + interval '1 h')`,
    );
    mailerTo(server.port);
    await nothingWaits();
    expect(captured.lines()).toMatchObject([
      { msg: 'a mail was given up', reason: 'it was encrypted with another key' },
    ]);
  });
});

test('a server beyond this machine is spoken to with TLS only', async () => {
  const server = await serve({ disabledCommands: ['AUTH', 'STARTTLS'] });
  const name = '0.0.0.0'; // leads to this machine without saying so
  const refused = mailerTo(server.port, { host: name });
  await refused.verify();
  expect(captured.lines()).toMatchObject([{ level: 'warn', reason: expect.stringMatching(/STARTTLS|ETLS|upgrade/i) }]);
  captured = captureLog();
  await mailerTo(server.port, { host: name, allowPlain: true }).verify();
  await mailerTo(server.port).verify();
  expect(captured.lines()).toEqual([]);
});

test('without a mail server nothing can be sent, and nothing is promised', async () => {
  const mailer = createMailer({ database: db.database, key, clock: systemClock, log: captured.log });
  expect(mailer.enabled).toBe(false);
  await expect(mailer.send(mail('ada@example.com'))).rejects.toThrow('No mail can be sent');
  await mailer.verify();
  await mailer.stop();
});

test('a mail of a process that was killed while the server took it goes with the next one', async () => {
  let slow = true;
  const server = await serve({
    onMailFrom: (_address, _session, done) => {
      if (!slow) done();
    },
  });
  const { host, port, user, password, database } = db.connection;
  const connection = JSON.stringify({ host, port, user, password: password.reveal(), database });
  const child = startProcess(new URL('./mail.process.ts', import.meta.url), [
    connection,
    key.reveal().toString('hex'),
    String(server.port),
  ]);
  expect(await child.line()).toBe('stored');
  await expect.poll(waiting, soon).toMatchObject([{ attempts: 1 }]);
  await child.kill('SIGKILL');
  slow = false;
  expect(await waiting()).toHaveLength(1);
  await endLeases();
  mailerTo(server.port);
  await nothingWaits();
  expect(server.mails).toMatchObject([{ to: ['ada@example.com'], body: 'from the killed process' }]);
});
