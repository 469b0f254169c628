import { Secret as OtpSecret, TOTP } from 'otpauth';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Secret } from '#base/secret.ts';
import { useDatabase } from '#support/postgres.ts';
import { Browser, openSignIn, type TestSignIn } from '#support/sign-in.ts';

const db = useDatabase();
const email = 'ada@example.com';
const password = 'seven silent owls';
const stepMs = 30_000;
let house: TestSignIn;
let mailing: TestSignIn;
let userId: string;
let browser: Browser;

beforeAll(async () => {
  house = await openSignIn(db.database);
  mailing = await openSignIn(db.database, { mailCodes: true });
  userId = await house.person(email, password);
});
afterAll(async () => {
  await house.close();
  await mailing.close();
});
beforeEach(async () => {
  await db.database.query('truncate sign_in_attempts, sign_in_known, totp, backup_codes, mail_codes');
  await house.auth.setPassword(userId, new Secret(password));
  for (const each of [house, mailing]) {
    each.time.laterMs = 0;
    each.mails.length = 0;
    each.audited.length = 0;
  }
  browser = new Browser(house.url);
});

const me = async (who: Browser) => {
  const { status, json } = await who.get('/api/v1/me');
  return status === 200 ? json.id : json.code;
};
const verify = (code: string, who = browser) => who.post('/api/auth/two-factor/verify', { code });
/** What the authenticator shows `steps` later. */
const codeOf = (secret: string, steps = 0) =>
  new TOTP({ secret: OtpSecret.fromBase32(secret) }).generate({
    timestamp: house.clock.now().getTime() + steps * stepMs,
  });
const wrong = (secret: string) => {
  const near = new Set([-2, -1, 0, 1, 2].map((steps) => codeOf(secret, steps)));
  return ['000000', '111111', '222222', '333333', '444444', '555555'].find((code) => !near.has(code)) ?? '';
};
/** Sets an authenticator up, and waits for its next code, as each works once. */
async function setUp() {
  const own = new Browser(house.url);
  await own.signIn(email);
  const begun = await own.post('/api/auth/two-factor/enable', { password });
  expect(begun.status).toBe(200);
  const { secret, totpURI } = begun.json;
  const confirmed = await own.post('/api/auth/two-factor/confirm', { code: codeOf(secret) });
  expect(confirmed.status).toBe(200);
  house.time.laterMs += stepMs;
  return { own, secret, totpURI, backupCodes: confirmed.json.backupCodes };
}

describe('an authenticator', () => {
  test('counts once it is confirmed; other devices are signed out, this one goes on with a new session', async () => {
    const phone = new Browser(house.url);
    await phone.signIn(email);
    await browser.signIn(email);
    const before = browser.jar.get('plinth.session');
    const { secret, totpURI } = (await browser.post('/api/auth/two-factor/enable', { password })).json;
    expect(secret).toMatch(/^[A-Z2-7]{32}$/);
    expect(totpURI).toBe(
      `otpauth://totp/Plinth:ada%40example.com?issuer=Plinth&secret=${secret}&algorithm=SHA1&digits=6&period=30`,
    );
    expect((await new Browser(house.url).signIn(email)).json.secondFactor).toBe('none');
    expect((await browser.post('/api/auth/two-factor/confirm', { code: wrong(secret) })).code).toBe('CODE_WRONG');
    const { backupCodes } = (await browser.post('/api/auth/two-factor/confirm', { code: codeOf(secret) })).json;
    expect(backupCodes).toHaveLength(10);
    for (const code of backupCodes) expect(code).toMatch(/^[0-9a-hjkmnp-tv-z]{5}-[0-9a-hjkmnp-tv-z]{5}$/);
    expect(browser.jar.get('plinth.session')).not.toBe(before);
    expect([await me(browser), await me(phone)]).toEqual([userId, 'CREDENTIALS_MISSING']);
    expect((await browser.get('/api/auth/two-factor')).json).toEqual({ totp: true, mail: false, backupCodesLeft: 10 });
    expect((await browser.post('/api/auth/two-factor/enable', { password })).code).toBe('SECOND_FACTOR_ON');
  });

  test('is not set up with a stolen session alone', async () => {
    await browser.signIn(email);
    for (const body of [{}, { password: 'wrong' }])
      expect((await browser.post('/api/auth/two-factor/enable', body)).code).toBe('CREDENTIALS_WRONG');
    expect((await db.database.query('select from totp')).rows).toEqual([]);
  });

  test('lets in after the password, with a new session each time', async () => {
    const { secret } = await setUp();
    const reply = await browser.signIn(email);
    expect(reply.json).toMatchObject({ secondFactor: 'due', twoFactorRedirect: true });
    const half = browser.jar.get('plinth.session');
    const passed = await verify(codeOf(secret));
    expect(passed.json).toMatchObject({ secondFactor: 'passed', twoFactorRedirect: false });
    expect(await me(browser)).toBe(userId);
    expect((await browser.get('/api/v1/me', { Cookie: `plinth.session=${half}` })).status).toBe(401);
  });

  test.each([-1, 1])('takes the code of a clock that is %d step off, none further', async (steps) => {
    const { secret } = await setUp();
    house.time.laterMs += 2 * stepMs;
    await browser.signIn(email);
    expect((await verify(codeOf(secret, 2 * steps))).code).toBe('CODE_WRONG');
    expect((await verify(codeOf(secret, steps))).status).toBe(200);
  });

  test('takes each code once, also from several at once', async () => {
    const { secret } = await setUp();
    const code = codeOf(secret);
    const browsers = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const each = new Browser(house.url);
        await each.signIn(email);
        return each;
      }),
    );
    const replies = await Promise.all(browsers.map((each) => verify(code, each)));
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 401, 401, 401]);
    expect((await verify(code, browsers[0])).status).toBe(401);
  });

  test('is taken away only with a code; the next sign-in needs none', async () => {
    const { own, secret } = await setUp();
    expect((await own.post('/api/auth/two-factor/disable', { code: wrong(secret) })).code).toBe('CODE_WRONG');
    expect((await own.post('/api/auth/two-factor/disable', { code: codeOf(secret) })).status).toBe(200);
    expect((await browser.signIn(email)).json.secondFactor).toBe('none');
    expect((await browser.get('/api/auth/two-factor')).json).toEqual({ totp: false, mail: false, backupCodesLeft: 0 });
  });

  test('is kept encrypted, bound to the person', async () => {
    const { secret } = await setUp();
    const bob = await house.person('bob@example.com', password);
    const { rows } = await db.database.query<{ secret: Buffer }>('select secret from totp');
    const plain = Buffer.from(OtpSecret.fromBase32(secret).bytes);
    expect(rows[0]?.secret.includes(plain)).toBe(false);
    await db.database.query('update totp set user_id = $1', [bob]);
    await browser.signIn('bob@example.com');
    expect((await verify(codeOf(secret))).code).toBe('SECOND_FACTOR_UNREADABLE');
  });
});

