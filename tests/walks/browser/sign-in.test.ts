import { Secret as OtpSecret, TOTP } from 'otpauth';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeInBrowser } from '#support/browser.ts';
import { missingTls } from '#support/front.ts';
import { type SmtpTestServer, startSmtpServer } from '#support/smtp.ts';
import { fillIn, press, signIn, words } from './people.ts';
import { type Place, startPlace } from './place.ts';

/** Walks as people take them, in a browser without script: none is needed. */
describeInBrowser('signing in', (browser) => {
  let place: Place;
  let post: SmtpTestServer;
  const tls = missingTls() === undefined;

  beforeAll(async () => {
    post = await startSmtpServer();
    const settings = {
      SMTP_HOST: '127.0.0.1',
      SMTP_PORT: String(post.port),
      SMTP_SENDER_EMAIL: 'plinth@example.com',
      AUTH_ALLOW_REGISTRATION: 'true',
    };
    place = await startPlace({ tls, settings });
  });
  afterAll(async () => {
    await place?.close();
    await post?.close();
  });

  const newPage = async (userAgent?: string): Promise<Page> =>
    (await browser.open({ javaScriptEnabled: false, ...(userAgent === undefined ? {} : { userAgent }) })).newPage();
  const pathOf = (page: Page) => page.url().slice(place.origin.length);

  /** The link in the last mail to somebody. */
  async function mailedLink(email: string): Promise<string> {
    const find = () => post.mails.findLast(({ to }) => to.includes(email))?.body.replace(/=\r?\n/g, '');
    await expect.poll(find, { interval: 10, timeout: 10_000 }).toBeDefined();
    return /https?:\/\/\S+/.exec(find()?.replaceAll('=3D', '=') ?? '')?.[0] ?? '';
  }

  test('a page leads to sign-in and back; wrong passwords are told; only the keyboard is needed', async () => {
    const { email, password } = await place.person('ada@example.com');
    const page = await newPage();
    await page.goto(`${place.origin}/account/devices`);
    expect(pathOf(page)).toBe('/sign-in?next=%2Faccount%2Fdevices');
    // The first field has the focus by itself.
    await page.locator('#email:focus').waitFor();
    await page.keyboard.type(email);
    await page.keyboard.press('Tab');
    await page.keyboard.type('not my password');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').waitFor();
    expect(await words(page)).toContain('The e-mail address or the password is wrong.');
    expect([await page.inputValue('#email'), await page.inputValue('#password')]).toEqual([email, '']);
    await page.focus('#password');
    await page.keyboard.type(password);
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.waitForURL(`${place.origin}/account/devices`);
    expect(await words(page)).toContain('Chrome on Linux This device From 127.0.0.1.');
    const cookies = await page.context().cookies(place.origin);
    const prefix = tls ? '__Host-' : '';
    const session = cookies.find(({ name }) => name === `${prefix}plinth.session`);
    expect(session).toMatchObject({ httpOnly: true, secure: tls, sameSite: 'Lax', path: '/', domain: place.plinth });
    await page.getByRole('button', { name: 'Sign out', exact: true }).first().click();
    await page.waitForURL(`${place.origin}/sign-in?done=signed-out`);
    // What the browser kept of before is not shown again.
    await page.goBack();
    expect(pathOf(page)).toMatch(/^\/sign-in/);
  });

  test('an authenticator app is set up and asked for from then on; a backup code takes its place', async () => {
    const account = await place.person('grace@example.com');
    const page = await newPage();
    await signIn(page, place.origin, account);
    await page.getByRole('link', { name: 'Second factor' }).click();
    await fillIn(page, { password: account.password }, 'Set up an authenticator app');
    await page.getByRole('img', { name: 'QR code for your authenticator app' }).waitFor();
    const key = ((await page.textContent('.key')) ?? '').replaceAll(' ', '');
    const app = new TOTP({ secret: OtpSecret.fromBase32(key) });
    await fillIn(page, { code: '000000' });
    await page.getByRole('alert').waitFor();
    expect((await page.textContent('.key'))?.replaceAll(' ', '')).toBe(key);
    const first = app.generate();
    await fillIn(page, { code: first });
    await page.getByRole('heading', { name: 'Your backup codes' }).waitFor();
    const codes = await page.locator('.codes code').allInnerTexts();
    expect(new Set(codes).size).toBe(10);
    await page.getByRole('link', { name: 'I have kept them' }).click();
    expect(await words(page)).toContain('You have 10 backup codes left');

    const other = await newPage();
    await signIn(other, place.origin, account, '/second-factor');
    await other.goto(`${place.origin}/account`);
    expect(pathOf(other)).toBe('/second-factor');
    // Each code works once, also the one by which the app was turned on.
    await fillIn(other, { code: first });
    await other.getByRole('alert').waitFor();
    await fillIn(other, { code: codes[0] ?? '' });
    await other.waitForURL(`${place.origin}/account`);
    await other.goto(`${place.origin}/account/second-factor`);
    expect(await words(other)).toContain('You have 9 backup codes left');
    await other.fill('#code-off', codes[1] ?? '');
    await press(other, 'Turn the app off');
    await other.waitForURL(`${place.origin}/account/second-factor?done=off`);
  });

  test('a forgotten password is set anew by a mailed link, which works once; every device is signed out', async () => {
    const account = await place.person('joan@example.com');
    const device = await newPage();
    await signIn(device, place.origin, account);
    const page = await newPage();
    await page.goto(`${place.origin}/sign-in`);
    await page.getByRole('link', { name: 'Forgotten your password?' }).click();
    await fillIn(page, { email: account.email });
    expect(await words(page)).toContain('If there is an account with that address');
    const link = await mailedLink(account.email);
    expect(link.startsWith(`${place.origin}/reset-password?token=`)).toBe(true);
    await page.goto(link);
    await fillIn(page, { password: 'seven purple submarines' });
    await page.waitForURL(`${place.origin}/sign-in?done=password`);
    await fillIn(page, { email: account.email, password: 'seven purple submarines' });
    await page.waitForURL(`${place.origin}/account`);
    await device.goto(`${place.origin}/account`);
    expect(pathOf(device)).toBe('/sign-in');
    await device.goto(link);
    await fillIn(device, { password: 'eight purple submarines' });
    expect(await words(device)).toContain('This link is wrong, was used already, or is too old.');
    // Neither log nor console of the control plane has the token.
    const token = new URL(link).searchParams.get('token') ?? '';
    expect(token.length).toBeGreaterThan(40);
    expect(place.controlPlane.log() + place.controlPlane.output()).not.toContain(token);
  });

  test('a device is signed out from another one, at once', async () => {
    const account = await place.person('emmy@example.com');
    const phone = await newPage(
      'Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/604.1',
    );
    await signIn(phone, place.origin, account);
    const page = await newPage();
    await signIn(page, place.origin, account);
    await page.getByRole('link', { name: 'Devices' }).click();
    await page.getByRole('button', { name: /^Sign out Safari on iPhone/ }).click();
    await page.waitForURL(`${place.origin}/account/devices?done=one`);
    expect(await words(page)).not.toContain('iPhone');
    await expect
      .poll(async () => (await phone.goto(`${place.origin}/account`))?.url(), { interval: 10, timeout: 10_000 })
      .toContain('/sign-in');
  });

  test('an invitation makes an account', async () => {
    const wish = { email: 'mary@example.com', role: 'viewer' };
    const { status, body } = await place.controlPlane.request('POST', '/api/v1/invitations', wish);
    expect([status, typeof body.link]).toEqual([201, 'string']);
    const page = await newPage();
    await page.goto(body.link);
    expect(await words(page)).toContain('Your account will be mary@example.com');
    await fillIn(page, { name: 'Mary', password: 'seven purple submarines' });
    await page.waitForURL(`${place.origin}/sign-in?done=invited`);
    await fillIn(page, { email: wish.email, password: 'seven purple submarines' });
    await page.waitForURL(`${place.origin}/account`);
    expect(await words(page)).toContain('Name Mary');
  });

  test('whoever registers confirms their address first', async () => {
    const page = await newPage();
    await page.goto(`${place.origin}/sign-in`);
    await page.getByRole('link', { name: 'Register' }).click();
    const account = { email: 'sofia@example.com', password: 'seven purple submarines' };
    await fillIn(page, { name: 'Sofia', ...account });
    expect(await words(page)).toContain('We have mailed you a link.');
    const link = await mailedLink(account.email);
    await page.goto(`${place.origin}/sign-in`);
    await fillIn(page, account);
    await page.getByRole('alert').waitFor();
    await page.goto(link);
    await press(page, 'Confirm the address');
    await page.waitForURL(`${place.origin}/sign-in?done=verified`);
    await fillIn(page, account);
    await page.waitForURL(`${place.origin}/account`);
  });
});
