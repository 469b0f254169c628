/** Where a person goes who did not ask for a page. */
export const homePath = '/account';

const base = 'http://plinth.invalid';
const longest = 1000;

/**
 * The path that a page was asked to lead on to, if it is one of ours: it begins with one slash and stays on this host
 * however a browser reads it. Anything else is as good as nothing.
 */
export function nextPath(given: string | undefined): string | undefined {
  if (given === undefined || given.length > longest) return undefined;
  // Browsers take a backslash for a slash, and leave out tabs and line ends: what they would change is refused.
  if (!/^\/(?![/\\])[\x21-\x7e]*$/.test(given) || given.includes('\\')) return undefined;
  let url: URL;
  try {
    url = new URL(given, base);
  } catch {
    return undefined;
  }
  if (url.origin !== base || url.pathname.startsWith('//')) return undefined;
  return url.pathname + url.search + url.hash;
}

/** `path`, which carries where it leads on to when that is not the usual place. */
export function withNext(path: string, next: string | undefined): string {
  return next === undefined || next === homePath ? path : `${path}?next=${encodeURIComponent(next)}`;
}
