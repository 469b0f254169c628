import type { Handlers } from '#contract/routes.ts';
import { boundsOf, mustHoldBounds, newTokenReply, tokenViewOf } from '../access.ts';
import { principalOf } from '../principal.ts';
import type { Tokens } from '../tokens.ts';
import type { ServiceAccountRow } from './service-account-store.ts';
import type { ServiceAccounts } from './service-accounts.ts';

type ServiceAccountHandlers = Pick<
  Handlers,
  | 'listServiceAccounts'
  | 'createServiceAccount'
  | 'getServiceAccount'
  | 'changeServiceAccount'
  | 'deleteServiceAccount'
  | 'listServiceAccountTokens'
  | 'createServiceAccountToken'
  | 'deleteServiceAccountToken'
>;

interface Dependencies {
  readonly serviceAccounts: ServiceAccounts;
  readonly tokens: Tokens;
}

/** Accounts of machines, and their tokens. */
export function createServiceAccountHandlers({ serviceAccounts, tokens }: Dependencies): ServiceAccountHandlers {
  return {
    listServiceAccounts: async ({ caller }) => ({
      json: { items: (await serviceAccounts.list(caller)).map(viewOf), next: null },
    }),
    createServiceAccount: async ({ caller, body }) => {
      const made = await serviceAccounts.create(caller, body);
      return { json: viewOf(made), audit: { target: made.id, after: stateOf(made) } };
    },
    getServiceAccount: async ({ caller, params: { id } }) => ({ json: viewOf(await serviceAccounts.get(caller, id)) }),
    changeServiceAccount: async ({ caller, params: { id }, body }) => {
      const before = await serviceAccounts.get(caller, id);
      const after = await serviceAccounts.change(caller, id, body);
      return { json: viewOf(after), audit: { target: after.name, before: stateOf(before), after: stateOf(after) } };
    },
    deleteServiceAccount: async ({ caller, params: { id } }) => {
      const before = await serviceAccounts.remove(caller, id);
      return { audit: { target: before.name, before: stateOf(before) } };
    },
    listServiceAccountTokens: async ({ caller, params: { id } }) => {
      await serviceAccounts.get(caller, id);
      return { json: { items: (await tokens.list(id)).map(tokenViewOf), next: null } };
    },
    createServiceAccountToken: async ({ caller, params: { id }, body }) => {
      const account = await serviceAccounts.inPlaceOf(caller, id);
      mustHoldBounds(caller, principalOf(account)?.may ?? new Map(), body);
      return newTokenReply(await tokens.create(id, body, caller.name));
    },
    deleteServiceAccountToken: async ({ caller, params: { id, token } }) => {
      await serviceAccounts.inPlaceOf(caller, id);
      const gone = await tokens.revoke(token, id);
      return { audit: { target: token, before: boundsOf(gone) } };
    },
  };
}

const stateOf = ({ name, role, disabled, memberships }: ServiceAccountRow) => ({
  name,
  role,
  disabled,
  teams: memberships.map(({ team, role: inTeam, source }) => ({ team, role: inTeam, source })),
});

const viewOf = (account: ServiceAccountRow) => ({
  id: account.id,
  ...stateOf(account),
  createdBy: account.created_by,
  createdAt: account.created_at.toISOString(),
});