describe('backup codes', () => {
  test('work once each, however they are typed, and are kept as digests', async () => {
    const { backupCodes } = await setUp();
    const [first = '', second = ''] = backupCodes;
    const stored = JSON.stringify((await db.database.query('select hash::text from backup_codes')).rows);
    expect(stored).not.toContain(Buffer.from(first.replace('-', '')).toString('hex'));
    await browser.signIn(email);
    expect((await verify(` ${first.toUpperCase().replace('-', ' ')} `)).status).toBe(200);
    expect((await browser.get('/api/auth/two-factor')).json).toMatchObject({ backupCodesLeft: 9 });
    const again = new Browser(house.url);
    await again.signIn(email);
    expect((await verify(first, again)).code).toBe('CODE_WRONG');
    expect((await verify(second, again)).status).toBe(200);
  });

  test('of somebody else are wrong', async () => {
    const { backupCodes } = await setUp();
    const bob = await house.person('bob@example.com', password);
    await db.database.query(
      `insert into totp (user_id, secret, confirmed_at, created_at) select $1, secret, confirmed_at, created_at from totp`,
      [bob],
    );
    await browser.signIn('bob@example.com');
    expect((await verify(backupCodes[0] ?? '')).code).toBe('CODE_WRONG');
  });

  test('are renewed with a code; the old ones are void', async () => {
    const { own, secret, backupCodes } = await setUp();
    const renewed = await own.post('/api/auth/two-factor/generate-backup-codes', { code: codeOf(secret) });
    expect(renewed.json.backupCodes).toHaveLength(10);
    await browser.signIn(email);
    expect((await verify(backupCodes[0] ?? '')).code).toBe('CODE_WRONG');
    expect((await verify(renewed.json.backupCodes[0] ?? '')).status).toBe(200);
  });
});

describe('codes by mail', () => {
  const mailedCode = () => /\d{6}/.exec(mailing.mails.at(-1)?.text ?? '')?.[0] ?? '';
  const send = (who: Browser) => who.post('/api/auth/two-factor/send-otp');
  let post: Browser;
  beforeEach(async () => {
    post = new Browser(mailing.url);
    expect((await post.signIn(email)).json.secondFactor).toBe('due');
  });

  test('let in once, for ten minutes', async () => {
    expect((await send(post)).status).toBe(202);
    expect(mailing.mails).toMatchObject([{ to: email, subject: 'Your code to sign in to Plinth' }]);
    const code = mailedCode();
    const stored = JSON.stringify((await db.database.query('select * from mail_codes')).rows);
    expect(stored).not.toContain(code);
    mailing.time.laterMs = 10 * 60_000 + 1000;
    expect((await verify(code, post)).code).toBe('CODE_WRONG');
    mailing.time.laterMs = 9 * 60_000;
    expect((await verify(code, post)).status).toBe(200);
    expect(await me(post)).toBe(userId);
    const again = new Browser(mailing.url);
    await again.signIn(email);
    expect((await verify(code, again)).code).toBe('CODE_WRONG');
  });

  test('are void after five wrong tries, though the right one comes then', async () => {
    const patient = await openSignIn(db.database, {
      mailCodes: true,
      limits: { codes: [{ most: 100, seconds: 900 }] },
    });
    try {
      const who = new Browser(patient.url);
      await who.signIn(email);
      await send(who);
      const code = /\d{6}/.exec(patient.mails.at(-1)?.text ?? '')?.[0] ?? '';
      const bad = code === '000000' ? '000001' : '000000';
      for (let i = 0; i < 5; i++) expect((await verify(bad, who)).code).toBe('CODE_WRONG');
      expect((await verify(code, who)).code).toBe('CODE_WRONG');
    } finally {
      await patient.close();
    }
  });

  test('are not sent without end', async () => {
    const replies = [];
    for (let i = 0; i < 6; i++) replies.push((await send(post)).status);
    expect(replies).toEqual([202, 202, 202, 202, 202, 429]);
  });

  test('do not stand in for an authenticator', async () => {
    await setUp();
    const who = new Browser(mailing.url);
    await who.signIn(email);
    expect((await send(who)).code).toBe('SECOND_FACTOR_OFF');
    expect(mailing.mails).toEqual([]);
  });
});
