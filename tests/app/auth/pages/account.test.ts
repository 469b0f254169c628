import { Secret as OtpSecret, TOTP } from 'otpauth';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { useDatabase } from '#support/postgres.ts';
import { hidden, openPages, openReader, password, type Reader, type Stand, words } from './stand.ts';

const db = useDatabase();
let stand: Stand;
let email: string;
let userId: string;
let reader: Reader;
let people = 0;

beforeAll(async () => {
  stand = await openPages(db.database);
});
afterAll(() => stand.close());
beforeEach(async () => {
  people += 1;
  email = `ada-${people}@example.com`;
  userId = await stand.person(email, password, 'viewer');
  reader = await signedIn();
});

async function signedIn(secret = password, agent = 'curl/8.5'): Promise<Reader> {
  const other = openReader(stand.server.url);
  await other.get('/sign-in');
  const reply = await other.post('/sign-in', { email, password: secret }, { 'User-Agent': agent });
  expect(reply.status).toBe(303);
  return other;
}

const isSignedIn = async (who: Reader) => (await who.get('/account')).status === 200;
const codeOf = (secret: string) => {
  // Each works once, so every next one is of the next half minute.
  stand.time.laterMs += 30_000;
  return new TOTP({ secret: OtpSecret.fromBase32(secret) }).generate({ timestamp: stand.clock.now().getTime() });
};

/** Turns an authenticator app on; gives its secret and the backup codes. */
async function enrol(): Promise<{ secret: string; codes: string[] }> {
  await reader.get('/account/second-factor');
  const begun = await reader.post('/account/second-factor/begin', { password });
  const uri = hidden(begun.text, 'uri') ?? '';
  const secret = /secret=([A-Z2-7]+)/.exec(uri)?.[1] ?? '';
  const done = await reader.post('/account/second-factor/confirm', { uri, code: codeOf(secret) });
  expect(done.status).toBe(200);
  return { secret, codes: [...done.text.matchAll(/<li><code>([^<]+)<\/code>/g)].map(([, code]) => code ?? '') };
}

describe('the account', () => {
  test('says who one is', async () => {
    const { text } = await reader.get('/account');
    expect(words(text)).toContain(`Name ada-${people} E-mail address ${email} Role viewer Teams none`);
  });

  test('the password is changed; other devices end, this one goes on with a new session', async () => {
    const other = await signedIn();
    const before = reader.cookies.get('plinth.session');
    await reader.get('/account');
    const next = 'seven purple submarines';
    const changed = await reader.post('/account/password', { current: password, password: next });
    expect(changed).toMatchObject({ status: 303, location: '/account?done=password' });
    expect(reader.cookies.get('plinth.session')).not.toBe(before);
    expect(words((await reader.get('/account?done=password')).text)).toContain('Your password is changed.');
    expect(await isSignedIn(other)).toBe(false);
    expect(await isSignedIn(await signedIn(next))).toBe(true);
  });

  test.each([
    ['wrong', 'seven purple submarines', 401, 'Your present password is not the one you entered.'],
    ['', 'seven purple submarines', 400, 'Enter your present password'],
    [password, 'short', 422, 'Choose another password: it has 5 characters; wanted are 12 or more.'],
  ])('it stays when the wish is not as wanted: %j, %j', async (current, next, status, why) => {
    await reader.get('/account');
    const reply = await reader.post('/account/password', { current, password: next });
    expect(reply.status).toBe(status);
    expect(words(reply.text)).toContain(why);
    expect(reply.text).not.toContain('purple');
    expect(await isSignedIn(await signedIn())).toBe(true);
  });

  test('who looks with a token or a password over Basic sees no form that would work', async () => {
    const headers = { Authorization: `Basic ${Buffer.from(`${email}:${password}`).toString('base64')}` };
    const reply = await fetch(`${stand.server.url}/account`, { headers });
    expect([reply.status, hidden(await reply.text(), 'csrf')]).toEqual([200, '']);
    const body = new URLSearchParams({ csrf: '', current: password, password: 'seven purple submarines' });
    const sent = await fetch(`${stand.server.url}/account/password`, { method: 'POST', headers, body });
    expect(sent.status).toBe(403);
  });
});

