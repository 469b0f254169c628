import type { BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { TestBrowser } from '#support/browser.ts';
import { signIn } from './people.ts';
import type { Account, Place } from './place.ts';

/** What a page may find out by a request: that it ended, and whatever it can read. */
interface Told {
  readonly read: string;
}

/** Everything that a page could change by acting as its visitor. */
interface State {
  readonly me: unknown;
  readonly tokens: unknown;
  readonly sessions: unknown;
  readonly secondFactor: unknown;
}

/**
 * A page of a project, visited by somebody who is signed in, tries to act as them. It is served on the same site as the
 * control plane, so that the browser sends the visitor's cookies along wherever SameSite is all that holds them back.
 */
export function hostilePageTests(browser: TestBrowser, open: () => Promise<Place>): void {
  let place: Place;
  let victim: Account;
  let attacker: Account;
  /** What the visitor's browser has: they are signed in. */
  let visitor: Awaited<ReturnType<BrowserContext['storageState']>>;
  let context: BrowserContext;
  /** The hostile page, in the browser of its visitor. */
  let page: Page;
  let before: State;
  let origin: string;
  const hostile = (referrer = '') => `${place.front.origin(place.project)}/?referrer=${referrer}`;

  beforeAll(async () => {
    place = await open();
    victim = await place.person('victim@example.com');
    attacker = await place.person('attacker@example.com');
    place.front.serve(place.project, (request, response) => {
      const policy = new URL(request.url ?? '/', 'http://x').searchParams.get('referrer') ?? '';
      response.writeHead(200, { 'Content-Type': 'text/html', ...(policy === '' ? {} : { 'Referrer-Policy': policy }) });
      response.end('<!doctype html><title>A project</title><body>');
    });
    origin = place.origin;
    // Two devices, so that signing out the others would be seen.
    for (const _ of ['elsewhere', 'here']) {
      const here = await browser.open();
      await signIn(await here.newPage(), origin, victim);
      visitor = await here.storageState();
      await here.close();
    }
    before = await stateOf(place, victim);
    expect(before.me).toMatchObject({ name: victim.email });
    expect(before.sessions).toMatchObject({ items: [{}, {}] });
  });
  afterAll(() => place?.close());
  beforeEach(async () => {
    context = await browser.open({ storageState: visitor });
    page = await context.newPage();
    await page.goto(hostile());
  });

  /** Runs in the hostile page; `target` is the origin of the control plane. */
  const run = <Result>(script: string): Promise<Result> =>
    page.evaluate(`(async (target) => { ${script} })(${JSON.stringify(origin)})`);

  /** Nothing has changed: what the visitor has, and their sessions, this one too. */
  const nothingHappened = async () => {
    expect(await stateOf(place, victim)).toEqual(before);
  };
  /** And their browser goes on as if nothing had been. */
  const visitorGoesOn = async () => {
    await nothingHappened();
    await page.goto(`${origin}/account`);
    expect(await page.textContent('main')).toContain(victim.email);
  };
  /** Sends every request at once; says which could be read. */
  const readable = (requests: readonly (readonly [path: string, init: Record<string, unknown>])[]) =>
    run<string[]>(`const told = ${JSON.stringify(requests)}.map(async ([path, init]) => {
        const reply = await fetch(target + path, { credentials: 'include', ...init });
        return init.mode + ' ' + path + ' ' + (await reply.text());
      });
      const ended = await Promise.allSettled(told);
      return ended.map(({ value }) => value ?? '').filter((text) => text.split(' ').slice(2).join('') !== '');`);

  test('the visitor is signed in: what the page is after is there', async () => {
    await page.goto(`${origin}/api/v1/me`);
    expect(await page.textContent('body')).toContain(victim.email);
    const names = (await context.cookies(origin)).map(({ name }) => name).toSorted();
    const prefix = origin.startsWith('https:') ? '__Host-' : '';
    expect(names).toEqual(['csrf', 'form', 'session'].map((name) => `${prefix}plinth.${name}`));
  });

  test('nothing is read by a script', async () => {
    const paths = [
      '/api/v1/me',
      '/api/v1/tokens',
      '/api/auth/get-session',
      '/account/devices',
      '/sign-in',
      '/openapi.json',
    ];
    const { seen } = place.front;
    const requests = paths.flatMap((path) => ['cors', 'no-cors'].map((mode) => [path, { mode }] as const));
    expect(await readable(requests)).toEqual([]);
    for (const path of paths) expect(seen).toContain(`GET ${place.plinth}${path}`);
    await visitorGoesOn();
  });

  test.each([
    ['POST', 'text/plain', '{"name":"stolen"}'],
    ['POST', 'application/json', '{"name":"stolen"}'],
    ['POST', 'application/x-www-form-urlencoded', 'name=stolen&csrf='],
    ['PUT', 'application/json', '{"current":"x","next":"seven purple submarines"}'],
    ['DELETE', 'application/json', '{}'],
  ])('%s of %s by a script changes nothing and is not read', async (method, type, body) => {
    const headers = { 'Content-Type': type };
    const guessed = { ...headers, 'X-CSRF-Token': 'x'.repeat(43), Authorization: 'Bearer x' };
    const init = { method, body };
    const wishes = [
      { ...init, mode: 'cors', headers },
      { ...init, mode: 'no-cors', headers },
      { ...init, mode: 'cors', headers: guessed },
    ];
    expect(await readable(changing.flatMap((path) => wishes.map((wish) => [path, wish] as const)))).toEqual([]);
    await nothingHappened();
  });

  test('a beacon changes nothing', async () => {
    const { seen } = place.front;
    const before = seen.length;
    await run(`navigator.sendBeacon(target + '/api/auth/sign-out', '{}');
      navigator.sendBeacon(target + '/sign-out', new URLSearchParams({ csrf: '' }));`);
    const beacons = ['/api/auth/sign-out', '/sign-out'].map((path) => `POST ${place.plinth}${path}`);
    await expect
      .poll(() => seen.slice(before), { interval: 10, timeout: 10_000 })
      .toEqual(expect.arrayContaining(beacons));
    await nothingHappened();
  });

  test.each(referrers)('forms that send themselves change nothing; referrer policy %j', async (referrer) => {
    await page.goto(hostile(referrer));
    const answered: string[] = [];
    page.on('response', (response) => answered.push(`${response.status()} ${new URL(response.url()).pathname}`));
    const all = forms.flatMap(([path, fields]) => encodings.map((encoding) => [path, fields, encoding] as const));
    for (const [path, fields, encoding] of all) await run(submit(path, fields, { encoding, into: 'frame' }));
    const refused = () => answered.filter((line) => /^(403|415) \//.test(line));
    await expect.poll(() => refused().length, { interval: 10, timeout: 10_000 }).toBe(all.length);
    const [path, fields] = forms[1];
    await run(submit(path, fields, { encoding: encodings[0], into: 'window' }));
    await page.waitForURL(origin + path);
    expect(refused()).toHaveLength(all.length + 1);
    await visitorGoesOn();
  });

  test('addresses that are only opened change nothing', async () => {
    await run(`await Promise.all(${JSON.stringify(opened)}.map((path) => new Promise((resolve) => {
      const image = new Image();
      image.onload = image.onerror = resolve;
      image.src = target + path;
    })));`);
    for (const path of opened) {
      await page.goto(hostile('no-referrer'));
      await run(`setTimeout(() => { location.href = target + ${JSON.stringify(path)}; }, 0)`);
      await page.waitForURL((url) => url.origin === origin);
    }
    await visitorGoesOn();
  });

  test('no page of ours shows itself in a frame of theirs', async () => {
    for (const path of ['/account', '/sign-in', '/account/second-factor']) {
      await run(`const frame = document.createElement('iframe');
        frame.src = target + ${JSON.stringify(path)};
        document.body.append(frame);`);
      // Chromium shows a page of its own in place of what may not be framed.
      const framed = () => page.frames().find((frame) => frame !== page.mainFrame());
      const patience = { interval: 10, timeout: 10_000 };
      await expect.poll(() => framed()?.url(), patience).toMatch(/^(chrome-error:|https?:)/);
      await framed()?.waitForLoadState();
      expect(await framed()?.evaluate('document.querySelector("main") === null')).toBe(true);
      expect(await run('return document.querySelector("iframe").contentDocument === null;')).toBe(true);
      await run('document.querySelector("iframe").remove();');
    }
    await nothingHappened();
  });

  test('a window that it opens on our pages is closed to it', async () => {
    const window = context.waitForEvent('page');
    await run(`globalThis.other = globalThis.open(target + '/account');`);
    const other = await window;
    await other.waitForLoadState();
    const told = await run<Told>(`
      try { return { read: globalThis.other.document.body.innerText }; } catch {}
      try { return { read: String(globalThis.other.location.href) }; } catch {}
      return { read: '' };`);
    expect(told.read).not.toContain(victim.email);
    expect(['', 'about:blank']).toContain(told.read);
    await other.close();
    await nothingHappened();
  });

  test('what loads by tags and by sockets is not read', async () => {
    const told = await run<string[]>(`
      const read = [];
      const end = (thing, name, good) => new Promise((resolve) => {
        thing[good] = () => { read.push(name); resolve(); };
        thing.onerror = resolve;
      });
      for (const tag of ['script', 'img']) {
        const element = document.createElement(tag);
        const ended = end(element, tag, 'onload');
        element.src = target + '/api/v1/me';
        document.body.append(element);
        await ended;
      }
      await end(new WebSocket(target.replace(/^http/, 'ws') + '/api/v1/me'), 'socket', 'onopen');
      const events = new EventSource(target + '/api/v1/me', { withCredentials: true });
      await end(events, 'events', 'onopen');
      events.close();
      return read;`);
    expect(told).toEqual([]);
    await nothingHappened();
  });

  describe('cookies that it sets for the domain of both', () => {
    /** Sets a cookie in every way that a page can. */
    const toss = async (name: string, value: string) => {
      const cookies = [`${name}=${value}; Path=/; Secure`];
      for (const domain of [place.project, ...parents(place.project)])
        for (const path of ['/', '/account', '/sign-in', '/api'])
          for (const more of ['', '; Secure']) cookies.push(`${name}=${value}; Domain=${domain}; Path=${path}${more}`);
      await run(`for (const cookie of ${JSON.stringify(cookies)}) document.cookie = cookie;`);
    };
    /** Which of them the control plane gets. */
    const arriving = async (value: string) => {
      const paths = ['/', '/account', '/sign-in', '/api/v1/me'];
      const sent = (await Promise.all(paths.map((path) => context.cookies(origin + path)))).flat();
      return [...new Set(sent.filter((cookie) => cookie.value === value).map(({ name }) => name))].toSorted();
    };

    test('none with the prefix __Host- reaches us; the others do where both have a domain', async () => {
      for (const name of ['session', 'csrf', 'form']) await toss(`__Host-plinth.${name}`, 'forged');
      expect(await arriving('forged')).toEqual([]);
      await toss('plinth.session', 'forged');
      expect(await arriving('forged')).toEqual(place.plinth === 'localhost' ? [] : ['plinth.session']);
      await visitorGoesOn();
    });

    test('a forged session or token is not believed, and takes nothing away', async () => {
      for (const name of ['session', 'csrf', 'form'])
        for (const prefix of ['', '__Secure-', '__Host-']) await toss(`${prefix}plinth.${name}`, 'x');
      const headers = { 'Content-Type': encodings[0], 'X-CSRF-Token': 'x' };
      expect(await readable([['/sign-out', { method: 'POST', mode: 'cors', headers, body: 'csrf=x' }]])).toEqual([]);
      const answered = page.waitForResponse((response) => response.url() === `${origin}/sign-out`);
      await run(submit('/sign-out', { csrf: 'x' }, { encoding: encodings[0], into: 'frame' }));
      expect((await answered).status()).toBe(403);
      await visitorGoesOn();
    });

    test("nobody is signed in to the attacker's account by a form of theirs", async () => {
      context = await browser.open();
      page = await context.newPage();
      const token = 'A'.repeat(32);
      const fields = { csrf: token, email: attacker.email, password: attacker.password };
      for (const referrer of referrers) {
        await page.goto(hostile(referrer));
        for (const prefix of ['', '__Host-', '__Secure-']) await toss(`${prefix}plinth.form`, token);
        const answered = page.waitForResponse((response) => response.url() === `${origin}/sign-in`);
        await run(submit('/sign-in', fields, { encoding: encodings[0], into: 'window' }));
        expect((await answered).status()).toBe(403);
        await page.waitForURL(`${origin}/sign-in`);
        await page.goto(`${origin}/account`);
        expect(new URL(page.url()).pathname).toBe('/sign-in');
      }
    });

    test("the attacker's own session never becomes the visitor's", async () => {
      const { session, csrf } = await ownCookies(browser, place, attacker);
      for (const prefix of ['', '__Host-', '__Secure-']) {
        await toss(`${prefix}plinth.session`, session);
        await toss(`${prefix}plinth.csrf`, csrf);
      }
      const later = await context.newPage();
      await later.goto(`${origin}/account`);
      const text = (await later.textContent('body')) ?? '';
      // Whom two sessions came for is asked to sign in; nobody works in the account of somebody else.
      expect(text).not.toContain(attacker.email);
      if (text.includes(victim.email)) return;
      await signIn(later, origin, victim);
      expect(await later.textContent('main')).toContain(victim.email);
    });
  });
}

const referrers = ['', 'no-referrer', 'unsafe-url'];
const encodings = ['application/x-www-form-urlencoded', 'text/plain', 'multipart/form-data'] as const;

/** What somebody would call who wants to change something. */
const changing = [
  '/api/v1/tokens',
  '/api/v1/me/password',
  '/api/auth/sign-out',
  '/api/auth/revoke-other-sessions',
  '/api/auth/two-factor/enable',
  '/account/devices/sign-out-others',
  '/sign-out',
];

const forms = [
  ['/sign-out', { csrf: '' }],
  ['/account/devices/sign-out-others', { csrf: '' }],
  ['/account/password', { csrf: '', current: 'x', password: 'seven purple submarines' }],
  ['/api/auth/sign-out', {}],
  ['/api/v1/tokens', { name: 'stolen' }],
] as const;

/** Addresses that a link could lead to. */
const opened = [
  '/sign-out',
  '/api/auth/sign-out',
  '/account/devices/sign-out-others',
  '/account/second-factor/disable',
  '/verify-email?token=x',
  '/sign-in?next=//evil.example',
];

async function ownCookies(
  browser: TestBrowser,
  { origin }: Place,
  attacker: Account,
): Promise<{ session: string; csrf: string }> {
  const context = await browser.open();
  await signIn(await context.newPage(), origin, attacker);
  const cookies = await context.cookies(origin);
  const value = (name: string) => cookies.find((cookie) => cookie.name.endsWith(`plinth.${name}`))?.value ?? '';
  expect(value('session').length).toBeGreaterThan(40);
  return { session: value('session'), csrf: value('csrf') };
}

/** Looked up with the victim's password, which must still be theirs. */
async function stateOf({ controlPlane }: Place, victim: Account): Promise<State> {
  const headers = { Authorization: `Basic ${Buffer.from(`${victim.email}:${victim.password}`).toString('base64')}` };
  const get = async (path: string) => {
    const reply = await fetch(controlPlane.url + path, { headers });
    expect([path, reply.status]).toEqual([path, 200]);
    return reply.json();
  };
  const [me, tokens, sessions, secondFactor] = await Promise.all(
    ['/api/v1/me', '/api/v1/tokens', '/api/auth/list-sessions', '/api/auth/two-factor'].map(get),
  );
  return { me, tokens, sessions, secondFactor };
}

function submit(
  path: string,
  fields: Readonly<Record<string, string>>,
  { encoding, into }: { readonly encoding: string; readonly into: 'frame' | 'window' },
): string {
  return `
    const form = document.createElement('form');
    form.method = 'post';
    form.enctype = ${JSON.stringify(encoding)};
    form.action = target + ${JSON.stringify(path)};
    for (const [name, value] of Object.entries(${JSON.stringify(fields)})) {
      const input = document.createElement('input');
      input.type = 'hidden'; input.name = name; input.value = value;
      form.append(input);
    }
    const frame = document.createElement('iframe');
    frame.name = 'hidden' + document.forms.length;
    document.body.append(frame, form);
    if (${into === 'frame'}) form.target = frame.name;
    setTimeout(() => form.submit(), 0);`;
}

/** The domains above a host that a cookie could be set for. */
function parents(hostname: string): string[] {
  const labels = hostname.split('.');
  return labels.slice(1, -1).map((_, index) => labels.slice(index + 1).join('.'));
}
