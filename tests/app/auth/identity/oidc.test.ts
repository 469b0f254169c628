import { describe, expect, test } from 'vitest';
import { useCompany } from '#support/company.ts';
import { WanderingBrowser } from '#support/identity.ts';

const company = useCompany();
const { db, configure, signIn, start, answerFor, deliver } = company;

describe('signing in by OpenID Connect', () => {
  test('makes the person, and a session by this provider', async () => {
    const { browser, end } = await signIn();
    expect(end).toBe('/account');
    const me = await company.plinth.whoIs(browser);
    expect(me).toMatchObject({
      email: company.email,
      name: `Person ${company.number}`,
      role: 'viewer',
      emailVerified: true,
    });
    expect(me?.secondFactor).toBe('none');
    expect(me?.via).toBe('Company');
    expect(company.plinth.audited.at(-1)).toMatchObject({
      action: 'signIn',
      outcome: 'done',
      actor: { name: company.email },
      target: 'identity-providers/Company',
      detail: { provider: 'Company', new: true },
    });
  });

  test('asks with PKCE, state and nonce, and each of them is new', async () => {
    const browser = new WanderingBrowser();
    const seen = [await browser.visit(start()), await browser.visit(start())].map(
      ({ location }) => new URL(location ?? ''),
    );
    for (const { searchParams } of seen) {
      expect(searchParams.get('code_challenge_method')).toBe('S256');
      expect(searchParams.get('redirect_uri')).toBe(`${company.plinth.url}/api/auth/sso/callback/Company`);
      expect(searchParams.get('scope')).toBe('openid email profile');
    }
    for (const name of ['state', 'nonce', 'code_challenge']) {
      const [one, other] = seen.map(({ searchParams }) => searchParams.get(name));
      expect(one).toMatch(/^[A-Za-z0-9_-]{43}$/);
      expect(other).not.toBe(one);
    }
  });

  test('two windows of one browser do not disturb each other', async () => {
    const browser = new WanderingBrowser();
    const first = await answerFor(browser);
    const second = await answerFor(browser, '?next=/account/devices');
    expect(await deliver(browser, second)).toBe('/account/devices');
    // The cookie went with the first that ended; the other window begins again.
    expect(await deliver(browser, first)).toBe('/sign-in?error=IDENTITY_STATE_UNKNOWN');
  });

  test('the same account is the same person, whatever its address is called later', async () => {
    const { browser } = await signIn();
    const before = await company.plinth.whoIs(browser);
    company.idp.person = { sub: `s${company.number}`, email: 'renamed@example.com', email_verified: true };
    const again = await company.plinth.whoIs((await signIn()).browser);
    expect(again?.id).toBe(before?.id);
    expect(again?.email).toBe(company.email);
  });

  test('a verified address finds the person who has it already', async () => {
    const id = await company.plinth.person(company.email.toUpperCase().toLowerCase(), 'seven silent owls', 'editor');
    company.idp.person = { ...company.idp.person, email: company.email.toUpperCase() };
    const me = await company.plinth.whoIs((await signIn()).browser);
    expect(me).toMatchObject({ id, role: 'editor' });
  });

  test('who has a second factor shows it after the provider, too', async () => {
    const id = await company.plinth.person(company.email);
    const { secret } = await company.plinth.secondFactor.beginTotp(id);
    await db.database.query('update totp set confirmed_at = now() where user_id = $1', [id]);
    expect(secret.reveal()).not.toBe('');
    const { browser, end } = await signIn(new WanderingBrowser(), '?next=/account/devices');
    expect(end).toBe('/second-factor?next=%2Faccount%2Fdevices');
    expect((await company.plinth.whoIs(browser))?.secondFactor).toBe('due');
  });

  test('a disabled person does not come in, and nothing of them is changed', async () => {
    const { browser } = await signIn();
    const me = await company.plinth.whoIs(browser);
    await company.plinth.people.setDisabled(me?.id ?? '', true);
    await configure({ roleMapping: { rules: [{ expression: 'yes', role: 'editor' }] } });
    expect((await signIn()).end).toBe('/sign-in?error=ACCOUNT_DISABLED');
    expect((await company.plinth.people.find(me?.id ?? ''))?.role).toBe('viewer');
  });

  test('a person who is gone and comes again is a new one', async () => {
    const before = await company.plinth.whoIs((await signIn()).browser);
    await company.plinth.people.remove(before?.id ?? '');
    const after = await company.plinth.whoIs((await signIn()).browser);
    expect(after?.email).toBe(company.email);
    expect(after?.id).not.toBe(before?.id);
  });

  test('nobody is made where the provider may not', async () => {
    await configure({ createPeople: false });
    expect((await signIn()).end).toBe('/sign-in?error=IDENTITY_UNKNOWN');
    expect(await company.plinth.people.findByEmail(company.email)).toBeUndefined();
  });

  test('only addresses of its domains come in', async () => {
    await configure({ domains: ['Example.ORG'] });
    expect((await signIn()).end).toBe('/sign-in?error=IDENTITY_DOMAIN');
    await configure({ domains: ['example.org', 'example.com'] });
    expect((await signIn()).end).toBe('/account');
    company.idp.person = { ...company.idp.person, sub: 'other', email: `x@sub.example.com` };
    expect((await signIn()).end).toBe('/sign-in?error=IDENTITY_DOMAIN');
  });

  test('a provider that is off is not offered and leads nowhere', async () => {
    await configure({ enabled: false });
    expect(await company.plinth.identity().buttons()).toEqual([]);
    expect((await signIn()).end).toBe('/sign-in?error=IDENTITY_PROVIDER_NOT_FOUND');
  });

  test('another replica, or this one after a restart, finishes what was begun', async () => {
    const browser = new WanderingBrowser();
    const answer = await answerFor(browser);
    company.plinth.open();
    expect(await deliver(browser, answer)).toBe('/account');
  });

  test('neither secrets nor codes stand in log or audit, whether it goes well or not', async () => {
    const browser = new WanderingBrowser();
    const answer = new URL(await answerFor(browser));
    const known = [answer.searchParams.get('code'), answer.searchParams.get('state'), company.idp.clientSecret];
    known.push(browser.cookiesFor(company.plinth.url).split('=')[1] ?? '');
    await configure({ clientSecret: 'a wrong secret 4711' });
    expect(await deliver(browser, answer.href)).toBe('/sign-in?error=IDENTITY_ANSWER_INVALID');
    await configure({ clientSecret: company.idp.clientSecret });
    expect((await signIn(browser)).end).toBe('/account');
    const written = company.plinth.log.text() + JSON.stringify(company.plinth.audited);
    expect(written).toContain('invalid_client');
    for (const secret of [...known, 'a wrong secret 4711']) expect(written).not.toContain(secret);
  });

  test('what the provider refuses is told as that', async () => {
    const browser = new WanderingBrowser();
    const url = new URL(await answerFor(browser));
    url.searchParams.delete('code');
    url.searchParams.set('error', 'access_denied');
    expect(await deliver(browser, url.href)).toBe('/sign-in?error=IDENTITY_REFUSED');
  });
});

