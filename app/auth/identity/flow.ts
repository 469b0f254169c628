import { createHmac, randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { Audit } from '#audit/audit.ts';
import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { RequestFacts } from '#contract/route.ts';
import type { Database } from '#database/pool.ts';
import { homePath, nextPath, withNext } from '../pages/next-path.ts';
import { randomToken, tokenDigest } from '../random-token.ts';
import type { Cookies } from '../sign-in/cookies.ts';
import type { SignInLimits } from '../sign-in/limits.ts';
import type { Arrive } from './arrive.ts';
import {
  answerFlow,
  createFlows,
  type FlowRoom,
  type FlowRow,
  findWaitingRequest,
  rememberAssertion,
  takeFlow,
} from './flow-store.ts';
import type { CallbackAnswer, FlowSecrets, RedirectKind } from './oidc.ts';
import type { GithubProvider, Identity, OidcProvider, Provider, SamlProvider } from './provider.ts';
import type { Providers } from './providers.ts';
import type { Saml, SamlAnswer } from './saml.ts';

export interface FlowDependencies {
  readonly database: Database;
  readonly providers: Pick<Providers, 'get'>;
  readonly oidc: RedirectKind<OidcProvider>;
  readonly github: RedirectKind<GithubProvider>;
  readonly saml: Saml;
  readonly arrive: Arrive;
  readonly cookies: Cookies;
  /** How many failures of strangers the audit is told. */
  readonly limits: Pick<SignInLimits, 'isRecorded'>;
  /** How many walks under way are kept. */
  readonly room?: FlowRoom;
  readonly audit: Audit;
  readonly clock: Clock;
  readonly log: Log;
  /** Told after each attempt whether the provider itself could be used: undefined, or why not. */
  readonly tried: (provider: Provider, problem: string | undefined) => void;
}

/** Where the browser goes now, with what. */
export interface Onward {
  readonly status: 303;
  readonly location: string;
  readonly cookies?: readonly string[];
}

/**
 * Signing in by a provider. Each walk begins in a browser, ends in the same one, once, within ten minutes:
 *
 *     begin → the provider → (SAML: its answer is proven and kept) → back in the browser: taken → person → session
 *
 * The browser holds a random value in a cookie; the table only digests of it and of the state. The nonce and the
 * verifier of PKCE are made from both, so they are stored nowhere. A post from the provider's page brings no cookie
 * (SameSite=Lax); that is why SAML has a second step, a redirect to ourselves, which does.
 *
 * Nothing here throws what a person can read: they are sent to the sign-in page, which says it.
 */
export interface Flow {
  begin(name: string, next: string | undefined, request: RequestFacts): Promise<Onward>;
  finish(
    name: string,
    answer: Partial<CallbackAnswer> & { error?: string | undefined },
    request: RequestFacts,
  ): Promise<Onward>;
  receiveSaml(
    name: string,
    answer: { response: string; state: string | undefined },
    request: RequestFacts,
  ): Promise<Onward>;
  finishSaml(name: string, state: string, request: RequestFacts): Promise<Onward>;
}

const minutes = 10;
const cookieName = 'sign-in';
const secretForm = /^[A-Za-z0-9_-]{43}$/;

export function createFlow(dependencies: FlowDependencies): Flow {
  const { database, saml, clock } = dependencies;
  const flows = createFlows(database, dependencies.room);
  const enabled = async (name: string) => {
    const provider = await dependencies.providers.get(name);
    if (!provider.config.enabled) throw new Fault('IDENTITY_PROVIDER_NOT_FOUND', { provider: name });
    return provider;
  };
  const guard = createGuard(dependencies, enabled);

  return {
    begin: (name, next, request) =>
      guard(name, request, async (provider) => {
        const given = browserSecret(dependencies.cookies, request);
        const browser = given ?? randomToken();
        const state = randomToken();
        const requestId = provider.config.kind === 'saml' ? `_${randomBytes(20).toString('hex')}` : null;
        const url = await addressOf(dependencies, provider, secretsOf(browser, state), requestId);
        const now = clock.now();
        const walk = {
          stateHash: tokenDigest(state),
          browserHash: tokenDigest(browser),
          provider: provider.id,
          next: nextPath(next) ?? homePath,
          requestId,
          now,
          expiresAt: new Date(now.getTime() + minutes * 60_000),
        };
        await flows.insert(walk, given === undefined);
        const cookie = { name: cookieName, value: browser, maxAgeSeconds: minutes * 60, hostOnly: true };
        return { status: 303, location: url.href, cookies: [dependencies.cookies.write(cookie, request)] };
      }),

    finish: (name, { state, code, iss, error }, request) =>
      guard(name, request, async (provider) => {
        const { flow, browser } = await take(dependencies, provider, state, request);
        if (flow.requestId !== null || state === undefined) throw new Fault('IDENTITY_STATE_UNKNOWN');
        if (error !== undefined) throw refused(provider, error);
        const identity = await identityOf(dependencies, provider, { state, code, iss }, secretsOf(browser, state));
        return enter(dependencies, provider, identity, request, flow.next);
      }),

    receiveSaml: (name, { response, state }, request) =>
      guard(name, request, async (provider) => {
        if (!isSaml(provider)) throw new Fault('IDENTITY_STATE_UNKNOWN');
        const stateHash = tokenDigest(state ?? '');
        const requestId = await findWaitingRequest(database, { stateHash, provider: provider.id, now: clock.now() });
        if (requestId === undefined && !provider.config.allowUnsolicited) throw new Fault('IDENTITY_STATE_UNKNOWN');
        const answer = await saml.finish(provider, { response, requestId });
        await takeOnce(dependencies, provider, answer);
        // Nobody asked for it here, and the administrator said that this is fine.
        if (requestId === undefined) return enter(dependencies, provider, answer.identity, request, homePath);
        if (!(await answerFlow(database, stateHash, answer.identity))) throw new Fault('IDENTITY_STATE_UNKNOWN');
        const again = `/api/auth/sso/saml2/continue/${provider.name}?state=${state}`;
        return { status: 303, location: again };
      }),

    finishSaml: (name, state, request) =>
      guard(name, request, async (provider) => {
        const { flow } = await take(dependencies, provider, state, request);
        const identity = storedIdentity.safeParse(flow.answer);
        if (!identity.success) throw new Fault('IDENTITY_STATE_UNKNOWN');
        return enter(dependencies, provider, identity.data, request, flow.next);
      }),
  };
}

/** What a request can bring about that nobody began: it would fill the audit at a stranger's will. */
const causedByAnybody: ReadonlySet<string> = new Set([
  'IDENTITY_STATE_UNKNOWN',
  'IDENTITY_PROVIDER_NOT_FOUND',
  'IDENTITY_PROVIDER_UNAVAILABLE',
]);

/** What is no matter of one person: the provider, or how it is set up. */
const needsSomebody: ReadonlySet<string> = new Set([
  'IDENTITY_PROVIDER_UNAVAILABLE',
  'IDENTITY_ANSWER_INVALID',
  'IDENTITY_CLAIMS_TOO_LARGE',
  'IDENTITY_MAPPING_TOO_COSTLY',
]);

/** Every end of a step that did not go well: told to the log, the audit and the person. */
function createGuard({ audit, limits, log, tried }: FlowDependencies, enabled: (name: string) => Promise<Provider>) {
  return async (
    name: string,
    request: RequestFacts,
    step: (provider: Provider) => Promise<Onward>,
  ): Promise<Onward> => {
    let provider: Provider | undefined;
    try {
      provider = await enabled(name);
      const onward = await step(provider);
      tried(provider, undefined);
      return onward;
    } catch (error) {
      if (!Fault.is(error) || error.code === 'INTERNAL') throw error;
      if (provider !== undefined && error.code === 'IDENTITY_PROVIDER_UNAVAILABLE') tried(provider, error.message);
      const { code, message } = error;
      const level = needsSomebody.has(code) ? 'warn' : 'info';
      log[level]({ provider: name, code, reason: message }, 'sign-in by an identity provider failed');
      if (!causedByAnybody.has(code) && (await limits.isRecorded(request.address, false)))
        await audit.record({
          actor: { id: '', name: 'anonymous', kind: 'anonymous' },
          action: 'signIn',
          target: `identity-providers/${name}`,
          outcome: error.retry ? 'failed' : 'denied',
          status: error.status,
          address: request.address,
          requestId: request.id,
          detail: { code },
        });
      return { status: 303, location: `/sign-in?error=${code}` };
    }
  };
}

function addressOf(
  { oidc, github, saml }: FlowDependencies,
  provider: Provider,
  secrets: FlowSecrets,
  requestId: string | null,
): Promise<URL> {
  if (isSaml(provider)) return saml.begin(provider, { state: secrets.state, requestId: requestId ?? '' });
  return isOidc(provider) ? oidc.begin(provider, secrets) : github.begin(provider as GithubProvider, secrets);
}

function identityOf(
  { oidc, github }: FlowDependencies,
  provider: Provider,
  answer: CallbackAnswer,
  secrets: FlowSecrets,
): Promise<Identity> {
  if (isSaml(provider)) throw new Fault('IDENTITY_STATE_UNKNOWN');
  return isOidc(provider)
    ? oidc.finish(provider, answer, secrets)
    : github.finish(provider as GithubProvider, answer, secrets);
}

const isOidc = (provider: Provider): provider is OidcProvider => provider.config.kind === 'oidc';
const isSaml = (provider: Provider): provider is SamlProvider => provider.config.kind === 'saml';

/** The walk that this browser began under this state. Of several of its cookies, any may be the one. */
async function take(
  { database, cookies, clock }: FlowDependencies,
  provider: Provider,
  state: string | undefined,
  request: RequestFacts,
): Promise<{ flow: FlowRow; browser: string }> {
  for (const browser of cookies.read(cookieName, request.header('cookie')).slice(0, 4)) {
    if (state === undefined || !secretForm.test(browser)) continue;
    const keys = { stateHash: tokenDigest(state), browserHash: tokenDigest(browser) };
    const flow = await takeFlow(database, { ...keys, provider: provider.id, now: clock.now() });
    if (flow !== undefined) return { flow, browser };
  }
  throw new Fault('IDENTITY_STATE_UNKNOWN');
}

async function takeOnce(
  { database, clock }: FlowDependencies,
  provider: Provider,
  { assertion }: SamlAnswer,
): Promise<void> {
  const { id, notOnOrAfter } = assertion;
  const isNew = await rememberAssertion(database, {
    provider: provider.id,
    id,
    now: clock.now(),
    expiresAt: notOnOrAfter,
  });
  if (!isNew) throw new Fault('IDENTITY_ANSWER_INVALID', { provider: provider.name, why: 'it was used already' });
}

async function enter(
  { arrive, cookies }: FlowDependencies,
  provider: Provider,
  identity: Identity,
  request: RequestFacts,
  next: string,
): Promise<Onward> {
  const { session, cookies: begun } = await arrive(provider, identity, request);
  const location = session.secondFactor === 'due' ? withNext('/second-factor', next) : next;
  return { status: 303, location, cookies: [...begun, ...cookies.erase(cookieName)] };
}

function refused(provider: Provider, error: string): Fault {
  const why = /^[a-z_]{1,60}$/.test(error) ? error : 'it gave no reason';
  return new Fault('IDENTITY_REFUSED', { provider: provider.name, why });
}

const storedIdentity = z.object({
  subject: z.string(),
  email: z
    .string()
    .optional()
    .transform((email) => email),
  emailVerified: z.boolean(),
  name: z.string(),
  claims: z.record(z.string(), z.unknown()),
});

/** The one that this browser has from a walk begun before, so that two windows do not take it from each other. */
const browserSecret = (cookies: Cookies, request: RequestFacts) =>
  cookies.read(cookieName, request.header('cookie')).find((value) => secretForm.test(value));

/** Only this browser has the key. */
function secretsOf(browser: string, state: string): FlowSecrets {
  const derive = (what: string) => createHmac('sha256', browser).update(`${what} ${state}`).digest('base64url');
  return { state, nonce: derive('nonce'), verifier: derive('verifier') };
}
