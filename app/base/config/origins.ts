import { isIP } from 'node:net';
import { bytes } from './amounts.ts';
import { domain, httpUrl, list, network, origin, truth } from './parse.ts';
import type { Findings, Values } from './setting.ts';
import { setting } from './setting.ts';

/** Under which addresses Plinth and projects are reached, and which web pages may call it. */
export const originRows = {
  frontendUrl: setting({
    names: ['FRONTEND_URL', 'ARCHESTRA_FRONTEND_URL'],
    about:
      'The address under which people open Plinth: in links of mails, and the origin that may call the API. Highly recommended in production.',
    unset: 'http://localhost with CONSOLE_PORT; all origins may call outside production, none but its own in it',
    read: httpUrl,
  }),
  additionalTrustedOrigins: setting({
    names: ['AUTH_ADDITIONAL_TRUSTED_ORIGINS', 'ARCHESTRA_AUTH_ADDITIONAL_TRUSTED_ORIGINS'],
    about: 'More origins that may call the API, separated by commas.',
    unset: 'none',
    read: list(origin),
  }),
  corsOrigins: setting({
    names: ['CORS_ORIGINS'],
    about: 'More origins that may call the API, separated by commas. A host of a project is never one.',
    unset: 'none',
    read: list(origin),
  }),
  apiBaseUrls: setting({
    names: ['API_BASE_URL', 'ARCHESTRA_API_BASE_URL'],
    about:
      'Addresses of the API that people are shown, separated by commas, the first first. Plinth itself does not listen on them.',
    unset: 'http://localhost with API_PORT',
    read: list(httpUrl),
  }),
  apiBodyLimitBytes: setting({
    names: ['API_BODY_LIMIT', 'ARCHESTRA_API_BODY_LIMIT'],
    about: 'The largest body of a request to the LLM proxy and the chat: bytes, or with a unit such as 50MB or 1GB.',
    standard: '50MB',
    activeIn: 'LLM proxy',
    read: bytes,
  }),
  appDomain: setting({
    names: ['APP_DOMAIN'],
    about: 'The domain of Plinth itself, without protocol.',
    standard: 'localhost',
    read: domain,
  }),
  projectsDomain: setting({
    names: ['PROJECTS_DOMAIN'],
    about:
      'The domain below which projects of the environment local are served. A registered domain of its own keeps cookies of projects and Plinth apart.',
    unset: 'apps.<APP_DOMAIN>',
    read: domain,
  }),
  cookieDomain: setting({
    names: ['COOKIE_DOMAIN', 'AUTH_COOKIE_DOMAIN', 'ARCHESTRA_AUTH_COOKIE_DOMAIN'],
    about:
      'Domain of the session cookie. One that reaches PROJECTS_DOMAIN is not used: every project would get the cookie of its visitors.',
    unset: 'the cookie is for one host only',
    // As it came, for what is said about it.
    read: (text, reading) => domain(text, reading) && text,
  }),
  cookieSecure: setting({
    names: ['COOKIE_SECURE'],
    about: 'Whether cookies are sent over HTTPS only.',
    unset: 'true in production and where FRONTEND_URL is https',
    read: truth,
  }),
  trustedProxies: setting({
    names: ['TRUSTED_PROXIES'],
    about:
      'Addresses and networks of the proxies before Plinth, separated by commas: only from them X-Forwarded-For and X-Forwarded-Proto are believed.',
    unset: 'none',
    read: list(network),
  }),
};

/** What the addresses mean together. */
export interface Places {
  readonly projectsDomain: string;
  /** Without a dot before it. */
  readonly cookieDomain: string | undefined;
  readonly cookieSecure: boolean;
  /** undefined: none is named. Then every origin may call outside production, none but its own in it. */
  readonly trustedOrigins: readonly string[] | undefined;
}

