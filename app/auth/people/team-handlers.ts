import { teamsOf } from '#contract/caller.ts';
import type { Handlers } from '#contract/routes.ts';
import type { MemberRow, TeamRow } from './team-store.ts';
import type { Teams } from './teams.ts';

type TeamHandlers = Pick<
  Handlers,
  'listTeams' | 'getTeam' | 'putTeam' | 'deleteTeam' | 'listMembers' | 'putMember' | 'deleteMember'
>;

/** Teams and who belongs to them. */
export function createTeamHandlers({ teams }: { readonly teams: Teams }): TeamHandlers {
  return {
    listTeams: async ({ caller }) => {
      const own = teamsOf(caller, 'team:read');
      return { json: { items: (await teams.list(own === 'all' ? undefined : own)).map(viewOf), next: null } };
    },
    getTeam: async ({ params: { team } }) => ({ json: viewOf(await teams.get(team)) }),
    putTeam: async ({ params: { team }, body: { title } }) => {
      const [before] = await teams.list([team]);
      const made = await teams.put(team, title);
      return { json: viewOf(made), audit: { before: before && { title: before.title }, after: { title: made.title } } };
    },
    deleteTeam: async ({ params: { team } }) => {
      const [before] = await teams.list([team]);
      const members = before === undefined ? [] : await teams.members(team);
      await teams.remove(team);
      return { audit: { before: { title: before?.title, members: members.map(stateOf) } } };
    },
    listMembers: async ({ params: { team } }) => {
      const items = await teams.members(team);
      return { json: { items: items.map(memberOf), next: null } };
    },
    putMember: async ({ caller, params: { team, user: userId }, body: { role } }) => {
      const present = await teams.members(team);
      const made = await teams.putMember(caller, { team, userId, role });
      const before = present.find(({ id, source }) => id === userId && source === made.source);
      return { json: memberOf(made), audit: { before: before && stateOf(before), after: stateOf(made) } };
    },
    deleteMember: async ({ caller, params: { team, user } }) => {
      const before = (await teams.members(team)).filter(({ id }) => id === user);
      await teams.removeMember(caller, team, user);
      return { audit: { before: before.map(stateOf) } };
    },
  };
}

const viewOf = ({ created_at, ...team }: TeamRow) => ({ ...team, createdAt: created_at.toISOString() });

const stateOf = ({ id, name, role, source }: MemberRow) => ({ id, name, role, source });

const memberOf = <Row extends { readonly created_at: Date }>({ created_at, ...member }: Row) => ({
  ...member,
  createdAt: created_at.toISOString(),
});
