import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Secret } from '#base/secret.ts';
import { openIdentity, type TestIdentity, WanderingBrowser } from '#support/identity.ts';
import { startPlayedGithub } from '#support/played-providers.ts';
import { useDatabase } from '#support/postgres.ts';

const db = useDatabase();
let plinth: TestIdentity;
let github: Awaited<ReturnType<typeof startPlayedGithub>>;
const body = () => ({
  kind: 'github',
  label: 'GitHub',
  server: github.url,
  clientId: 'plinth',
  clientSecret: 'client secret',
});

beforeAll(async () => {
  plinth = await openIdentity(db.database);
  github = await startPlayedGithub();
  expect((await plinth.api('POST', '', { ...body(), name: 'GitHub' })).status).toBe(201);
});
afterAll(async () => {
  await github?.close();
  await plinth?.close();
});
let number = 0;
let email: string;
beforeEach(() => {
  number += 1;
  email = `p${number}@example.com`;
  github.state.user = { id: number, login: `ada${number}`, name: 'Ada King' };
  github.state.emails = [
    { email: 'old@example.com', primary: false, verified: true },
    { email, primary: true, verified: true },
  ];
  github.state.teams = [];
});

const isOurs = (url: string) => url.startsWith(plinth.url) && !url.includes('/api/auth/');
const signIn = async (browser = new WanderingBrowser(), name = 'GitHub') => ({
  browser,
  end: (await browser.follow(`${plinth.url}/api/auth/sign-in/${name}`, isOurs)).location?.slice(plinth.url.length),
});

test('who comes is the number at GitHub, under the primary verified address', async () => {
  const { browser, end } = await signIn();
  expect(end).toBe('/account');
  const me = await plinth.whoIs(browser);
  expect(me).toMatchObject({ email, name: 'Ada King', emailVerified: true });
  github.state.user = { id: number, login: 'renamed', name: null };
  expect((await plinth.whoIs((await signIn()).browser))?.id).toBe(me?.id);
  expect(github.asked).toContain('scope read:user user:email');
});

test('takeover by an address that GitHub has not verified, or that is not the primary one, is refused', async () => {
  await plinth.person(email, 'seven silent owls', 'admin');
  github.state.emails = [{ email, primary: true, verified: false }];
  expect((await signIn()).end).toBe('/sign-in?error=IDENTITY_EMAIL_UNVERIFIED');
  github.state.emails = [{ email, primary: false, verified: true }];
  expect((await signIn()).end).toBe('/sign-in?error=IDENTITY_EMAIL_UNVERIFIED');
});

test('PKCE: a code that was stolen on its way opens nothing', async () => {
  const [victim, attacker] = [new WanderingBrowser(), new WanderingBrowser()];
  const start = `${plinth.url}/api/auth/sign-in/GitHub`;
  const atCallback = (url: string) => url.includes('/api/auth/sso/callback/');
  const stolen = new URL((await victim.follow(start, atCallback)).location ?? '').searchParams.get('code') ?? '';
  const own = new URL((await attacker.follow(start, atCallback)).location ?? '');
  own.searchParams.set('code', stolen);
  expect((await attacker.visit(own.href)).location).toContain('error=IDENTITY_ANSWER_INVALID');
  expect(await plinth.whoIs(attacker)).toBeUndefined();
});

test('teams are groups, and are asked for only where a mapping wants them', async () => {
  await signIn();
  expect(github.asked).not.toContain('GET /api/v3/user/teams');
  const roleMapping = { rules: [{ expression: '{{includes groups "acme/platform"}}', role: 'editor' }] };
  expect((await plinth.api('PUT', '/GitHub', { ...body(), roleMapping })).status).toBe(200);
  github.state.teams = [{ slug: 'platform', organization: { login: 'acme' } }];
  expect(await plinth.whoIs((await signIn()).browser)).toMatchObject({ role: 'editor' });
  expect(github.asked).toContain('scope read:user user:email read:org');
});

test('a test asks its API', async () => {
  expect((await plinth.api('POST', '/GitHub/test')).json).toMatchObject({
    works: true,
    facts: { api: `${github.url}/api/v3` },
  });
});

describe('GitHub and Google of the settings', () => {
  const settings = (redirectUri: string) => ({ clientId: 'c', clientSecret: new Secret('s'), redirectUri });

  test('are offered, and send the browser back to the configured address', async () => {
    const { extra, buttons } = plinth.open({
      github: settings('http://localhost/api/auth/github/callback'),
      google: settings('https://studio.example.com/oauth/google?x=1'),
    });
    expect((await buttons()).map(({ name, path }) => [name, path])).toEqual([
      ['github', '/api/auth/sign-in/github'],
      ['google', '/api/auth/sign-in/google'],
      ['GitHub', '/api/auth/sign-in/GitHub'],
    ]);
    const { location } = await new WanderingBrowser().visit(`${plinth.url}/api/auth/sign-in/github`);
    const url = new URL(location ?? '');
    expect(url.origin + url.pathname).toBe('https://github.com/login/oauth/authorize');
    expect(url.searchParams.get('redirect_uri')).toBe('http://localhost/api/auth/github/callback');
    expect(url.searchParams.get('code_challenge_method')).toBe('S256');
    // The usual path stands in the table; another one is mounted beside it.
    expect(extra.routes.map(({ name, path }) => [name, path])).toEqual([
      ['finishConfiguredSignIn:google', '/oauth/google'],
    ]);
    expect(Object.keys(extra.handlers)).toEqual(['finishConfiguredSignIn:google']);
    const back = await new WanderingBrowser().visit(`${plinth.url}/api/auth/github/callback?code=x&state=y`);
    expect(back.location).toContain('error=IDENTITY_STATE_UNKNOWN');
  });

  test('are changed in the settings only, and make people only where anybody may register', async () => {
    plinth.open({ github: settings('http://localhost/api/auth/github/callback') });
    const { json } = await plinth.api('GET', '/github');
    expect(json).toMatchObject({ source: 'settings', createPeople: false, secretSet: true, updatedAt: null });
    expect((await plinth.api('PUT', '/github', body())).code).toBe('IDENTITY_PROVIDER_FIXED');
    expect((await plinth.api('DELETE', '/github')).code).toBe('IDENTITY_PROVIDER_FIXED');
    expect((await plinth.api('POST', '', { ...body(), name: 'github' })).code).toBe('IDENTITY_PROVIDER_EXISTS');
    plinth.open({ github: settings('http://localhost/api/auth/github/callback'), allowRegistration: true });
    expect((await plinth.api('GET', '/github')).json.createPeople).toBe(true);
    plinth.open();
  });
});