describe('hostile: the walk', () => {
  test('OAuth state reuse: an answer counts once', async () => {
    const browser = new WanderingBrowser();
    const answer = await answerFor(browser);
    const cookies = browser.cookiesFor(company.plinth.url);
    expect(await deliver(browser, answer)).toBe('/account');
    const again = await fetch(answer, { redirect: 'manual', headers: { Cookie: cookies } });
    expect(again.headers.get('location')).toBe('/sign-in?error=IDENTITY_STATE_UNKNOWN');
  });

  test('of the same answer twice at once, one counts', async () => {
    const browser = new WanderingBrowser();
    const answer = await answerFor(browser);
    const headers = { Cookie: browser.cookiesFor(company.plinth.url) };
    const ends = await Promise.all(
      [1, 2, 3].map(async () => (await fetch(answer, { redirect: 'manual', headers })).headers.get('location')),
    );
    expect(ends.toSorted()).toEqual([
      '/account',
      '/sign-in?error=IDENTITY_STATE_UNKNOWN',
      '/sign-in?error=IDENTITY_STATE_UNKNOWN',
    ]);
  });

  test("login CSRF: an attacker's answer does not sign the victim's browser in", async () => {
    const attacker = new WanderingBrowser();
    const answer = await answerFor(attacker);
    const victim = new WanderingBrowser();
    expect(await deliver(victim, answer)).toBe('/sign-in?error=IDENTITY_STATE_UNKNOWN');
    // Nor when the victim has a walk of their own under way.
    await victim.visit(start());
    expect(await deliver(victim, answer)).toBe('/sign-in?error=IDENTITY_STATE_UNKNOWN');
    expect(await company.plinth.whoIs(victim)).toBeUndefined();
    expect(await deliver(attacker, answer)).toBe('/account');
  });

  test("code injection: somebody else's code under one's own state is refused by nonce and PKCE", async () => {
    const victim = new WanderingBrowser();
    const stolen = new URL(await answerFor(victim)).searchParams.get('code') ?? '';
    company.idp.person = { sub: 'attacker', email: 'attacker@example.com', email_verified: true };
    const attacker = new WanderingBrowser();
    const own = new URL(await answerFor(attacker));
    own.searchParams.set('code', stolen);
    expect(await deliver(attacker, own.href)).toBe('/sign-in?error=IDENTITY_ANSWER_INVALID');
    expect(await company.plinth.whoIs(attacker)).toBeUndefined();
  });

  test('an answer of one provider is not taken at the callback of another', async () => {
    expect((await company.plinth.api('POST', '', { ...company.body, name: 'Other' })).status).toBe(201);
    const browser = new WanderingBrowser();
    const answer = (await answerFor(browser)).replace('/callback/Company', '/callback/Other');
    expect(await deliver(browser, answer)).toBe('/sign-in?error=IDENTITY_STATE_UNKNOWN');
    expect((await company.plinth.api('DELETE', '/Other')).status).toBe(204);
  });

  test('a state that was never given, is malformed or is missing is refused', async () => {
    const browser = new WanderingBrowser();
    await browser.visit(start());
    for (const query of ['?code=x&state=made-up', '?code=x', '?state=%00&code=x', ''])
      expect(
        (await browser.visit(`${company.plinth.url}/api/auth/sso/callback/Company${query}`)).location ?? 'refused',
      ).toMatch(/refused|IDENTITY_STATE_UNKNOWN/);
  });

  test('after ten minutes a walk is over', async () => {
    const browser = new WanderingBrowser();
    const answer = await answerFor(browser);
    company.plinth.time.laterMs += 10 * 60_000 + 1;
    expect(await deliver(browser, answer)).toBe('/sign-in?error=IDENTITY_STATE_UNKNOWN');
    company.plinth.time.laterMs = 0;
  });

  test('the database holds nothing with which a walk could be finished', async () => {
    const browser = new WanderingBrowser();
    const url = new URL((await browser.visit(start())).location ?? '');
    const { rows } = await db.database.query('select * from identity_flows');
    const stored = JSON.stringify(rows);
    const cookie = browser.cookiesFor(company.plinth.url).split('=')[1] ?? '';
    expect(cookie).toMatch(/^[A-Za-z0-9_-]{43}$/);
    for (const secret of [cookie, ...['state', 'nonce'].map((name) => url.searchParams.get(name) ?? '')])
      expect(stored).not.toContain(secret);
  });

  test.each([
    '//evil.example',
    '/\\evil.example',
    '\\\\evil.example',
    'https://evil.example',
    'https:evil.example',
    'javascript:alert(1)',
    '/%09/evil.example',
    '/\t/evil.example',
    '/..//evil.example',
    'evil.example',
    ' //evil.example',
    '/x\r\nLocation: https://evil.example',
  ])('open redirect: ?next=%s stays here', async (next) => {
    const { end } = await signIn(new WanderingBrowser(), `?next=${encodeURIComponent(next)}`);
    expect(new URL(end ?? '', 'http://ours.example').origin).toBe('http://ours.example');
    expect(end).not.toContain('evil.example:');
    expect(end === '/account' || end === '/%09/evil.example', end).toBe(true);
  });
});

