/** Where a Git remote is, taken apart. It never holds a credential. */
export interface GitAddress {
  /** As git takes it, without user name and password. */
  readonly url: string;
  readonly scheme: 'https' | 'http' | 'ssh';
  /** In lower case. */
  readonly host: string;
  /** Undefined: the scheme's own. */
  readonly port: number | undefined;
  /** Who signs in over SSH, `git` nearly everywhere; a user name is no secret there. */
  readonly user: string | undefined;
  /** Without slashes around it and without `.git`: `company/state`. */
  readonly path: string;
}

const wanted = 'an address such as https://github.com/company/state.git or git@github.com:company/state.git';
const hostName = /^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]+\])$/;
const userName = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/;

/**
 * Takes an address apart: `https://…`, `ssh://…` or `user@host:path`; `http://…` only to this very machine.
 * @throws Error that says what was wanted, never what came: an address may hold a credential
 */
export function parseGitAddress(text: string): GitAddress {
  const given = text.trim();
  if (given.startsWith('-')) throw new Error(`${wanted}; it does not begin with a hyphen`);
  if (/[\s\p{Cc}"'\\<>^`{|}]/u.test(given)) throw new Error(`${wanted}, without spaces and quotes`);
  const address = given.includes('://') ? fromUrl(given) : fromShortForm(given);
  if (!hostName.test(address.host)) throw new Error(`${wanted}; the name of the host is none`);
  if (address.path === '' || address.path.split('/').some((part) => part === '..' || part.startsWith('-')))
    throw new Error(`${wanted}, with the path of a repository`);
  return address;
}

function fromUrl(given: string): GitAddress {
  const url = URL.parse(given);
  const scheme = url?.protocol.slice(0, -1);
  if (url === null || (scheme !== 'https' && scheme !== 'http' && scheme !== 'ssh'))
    throw new Error(`${wanted}; schemes other than https and ssh are not used`);
  if (url.search !== '' || url.hash !== '') throw new Error(`${wanted}, without ? and #`);
  if (url.password !== '' || (url.username !== '' && scheme !== 'ssh'))
    throw new Error(
      'an address without a user or a password in it: STATE_REPOSITORY_TOKEN takes the token, STATE_REPOSITORY_USERNAME the user',
    );
  const host = url.hostname.toLowerCase();
  if (scheme === 'http' && !isLoopback(host))
    throw new Error('an https address; over plain http everybody on the way reads the token');
  const user = url.username === '' ? undefined : checkedUser(url.username);
  const port = url.port === '' ? undefined : Number(url.port);
  const place = `${host}${port === undefined ? '' : `:${port}`}`;
  const path = trimmed(url.pathname);
  const signIn = scheme === 'ssh' ? `${user ?? 'git'}@` : '';
  return { url: `${scheme}://${signIn}${place}${url.pathname.replace(/\/+$/, '')}`, scheme, host, port, user, path };
}

/** `git@host:company/state.git`, as hosts show it. */
function fromShortForm(given: string): GitAddress {
  const [, user, host = '', path = ''] = /^(?:([^@:/]+)@)?([^@:/]+):(?!:)([^@:]+)$/.exec(given) ?? [];
  if (host === '') throw new Error(wanted);
  const checked = user === undefined ? undefined : checkedUser(user);
  const name = host.toLowerCase();
  const url = `${checked ?? 'git'}@${name}:${path}`;
  return { url, scheme: 'ssh', host: name, port: undefined, user: checked, path: trimmed(path) };
}

function checkedUser(user: string): string {
  if (!userName.test(user)) throw new Error(`${wanted}; the user before @ is a plain name`);
  return user;
}

const trimmed = (path: string) => path.replace(/^\/+|\/+$/g, '').replace(/\.git$/, '');

const isLoopback = (host: string) => host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);
