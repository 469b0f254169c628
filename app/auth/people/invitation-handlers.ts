import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import { type Caller, type Permission, teamsOf } from '#contract/caller.ts';
import type { Handlers } from '#contract/routes.ts';
import type { InvitationRow } from './invitation-store.ts';
import type { Invitations } from './invitations.ts';

type InvitationHandlers = Pick<
  Handlers,
  'listInvitations' | 'createInvitation' | 'deleteInvitation' | 'readInvitation' | 'acceptInvitation'
>;

/** Invitations. Whoever may invite in some teams only, invites into one of these, and sees only those. */
export function createInvitationHandlers({ invitations }: { readonly invitations: Invitations }): InvitationHandlers {
  return {
    listInvitations: async ({ caller }) => {
      const items = await invitations.list(teamsIn(caller, 'invitation:read'));
      return { json: { items: items.map(viewOf), next: null } };
    },
    createInvitation: async ({ caller, body }) => {
      const teams = teamsIn(caller, 'invitation:write');
      if (teams !== undefined && (body.team === undefined || !teams.includes(body.team)))
        throw new Fault('FORBIDDEN', { actor: caller.name, permission: 'invitation:write' });
      const { link, ...row } = await invitations.create(caller, body);
      return {
        // The one place where the link is shown.
        json: { ...viewOf(row), link: link?.reveal() ?? null },
        audit: { target: row.id, after: stateOf(row) },
      };
    },
    deleteInvitation: async ({ caller, params: { id } }) => {
      const gone = await invitations.remove(id, teamsIn(caller, 'invitation:write'));
      return { audit: { before: stateOf(gone) } };
    },
    readInvitation: async ({ body: { token } }) => {
      const { email, team, expires_at } = await invitations.read(token);
      return { json: { email, team, expiresAt: expires_at.toISOString() } };
    },
    acceptInvitation: async ({ body: { token, name, password } }) => {
      const accepted = await invitations.accept(token, { name, password: new Secret(password) });
      return {
        json: accepted,
        audit: { target: accepted.email, after: { person: accepted.id, email: accepted.email } },
      };
    },
  };
}

function teamsIn(caller: Caller, permission: Permission): readonly string[] | undefined {
  const teams = teamsOf(caller, permission);
  return teams === 'all' ? undefined : teams;
}

const stateOf = ({ email, role, team }: InvitationRow) => ({ email, role, team });

const viewOf = ({ id, email, role, team, invited_by, created_at, expires_at }: InvitationRow) => ({
  id,
  email,
  role,
  team,
  invitedBy: invited_by,
  createdAt: created_at.toISOString(),
  expiresAt: expires_at.toISOString(),
});