describe('hostile: who one is', () => {
  test('takeover by an address that the provider has not verified is refused', async () => {
    const id = await company.plinth.person(company.email, 'seven silent owls', 'admin');
    for (const verified of [false, 'false', undefined, 0, 'yes', null]) {
      company.idp.person = { sub: `thief-${verified}`, email: company.email, email_verified: verified };
      expect((await signIn()).end, String(verified)).toBe('/sign-in?error=IDENTITY_EMAIL_UNVERIFIED');
    }
    company.idp.person = { sub: 'without' };
    expect((await signIn()).end).toBe('/sign-in?error=IDENTITY_EMAIL_UNVERIFIED');
    expect((await company.plinth.people.find(id))?.email).toBe(company.email);
    const { rows } = await db.database.query('select * from identity_links where user_id = $1', [id]);
    expect(rows).toEqual([]);
  });

  test('letters that only look alike in lower case are not the same address', async () => {
    const id = await company.plinth.person(`mike${company.email}`, 'seven silent owls', 'admin');
    for (const email of [
      `mi\u212ae${company.email}`,
      `mike${company.email.replace('e', '\u0435')}`,
      `<mike>${company.email}`,
    ]) {
      company.idp.person = { sub: 'kelvin', email, email_verified: true };
      expect((await signIn()).end).toBe('/sign-in?error=IDENTITY_EMAIL_UNVERIFIED');
    }
    const { rows } = await db.database.query('select * from identity_links where user_id = $1', [id]);
    expect(rows).toEqual([]);
  });

  test('an address that was given to somebody new does not bring their account along', async () => {
    const before = await company.plinth.whoIs((await signIn()).browser);
    company.idp.person = { ...company.idp.person, sub: 'successor' };
    expect((await signIn()).end).toBe('/sign-in?error=IDENTITY_LINKED_OTHERWISE');
    // Until an administrator says that it is the same person.
    expect((await company.plinth.api('DELETE', `/Company/links/${company.email}`)).status).toBe(204);
    expect((await company.plinth.api('DELETE', `/Company/links/${company.email}`)).code).toBe(
      'IDENTITY_LINK_NOT_FOUND',
    );
    expect((await company.plinth.whoIs((await signIn()).browser))?.id).toBe(before?.id);
  });

  test('claims of the userinfo endpoint do not verify an address of the ID token', async () => {
    // The provider's own answer is the same in both here; what counts is that the pair is never mixed.
    company.idp.person = { sub: `s${company.number}`, email: company.email, email_verified: false };
    expect((await signIn()).end).toBe('/sign-in?error=IDENTITY_EMAIL_UNVERIFIED');
    await configure({ trustEmail: true });
    expect((await signIn()).end).toBe('/account');
  });

  test('a subject means nothing once the provider is another', async () => {
    const before = await company.plinth.whoIs((await signIn()).browser);
    await configure({ issuer: company.idp.issuer.replace('127.0.0.1', 'localhost') });
    const { rows } = await db.database.query('select * from identity_links where user_id = $1', [before?.id]);
    expect(rows).toEqual([]);
  });
});
