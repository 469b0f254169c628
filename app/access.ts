import type { Audit } from '#audit/audit.ts';
import { createAccessHandlers } from '#auth/access.ts';
import { installAccessTriggers } from '#auth/access-triggers.ts';
import { createAuditHandlers } from '#auth/audit-handlers.ts';
import { createAuth } from '#auth/better-auth.ts';
import { type Callers, createCallers } from '#auth/caller.ts';
import { createCallerCache } from '#auth/caller-cache.ts';
import { createIdentityProviders, tellPasswordGate } from '#auth/identity-providers.ts';
import { createPageHandlers, invitationLink } from '#auth/page-handlers.ts';
import { type Administrator, ensureAdministrator, forgetGeneratedPassword } from '#auth/people/administrator.ts';
import { createRoles } from '#auth/people/custom-roles.ts';
import { createPeopleHandlers } from '#auth/people/handlers.ts';
import { createInvitations } from '#auth/people/invitations.ts';
import type { PasswordKeeper } from '#auth/people/password-keeper.ts';
import { createPeople } from '#auth/people/people.ts';
import { createServiceAccounts } from '#auth/people/service-accounts.ts';
import { createTeams } from '#auth/people/teams.ts';
import { missingFor } from '#auth/roles.ts';
import { createCookies } from '#auth/sign-in/cookies.ts';
import { createSignInHandlers } from '#auth/sign-in/handlers.ts';
import { createSignInLimits } from '#auth/sign-in/limits.ts';
import { createMailedLinks } from '#auth/sign-in/mailed-links.ts';
import { createPasswordProof } from '#auth/sign-in/password-proof.ts';
import { createPasswords } from '#auth/sign-in/passwords.ts';
import { createSecondFactor } from '#auth/sign-in/second-factor.ts';
import { createSessions } from '#auth/sign-in/sessions.ts';
import { createSignIn } from '#auth/sign-in/sign-in.ts';
import { startSignInSweep } from '#auth/sign-in/sweep.ts';
import { createTokens } from '#auth/tokens.ts';
import type { Clock } from '#base/clock.ts';
import type { Config } from '#base/config.ts';
import type { Log } from '#base/log.ts';
import type { Notices } from '#database/notices.ts';
import { contextOf } from '#http/context.ts';
import { createMailer } from '#notify/mail.ts';
import type { ProjectDomains } from './project-domains.ts';
import type { Ending, Stores } from './stores.ts';

export interface AccessOptions {
  readonly config: Config;
  readonly stores: Stores;
  readonly audit: Audit;
  readonly notices: Notices;
  readonly log: Log;
  readonly clock: Clock;
  /** Where people reach the control plane, without a slash at its end: the only origin of links that we mail. */
  readonly baseUrl: string;
  /** Where a generated administrator's password goes that nobody reads on a terminal. */
  readonly keeper: PasswordKeeper;
  readonly projectDomains: ProjectDomains;
}

/** Everything about people: who may come in, by which proof, and what they may do. */
export async function openAccess(options: AccessOptions, endings: Ending[]) {
  const parts = await openParts(options, endings);
  const { passwords, tokens, identity, keeper, database } = parts;
  const passwordChanged = (userId: string) => forgetGeneratedPassword({ database, keeper }, userId);
  const signIn = createSignIn({
    ...parts,
    allowRegistration: options.config.allowRegistration,
    passwordsAllowed: identity.passwordSignIn,
    passwordChanged,
  });
  const { adminEmail: email, adminPassword: password } = options.config;
  const isTerminal = process.stdout.isTTY === true;
  const administrator: Administrator = await ensureAdministrator({ ...parts, email, password, isTerminal });
  await tellPasswordGate(identity.passwordSignIn, options.log);
  const handlers = {
    ...createAccessHandlers({ signIn, tokens }),
    ...createSignInHandlers({ ...parts, signIn }),
    ...createPeopleHandlers(parts),
    ...createAuditHandlers({ database }),
    ...identity.handlers,
    ...createPageHandlers({
      ...parts,
      signIn,
      passwordProof: createPasswordProof({ database, passwords }),
      signInButtons: identity.buttons,
      offers: async () => ({
        passwordSignIn: await identity.passwordSignIn(),
        registration: options.config.allowRegistration && parts.mailer.enabled,
      }),
    }),
  };
  const { mailer } = parts;
  return { administrator, handlers, callers: openCallers(options, parts), extra: identity.extra, mailer };
}

/** What the ways in are made of. */
async function openParts(options: AccessOptions, endings: Ending[]) {
  const { config, stores, log, clock, audit, baseUrl, keeper } = options;
  const { database, secrets, keyring, applicationSecret: secret } = stores;
  const given = { database, log, clock, audit, baseUrl, keeper, secret };
  const auth = await createAuth(given);
  await installAccessTriggers(database);
  const mailer = createMailer({ ...given, smtp: config.mailServer, key: stores.keyFor('mail') });
  endings.push({ what: 'mail', end: () => mailer.stop() });
  void mailer.verify();
  const limits = createSignInLimits(given);
  const passwords = createPasswords({ ...given, auth, limits });
  const key = stores.keyFor('second factors');
  const secondFactor = createSecondFactor({ ...given, limits, mailer, key, mailCodes: config.twoFactorRequired });
  const cookies = createCookies({
    production: config.production,
    secure: config.cookieSecure,
    domain: config.cookieDomain,
    projectsDomains: [config.projectsDomain, ...options.projectDomains.current()],
    log,
  });
  const sessions = createSessions({
    ...given,
    auth,
    cookies,
    secondFactor,
    cookieKey: keyring.derive('sessions'),
    csrfKey: keyring.derive('csrf'),
  });
  const sweep = startSignInSweep(given);
  endings.push({ what: 'sign-in sweep', end: () => sweep.stop() });
  const links = createMailedLinks({ ...given, mailer });
  endings.push({ what: 'mailed links', end: () => links.stop() });
  const people = createPeople({ database, auth, sessions });
  const teams = createTeams({ database, secrets });
  const roles = createRoles(database);
  const linkOf = (token: string) => invitationLink(baseUrl, token);
  const invitations = createInvitations({ ...given, auth, mailer, enabled: !config.disableInvitations, linkOf });
  const serviceAccounts = createServiceAccounts(given);
  const tokens = createTokens(given);
  const identity = createIdentityProviders({
    ...given,
    people,
    invitations,
    sessions,
    cookies,
    limits,
    secrets,
    github: redirected(config.github, 'github', baseUrl),
    google: redirected(config.google, 'google', baseUrl),
    allowRegistration: config.allowRegistration,
    mayGrantRole: async (caller, role) => missingFor(caller, (await roles.get(role)).grants, 'all').length === 0,
    production: config.production,
    passwordsDisabled: config.disableBasicAuth,
  });
  return {
    ...given,
    ...{ auth, mailer, limits, passwords, secondFactor, cookies, sessions, links },
    ...{ people, teams, roles, invitations, serviceAccounts, tokens, identity },
  };
}

/** A redirect URI that no setting names is the usual one. */
const redirected = (client: Config['github'], name: string, baseUrl: string) =>
  client && { ...client, redirectUri: client.redirectUri ?? `${baseUrl}/api/auth/${name}/callback` };

function openCallers({ config, notices, clock }: AccessOptions, parts: Awaited<ReturnType<typeof openParts>>): Callers {
  return createCallers({
    ...parts,
    cache: createCallerCache({ notices, clock }),
    basicPasswords: !config.disableBasicAuth,
    addressOf: (request) => contextOf(request).address,
  });
}