describe('devices', () => {
  test('each is listed in words, this one first', async () => {
    await signedIn(password, 'Mozilla/5.0 (Windows NT 10.0; rv:131.0) Gecko/20100101 Firefox/131.0');
    const text = words((await reader.get('/account/devices')).text);
    expect(text).toMatch(/curl This device From 127\.0\.0\.1\. .* Firefox on Windows From 127\.0\.0\.1\. /);
    expect(text).toMatch(/Signed in with the password on \d+ \w+ \d{4}, \d\d:\d\d UTC ; ends on/);
  });

  test('what a user agent claims is shown as text', async () => {
    await signedIn(password, '<script>alert(1)</script> Firefox/1');
    const { text } = await reader.get('/account/devices');
    expect(text).not.toContain('alert(1)');
  });

  test('one is signed out, the others stay', async () => {
    const [gone, kept] = [await signedIn(), await signedIn()];
    await reader.get('/account/devices');
    const own = (await stand.sessions.list(userId)).toSorted(byTime);
    const reply = await reader.post('/account/devices/sign-out', { session: own[1]?.id ?? '' });
    expect(reply).toMatchObject({ status: 303, location: '/account/devices?done=one' });
    expect([await isSignedIn(gone), await isSignedIn(kept), await isSignedIn(reader)]).toEqual([false, true, true]);
    expect(stand.recorded.at(-1)).toMatchObject({
      actor: { id: userId, name: email },
      action: 'submitEndSession',
      outcome: 'done',
      target: `account/devices/sign-out/${own[1]?.id}`,
    });
  });

  test("nobody signs out another person's device", async () => {
    const session = (await stand.sessions.list(userId))[0]?.id ?? '';
    const ada = reader;
    email = `mallory-${people}@example.com`;
    await stand.person(email);
    const mallory = await signedIn();
    await mallory.get('/account/devices');
    await mallory.post('/account/devices/sign-out', { session });
    expect(await isSignedIn(ada)).toBe(true);
  });

  test('all others are signed out', async () => {
    const others = [await signedIn(), await signedIn()];
    await reader.get('/account/devices');
    expect((await reader.post('/account/devices/sign-out-others')).location).toBe('/account/devices?done=others');
    for (const other of others) expect(await isSignedIn(other)).toBe(false);
    expect((await reader.get('/account/devices')).text).not.toContain('sign-out-others');
  });

  test('signing this one out is signing out', async () => {
    const session = (await stand.sessions.list(userId))[0]?.id ?? '';
    await reader.get('/account/devices');
    expect((await reader.post('/account/devices/sign-out', { session })).location).toBe('/sign-in?done=signed-out');
    expect(reader.cookies.has('plinth.session')).toBe(false);
  });
});

const byTime = (a: { createdAt: Date }, b: { createdAt: Date }) => a.createdAt.getTime() - b.createdAt.getTime();

