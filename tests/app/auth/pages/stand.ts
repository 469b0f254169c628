import { authorise } from '#auth/authorise.ts';
import { createCallers } from '#auth/caller.ts';
import {
  createPageHandlers,
  invitationLink,
  mountPageAssets,
  type PageDoors,
  signInPage,
} from '#auth/page-handlers.ts';
import { createInvitations } from '#auth/people/invitations.ts';
import { createPeople } from '#auth/people/people.ts';
import { createPasswordProof } from '#auth/sign-in/password-proof.ts';
import { pageRoutes } from '#contract/page-routes.ts';
import type { Database } from '#database/pool.ts';
import type { RequestRecord } from '#http/record.ts';
import { mountRoutes } from '#http/route.ts';
import { startServer } from '#support/http.ts';
import { openSignIn } from '#support/sign-in.ts';

export interface StandOptions {
  readonly registration?: boolean;
  /** TWO_FA_ENABLED. */
  readonly mailCodes?: boolean;
  readonly offers?: PageDoors['offers'];
  readonly signInButtons?: PageDoors['signInButtons'];
}

/** What every person of these tests begins with. */
export const password = 'seven silent owls';
const baseUrl = 'https://plinth.example.com';

export type Stand = Awaited<ReturnType<typeof openPages>>;

/** The pages over everything that is behind them: real sessions, passwords, codes and limits in a real database. */
export async function openPages(database: Database, options: StandOptions = {}) {
  const registration = options.registration === true;
  const parts = await openSignIn(database, { mailCodes: options.mailCodes === true, allowRegistration: registration });
  const { auth, clock, mailer, sessions } = parts;
  const linkOf = (token: string) => invitationLink(baseUrl, token);
  const invitations = createInvitations({ ...parts, enabled: true, linkOf });
  const people = createPeople({ database, auth, sessions });
  const doors: PageDoors = {
    ...parts,
    people,
    invitations,
    passwordProof: createPasswordProof(parts),
    signInButtons: options.signInButtons ?? (async () => []),
    offers: options.offers ?? (async () => ({ passwordSignIn: 'everyone', registration })),
  };
  const callers = createCallers({
    ...parts,
    cache: { get: async (_proof, read) => (await read())?.caller },
    basicPasswords: true,
  });
  /** What routes tell the audit. */
  const recorded: RequestRecord[] = [];
  const audit = async (record: RequestRecord) => void recorded.push(record);
  const server = await startServer((app) => {
    mountPageAssets(app);
    const handlers = createPageHandlers(doors);
    mountRoutes(app, { routes: pageRoutes, handlers, ...callers, authorise, clock, audit, signInPage });
  });
  return {
    ...parts,
    mailer,
    server,
    invitations,
    people,
    recorded,
    close: async () => {
      await server.close();
      await parts.close();
    },
  };
}

/** What a page answered. */
export interface Shown {
  readonly status: number;
  readonly location: string | null;
  readonly text: string;
  readonly headers: Headers;
}

/** Keeps cookies, reads the hidden field of the last page and sends it along, as a browser without script does. */
export interface Reader {
  get(path: string, headers?: Record<string, string>): Promise<Shown>;
  /** `csrf` is the one of the last page unless it is given. */
  post(path: string, fields?: Readonly<Record<string, string>>, headers?: Record<string, string>): Promise<Shown>;
  readonly cookies: Map<string, string>;
}

export function openReader(url: string): Reader {
  const cookies = new Map<string, string>();
  let csrf = '';
  const send = async (path: string, init: RequestInit): Promise<Shown> => {
    const headers = new Headers(init.headers);
    if (cookies.size > 0) headers.set('Cookie', [...cookies].map(([name, value]) => `${name}=${value}`).join('; '));
    const reply = await fetch(url + path, { ...init, headers, redirect: 'manual' });
    for (const cookie of reply.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
      if (value === '' || /;\s*max-age=0/i.test(cookie)) cookies.delete(name);
      else cookies.set(name, value);
    }
    const text = await reply.text();
    csrf = hidden(text, 'csrf') ?? csrf;
    return { status: reply.status, location: reply.headers.get('location'), text, headers: reply.headers };
  };
  return {
    cookies,
    get: (path, headers = {}) => send(path, { headers }),
    post: (path, fields = {}, headers = {}) =>
      send(path, {
        method: 'POST',
        headers: { Origin: url, ...headers },
        body: new URLSearchParams({ csrf, ...fields }),
      }),
  };
}

/** The value of a hidden field of a page. */
export const hidden = (page: string, name: string): string | undefined =>
  new RegExp(`<input type="hidden" name="${name}" value="([^"]*)">`).exec(page)?.[1]?.replaceAll('&amp;', '&');

/** The words of a page, as they are read. */
export const words = (page: string): string =>
  page
    .replace(/<head>.*<\/head>/s, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .replaceAll('&#39;', "'")
    .replaceAll('&quot;', '"')
    .trim();
