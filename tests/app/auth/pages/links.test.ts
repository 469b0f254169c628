import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { builtInRoles, mayOf } from '#auth/roles.ts';
import type { Caller } from '#contract/caller.ts';
import { useDatabase } from '#support/postgres.ts';
import { openPages, openReader, password, type Reader, type Stand, words } from './stand.ts';

const db = useDatabase();
const next = 'seven purple submarines';
let stand: Stand;
let admin: Caller;
let reader: Reader;

beforeAll(async () => {
  stand = await openPages(db.database, { registration: true, mailCodes: true });
  const id = await stand.person('admin@example.com', password, 'admin');
  const may = mayOf(builtInRoles.admin, []);
  const credential = { kind: 'password' } as const;
  admin = {
    id,
    name: 'admin@example.com',
    kind: 'user',
    credential,
    role: 'admin',
    teams: [],
    may,
    environments: 'all',
  };
});
afterAll(() => stand.close());
beforeEach(() => {
  reader = openReader(stand.server.url);
});

/** The last mail to somebody. */
async function mailTo(email: string): Promise<string> {
  await stand.delivered();
  return stand.mails.findLast(({ to }) => to === email)?.text ?? '';
}

/** The path and query of a mailed link. */
const linkIn = (text: string) => /https:\/\/plinth\.example\.com(\/\S*)/.exec(text)?.[1] ?? '';
const tokenOf = (link: string) => new URL(link, 'http://x').searchParams.get('token') ?? '';

describe('a reset by mail', () => {
  test('the link leads to a form, which sets the password once', async () => {
    const email = 'reset@example.com';
    await stand.person(email);
    await reader.get('/reset-password');
    expect((await reader.post('/reset-password', { email })).location).toBe('/reset-password?done=mailed');
    const link = linkIn(await mailTo(email));
    expect(link).toMatch(/^\/reset-password\?token=[\w-]{43}$/);
    // A scanner of mail opens it before its reader does.
    await openReader(stand.server.url).get(link);
    const page = await reader.get(link);
    expect([page.status, page.headers.get('referrer-policy'), page.headers.get('cache-control')]).toEqual([
      200,
      'same-origin',
      'no-store',
    ]);
    const token = tokenOf(link);
    const weak = await reader.post('/reset-password/new', { token, password: 'short' });
    expect([weak.status, words(weak.text).includes('Choose another password')]).toEqual([422, true]);
    expect((await reader.post('/reset-password/new', { token, password: next })).location).toBe(
      '/sign-in?done=password',
    );
    const again = await reader.post('/reset-password/new', { token, password: next });
    expect([again.status, words(again.text).includes('This link is wrong, was used already')]).toEqual([400, true]);
    await reader.get('/sign-in');
    expect((await reader.post('/sign-in', { email, password: next })).status).toBe(303);
  });

  test('nothing of it is logged', async () => {
    const link = `/reset-password?token=${'t'.repeat(43)}`;
    await reader.get(link);
    await reader.post('/reset-password/new', { token: 't'.repeat(43), password: next });
    expect(JSON.stringify(stand.server.logged)).not.toContain('tttt');
    expect(JSON.stringify(stand.server.logged)).not.toContain('purple');
  });

  test('an unknown address is answered alike', async () => {
    await reader.get('/reset-password');
    const reply = await reader.post('/reset-password', { email: 'nobody@example.com' });
    expect([reply.status, reply.location]).toEqual([303, '/reset-password?done=mailed']);
    await stand.delivered();
    const { text } = await reader.get('/reset-password?done=mailed');
    expect(words(text)).toContain('If there is an account with that address');
    expect(stand.mails.some(({ to }) => to === 'nobody@example.com')).toBe(false);
  });

  test('the host of the request is never part of the link', async () => {
    const email = 'poisoned@example.com';
    await stand.person(email);
    await reader.get('/reset-password');
    await reader.post(
      '/reset-password',
      { email },
      { 'X-Forwarded-Host': 'evil.example', Forwarded: 'host=evil.example' },
    );
    expect(await mailTo(email)).not.toContain('evil');
  });

  test('needs a form of this browser', async () => {
    expect((await reader.post('/reset-password', { email: 'reset@example.com', csrf: 'x' })).status).toBe(403);
    expect((await reader.post('/reset-password/new', { token: 'x', password: next, csrf: 'x' })).status).toBe(403);
  });
});

