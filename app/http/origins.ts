import type { IncomingMessage } from 'node:http';
import ipaddr from 'ipaddr.js';
import { Fault } from '#base/errors.ts';

export interface OriginsOptions {
  /** Where people reach the control plane: `https://plinth.example.com`. */
  readonly baseUrl: string;
  /** Origins whose pages may act for the person who visits them. Empty with `corsOrigins`: see `production`. */
  readonly trustedOrigins: readonly string[];
  /** Origins whose scripts may also read replies. */
  readonly corsOrigins: readonly string[];
  /** The domain of the control plane; its pages and those below it are trusted, the projects' excepted. */
  readonly appDomain: string;
  /** Hosts equal to or below it are projects, whose pages nobody vouches for. */
  readonly projectsDomain: string;
  /** The domains of the other environments, as they are now. */
  readonly otherProjectsDomains?: () => readonly string[];
  /** Ports on which we listen: on a private address or localhost, one of them may call the other. */
  readonly ports?: readonly number[];
  /** QUICKSTART: pages of private addresses count as if nothing were configured, outside production. */
  readonly quickstart?: boolean;
  /** In production an origin that was not configured is foreign; elsewhere, with none configured, all are taken. */
  readonly production: boolean;
}

/** What the rules need to know of the route that was asked for. */
export interface AskedRoute {
  /** Proves itself, wherever it comes from: the reply of an identity provider. */
  readonly foreign?: boolean;
  /** A page that a person may open by a link from anywhere. */
  readonly isPage?: boolean;
}

export interface Origins {
  /**
   * @throws Fault HOST_MISDIRECTED when the request was meant for a project
   * @throws Fault HOST_AMBIGUOUS when it names several hosts: a proxy before us may have judged another one
   */
  checkHost(request: IncomingMessage): void;
  /** @throws Fault ORIGIN_REFUSED when a page sent it that may not */
  check(request: IncomingMessage, route: AskedRoute): void;
  /** The headers by which a browser lets a page read the reply; none for a page that may not. */
  corsHeaders(request: IncomingMessage): Readonly<Record<string, string>>;
}

/**
 * Whose page sent a request. own: ours. trusted: configured, or ours at another port. open: anybody's, where nothing
 * was configured outside production. sibling: a host beside ours that does not say its name, perhaps a project.
 * absent: no page, or one that a browser tells nothing about.
 */
type Source = 'own' | 'trusted' | 'open' | 'foreign' | 'sibling' | 'project' | 'absent';

interface Site {
  readonly origin: string;
  readonly host: string;
  readonly hostname: string;
  readonly port: number;
  readonly secure: boolean;
}

/** The one place for rules about origins. Browsers tell theirs by Sec-Fetch-Site, Origin and Referer; pages cannot lie. */
export function createOrigins(options: OriginsOptions): Origins {
  const rules = createRules(options);
  return {
    checkHost: (request) => {
      const { host } = request.headers;
      checkOneHost(request);
      const hostname = siteOf(`http://${host ?? ''}`)?.hostname;
      if (hostname !== undefined && rules.isProject(hostname)) throw new Fault('HOST_MISDIRECTED', { host });
    },
    check: (request, route) => {
      if (route.foreign === true) return;
      const source = rules.sourceOf(request);
      if (mayAsk(source, request, route)) return;
      throw new Fault('ORIGIN_REFUSED', { source: nameOf(request) });
    },
    corsHeaders: (request) => {
      const { origin } = request.headers;
      if (origin === undefined) return {};
      const source = rules.sourceOf(request);
      if (origin === 'null' || !['own', 'trusted', 'open'].includes(source)) return {};
      return {
        'Access-Control-Allow-Origin': origin,
        'Access-Control-Expose-Headers': 'ETag, Location, Retry-After, X-Request-Id',
        ...(source === 'open' ? {} : { 'Access-Control-Allow-Credentials': 'true' }),
      };
    },
  };
}

/** By Host, which may come once, and by the target, where it is a whole URL as proxies are sent it. */
function checkOneHost({ headers, headersDistinct, url = '/' }: IncomingMessage): void {
  const several = (headersDistinct.host?.length ?? 0) > 1;
  if (!several && (url.startsWith('/') || url === '*')) return;
  const target = siteOf(url);
  const asked = target && siteOf(`${target.secure ? 'https' : 'http'}://${headers.host ?? ''}`);
  if (several || target === undefined || target.origin !== asked?.origin) throw new Fault('HOST_AMBIGUOUS');
}

/** The answer to a preflight from a page whose requests are taken. */
export const preflightHeaders = {
  'Access-Control-Allow-Methods': 'GET, HEAD, PUT, POST, PATCH, DELETE',
  'Access-Control-Allow-Headers':
    'Accept, Authorization, Content-Type, If-Match, If-None-Match, Last-Event-ID, X-CSRF-Token, X-Request-Id',
  'Access-Control-Max-Age': '600',
} as const;

/** What a browser remembers and sends unasked; any other value a page must know, and ask leave to send. */
const sentByItself = /^(basic|digest|negotiate|ntlm)\b/i;

