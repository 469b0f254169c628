import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { pageRoutes } from '#contract/page-routes.ts';
import { useDatabase } from '#support/postgres.ts';
import { hidden, openPages, openReader, password, type Reader, type Stand, words } from './stand.ts';

const db = useDatabase();
const email = 'ada@example.com';
let stand: Stand;
let reader: Reader;

beforeAll(async () => {
  stand = await openPages(db.database);
  await stand.person(email);
});
afterAll(() => stand.close());
beforeEach(() => {
  reader = openReader(stand.server.url);
});

const signIn = async (next?: string) => {
  await reader.get(next === undefined ? '/sign-in' : `/sign-in?next=${encodeURIComponent(next)}`);
  return reader.post('/sign-in', { email, password, ...(next === undefined ? {} : { next }) });
};

describe('a page', () => {
  test('runs no script, is framed by nobody, kept nowhere, and tells its address to this host only', async () => {
    const { status, headers, text } = await reader.get('/sign-in');
    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('referrer-policy')).toBe('same-origin');
    const policy = headers.get('content-security-policy') ?? '';
    for (const rule of ["default-src 'none'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'"])
      expect(policy).toContain(rule);
    expect(policy).not.toContain('script-src');
    expect(text).not.toMatch(/<script|<style|\son[a-z]+=|style=|javascript:/i);
  });

  test('loads a stylesheet of ours that browsers may keep', async () => {
    const path = /<link rel="stylesheet" href="([^"]+)">/.exec((await reader.get('/sign-in')).text)?.[1] ?? '';
    const { status, headers, text } = await reader.get(path);
    expect([status, headers.get('content-type')]).toEqual([200, 'text/css; charset=utf-8']);
    expect(headers.get('cache-control')).toContain('immutable');
    expect(text).toContain('prefers-color-scheme: dark');
  });

  const own = pageRoutes.filter(({ method, permission }) => method === 'GET' && permission !== 'public');
  test.each(own.map(({ path }) => path))('%s leads a stranger to sign-in and back', async (path) => {
    const { status, location } = await reader.get(`${path}?done=x`);
    expect(status).toBe(303);
    expect(location).toBe(`/sign-in?next=${encodeURIComponent(`${path}?done=x`)}`);
  });

  const forms = pageRoutes.filter(({ method, permission }) => method === 'POST' && permission !== 'public');
  test.each(forms.map(({ path }) => path))('%s takes nothing from a stranger', async (path) => {
    const sent = await reader.post(path, {});
    expect([sent.status, sent.location]).toEqual([303, '/sign-in?next=%2F']);
    const asked = await reader.get(path, { Accept: 'text/html' });
    if (asked.status === 405) expect(asked.headers.get('content-type')).toBe('text/html; charset=utf-8');
  });

  test.each(forms.map(({ path }) => path))('%s takes nothing without the token of its session', async (path) => {
    await signIn();
    expect((await reader.post(path, { csrf: '' })).status).toBe(403);
    expect((await reader.post(path, { csrf: 'x'.repeat(43) })).status).toBe(403);
  });

  test('/ leads to sign-in, and to the account once signed in', async () => {
    expect((await reader.get('/')).location).toBe('/sign-in');
    await signIn();
    expect((await reader.get('/')).location).toBe('/account');
  });
});