describe('registering', () => {
  test('makes an account once the mailed link was opened and confirmed', async () => {
    const email = 'new@example.com';
    await reader.get('/register');
    const reply = await reader.post('/register', { name: ' Grace ', email: 'New@example.com', password: next });
    expect([reply.status, reply.location]).toEqual([303, '/register?done=mailed']);
    const link = linkIn(await mailTo(email));
    await reader.get(link);
    expect(await stand.people.findByEmail(email)).toBeUndefined();
    expect((await reader.post('/verify-email', { token: tokenOf(link) })).location).toBe('/sign-in?done=verified');
    const again = await reader.post('/verify-email', { token: tokenOf(link) });
    expect(again.status).toBe(400);
    const { rows } = await db.database.query('select email, name, role from auth."user" where email = $1', [email]);
    expect(rows).toEqual([{ email, name: 'Grace', role: 'viewer' }]);
  });

  test('what is wrong is named; what was typed stays, but for the password', async () => {
    await reader.get('/register');
    const { status, text } = await reader.post('/register', { name: ' ', email: 'grace', password: next });
    expect(status).toBe(400);
    expect(text).toContain('<a href="#name">');
    expect(text).toContain('<a href="#email">');
    expect(text).toContain('value="grace"');
    expect(text).not.toContain(next);
  });

  test('no field of the form makes somebody an administrator', async () => {
    await reader.get('/register');
    const wish = { name: 'Eve', email: 'eve@example.com', password: next };
    await reader.post('/register', { ...wish, role: 'admin', emailVerified: 'true' });
    await reader.get('/verify-email');
    await reader.post('/verify-email', { token: tokenOf(linkIn(await mailTo('eve@example.com'))), role: 'admin' });
    const { rows } = await db.database.query('select role from auth."user" where email = $1', ['eve@example.com']);
    expect(rows).toEqual([{ role: 'viewer' }]);
  });

  test('where it is closed the page says so, and the form does nothing', async () => {
    const closed = await openPages(db.database);
    const other = openReader(closed.server.url);
    const page = await other.get('/register');
    expect([page.status, page.text.includes('<form')]).toEqual([403, false]);
    await other.get('/sign-in');
    const wish = { name: 'Eve', email: 'late@example.com', password: next };
    expect((await other.post('/register', wish)).status).toBe(403);
    expect((await other.get('/sign-in')).text).not.toContain('/register');
    await closed.close();
  });
});

describe('an invitation', () => {
  const invite = async (email: string) => {
    const { link } = await stand.invitations.create(admin, { email, role: 'editor', send: 'link' });
    return linkIn(link?.reveal() ?? '');
  };

  test('its page says whose it is, and makes the account once', async () => {
    const link = await invite('invited@example.com');
    expect(link).toMatch(/^\/invitation\?token=[\w-]{43}$/);
    const page = await reader.get(link);
    expect(words(page.text)).toContain('Your account will be invited@example.com');
    const token = tokenOf(link);
    const weak = await reader.post('/invitation', { token, name: 'Joan', password: 'short' });
    expect([weak.status, weak.text.includes('value="Joan"')]).toEqual([422, true]);
    const done = await reader.post('/invitation', { token, name: 'Joan', password: next, role: 'admin' });
    expect([done.status, done.location]).toEqual([303, '/sign-in?done=invited']);
    expect((await reader.post('/invitation', { token, name: 'Joan', password: next })).status).toBe(400);
    const { rows } = await db.database.query('select name, role from auth."user" where email = $1', [
      'invited@example.com',
    ]);
    expect(rows).toEqual([{ name: 'Joan', role: 'editor' }]);
  });

  test('whoever is signed in in that browser makes room for the new person', async () => {
    await reader.get('/sign-in');
    await stand.person('before@example.com', password);
    await reader.post('/sign-in', { email: 'before@example.com', password });
    const link = await invite('after@example.com');
    await reader.get(link);
    await reader.post('/invitation', { token: tokenOf(link), name: 'Joan', password: next });
    expect(reader.cookies.has('plinth.session')).toBe(false);
    expect((await reader.get('/sign-in?done=invited')).status).toBe(200);
    const record = stand.recorded.at(-1);
    expect([record?.action, record?.target]).toEqual(['submitInvitation', 'invitation/after@example.com']);
  });

  test.each(['', 'x', 't'.repeat(43)])('a link that is none says so: %j', async (token) => {
    const { status, text } = await reader.get(`/invitation?token=${token}`);
    expect([status, text.includes('<form')]).toEqual([400, false]);
    expect(words(text)).toContain('This invitation cannot be used');
  });
});

describe('a code by mail', () => {
  test('is mailed with the right password, and again when asked for', async () => {
    const email = 'mailed@example.com';
    await stand.person(email);
    await reader.get('/sign-in');
    const begun = await reader.post('/sign-in', { email, password, next: '/account/devices' });
    expect(begun.location).toBe('/second-factor?next=%2Faccount%2Fdevices&done=mailed');
    const page = await reader.get(begun.location ?? '');
    expect(words(page.text)).toContain(`A code is on its way to ${email}.`);
    const old = /is (\d{6})/.exec(await mailTo(email))?.[1] ?? '';
    const asked = await reader.post('/second-factor/mail', { next: '/account/devices' });
    expect(asked.location).toBe('/second-factor?next=%2Faccount%2Fdevices&done=mailed');
    const code = /is (\d{6})/.exec(await mailTo(email))?.[1] ?? '';
    if (code !== old) expect((await reader.post('/second-factor', { code: old })).status).toBe(401);
    expect((await reader.post('/second-factor', { code: ` ${code} `, next: '//evil.example' })).location).toBe(
      '/account',
    );
    expect((await reader.get('/account')).status).toBe(200);
  });
});
