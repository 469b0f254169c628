import { stringifySetCookie } from 'cookie';
import type { Log } from '#base/log.ts';

export interface CookieOptions {
  /** NODE_ENV=production: every cookie asks for TLS. */
  readonly production: boolean;
  /** COOKIE_SECURE: the same, outside production. */
  readonly secure: boolean;
  /** COOKIE_DOMAIN. */
  readonly domain?: string | undefined;
  /** PROJECTS_DOMAIN and the domain of every environment: no cookie of ours may reach a project's page. */
  readonly projectsDomains: readonly string[];
  readonly log: Log;
}

export interface NewCookie {
  /** Without prefix: `session` becomes `__Host-plinth.session`. */
  readonly name: string;
  /** Letters, digits, `-`, `_` and `.`: it is sent as it is. */
  readonly value: string;
  readonly maxAgeSeconds: number;
  /** Scripts of our own pages may read it. */
  readonly readable?: boolean;
  /** Also where COOKIE_DOMAIN is set, it goes to this host alone. */
  readonly hostOnly?: boolean;
}

/** Names and attributes of every cookie that we set. */
export interface Cookies {
  /** A whole `Set-Cookie` value: SameSite=Lax, for every path; `secure`: whether this request came by TLS. */
  write(cookie: NewCookie, request: { readonly secure: boolean }): string;
  /**
   * Every value that came under a name that we could have given it, the best guarded name first. There may be several:
   * a page below our domain can set one of the same name, and which comes first is its choice.
   */
  read(name: string, cookieHeader: string | undefined): readonly string[];
  /** The same, those of each name by themselves. */
  readEach(name: string, cookieHeader: string | undefined): readonly (readonly string[])[];
  /** `Set-Cookie` values that take the cookie away, under each of its names. */
  erase(name: string, options?: { readonly readable?: boolean }): readonly string[];
}

/** A parent of the project's hosts, or the domain itself, reaches them. */
const reaches = (domain: string, projects: string) => projects === domain || projects.endsWith(`.${domain}`);

export function createCookies(options: CookieOptions): Cookies {
  const always = options.production || options.secure;
  const domain = usableDomain(options);
  const nameOf = (name: string, secure: boolean, hostOnly: boolean) => {
    if (!secure) return `plinth.${name}`;
    return `${domain === undefined || hostOnly ? '__Host-' : '__Secure-'}plinth.${name}`;
  };
  const write = ({ name, value, maxAgeSeconds, readable = false, hostOnly = false }: NewCookie, secure: boolean) =>
    stringifySetCookie({
      name: nameOf(name, secure, hostOnly),
      value,
      maxAge: maxAgeSeconds,
      path: '/',
      httpOnly: !readable,
      sameSite: 'lax',
      secure,
      ...(domain === undefined || hostOnly ? {} : { domain }),
    });
  /** Where TLS is certain, a name without prefix is never ours: any page of a neighbour could have set it. */
  const namesOf = (name: string) => [
    nameOf(name, true, true),
    ...(domain === undefined ? [] : [nameOf(name, true, false)]),
    ...(always ? [] : [nameOf(name, false, true)]),
  ];
  const readEach = (name: string, header: string | undefined) => {
    const pairs = pairsOf(header);
    return namesOf(name).map((wanted) => pairs.filter(([given]) => given === wanted).map(([, value]) => value));
  };
  return {
    write: (cookie, request) => write(cookie, always || request.secure),
    read: (name, header) => readEach(name, header).flat(),
    readEach,
    erase: (name, { readable } = {}) => {
      const gone = { name, value: '', maxAgeSeconds: 0, readable: readable === true };
      return [
        write({ ...gone, hostOnly: true }, true),
        ...(domain === undefined ? [] : [write(gone, true)]),
        ...(always
          ? []
          : [write(gone, false), ...(domain === undefined ? [] : [write({ ...gone, hostOnly: true }, false)])]),
      ];
    },
  };
}

function usableDomain({ domain, projectsDomains, log }: CookieOptions): string | undefined {
  const wanted = domain?.trim().replace(/^\./, '').toLowerCase();
  if (wanted === undefined || wanted === '') return undefined;
  const reached = projectsDomains.find((each) => reaches(wanted, each.toLowerCase()));
  if (reached === undefined) return wanted;
  log.warn(
    { setting: 'COOKIE_DOMAIN', domain: wanted, projects: reached },
    'COOKIE_DOMAIN is not used: it would send session cookies to the pages of projects',
  );
  return undefined;
}

/** In the order in which they came. The library keeps only the first of a name. */
function pairsOf(header: string | undefined): readonly (readonly [string, string])[] {
  if (header === undefined) return [];
  return header.split(';').flatMap((part) => {
    const at = part.indexOf('=');
    return at < 0 ? [] : [[part.slice(0, at).trim(), part.slice(at + 1).trim()] as const];
  });
}