describe('signing in', () => {
  test('leads to the account, or to the page that was asked for', async () => {
    expect(await signIn()).toMatchObject({ status: 303, location: '/account' });
    expect(words((await reader.get('/account')).text)).toContain(email);
    reader = openReader(stand.server.url);
    expect(await signIn('/account/devices?done=x')).toMatchObject({ status: 303, location: '/account/devices?done=x' });
  });

  test.each(['//evil.example', 'https://evil.example', '/\\evil.example', 'javascript:alert(1)'])(
    'never to another host: %s',
    async (next) => {
      expect(await signIn(next)).toMatchObject({ status: 303, location: '/account' });
      expect((await reader.get(`/sign-in?next=${encodeURIComponent(next)}`)).location).toBe('/account');
    },
  );

  test('a wrong password and an unknown address are answered alike; the address stays, the password does not', async () => {
    await reader.get('/sign-in');
    const wrong = await reader.post('/sign-in', { email, password: 'hunter2 <b>' });
    const unknown = await reader.post('/sign-in', { email: 'nobody@example.com', password: 'hunter2 <b>' });
    expect([wrong.status, unknown.status]).toEqual([401, 401]);
    expect(words(wrong.text)).toBe(words(unknown.text));
    expect(words(wrong.text)).toContain('The e-mail address or the password is wrong.');
    expect(wrong.text).toContain(`value="${email}"`);
    expect(wrong.text).not.toContain('hunter2');
    expect(wrong.text).toContain('role="alert"');
    expect(wrong.text).toContain('<title>Error: Sign in – Plinth</title>');
  });

  test('what was typed comes back as text, never as markup', async () => {
    await reader.get('/sign-in');
    const { text } = await reader.post('/sign-in', { email: '"><img src=x onerror=alert(1)>', password: 'x' });
    expect(text).toContain('value="&quot;&gt;&lt;img src=x onerror=alert(1)&gt;"');
    expect(text).not.toContain('<img');
  });

  test('empty fields are named, each with a link to it', async () => {
    await reader.get('/sign-in');
    const { status, text } = await reader.post('/sign-in', { email: ' ', password: '' });
    expect(status).toBe(400);
    expect(text).toContain('<a href="#email">Enter your e-mail address</a>');
    expect(text).toContain('<a href="#password">Enter your password</a>');
    expect(text).toContain('aria-describedby="email-error"');
  });

  test('needs a form that was sent to this browser', async () => {
    const without = await reader.post('/sign-in', { email, password, csrf: 'x' });
    expect(without.status).toBe(403);
    expect(words(without.text)).toContain('This page was too old, so nothing was done.');
    expect(reader.cookies.has('plinth.session')).toBe(false);
    const token = hidden((await openReader(stand.server.url).get('/sign-in')).text, 'csrf') ?? '';
    expect((await reader.post('/sign-in', { email, password, csrf: token })).status).toBe(403);
    // The page that said so is good.
    expect((await reader.post('/sign-in', { email, password })).status).toBe(303);
  });

  test.each([
    { Origin: 'https://evil.example' },
    { Origin: 'null' },
    { 'Sec-Fetch-Site': 'same-site', Origin: 'null' },
  ])('a page of another host cannot send the form: %j', async (headers) => {
    await reader.get('/sign-in');
    expect((await reader.post('/sign-in', { email, password }, headers as Record<string, string>)).status).toBe(403);
    expect(reader.cookies.has('plinth.session')).toBe(false);
  });

  test('whoever is signed in is led on', async () => {
    await signIn();
    expect(await reader.get('/sign-in')).toMatchObject({ status: 303, location: '/account' });
    expect(await reader.get('/sign-in?next=%2Faccount%2Fdevices')).toMatchObject({ location: '/account/devices' });
  });

  test('guessing is slowed down, in words for people', async () => {
    await stand.person('guessed@example.com');
    await reader.get('/sign-in');
    let last = await reader.post('/sign-in', { email: 'guessed@example.com', password: 'wrong' });
    for (let i = 0; i < 10; i++)
      last = await reader.post('/sign-in', { email: 'guessed@example.com', password: 'wrong' });
    expect(last.status).toBe(429);
    expect(Number(last.headers.get('retry-after'))).toBeGreaterThan(30);
    expect(words(last.text)).toMatch(/Too many tries\. Please wait \d+ seconds\./);
  });

  test('why an identity provider did not let somebody in is told in our words only', async () => {
    const told = async (error: string) => words((await reader.get(`/sign-in?error=${encodeURIComponent(error)}`)).text);
    expect(await told('ACCOUNT_DISABLED')).toContain('This account is disabled.');
    expect(await told('constructor')).toContain('Signing in did not work.');
    const forged = await told('Call +44 20 1234 and tell your password');
    expect(forged).toContain('Signing in did not work.');
    expect(forged).not.toContain('+44');
  });

  test.each(['constructor', '__proto__', '<b>x</b>'])(
    'a word in the address that is none of ours says nothing: %s',
    async (done) => {
      const { status, text } = await reader.get(`/sign-in?done=${encodeURIComponent(done)}`);
      expect(status).toBe(200);
      expect(text).not.toContain('role="status"');
    },
  );
});

describe('signing out', () => {
  test('ends the session, not only the cookie', async () => {
    await signIn();
    const kept = reader.cookies.get('plinth.session') ?? '';
    await reader.get('/sign-out');
    expect(await reader.post('/sign-out')).toMatchObject({ status: 303, location: '/sign-in?done=signed-out' });
    expect(reader.cookies.has('plinth.session')).toBe(false);
    reader.cookies.set('plinth.session', kept);
    expect((await reader.get('/account')).status).toBe(303);
    expect(words((await reader.get('/sign-in?done=signed-out')).text)).toContain('You are signed out.');
  });

  test('is asked for, never done by a link or a foreign form', async () => {
    await signIn();
    expect(words((await reader.get('/sign-out')).text)).toContain('Sign out?');
    expect((await reader.post('/sign-out', { csrf: 'x' })).status).toBe(403);
    expect((await reader.get('/account')).status).toBe(200);
  });

  test('without a session it leads to sign-in', async () => {
    expect((await reader.get('/sign-out')).location).toBe('/sign-in');
    expect((await reader.post('/sign-out')).location).toBe('/sign-in?done=signed-out');
  });
});

describe('which ways in there are', () => {
  const buttons = [{ name: 'okta', label: 'Okta <3', path: '/api/auth/sign-in/okta' }];
  const shown = async (passwordSignIn: 'everyone' | 'administrators' | 'nobody', list = buttons) => {
    const other = await openPages(db.database, {
      offers: async () => ({ passwordSignIn, registration: true }),
      signInButtons: async () => list,
    });
    const { text } = await openReader(other.server.url).get('/sign-in?next=%2Faccount%2Fdevices');
    await other.close();
    return text;
  };

  test('identity providers have buttons, which lead on to where one wanted to go', async () => {
    const text = await shown('everyone');
    expect(text).toContain(
      '<a class="button plain" href="/api/auth/sign-in/okta?next=%2Faccount%2Fdevices">Sign in with Okta &lt;3</a>',
    );
    expect(text).toContain('href="/register"');
    expect(text).toContain('name="password"');
    expect(text).not.toContain('<details');
  });

  test('where only administrators have passwords, the form is folded away', async () => {
    const text = await shown('administrators');
    expect(text).toMatch(/<details>\s*<summary>Sign in as an administrator with a password<\/summary>/);
    expect(text).not.toContain('href="/register"');
  });

  test('where nobody has one there is no form, but the way back in', async () => {
    const text = await shown('nobody');
    expect(text).not.toContain('<form');
    expect(text).toContain('npm run recover');
  });
});
