import type { Page } from 'playwright-core';
import type { Account } from './place.ts';

/** Signs in on the page, as people do, and waits for where it leads. */
export async function signIn(
  page: Page,
  origin: string,
  { email, password }: Account,
  leads = '/account',
): Promise<void> {
  await page.goto(`${origin}/sign-in`);
  await fillIn(page, { email, password });
  await page.waitForURL(origin + leads);
}

/** Fills in the form of the page by the names of its fields, and presses its button. */
export async function fillIn(page: Page, fields: Readonly<Record<string, string>>, button?: string): Promise<void> {
  for (const [id, value] of Object.entries(fields)) await page.fill(`#${id}`, value);
  await press(page, button);
}

/** The button of that name; else the first one of the page's content. */
export const press = (page: Page, button?: string): Promise<void> =>
  button === undefined
    ? page.locator('main button').first().click()
    : page.locator('main').getByRole('button', { name: button, exact: true }).click();

/** What is to be read on the page, without its head. */
export const words = async (page: Page): Promise<string> =>
  (await page.locator('main').innerText()).replace(/\s+/g, ' ').trim();