/** The domain of projects, the cookie's, and the origins that may call. */
export function placesOf(values: Values<typeof originRows>, findings: Findings): Places {
  const projectsDomain = values.projectsDomain ?? projectsDomainOf(values.appDomain, findings);
  const frontend = values.frontendUrl === undefined ? undefined : URL.parse(values.frontendUrl)?.origin;
  const named = [frontend, ...(values.additionalTrustedOrigins ?? []), ...(values.corsOrigins ?? [])];
  const origins = [...new Set(named.filter((each) => each !== undefined))];
  if (origins.length === 0 && findings.production)
    findings.warn(
      'Neither FRONTEND_URL nor AUTH_ADDITIONAL_TRUSTED_ORIGINS nor CORS_ORIGINS is set: in production no web page of another origin may call the API.',
    );
  if (values.cookieSecure === false && findings.production)
    findings.warn('COOKIE_SECURE=false does not count in production: cookies are sent over HTTPS only.');
  if (values.trustedProxies === undefined && findings.production)
    findings.warn(
      'TRUSTED_PROXIES is not set: behind an ingress, a load balancer or any other proxy everybody then comes from one address, and the limits of signing in cannot tell a stranger from anybody else. Set it to the addresses or networks of the proxies; without a proxy leave it.',
    );
  adviseOnDomains(values, projectsDomain, findings);
  adviseOnFrontend(frontend, findings);
  return {
    projectsDomain,
    cookieSecure: findings.production || (values.cookieSecure ?? frontend?.startsWith('https:') ?? false),
    cookieDomain: cookieDomainOf(values.cookieDomain, projectsDomain, findings),
    trustedOrigins: origins.length === 0 ? undefined : origins,
  };
}

function projectsDomainOf(appDomain: string, findings: Findings): string {
  if (isIP(appDomain) === 0) return `apps.${appDomain}`;
  findings.warn(
    `APP_DOMAIN is the address ${appDomain}, below which there can be no projects; they are served below apps.localhost. Set PROJECTS_DOMAIN.`,
  );
  return 'apps.localhost';
}

function cookieDomainOf(given: string | undefined, projectsDomain: string, findings: Findings): string | undefined {
  if (given === undefined) return undefined;
  const asked = given.replace(/^\./, '').toLowerCase();
  if (asked === 'localhost' || isIP(asked) !== 0) {
    findings.info(`COOKIE_DOMAIN ${given} is none that browsers take; the cookie is for one host only.`);
    return undefined;
  }
  if (!isBelow(projectsDomain, asked)) return asked;
  findings.warn(
    `COOKIE_DOMAIN ${given} reaches ${projectsDomain}, where projects are served: every project would get the session of its visitors. It is not used; the cookie is for one host only. Serve projects on a domain of their own (PROJECTS_DOMAIN).`,
  );
  return undefined;
}

/** Cookies of production are sent over HTTPS alone; a browser takes them over HTTP from this very machine only. */
function adviseOnFrontend(frontend: string | undefined, findings: Findings): void {
  if (!findings.production || frontend === undefined || frontend.startsWith('https:')) return;
  const { hostname } = new URL(frontend);
  if (hostname === 'localhost' || hostname === '127.0.0.1' || hostname.endsWith('.localhost')) return;
  findings.warn(
    `FRONTEND_URL ${frontend} is plain HTTP in production: browsers send no session cookie there, so nobody can sign in. Serve Plinth over HTTPS, and write https:// here.`,
  );
}

/** Hosts below one registered domain are the same site to a browser. */
function adviseOnDomains({ appDomain }: Values<typeof originRows>, projectsDomain: string, findings: Findings): void {
  const [, ...parent] = appDomain.split('.');
  const site = parent.length < 2 ? appDomain : parent.join('.');
  if (appDomain === 'localhost' || !isBelow(projectsDomain, site)) return;
  findings.info(
    `Projects are served below ${projectsDomain}, which is the same site as ${appDomain} to a browser; a registered domain of their own (PROJECTS_DOMAIN) is safer.`,
  );
}

const isBelow = (name: string, domain: string) => name === domain || name.endsWith(`.${domain}`);
