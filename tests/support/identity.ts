import { authorise } from '#auth/authorise.ts';
import { createIdentityProviders, type IdentityOptions, type IdentityProviders } from '#auth/identity-providers.ts';
import { createRoles } from '#auth/people/custom-roles.ts';
import { createInvitations } from '#auth/people/invitations.ts';
import { createPeople } from '#auth/people/people.ts';
import { missingFor } from '#auth/roles.ts';
import { Secret } from '#base/secret.ts';
import type { Caller } from '#contract/caller.ts';
import { identityRoutes } from '#contract/identity-routes.ts';
import type { HandlersOf } from '#contract/route.ts';
import type { Database } from '#database/pool.ts';
import { mountRoutes } from '#http/route.ts';
import { readKeyEncryption } from '#secrets/key-encryption.ts';
import { openKeys } from '#secrets/keys.ts';
import { createSecrets } from '#secrets/secrets.ts';
import { administrator, startServer } from './http.ts';
import { openSignIn, type SignInWish } from './sign-in.ts';

export type IdentityWish = SignInWish;

/** What tests look at of an answer: a provider, the test of one, or a problem. */
export interface ApiAnswer {
  readonly code?: string;
  readonly findings?: readonly { readonly path: string; readonly message: string }[];
  readonly works?: boolean;
  readonly problem?: string | null;
  readonly metadataUrl?: string | null;
  readonly metadata?: string;
  readonly secretSet?: boolean;
  readonly trustEmail?: boolean;
  readonly createPeople?: boolean;
  readonly entityId?: string;
  readonly entryPoint?: string;
  readonly certificates?: readonly string[];
  readonly server?: string;
  readonly clientId?: string;
}

/** Identity providers over a real database, with people, sessions, second factors and HTTP as they are. */
export async function openIdentity(database: Database, wish: IdentityWish = {}) {
  const base = await openSignIn(database, wish);
  const people = createPeople({ database, auth: base.auth, sessions: base.sessions });
  const roles = createRoles(database);
  const linkOf = (token: string) => `https://plinth.example.com/invitation?token=${token}`;
  const openInvitations = (enabled: boolean) => createInvitations({ ...base, enabled, linkOf });
  const invitations = openInvitations(true);
  const encryption = await readKeyEncryption({ dataDirectory: '/nowhere', encryptionKey: new Secret('k'.repeat(40)) });
  const { log, clock } = base;
  const secrets = createSecrets({ database, keys: await openKeys({ database, encryption, log, clock }) });
  let current: IdentityProviders | undefined;
  const opened = () => {
    if (current === undefined) throw new Error('nothing is open yet');
    return current;
  };
  const state = { caller: administrator as Caller };
  const server = await startServer((app) => {
    const handlers = Object.fromEntries(
      identityRoutes.map(({ name }) => [name, (input: never) => opened().handlers[name](input)]),
    ) as unknown as HandlersOf<typeof identityRoutes>; // one for each row of the table
    mountRoutes(app, {
      routes: identityRoutes,
      handlers,
      callerOf: async () => state.caller,
      authorise,
      clock: base.clock,
    });
  });
  const mayGrantRole = async (caller: Caller, role: string) =>
    missingFor(caller, (await roles.get(role)).grants, 'all').length === 0;
  const open = (more: Partial<IdentityOptions> = {}) => {
    current = createIdentityProviders({
      database,
      secrets,
      clock: base.clock,
      log: base.log,
      baseUrl: server.url,
      allowRegistration: false,
      passwordsDisabled: false,
      production: false,
      people,
      invitations,
      sessions: base.sessions,
      cookies: base.cookies,
      limits: base.limits,
      audit: { record: async (entry) => void base.audited.push(entry) },
      mayGrantRole,
      ...more,
    });
    return current;
  };
  open();
  const api = async (method: string, path: string, body?: unknown) => {
    const reply = await fetch(`${server.url}/api/v1/identity-providers${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } }),
    });
    const text = await reply.text();
    const json = (text === '' ? {} : JSON.parse(text)) as ApiAnswer;
    return { status: reply.status, json, text, code: json.code };
  };
  return {
    ...base,
    log: base.captured,
    people,
    invitations,
    openInvitations,
    roles,
    secrets,
    state,
    url: server.url,
    open,
    api,
    identity: opened,
    /** Whose session the browser has, and how it came about. */
    whoIs: async (browser: WanderingBrowser) => {
      const session = await base.sessions.find(browser.cookiesFor(server.url));
      const person = session === undefined ? undefined : await people.find(session.userId);
      return person === undefined ? undefined : { ...person, via: session?.via, secondFactor: session?.secondFactor };
    },
    close: async () => {
      await server.close();
      await base.close();
    },
  };
}
export type TestIdentity = Awaited<ReturnType<typeof openIdentity>>;

export interface Seen {
  readonly status: number;
  readonly url: string;
  readonly location: string | undefined;
  readonly text: string;
}

/** A browser that goes from host to host; each has cookies of its own. */
export class WanderingBrowser {
  readonly #jars = new Map<string, Map<string, string>>();

  cookiesFor(url: string): string {
    return [...(this.#jars.get(new URL(url).host) ?? [])].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  /** One request, no redirection followed. */
  async visit(url: string, form?: Record<string, string>, options: { crossSite?: boolean } = {}): Promise<Seen> {
    const cookies = options.crossSite === true ? '' : this.cookiesFor(url);
    const reply = await fetch(url, {
      redirect: 'manual',
      headers: {
        Accept: 'text/html',
        ...(cookies === '' ? {} : { Cookie: cookies }),
        ...(options.crossSite === true ? { Origin: 'http://idp.example', 'Sec-Fetch-Site': 'cross-site' } : {}),
      },
      ...(form === undefined ? {} : { method: 'POST', body: new URLSearchParams(form) }),
    });
    const jar = this.#jars.get(new URL(url).host) ?? new Map<string, string>();
    this.#jars.set(new URL(url).host, jar);
    for (const line of reply.headers.getSetCookie()) keep(jar, line);
    const location = reply.headers.get('location');
    const text = await reply.text();
    return { status: reply.status, url, location: location === null ? undefined : new URL(location, url).href, text };
  }

  /** Follows redirections until a page, or until one leads to `until`, which is not visited. */
  async follow(url: string, until?: (url: string) => boolean): Promise<Seen> {
    let seen = await this.visit(url);
    for (let hops = 0; seen.location !== undefined && hops < 20; hops++) {
      if (until?.(seen.location)) return seen;
      seen = await this.visit(seen.location);
    }
    return seen;
  }
}

function keep(jar: Map<string, string>, line: string): void {
  const [pair = '', ...attributes] = line.split(/;\s*/);
  const at = pair.indexOf('=');
  const [name, value] = [pair.slice(0, at), pair.slice(at + 1)];
  // A browser takes such a name over TLS only; these tests speak plain HTTP.
  if (name.startsWith('__')) return;
  const gone = attributes.some((each) => /^max-age=0$/i.test(each) || /^expires=thu, 01 jan 1970/i.test(each));
  if (gone || value === '') jar.delete(name);
  else jar.set(name, value);
}
