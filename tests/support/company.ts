import { afterAll, beforeAll, beforeEach, expect } from 'vitest';
import { openIdentity, type TestIdentity, WanderingBrowser } from './identity.ts';
import { type OidcServer, startOidcServer } from './oidc-server.ts';
import { useDatabase } from './postgres.ts';

/** A company with an OpenID provider of its own, `Company`, at which somebody else signs in for each test. */
export function useCompany() {
  const db = useDatabase();
  const state = { number: 0, email: '' };
  let plinth: TestIdentity | undefined;
  let idp: OidcServer | undefined;
  let body: Record<string, unknown> = {};
  const opened = () => {
    if (plinth === undefined || idp === undefined) throw new Error('the company is there in hooks and tests only');
    return { plinth, idp };
  };
  beforeAll(async () => {
    plinth = await openIdentity(db.database);
    idp = await startOidcServer([`${plinth.url}/api/auth/sso/callback/Company`]);
    const { issuer, clientId, clientSecret } = idp;
    body = { kind: 'oidc', label: 'Company', issuer, clientId, clientSecret };
    expect((await plinth.api('POST', '', { ...body, name: 'Company' })).status).toBe(201);
    await db.database.query(`insert into teams (name) values ('shop'), ('tools'), ('ops')`);
  });
  afterAll(async () => {
    await idp?.close();
    await plinth?.close();
  });
  /** The provider as it is, and what the test wants of it. */
  const configure = async (more: Record<string, unknown> = {}) => {
    const put = await opened().plinth.api('PUT', '/Company', { ...body, clientSecret: undefined, ...more });
    expect(put.status, put.text).toBe(200);
  };
  beforeEach(async () => {
    state.number += 1;
    state.email = `p${state.number}@example.com`;
    const name = `Person ${state.number}`;
    opened().idp.person = { sub: `s${state.number}`, email: state.email, email_verified: true, name };
    await configure();
  });
  return {
    db,
    configure,
    get body() {
      return body;
    },
    get plinth() {
      return opened().plinth;
    },
    get idp() {
      return opened().idp;
    },
    get email() {
      return state.email;
    },
    get number() {
      return state.number;
    },
    ...walksOf(() => opened().plinth.url),
  };
}

/** The ways of a browser there and back. */
function walksOf(ours: () => string) {
  const pathOf = (url: string | undefined) => url?.slice(ours().length);
  const start = (query = '') => `${ours()}/api/auth/sign-in/Company${query}`;
  const isPage = (url: string) => url.startsWith(ours()) && !url.includes('/api/auth/');
  const isAnswer = (url: string) => url.startsWith(`${ours()}/api/auth/sso/callback`);
  return {
    start,
    /** `end` is where we send the browser at last. */
    signIn: async (browser = new WanderingBrowser(), query = '') => ({
      browser,
      end: pathOf((await browser.follow(start(query), isPage)).location),
    }),
    /** As far as the provider's answer, which is not delivered. */
    answerFor: async (browser: WanderingBrowser, query = '') =>
      (await browser.follow(start(query), isAnswer)).location ?? '',
    deliver: async (browser: WanderingBrowser, url: string) => pathOf((await browser.visit(url)).location),
  };
}
