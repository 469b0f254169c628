import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openIdentity, type TestIdentity, WanderingBrowser } from '#support/identity.ts';
import { startPlayedGithub } from '#support/played-providers.ts';
import { useDatabase } from '#support/postgres.ts';

const db = useDatabase();
let plinth: TestIdentity;
let github: Awaited<ReturnType<typeof startPlayedGithub>>;

beforeAll(async () => {
  plinth = await openIdentity(db.database, { limits: { recordedFrom: { most: 4, seconds: 60 } } });
  github = await startPlayedGithub();
  plinth.open({ room: { ofBrowser: 3, ofAll: 8 } });
  const wish = {
    kind: 'github',
    label: 'GitHub',
    server: github.url,
    clientId: 'plinth',
    clientSecret: 'client secret',
  };
  expect((await plinth.api('POST', '', { ...wish, name: 'GitHub' })).status).toBe(201);
  github.state.user = { id: 1, login: 'ada', name: 'Ada King' };
  github.state.emails = [{ email: 'ada@example.com', primary: true, verified: true }];
  github.state.teams = [];
});
afterAll(async () => {
  await github?.close();
  await plinth?.close();
});
afterEach(() => db.database.query('truncate identity_flows'));

const start = () => `${plinth.url}/api/auth/sign-in/GitHub`;
const depart = async (browser = new WanderingBrowser()) => (await browser.visit(start())).location ?? '';
const isOurs = (url: string) => url.startsWith(plinth.url) && !url.includes('/api/auth/');
const walks = async () => (await db.database.query('select from identity_flows')).rows.length;

test('however many a stranger begins, so many are kept, and nobody is refused', async () => {
  for (let i = 0; i < 30; i++) expect(await depart()).toContain(`${github.url}/login/oauth/authorize`);
  expect(await walks()).toBe(8);
  const { location } = await new WanderingBrowser().follow(start(), isOurs);
  expect(location).toBe(`${plinth.url}/account`);
});

test('who is under way comes back to it while a stranger goes on; the oldest make room', async () => {
  const [early, late] = [new WanderingBrowser(), new WanderingBrowser()];
  const earlyAt = await depart(early);
  for (let i = 0; i < 4; i++) await depart();
  const lateAt = await depart(late);
  for (let i = 0; i < 4; i++) await depart();
  expect((await late.follow(lateAt, isOurs)).location).toBe(`${plinth.url}/account`);
  expect((await early.follow(earlyAt, isOurs)).location).toBe(`${plinth.url}/sign-in?error=IDENTITY_STATE_UNKNOWN`);
});

test('one browser fills no room but its own', async () => {
  const other = new WanderingBrowser();
  const otherAt = await depart(other);
  const busy = new WanderingBrowser();
  for (let i = 0; i < 30; i++) await depart(busy);
  expect(await walks()).toBe(4);
  expect((await other.follow(otherAt, isOurs)).location).toBe(`${plinth.url}/account`);
});

test('what has its answer waits for its browser, whoever begins what', async () => {
  await depart();
  await db.database.query(`update identity_flows set answer = '{}'`);
  for (let i = 0; i < 20; i++) await depart();
  const { rows } = await db.database.query('select from identity_flows where answer is not null');
  expect(rows).toHaveLength(1);
});

test('of answers that a stranger makes up the audit is told so many', async () => {
  const refusals = () => plinth.audited.filter(({ outcome }) => outcome !== 'done').length;
  for (let i = 0; i < 10; i++) {
    const browser = new WanderingBrowser();
    const state = new URL(await depart(browser)).searchParams.get('state');
    const seen = await browser.visit(`${plinth.url}/api/auth/sso/callback/GitHub?error=access_denied&state=${state}`);
    expect(seen.location).toBe(`${plinth.url}/sign-in?error=IDENTITY_REFUSED`);
  }
  expect(refusals()).toBe(4);
});
