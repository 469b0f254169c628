import type { Clock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { startLoop } from '#base/loop.ts';
import { Secret } from '#base/secret.ts';
import type { Database, Queryable } from '#database/pool.ts';
import type { Mailer } from '#notify/mail.ts';
import { randomToken, tokenDigest } from '../random-token.ts';
import {
  claimWish,
  deleteLinksOf,
  deleteWish,
  findByEmail,
  findLink,
  insertLink,
  insertWish,
  type LinkRow,
  takeLink,
  type WishRow,
} from './store.ts';

export interface MailedLinksDependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly mailer: Mailer;
  /** Where people reach the pages: from the settings, never from a request's Host. */
  readonly baseUrl: string;
}

/** What somebody asks for who has shown nothing yet. */
export type Wish =
  | { readonly kind: 'reset'; readonly email: string }
  | { readonly kind: 'register'; readonly email: string; readonly name: string; readonly passwordHash: string };

export interface MailedLinks {
  /** Returns when the wish is stored: the same work for an address that has an account and one that has none. */
  wish(wish: Wish): Promise<void>;
  /** What a link stands for; it goes on working. @throws Fault LINK_INVALID */
  look(kind: Wish['kind'], token: Secret): Promise<LinkRow>;
  /** The same, once. @throws Fault LINK_INVALID */
  take(kind: Wish['kind'], token: Secret): Promise<LinkRow>;
  /** Ends all links of a person. */
  forget(userId: string): Promise<void>;
  /** Mails one wish's link. */
  deliver(): Promise<'again' | 'idle'>;
  /** Ends the loop that delivers. */
  stop(): Promise<void>;
}

const hourMs = 60 * 60_000;
const pages = { reset: 'reset-password', register: 'verify-email' } as const;
const lookAgainMs = 10_000;

/** Links by mail: wishes are stored at once, looked up and mailed in the background. */
export function createMailedLinks(dependencies: MailedLinksDependencies): MailedLinks {
  const { database, clock, log, mailer } = dependencies;
  const valid = (row: LinkRow | undefined) => {
    if (row === undefined) throw new Fault('LINK_INVALID');
    return row;
  };
  const deliver = async () => {
    const outcome = await database.transaction((tx) => deliverOne(tx, dependencies));
    if (outcome === 'again') mailer.wake();
    return outcome;
  };
  const loop = startLoop({ name: 'mailed links', log, clock, everyMs: lookAgainMs, run: deliver });
  return {
    wish: async (wish) => {
      if (!mailer.enabled) throw new Fault('MAIL_OFF');
      const given = wish.kind === 'register' ? wish : undefined;
      await insertWish(database, {
        kind: wish.kind,
        email: wish.email,
        name: given?.name ?? null,
        password_hash: given?.passwordHash ?? null,
        created_at: clock.now(),
      });
      loop.wake();
    },
    look: async (kind, token) => valid(await findLink(database, kind, tokenDigest(token.reveal()), clock.now())),
    take: async (kind, token) => valid(await takeLink(database, kind, tokenDigest(token.reveal()), clock.now())),
    forget: (userId) => deleteLinksOf(database, userId),
    deliver,
    stop: () => loop.stop(),
  };
}

/**
 * Wish, link and mail change hands in one transaction: no mail is sent before its link works, and a kill at any moment
 * leaves either the wish or the mail.
 */
async function deliverOne(tx: Queryable, dependencies: MailedLinksDependencies): Promise<'again' | 'idle'> {
  const { clock, log } = dependencies;
  const wish = await claimWish(tx);
  if (wish === undefined) return 'idle';
  await deleteWish(tx, wish.number);
  // Of no use to anyone any more: the mail could not be stored for so long.
  if (wish.created_at.getTime() + hourMs <= clock.now().getTime()) return 'again';
  await mailFor(tx, wish, dependencies).catch((error: unknown) => {
    // An address to which nothing can be sent must not keep those behind it waiting.
    if (!Fault.is(error) || error.retry) throw error;
    log.warn({ kind: wish.kind, code: error.code }, 'a link cannot be mailed');
  });
  return 'again';
}

async function mailFor(tx: Queryable, wish: WishRow, { mailer, baseUrl }: MailedLinksDependencies): Promise<void> {
  const person = await findByEmail(tx, wish.email);
  const send = (subject: string, text: string) =>
    mailer.send({ to: wish.email, subject, text: new Secret(text), uselessAfterMs: hourMs }, tx);
  if (wish.kind === 'register' && person !== undefined)
    return send('You have an account at Plinth already', accountText(`${baseUrl}/${pages.reset}`));
  if (wish.kind === 'reset' && (person === undefined || person.disabled)) return;
  // Who signs in with an identity provider gets no password by the way: their access ends where it was given.
  if (wish.kind === 'reset' && person?.hash === null && person.federated)
    return send('Signing in to Plinth', federatedText(baseUrl));
  const token = randomToken();
  if (person !== undefined) await deleteLinksOf(tx, person.id);
  await insertLink(tx, {
    hash: tokenDigest(token),
    kind: wish.kind,
    email: wish.email,
    user_id: person?.id ?? null,
    name: wish.name,
    password_hash: wish.password_hash,
    expires_at: new Date(wish.created_at.getTime() + hourMs),
  });
  const url = new URL(`${baseUrl}/${pages[wish.kind]}`);
  url.searchParams.set('token', token);
  return wish.kind === 'reset'
    ? send('A new password for Plinth', resetText(url.href))
    : send('Confirm your e-mail address for Plinth', confirmText(url.href));
}

const resetText = (
  url: string,
) => `Somebody, probably you, wants a new password for your account at Plinth. Set it here:

${url}

The link works once, for an hour. If it was not you, do nothing: your password stays as it is.
`;

const confirmText = (
  url: string,
) => `Somebody, probably you, made an account at Plinth with this address. Confirm it here:

${url}

The link works once, for an hour. If it was not you, do nothing: there will be no account.
`;

const accountText = (
  url: string,
) => `Somebody, probably you, wanted to make an account at Plinth with this address. It has one already.
If you forgot its password, ask for a new one:

${url}

If it was not you, do nothing.
`;

const federatedText = (
  baseUrl: string,
) => `Somebody, probably you, wants a new password for your account at Plinth. It has none: you sign in with your
identity provider.

${baseUrl}

If it was not you, do nothing.
`;
