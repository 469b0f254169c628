import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createMailedLinks } from '#auth/sign-in/mailed-links.ts';
import { systemClock } from '#base/clock.ts';
import { createLog } from '#base/log.ts';
import { Secret } from '#base/secret.ts';
import type { Database } from '#database/pool.ts';
import { createMailer, type RunningMailer } from '#notify/mail.ts';
import { useDatabase } from '#support/postgres.ts';
import { Browser, openSignIn, type TestSignIn } from '#support/sign-in.ts';
import { type SmtpTestServer, startSmtpServer } from '#support/smtp.ts';

const db = useDatabase();
let post: SmtpTestServer;
let mailer: RunningMailer;
let house: TestSignIn;
let browser: Browser;

beforeAll(async () => {
  post = await startSmtpServer();
  mailer = createMailer({
    database: db.database,
    smtp: { host: '127.0.0.1', port: post.port, sender: 'Plinth <plinth@example.com>' },
    key: new Secret(randomBytes(32)),
    clock: systemClock,
    log: createLog({ level: 'silent' }),
  });
  house = await openSignIn(db.database, { mailer, mailCodes: true });
  browser = new Browser(house.url);
});
afterAll(async () => {
  await house.close();
  await mailer.stop();
  await post.close();
});

/** The newest mail to this address, once there are so many. */
async function mailTo(address: string, count = 1): Promise<string> {
  const all = () => post.mails.filter(({ to }) => to.includes(address));
  await expect.poll(() => all().length, { interval: 5, timeout: 20_000 }).toBe(count);
  return all().at(-1)?.body ?? '';
}
const tokenIn = (body: string) => new URL(/https:\/\/\S+/.exec(body)?.[0] ?? '').searchParams.get('token');
const showCode = async (body: string) => browser.post('/api/auth/two-factor/verify', { code: /\d{6}/.exec(body)?.[0] });

test('by real mail: register, confirm, sign in with a mailed code, forget the password, set a new one', async () => {
  const email = 'new@example.com';
  const wish = { email, name: 'New', password: 'nine loud herons' };
  expect((await browser.post('/api/auth/sign-up/email', wish)).status).toBe(202);
  const confirmed = await browser.post('/api/auth/verify-email', { token: tokenIn(await mailTo(email)) });
  expect(confirmed.status).toBe(200);

  expect((await browser.signIn(email, wish.password)).json.secondFactor).toBe('due');
  await browser.post('/api/auth/two-factor/send-otp');
  expect((await showCode(await mailTo(email, 2))).json.secondFactor).toBe('passed');
  expect((await browser.get('/api/v1/me')).json).toMatchObject({ name: email, role: 'viewer' });

  await browser.post('/api/auth/request-password-reset', { email });
  const token = tokenIn(await mailTo(email, 3));
  const newPassword = 'eight calm storks';
  expect((await browser.post('/api/auth/reset-password', { token, newPassword })).status).toBe(200);
  expect(await mailTo(email, 4)).toContain('was changed just now');
  expect((await browser.signIn(email, wish.password)).code).toBe('CREDENTIALS_WRONG');
  expect((await browser.signIn(email, newPassword)).json.secondFactor).toBe('due');
});

test('an address to which nothing can be sent keeps nobody else waiting', async () => {
  const long = `${'a'.repeat(80)}@example.com`;
  for (const email of [long, 'after@example.com']) {
    const reply = await browser.post('/api/auth/sign-up/email', { email, name: 'X', password: 'nine loud herons' });
    expect(reply.status).toBe(202);
  }
  expect(await mailTo('after@example.com')).toContain('verify-email?token=');
});

/** The same database, with something done after the work of each transaction and before its commit. */
const withLastStep = (lastStep: (backend: number) => Promise<void>): Database => ({
  ...db.database,
  transaction: (work, options) =>
    db.database.transaction(async (tx) => {
      const { rows } = await tx.query<{ pid: number }>('select pg_backend_pid() as pid');
      const result = await work(tx);
      await lastStep(rows[0]?.pid ?? 0);
      return result;
    }, options),
});
const openLinks = (database: Database) => {
  const log = createLog({ level: 'silent' });
  return createMailedLinks({ database, clock: systemClock, log, mailer, baseUrl: 'https://plinth.example.com' });
};
const wishes = async () => (await db.database.query('select from link_wishes')).rows.length;

test('no mail leaves before its link is committed', async () => {
  await house.links.stop(); // here only these links shall deliver
  let commit = () => {};
  const held = new Promise<void>((resolve) => {
    commit = resolve;
  });
  let isHeld = false;
  const links = openLinks(
    withLastStep(async () => {
      isHeld = true;
      await held;
    }),
  );
  const email = 'early@example.com';
  await links.wish({ kind: 'register', email, name: 'Early', passwordHash: 'x' });
  await expect.poll(() => isHeld, { interval: 5 }).toBe(true);
  // The outbox looks and finds nothing: a mail of somebody else, sent meanwhile, arrives.
  await mailer.send({ to: 'other@example.com', subject: 'x', text: new Secret('x'), uselessAfterMs: 60_000 });
  await mailTo('other@example.com');
  await expect.poll(async () => (await db.database.query('select from mail')).rows.length, { interval: 5 }).toBe(0);
  expect(post.mails.filter(({ to }) => to.includes(email))).toEqual([]);
  commit();
  const token = tokenIn(await mailTo(email)) ?? '';
  expect((await links.take('register', new Secret(token))).email).toBe(email);
  await links.stop();
});

test('a delivery that is killed before its commit leaves the wish, and one mail comes of it', async () => {
  const email = 'killed@example.com';
  let kills = 2;
  const links = openLinks(
    withLastStep(async (backend) => {
      if (kills-- > 0) await db.database.query('select pg_terminate_backend($1)', [backend]);
    }),
  );
  await links.wish({ kind: 'register', email, name: 'Killed', passwordHash: 'x' });
  const token = tokenIn(await mailTo(email)) ?? '';
  expect(kills).toBeLessThan(0);
  await expect.poll(wishes, { interval: 5 }).toBe(0);
  const { rows } = await db.database.query('select from mailed_links where email = $1', [email]);
  expect(rows).toHaveLength(1);
  expect((await links.take('register', new Secret(token))).email).toBe(email);
  await links.stop();
  expect(post.mails.filter(({ to }) => to.includes(email))).toHaveLength(1);
});
