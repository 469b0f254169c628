import type { BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeInBrowser } from '#support/browser.ts';
import { type SmtpTestServer, startSmtpServer } from '#support/smtp.ts';
import { fillIn, signIn } from './people.ts';
import { type Place, startPlace } from './place.ts';

const open = [
  '/sign-in',
  '/reset-password',
  '/reset-password?done=mailed',
  '/reset-password?token=x',
  '/verify-email?token=x',
  '/invitation?token=x',
  '/register',
  '/sign-in?done=signed-out',
];
const own = ['/account', '/account?done=password', '/account/devices', '/account/second-factor', '/sign-out'];

/** Text of less contrast than WCAG 2.2 AA asks for, each with its ratio; large text counts as any other. */
const faint = `(() => {
  const numbers = (color) => (/rgba?\\(([^)]+)\\)/.exec(color)?.[1] ?? '').split(/[ ,/]+/).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map((each) => each / 255)
    .map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4))
    .reduce((sum, each, index) => sum + each * [0.2126, 0.7152, 0.0722][index], 0);
  const ground = (element) => {
    for (let here = element; here !== null; here = here.parentElement) {
      const color = numbers(getComputedStyle(here).backgroundColor);
      if ((color[3] ?? 1) > 0) return color;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== '');
    if (!own || element.getClientRects().length === 0) continue;
    const [a, b] = [light(numbers(getComputedStyle(element).color)), light(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (!(ratio >= 4.5)) found.push(element.tagName + ' ' + element.textContent.trim().slice(0, 40) + ' ' + ratio.toFixed(2));
  }
  return found;
})()`;

/** Fields that nobody who hears the page can name, and buttons and links without words. */
const nameless = `[...document.querySelectorAll('input:not([type=hidden]):not([hidden]), button, a')]
  .filter((element) => element.tagName === 'INPUT' ? element.labels.length !== 1 || element.labels[0].innerText.trim() === '' : (element.ariaLabel ?? element.innerText).trim() === '')
  .map((element) => element.outerHTML)`;

describeInBrowser('the pages', (browser) => {
  let place: Place;
  let post: SmtpTestServer;
  let state: Awaited<ReturnType<BrowserContext['storageState']>>;
  const account = () => place.person('ada@example.com');

  beforeAll(async () => {
    post = await startSmtpServer();
    const mail = { SMTP_HOST: '127.0.0.1', SMTP_PORT: String(post.port), SMTP_SENDER_EMAIL: 'plinth@example.com' };
    // A name that browsers trust without TLS: elsewhere they complain of that.
    place = await startPlace({ plinth: 'localhost', settings: { ...mail, AUTH_ALLOW_REGISTRATION: 'true' } });
    const ada = await account();
    const context = await browser.open();
    await signIn(await context.newPage(), place.origin, ada);
    state = await context.storageState();
  });
  afterAll(async () => {
    await place?.close();
    await post?.close();
  });

  /** What every page must be, with whatever is on it now. */
  const look = async (page: Page) => {
    const at = page.url().slice(place.origin.length);
    expect([at, await page.evaluate(faint)]).toEqual([at, []]);
    expect([at, await page.evaluate(nameless)]).toEqual([at, []]);
    const wide = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
    expect([at, await page.evaluate(wide)]).toEqual([at, 0]);
    expect(await page.locator('html').getAttribute('lang')).toBe('en');
    expect([at, await page.locator('h1').count(), await page.locator('main').count()]).toEqual([at, 1, 1]);
    const ids = '[...document.querySelectorAll("[id]")].map(({ id }) => id)';
    const all = await page.evaluate<string[]>(ids);
    expect([at, all.toSorted()]).toEqual([at, [...new Set(all)].toSorted()]);
  };

  describe.each(['light', 'dark'] as const)('%s, on the narrowest of phones', (colorScheme) => {
    const options = { colorScheme, viewport: { width: 320, height: 640 } };

    test('fit, can be read and have names for everything, before signing in', async () => {
      const page = await (await browser.open(options)).newPage();
      for (const path of open) {
        await page.goto(place.origin + path);
        await look(page);
      }
      await page.goto(`${place.origin}/register`);
      await fillIn(page, { name: ' ', email: 'a@b', password: ' ' });
      await page.getByRole('alert').waitFor();
      await look(page);
    });

    test('and after it', async () => {
      const page = await (await browser.open({ ...options, storageState: state })).newPage();
      for (const path of own) {
        await page.goto(place.origin + path);
        expect(new URL(page.url()).pathname).toBe(path.split('?')[0]);
        await look(page);
      }
      await page.goto(`${place.origin}/account/second-factor`);
      await fillIn(page, { password: 'nine orange kayaks' });
      await page.getByRole('img').waitFor();
      await look(page);
      await fillIn(page, { code: '000000' });
      await page.getByRole('alert').waitFor();
      await look(page);
    });
  });

  test('what these tests look for they would find', async () => {
    const page = await (await browser.open()).newPage();
    await page.setContent('<p style="color: #777777; background: #ffffff">grey</p><input id="a"><a href="/"></a>');
    expect(await page.evaluate(faint)).toEqual(['P grey 4.48']);
    expect(await page.evaluate(nameless)).toEqual(['<input id="a">', '<a href="/"></a>']);
  });

  test('what is wrong has the focus, so that it is read first', async () => {
    const page = await (await browser.open()).newPage();
    await page.goto(`${place.origin}/sign-in`);
    await page.locator('#email:focus').waitFor();
    await fillIn(page, { email: 'ada@example.com', password: 'wrong' });
    await page.locator('[role=alert]:focus').waitFor();
  });

  test('nothing of them comes from elsewhere, and the browser has nothing to complain of', async () => {
    const context = await browser.open({ storageState: state });
    const page = await context.newPage();
    const requests: string[] = [];
    const complaints: string[] = [];
    page.on('request', (request) => requests.push(request.url()));
    page.on('console', (message) => complaints.push(message.text()));
    for (const path of ['/account', '/account/devices', '/account/second-factor', '/sign-out'])
      await page.goto(place.origin + path);
    await context.clearCookies();
    for (const path of ['/sign-in', '/register', '/reset-password']) await page.goto(place.origin + path);
    expect(requests.filter((url) => !url.startsWith(`${place.origin}/`) && !url.startsWith('data:'))).toEqual([]);
    expect(complaints).toEqual([]);
  });
});
