import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openIdentity, type TestIdentity, WanderingBrowser } from '#support/identity.ts';
import { signers, startHostileProvider } from '#support/played-providers.ts';
import { useDatabase } from '#support/postgres.ts';

const db = useDatabase();
let plinth: TestIdentity;
let idp: Awaited<ReturnType<typeof startHostileProvider>>;

beforeAll(async () => {
  plinth = await openIdentity(db.database);
  idp = await startHostileProvider();
  const body = { kind: 'oidc', label: 'Evil', issuer: idp.url, clientId: 'plinth', clientSecret: 'client secret' };
  expect((await plinth.api('POST', '', { ...body, name: 'Evil' })).status).toBe(201);
});
afterAll(async () => {
  await idp?.close();
  await plinth?.close();
});
beforeEach(async () => {
  Object.assign(idp.wish, { signer: 'right', claims: {}, userinfo: undefined, metadata: {}, down: 0 });
  await plinth.api('POST', '/Evil/test');
});

const signIn = async () => {
  const browser = new WanderingBrowser();
  const seen = await browser.follow(`${plinth.url}/api/auth/sign-in/Evil`, (url) => {
    const { origin, pathname } = new URL(url);
    return origin === plinth.url && !pathname.startsWith('/api/auth/');
  });
  return { browser, end: seen.location?.slice(plinth.url.length) };
};
const refuse = async (why: RegExp) => {
  const { browser, end } = await signIn();
  expect(end).toBe('/sign-in?error=IDENTITY_ANSWER_INVALID');
  expect(String(plinth.log.lines().at(-1)?.reason)).toMatch(why);
  expect(await plinth.whoIs(browser)).toBeUndefined();
};

test('a token that is as it should be is taken', async () => {
  expect((await signIn()).end).toBe('/account');
});

describe('JWT alg confusion: an ID token counts only with a signature by a published key', () => {
  test.each((Object.keys(signers) as (keyof typeof signers)[]).filter((name) => name !== 'right'))(
    '%s',
    async (signer) => {
      idp.wish.signer = signer;
      await refuse(/JWS|JWT|alg|sign/i);
    },
  );
});

describe('an ID token that was made for something else', () => {
  const now = () => Math.floor(Date.now() / 1000);
  test.each<[string, () => Record<string, unknown>, RegExp]>([
    ['nonce mismatch', () => ({ nonce: 'another' }), /nonce/],
    ['no nonce', () => ({ nonce: undefined }), /nonce/],
    ['another audience', () => ({ aud: 'another' }), /aud/],
    ['many audiences, authorised for another', () => ({ aud: ['plinth', 'another'], azp: 'another' }), /azp/],
    ['many audiences, authorised for nobody', () => ({ aud: ['plinth', 'another'] }), /aud/],
    ['another issuer', () => ({ iss: 'https://accounts.google.com' }), /iss/],
    ['too old', () => ({ exp: now() - 60, iat: now() - 600 }), /exp/],
    ['no end', () => ({ exp: undefined }), /exp/],
    ['no subject', () => ({ sub: undefined }), /sub/],
  ])('%s', async (_, claims, why) => {
    idp.wish.claims = claims();
    await refuse(why);
  });
});

test('a subject longer than any standard has, and a name of control characters', async () => {
  idp.wish.claims = { sub: 'x'.repeat(501) };
  await refuse(/too long/);
  idp.wish.claims = { sub: 'zero', email: 'zero@example.com', name: '\u0000\u202e\n' };
  const { browser } = await signIn();
  expect((await plinth.whoIs(browser))?.name).toBe('zero@example.com');
});

describe('the userinfo endpoint', () => {
  test('of another subject is refused', async () => {
    idp.wish.userinfo = { sub: 'somebody else', email: 'x@example.com', email_verified: true };
    await plinth.api('POST', '/Evil/test');
    await refuse(/sub/);
  });

  test('its "verified" does not count for the address of the ID token', async () => {
    idp.wish.claims = { sub: 'u2', email: 'boss@example.com', email_verified: undefined };
    idp.wish.userinfo = { sub: 'u2', email: 'mine@example.com', email_verified: true };
    await plinth.api('POST', '/Evil/test');
    expect((await signIn()).end).toBe('/sign-in?error=IDENTITY_EMAIL_UNVERIFIED');
  });

  test('gives what the ID token does not have', async () => {
    idp.wish.claims = { sub: 'u3', email: undefined, email_verified: undefined, name: 'From the token' };
    idp.wish.userinfo = { sub: 'u3', email: 'u3@example.com', email_verified: true, name: 'From userinfo' };
    await plinth.api('POST', '/Evil/test');
    const { browser } = await signIn();
    expect(await plinth.whoIs(browser)).toMatchObject({ email: 'u3@example.com', name: 'From the token' });
  });
});

describe('a provider that cannot be used', () => {
  const problem = async () => (await plinth.api('GET', '/Evil')).json.problem;

  test('stays in the list, says why, and works again by itself', async () => {
    idp.wish.down = 1000;
    expect((await plinth.api('POST', '/Evil/test')).json).toMatchObject({ works: false, facts: {} });
    expect((await signIn()).end).toBe('/sign-in?error=IDENTITY_PROVIDER_UNAVAILABLE');
    expect(await problem()).toContain('Identity provider Evil cannot be used');
    expect(await plinth.identity().buttons()).toHaveLength(1);
    idp.wish.down = 0;
    expect((await signIn()).end).toBe('/account');
    expect(await problem()).toBeNull();
  });

  test('one failed request is not the end', async () => {
    idp.wish.down = 1;
    expect((await plinth.api('POST', '/Evil/test')).json.works).toBe(true);
  });

  test('discovery is asked once, not at each sign-in', async () => {
    await signIn();
    const before = idp.asked.length;
    await signIn();
    expect(idp.asked.slice(before)).toEqual(['/authorize', '/token']);
  });

  test.each<[string, Record<string, unknown>, RegExp]>([
    ['that is another issuer', { issuer: 'https://accounts.google.com' }, /issuer/],
    ['without keys', { jwks_uri: undefined }, /lacks jwks_uri/],
    ['that leads to the cloud’s metadata', { token_endpoint: 'http://169.254.169.254/latest' }, /169\.254\.169\.254/],
  ])('%s', async (_, metadata, why) => {
    idp.wish.metadata = metadata;
    const { works, problem: said } = (await plinth.api('POST', '/Evil/test')).json;
    const end = works ? (await signIn()).end : undefined;
    expect(works ? `${end} ${await problem()}` : said).toMatch(why);
    if (works) expect(end).toBe('/sign-in?error=IDENTITY_PROVIDER_UNAVAILABLE');
  });
});
