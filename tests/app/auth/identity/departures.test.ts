import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSignInLimits } from '#auth/sign-in/limits.ts';
import { openIdentity, type TestIdentity, WanderingBrowser } from '#support/identity.ts';
import { startPlayedGithub } from '#support/played-providers.ts';
import { useDatabase } from '#support/postgres.ts';

const db = useDatabase();
let plinth: TestIdentity;
let github: Awaited<ReturnType<typeof startPlayedGithub>>;

beforeAll(async () => {
  plinth = await openIdentity(db.database);
  github = await startPlayedGithub();
  const limits = createSignInLimits({
    database: db.database,
    clock: plinth.clock,
    departures: { most: 3, seconds: 60 },
  });
  plinth.open({ limits });
  const wish = {
    kind: 'github',
    label: 'GitHub',
    server: github.url,
    clientId: 'plinth',
    clientSecret: 'client secret',
  };
  expect((await plinth.api('POST', '', { ...wish, name: 'GitHub' })).status).toBe(201);
});
afterAll(async () => {
  await github?.close();
  await plinth?.close();
});

const start = () => `${plinth.url}/api/auth/sign-in/GitHub`;
const depart = async () => (await new WanderingBrowser().visit(start())).location;
const isOurs = (url: string) => url.startsWith(plinth.url) && !url.includes('/api/auth/');
const walks = async () => (await db.database.query('select from identity_flows')).rows.length;

test('one address begins so many sign-ins, and no more is kept of them; those that end do not count', async () => {
  github.state.user = { id: 1, login: 'ada', name: 'Ada King' };
  github.state.emails = [{ email: 'ada@example.com', primary: true, verified: true }];
  github.state.teams = [];
  for (let i = 0; i < 5; i++) {
    const { location } = await new WanderingBrowser().follow(start(), isOurs);
    expect(location).toBe(`${plinth.url}/account`);
  }
  for (let i = 0; i < 3; i++) expect(await depart()).toContain(`${github.url}/login/oauth/authorize`);
  const kept = await walks();
  const recorded = plinth.audited.length;
  for (let i = 0; i < 3; i++) expect(await depart()).toBe(`${plinth.url}/sign-in?error=SIGN_IN_LIMITED`);
  expect([await walks(), plinth.audited.length]).toEqual([kept, recorded]);
  plinth.time.laterMs = 61_000;
  expect(await depart()).toContain(github.url);
});