function mayAsk(source: Source, request: IncomingMessage, route: AskedRoute): boolean {
  if (source === 'own' || source === 'trusted' || source === 'absent') return true;
  const { method, headers } = request;
  const safe = method === 'GET' || method === 'HEAD';
  const byToken = headers.authorization !== undefined && !sentByItself.test(headers.authorization);
  const credentials = headers.cookie !== undefined || headers.authorization !== undefined;
  if (source === 'project') return safe && !credentials;
  // A token is known to whoever sends it; a cookie goes along by itself.
  if (byToken && headers.cookie === undefined) return true;
  if (!safe) return source === 'open' && !credentials && isAskedFirst(request);
  if (!credentials) return true;
  return isVisit(request) && (source !== 'sibling' || route.isPage === true);
}

/** Browsers send it only after a preflight, so that the answer to that one decides. */
function isAskedFirst({ method, headers }: IncomingMessage): boolean {
  if (method !== 'POST') return true;
  const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  return type === 'application/json' || type === 'application/yaml';
}

/** A link that a person follows in a window of its own; not a frame, an image or a script's request. */
function isVisit({ headers }: IncomingMessage): boolean {
  const mode = headers['sec-fetch-mode'];
  if (mode === undefined) return headers.origin === undefined;
  return mode === 'navigate' && headers['sec-fetch-dest'] === 'document';
}

function createRules(options: OriginsOptions) {
  const { trustedOrigins, corsOrigins, production, quickstart = false, ports = [] } = options;
  const base = siteOf(options.baseUrl);
  const appDomain = normal(options.appDomain);
  const listed = new Set([...trustedOrigins, ...corsOrigins].map((text) => siteOf(text)?.origin ?? text));
  const isProject = (hostname: string) =>
    hostname !== base?.hostname &&
    [options.projectsDomain, ...(options.otherProjectsDomains?.() ?? [])].some((domain) =>
      isAtOrBelow(hostname, normal(domain)),
    );

  /** On the port of the application itself, or, for a real domain, on any. */
  const isApplication = ({ hostname, port, secure }: Site) => {
    if (appDomain === '' || !isAtOrBelow(hostname, appDomain)) return false;
    if (base?.secure === true && !secure) return false;
    return !isPrivate(appDomain) || [80, 443, base?.port, ...ports].includes(port);
  };

  const sourceOf = ({ headers }: IncomingMessage): Source => {
    const site = headers['sec-fetch-site'];
    const stated = headers.origin ?? headers.referer;
    const from = stated === undefined ? undefined : siteOf(stated);
    if (from !== undefined && isProject(from.hostname)) return 'project';
    if (site === 'same-origin' || site === 'none') return 'own';
    if (from === undefined) {
      if (site === undefined && stated === undefined) return 'absent';
      return site === 'same-site' ? 'sibling' : 'foreign';
    }
    const host = siteOf(`http://${headers.host ?? ''}`);
    // A browser that tells nothing of sites (over plain HTTP) still cannot be made to lie about host and port.
    const isThisHost = site === undefined && from.host === headers.host?.toLowerCase();
    if (from.origin === base?.origin || isThisHost) return 'own';
    if (listed.has(from.origin) || isApplication(from)) return 'trusted';
    if (production || (listed.size > 0 && !(quickstart && isPrivate(from.hostname)))) return 'foreign';
    const isOurMachine = from.hostname === host?.hostname && isPrivate(from.hostname);
    return isOurMachine && ports.includes(from.port) ? 'trusted' : 'open';
  };
  return { isProject, sourceOf };
}

/** undefined for what is no http or https URL, `null` included. */
function siteOf(url: string): Site | undefined {
  if (!URL.canParse(url)) return undefined;
  const { protocol, origin, host, hostname, port } = new URL(url);
  if (protocol !== 'http:' && protocol !== 'https:') return undefined;
  const secure = protocol === 'https:';
  return { origin, host, hostname: normal(hostname), port: port === '' ? (secure ? 443 : 80) : Number(port), secure };
}

/** Lower case, without the dot at the end that means the same host and makes another origin. */
const normal = (hostname: string) => hostname.toLowerCase().replace(/\.$/, '');

const isAtOrBelow = (hostname: string, domain: string) =>
  domain !== '' && (hostname === domain || hostname.endsWith(`.${domain}`));

/** localhost, and addresses that no stranger's machine has. */
function isPrivate(hostname: string): boolean {
  if (hostname === 'localhost' || hostname.endsWith('.localhost')) return true;
  const address = hostname.replace(/^\[|\]$/g, '');
  if (!ipaddr.isValid(address)) return false;
  return ['loopback', 'private', 'uniqueLocal', 'linkLocal'].includes(ipaddr.process(address).range());
}

/** What the message calls the page: never more than its origin. */
function nameOf({ headers }: IncomingMessage): string {
  const stated = headers.origin ?? headers.referer;
  return (stated === undefined ? undefined : siteOf(stated)?.origin) ?? 'another site';
}
