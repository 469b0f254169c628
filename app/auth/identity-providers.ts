import type { Audit } from '#audit/audit.ts';
import type { Clock } from '#base/clock.ts';
import type { Log } from '#base/log.ts';
import type { Caller } from '#contract/caller.ts';
import { callbackQuery } from '#contract/identity.ts';
import type { identityRoutes } from '#contract/identity-routes.ts';
import { defineRoute, type HandlersOf, type Route } from '#contract/route.ts';
import { createArrive } from './identity/arrive.ts';
import { createFlow, type Flow } from './identity/flow.ts';
import type { FlowRoom } from './identity/flow-store.ts';
import { createGithub } from './identity/github.ts';
import { createHandlers, listButtons } from './identity/handlers.ts';
import { createOidc } from './identity/oidc.ts';
import { createPasswordGate, type PasswordSignIn } from './identity/password-gate.ts';
import type { Provider } from './identity/provider.ts';
import { createProviders, type ProvidersOptions } from './identity/providers.ts';
import { createSaml } from './identity/saml.ts';
import type { Invitations } from './people/invitations.ts';
import type { People } from './people/people.ts';
import type { Cookies } from './sign-in/cookies.ts';
import type { SignInLimits } from './sign-in/limits.ts';
import type { Sessions } from './sign-in/sessions.ts';

export { type PasswordSignIn, tellPasswordGate } from './identity/password-gate.ts';
export { recoverAdministrator } from './identity/recover.ts';

export interface IdentityOptions extends ProvidersOptions {
  readonly people: People;
  readonly invitations: Pick<Invitations, 'acceptFor'>;
  readonly sessions: Sessions;
  readonly cookies: Cookies;
  readonly limits: Pick<SignInLimits, 'isRecorded' | 'trust'>;
  /** How many sign-ins under way are kept; default: 5 of a browser, 20,000 of all. */
  readonly room?: FlowRoom;
  readonly audit: Audit;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether a caller holds every right of a role. @throws Fault ROLE_NOT_FOUND */
  readonly mayGrantRole: (caller: Caller, role: string) => Promise<boolean>;
  /** NODE_ENV=production: providers are asked by TLS only. */
  readonly production: boolean;
  /** AUTH_DISABLE_BASIC_AUTH. */
  readonly passwordsDisabled: boolean;
}

export interface IdentityProviders {
  readonly handlers: HandlersOf<typeof identityRoutes>;
  /** Callbacks of the settings that are not among the usual paths, to be mounted beside the table. */
  readonly extra: { readonly routes: readonly Route[]; readonly handlers: Readonly<Record<string, CallbackHandler>> };
  /** What the sign-in page offers. */
  buttons(): Promise<readonly { readonly name: string; readonly label: string; readonly path: string }[]>;
  /** Who may sign in with a password now. */
  passwordSignIn(): Promise<PasswordSignIn>;
}

const callback = defineRoute({
  name: 'finishConfiguredSignIn',
  tag: 'Identity providers',
  method: 'GET',
  path: '/',
  summary: 'Where the redirect URI of the settings leads',
  permission: 'public',
  foreign: true,
  audit: false,
  query: callbackQuery,
  reply: {},
  status: 303,
});
type CallbackHandler = HandlersOf<readonly [typeof callback]>['finishConfiguredSignIn'];

/** Identity providers: those of the settings and those that administrators add, and the ways through them. */
export function createIdentityProviders(options: IdentityOptions): IdentityProviders {
  const { database, people, invitations, sessions, cookies, limits, audit, clock, log } = options;
  const { mayGrantRole, production, room } = options;
  const providers = createProviders(options);
  const kinds = {
    oidc: createOidc({ clock, allowHttp: !production }),
    github: createGithub({ allowHttp: !production }),
    saml: createSaml({ clock }),
  };
  const { tried, problemOf } = createMemory();
  const arrive = createArrive({ database, people, invitations, sessions, limits, audit, clock, log });
  const flow = createFlow({ database, providers, ...kinds, arrive, cookies, limits, audit, clock, log, tried, room });
  return {
    handlers: createHandlers({ database, providers, flow, ...kinds, people, mayGrantRole, problemOf, tried }),
    extra: extraCallbacks(options, flow),
    buttons: () => listButtons(providers),
    passwordSignIn: createPasswordGate({ disabled: options.passwordsDisabled, database, providers }),
  };
}

/** What this process met when it last asked a provider. */
function createMemory() {
  const problems = new Map<string, string>();
  return {
    tried: ({ id }: Provider, problem: string | undefined) => {
      if (problem === undefined) problems.delete(id);
      else problems.set(id, problem);
    },
    problemOf: ({ id }: Provider) => problems.get(id),
  };
}

/** GITHUB_OAUTH_REDIRECT_URI is what is registered at GitHub, so its path is served whatever it is. */
function extraCallbacks({ github, google }: Pick<IdentityOptions, 'github' | 'google'>, flow: Flow) {
  const routes: Route[] = [];
  const handlers: Record<string, CallbackHandler> = {};
  for (const [name, settings] of Object.entries({ github, google })) {
    if (settings === undefined) continue;
    const path = new URL(settings.redirectUri).pathname;
    if (path === `/api/auth/${name}/callback` || path === `/api/auth/sso/callback/${name}`) continue;
    const route = `finishConfiguredSignIn:${name}`;
    routes.push({ ...callback, name: route, path: path as `/${string}` }); // a URL's path begins with one
    handlers[route] = ({ query, request }) => flow.finish(name, query, request);
  }
  return { routes, handlers };
}
