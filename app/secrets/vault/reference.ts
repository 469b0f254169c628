import { Fault } from '#base/errors.ts';
import type { VaultPlace } from '../store.ts';

const segment = /^[A-Za-z0-9_.@ +=~-]+$/;

/**
 * Judges a path as Vault's API has it. Slashes around it are left out; `..` and what is no plain segment are refused,
 * so that a path says where it leads.
 * @throws Fault VAULT_PATH_REFUSED
 */
export function cleanPath(path: string): string {
  const clean = path.replace(/^\/+|\/+$/g, '');
  const segments = clean.split('/');
  const refuse = (why: string) => new Fault('VAULT_PATH_REFUSED', { path: JSON.stringify(path), why });
  if (segments.length < 2) throw refuse('it needs the name of an engine and a path in it, such as secret/data/shop');
  if (segments.some((part) => !segment.test(part) || part === '.' || part === '..'))
    throw refuse('its parts are letters, digits and any of _.@+=~- and spaces');
  if (['sys', 'auth', 'identity', 'cubbyhole'].includes(segments[0] ?? ''))
    throw refuse('only secrets of a KV engine can be referred to');
  return clean;
}

/** `path:key`, as DATABASE_URL_VAULT_REF has it: the key is what comes after the last colon. */
export function parseReference(text: string): VaultPlace {
  const at = text.lastIndexOf(':');
  const key = text.slice(at + 1);
  if (at < 1 || key === '')
    throw new Fault('VAULT_PATH_REFUSED', {
      path: JSON.stringify(text),
      why: 'wanted is path:key, such as secret/data/plinth:database-url',
    });
  return { path: cleanPath(text.slice(0, at)), key };
}
