import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import type { Caller, Permission } from '#contract/caller.ts';
import type { Handlers } from '#contract/routes.ts';
import { authorise } from './authorise.ts';
import { mustHold, type RoleGrants } from './roles.ts';
import type { SignIn } from './sign-in/sign-in.ts';
import type { TokenRow } from './store.ts';
import type { Tokens, TokenWish } from './tokens.ts';

export interface AccessDependencies {
  readonly signIn: Pick<SignIn, 'changePassword'>;
  readonly tokens: Tokens;
}

type AccessHandlers = Pick<Handlers, 'createToken' | 'listTokens' | 'deleteToken' | 'getMe' | 'putPassword'>;

/** Tokens, and what callers may know and change of themselves. */
export function createAccessHandlers({ signIn, tokens }: AccessDependencies): AccessHandlers {
  return {
    createToken: async ({ caller, body }) => {
      mustHoldBounds(caller, caller.may, body);
      return newTokenReply(await tokens.create(caller.id, body, caller.name));
    },
    listTokens: async ({ caller, query }) => {
      if (query.all && !reachesAll(caller, 'token:read'))
        throw new Fault('FORBIDDEN', { actor: caller.name, permission: 'token:read' });
      const rows = await tokens.list(query.all ? undefined : caller.id);
      return { json: { items: rows.map(tokenViewOf), next: null } };
    },
    deleteToken: async ({ caller, params: { id } }) => {
      const gone = await tokens.revoke(id, reachesAll(caller, 'token:write') ? undefined : caller.id);
      return { audit: { before: boundsOf(gone) } };
    },
    getMe: async ({ caller }) => ({
      json: { ...caller, credential: caller.credential.kind, permissions: Object.fromEntries(caller.may) },
    }),
    putPassword: async ({ caller, body, request }) => {
      const { current, next } = body;
      return { cookies: await signIn.changePassword(caller.id, new Secret(current), new Secret(next), request) };
    },
  };
}

/** Whether it goes beyond what is their own: in all teams, and above the environments. */
const reachesAll = (caller: Caller, permission: Permission) => authorise(caller, permission, { reach: 'organization' });

/**
 * A token never does more than its owner whatever its bounds say; but nobody shall believe that it does.
 * @param owner what the owner of the token may
 * @throws Fault GRANT_BEYOND_OWN naming the scopes that caller or owner lack, in these teams if some are named
 */
export function mustHoldBounds(caller: Pick<Caller, 'may'>, owner: Caller['may'], wish: TokenWish): void {
  const { scopes = [], teams = [] } = wish;
  const grants = Object.fromEntries(scopes.map((scope) => [scope, reachOf(owner, scope)])) as RoleGrants;
  mustHold({ may: owner }, grants, teams);
  mustHold(caller, grants, teams);
}

/** What is only one's own is so in any team. */
function reachOf(owner: Caller['may'], scope: string): 'personal' | 'team' {
  const extent = owner.get(scope as Permission); // the contract lets no other text through
  return extent === undefined || extent.length > 0 ? 'team' : 'personal';
}

/** The one place where a token is shown. */
export const newTokenReply = (row: TokenRow & { token: Secret }) => ({
  json: { ...tokenViewOf(row), token: row.token.reveal() },
  audit: { target: row.id, after: boundsOf(row) },
});

/** What a token is and may, without the token. */
export const boundsOf = ({ name, owner, scopes, teams, environments, expires_at }: TokenRow) => ({
  name,
  owner,
  scopes,
  teams,
  environments,
  expiresAt: expires_at?.toISOString() ?? null,
});

export const tokenViewOf = (row: TokenRow) => ({
  ...boundsOf(row),
  id: row.id,
  hint: row.hint,
  createdBy: row.created_by,
  createdAt: row.created_at.toISOString(),
  lastUsedAt: row.last_used_at?.toISOString() ?? null,
});