describe('an authenticator app', () => {
  test('is set up with the password, a QR code and a first code; ten backup codes are shown once', async () => {
    const other = await signedIn();
    const { codes } = await enrol();
    expect(new Set(codes).size).toBe(10);
    expect(await isSignedIn(reader)).toBe(true);
    expect(await isSignedIn(other)).toBe(false);
    const again = await reader.get('/account/second-factor');
    expect(words(again.text)).toContain('You have 10 backup codes left');
    for (const code of codes) expect(again.text).not.toContain(code);
  });

  test('is not begun without the password', async () => {
    await reader.get('/account/second-factor');
    const reply = await reader.post('/account/second-factor/begin', { password: 'wrong' });
    expect([reply.status, hidden(reply.text, 'uri')]).toEqual([401, undefined]);
  });

  test('after a wrong first code the same QR code is shown again, and still works', async () => {
    await reader.get('/account/second-factor');
    const uri = hidden((await reader.post('/account/second-factor/begin', { password })).text, 'uri') ?? '';
    const wrong = await reader.post('/account/second-factor/confirm', { uri, code: '000000' });
    expect([wrong.status, hidden(wrong.text, 'uri')]).toEqual([401, uri]);
    expect(wrong.text).toContain('<svg class="qr"');
    const secret = /secret=([A-Z2-7]+)/.exec(uri)?.[1] ?? '';
    expect((await reader.post('/account/second-factor/confirm', { uri, code: codeOf(secret) })).status).toBe(200);
  });

  test.each(['javascript:alert(1)', 'otpauth://totp/x', 'otpauth://totp/"><script>?secret=JBSWY3DPEHPK3PXP'])(
    'what comes back as its address is not believed: %s',
    async (uri) => {
      await reader.get('/account/second-factor');
      await reader.post('/account/second-factor/begin', { password });
      const reply = await reader.post('/account/second-factor/confirm', { uri, code: '000000' });
      expect(reply.status).toBe(401);
      expect(reply.text).not.toContain('<script>');
    },
  );

  test('a session that owes it may do nothing else; the code leads on', async () => {
    const { secret } = await enrol();
    const other = openReader(stand.server.url);
    await other.get('/sign-in');
    const begun = await other.post('/sign-in', { email, password, next: '/account/devices' });
    expect(begun).toMatchObject({ status: 303, location: '/second-factor?next=%2Faccount%2Fdevices' });
    expect((await other.get('/account')).location).toBe('/sign-in');
    expect((await other.get('/sign-in')).location).toBe('/second-factor');
    expect((await other.get('/')).location).toBe('/second-factor');
    const before = other.cookies.get('plinth.session');
    await other.get('/second-factor?next=%2Faccount%2Fdevices');
    for (const path of ['/account/password', '/account/devices/sign-out-others', '/account/second-factor/disable'])
      expect(await other.post(path, { current: password, password: 'seven purple submarines' })).toMatchObject({
        status: 303,
        location: '/sign-in?next=%2F',
      });
    expect((await signedIn()).cookies.has('plinth.session')).toBe(true); // with the password of before
    const code = codeOf(secret);
    const passed = await other.post('/second-factor', { code, next: '/account/devices' });
    expect(passed).toMatchObject({ status: 303, location: '/account/devices' });
    expect(other.cookies.get('plinth.session')).not.toBe(before);
    expect(await isSignedIn(other)).toBe(true);
    expect(await isSignedIn(reader)).toBe(true);
  });

  test('a wrong code shows the page again, a backup code works once', async () => {
    const { codes } = await enrol();
    const [first = ''] = codes;
    const half = async () => {
      const other = openReader(stand.server.url);
      await other.get('/sign-in');
      await other.post('/sign-in', { email, password });
      await other.get('/second-factor');
      return other;
    };
    const other = await half();
    const wrong = await other.post('/second-factor', { code: '123456' });
    expect(wrong.status).toBe(401);
    expect(words(wrong.text)).toContain('This code is wrong, was used already, or is too old.');
    expect((await other.post('/second-factor', { code: first.toUpperCase().replace('-', ' ') })).status).toBe(303);
    const again = await half();
    expect((await again.post('/second-factor', { code: first })).status).toBe(401);
    expect((await again.post('/second-factor', { code: codes[1] ?? '', csrf: 'x' })).status).toBe(403);
    expect((await again.post('/second-factor/mail')).status).toBe(409);
    expect((await again.post('/sign-out')).location).toBe('/sign-in?done=signed-out');
    expect((await again.get('/second-factor')).location).toBe('/sign-in');
  });

  test('new backup codes take the place of the old ones; a code is wanted for that', async () => {
    const { codes } = await enrol();
    await reader.get('/account/second-factor');
    expect((await reader.post('/account/second-factor/backup-codes', { code: '' })).status).toBe(400);
    const renewed = await reader.post('/account/second-factor/backup-codes', { code: codes[0] ?? '' });
    expect(renewed.status).toBe(200);
    for (const code of codes) expect(renewed.text).not.toContain(code);
    expect(words(renewed.text)).toContain('Your old backup codes no longer work.');
    expect((await reader.post('/account/second-factor/disable', { code: codes[1] ?? '' })).status).toBe(401);
  });

  test('it is turned off with a code', async () => {
    const { secret } = await enrol();
    await reader.get('/account/second-factor');
    const off = await reader.post('/account/second-factor/disable', { code: codeOf(secret) });
    expect(off).toMatchObject({ status: 303, location: '/account/second-factor?done=off' });
    expect(words((await reader.get('/account/second-factor?done=off')).text)).toContain(
      'Your authenticator app is off.',
    );
    expect(await isSignedIn(await signedIn())).toBe(true);
  });
});
