import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import type { Handlers } from '#contract/routes.ts';
import type { Auth } from './better-auth.ts';
import type { Passwords } from './passwords.ts';
import type { TokenRow } from './store.ts';
import type { Tokens } from './tokens.ts';

export interface AccessDependencies {
  readonly auth: Auth;
  readonly passwords: Passwords;
  readonly tokens: Tokens;
  /** Called after a person has changed their password. */
  readonly passwordChanged: (userId: string) => Promise<void>;
}

type AccessHandlers = Pick<Handlers, 'createToken' | 'listTokens' | 'deleteToken' | 'getMe' | 'putPassword'>;

/** Tokens, and what callers may know and change of themselves. */
export function createAccessHandlers(dependencies: AccessDependencies): AccessHandlers {
  const { auth, passwords, tokens, passwordChanged } = dependencies;
  return {
    createToken: async ({ caller, body }) => {
      const row = await tokens.create(caller.id, body);
      // The one place where a token is shown.
      return { json: { ...viewOf(row), token: row.token.reveal() } };
    },
    listTokens: async ({ caller }) => ({ json: { items: (await tokens.list(caller.id)).map(viewOf), next: null } }),
    deleteToken: async ({ caller, params }) => {
      await tokens.revoke(caller.id, params.id);
      return {};
    },
    getMe: async ({ caller }) => ({ json: caller }),
    putPassword: async ({ caller, body, request }) => {
      // A person's name is the e-mail address; tokens do not come here.
      const person = await passwords.verify(caller.name, new Secret(body.current), request.address);
      if (person?.id !== caller.id) throw new Fault('CREDENTIALS_WRONG');
      await auth.setPassword(caller.id, new Secret(body.next));
      await passwordChanged(caller.id);
      return {};
    },
  };
}

const viewOf = (row: TokenRow) => ({
  id: row.id,
  name: row.name,
  createdAt: row.created_at.toISOString(),
  expiresAt: row.expires_at?.toISOString() ?? null,
  lastUsedAt: row.last_used_at?.toISOString() ?? null,
});
