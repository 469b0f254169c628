import { randomBytes } from 'node:crypto';

/** What each kind of id begins with. The rest is 26 characters of Crockford base 32: 48 bits of time, 80 random. */
export const idPrefixes = {
  installation: 'ins',
  project: 'prj',
  change: 'chg',
  token: 'tok',
  user: 'usr',
  account: 'acc',
  session: 'ses',
  verification: 'ver',
  request: 'req',
  audit: 'aud',
  role: 'rol',
  invitation: 'inv',
  serviceAccount: 'sva',
  mail: 'mai',
  delivery: 'dlv',
  dataKey: 'key',
  identityProvider: 'idp',
  replica: 'rep',
} as const;

export type IdKind = keyof typeof idPrefixes;

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

/** A new id such as `prj_01kq3v9e2m…`: text order is the order of making, to the millisecond. */
export function newId(kind: IdKind, now: Date): string {
  let time = now.getTime();
  let head = '';
  for (let i = 0; i < 10; i++) {
    head = alphabet[time % 32] + head;
    time = Math.floor(time / 32);
  }
  let tail = '';
  for (const byte of randomBytes(16)) tail += alphabet[byte % 32];
  return `${idPrefixes[kind]}_${head}${tail}`;
}

/** True when `text` has the form of an id of this kind; what comes from outside is asked before it is used or logged. */
export function isId(kind: IdKind, text: string): boolean {
  const tail = text.slice(idPrefixes[kind].length + 1);
  return text.startsWith(`${idPrefixes[kind]}_`) && /^[0-9a-hjkmnp-tv-z]{26}$/.test(tail);
}
