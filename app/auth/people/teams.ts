import { Fault } from '#base/errors.ts';
import type { Caller } from '#contract/caller.ts';
import type { Database, Queryable } from '#database/pool.ts';
import type { Secrets, SecretsLeft } from '#secrets/secrets.ts';
import { findPrincipal, type PrincipalRow } from '../principal-store.ts';
import { grantsOf, inTeam, mustHold, type RoleGrants } from '../roles.ts';
import { unbindTokens } from '../store.ts';
import { keepRole } from './custom-roles.ts';
import { deleteInvitationsInto } from './invitation-store.ts';
import {
  countProjects,
  deleteMember,
  deleteTeam,
  listMembers,
  listTeams,
  lockTeam,
  type MemberRow,
  saveMember,
  saveTeam,
  type TeamRow,
} from './team-store.ts';

export interface NewMember {
  readonly team: string;
  /** A person or a service account. */
  readonly userId: string;
  /** Counts in this team in place of the role in the organization; null: that one. */
  readonly role: string | null;
}

export interface Teams {
  /** By name; of all teams when none are named. */
  list(names?: readonly string[]): Promise<readonly TeamRow[]>;
  /** @throws Fault TEAM_NOT_FOUND */
  get(name: string): Promise<TeamRow>;
  /** Makes it, or gives it another title. */
  put(name: string, title: string): Promise<TeamRow>;
  /**
   * Who gets the name next gets nothing of it: with it go its memberships, the invitations into it, its folder of Vault,
   * what was made for its projects, and its name in the bounds of tokens and in the grants of secrets.
   * @throws Fault TEAM_NOT_FOUND | TEAM_IN_USE while it owns projects or secrets that people set | SECRETS_UNAVAILABLE
   */
  remove(name: string): Promise<void>;
  /** @throws Fault TEAM_NOT_FOUND */
  members(team: string): Promise<readonly MemberRow[]>;
  /**
   * Nobody takes down who may do more there than they.
   * @throws Fault TEAM_NOT_FOUND | PERSON_NOT_FOUND | ROLE_NOT_FOUND | GRANT_BEYOND_OWN
   */
  putMember(caller: Caller, member: NewMember): Promise<MemberRow>;
  /** For whatever reason they are there. @throws Fault TEAM_NOT_FOUND | MEMBER_NOT_FOUND | GRANT_BEYOND_OWN */
  removeMember(caller: Caller, team: string, userId: string): Promise<void>;
}

export interface TeamsDependencies {
  readonly database: Database;
  readonly secrets: Pick<Secrets, 'endTeam'>;
}

export function createTeams({ database, secrets }: TeamsDependencies): Teams {
  const get = async (name: string) => {
    const [team] = await listTeams(database, [name]);
    if (team === undefined) throw new Fault('TEAM_NOT_FOUND', { team: name });
    return team;
  };
  return {
    list: (names) => listTeams(database, names),
    get,
    put: async (name, title) => {
      await saveTeam(database, name, title);
      return get(name);
    },
    remove: (name) =>
      database.transaction(async (tx) => {
        // First those that somebody may accept right now: accepting one locks it before its team.
        await deleteInvitationsInto(tx, name);
        if (!(await lockTeam(tx, name, 'all'))) throw new Fault('TEAM_NOT_FOUND', { team: name });
        const projects = await countProjects(tx, name);
        if (projects > 0) throw new Fault('TEAM_IN_USE', { team: name, left: [counted(projects, 'project')] });
        const left = await secrets.endTeam(tx, name);
        if (left.length > 0) throw new Fault('TEAM_IN_USE', { team: name, left: left.map(leftOf) });
        await deleteInvitationsInto(tx, name);
        await unbindTokens(tx, name);
        await deleteTeam(tx, name);
      }),
    members: async (team) => {
      await get(team);
      return listMembers(database, team);
    },
    putMember: async (caller, member) => {
      await database.transaction((tx) => addMember(tx, caller, member));
      const rows = await listMembers(database, member.team, member.userId);
      const made = rows.find(({ source }) => source === 'manual');
      if (made === undefined) throw new Fault('MEMBER_NOT_FOUND', { team: member.team, person: member.userId });
      return made;
    },
    removeMember: (caller, team, userId) =>
      database.transaction(async (tx) => {
        if (!(await lockTeam(tx, team, 'members'))) throw new Fault('TEAM_NOT_FOUND', { team });
        const person = await findPrincipal(tx, userId);
        const held = person === undefined ? [] : heldIn(person, team);
        if (held.length === 0) throw new Fault('MEMBER_NOT_FOUND', { team, person: userId });
        for (const grants of held) mustHold(caller, grants, [team]);
        await deleteMember(tx, team, userId);
      }),
  };
}

/**
 * Puts somebody into a team, as far as the caller holds in this team what they will be able to do there, and what they
 * were able to do there before.
 * @throws Fault TEAM_NOT_FOUND | PERSON_NOT_FOUND | ROLE_NOT_FOUND | GRANT_BEYOND_OWN
 */
export async function addMember(tx: Queryable, caller: Pick<Caller, 'may'>, member: NewMember): Promise<void> {
  const { team, userId, role } = member;
  if (!(await lockTeam(tx, team, 'members'))) throw new Fault('TEAM_NOT_FOUND', { team });
  const person = await findPrincipal(tx, userId);
  if (person === undefined) throw new Fault('PERSON_NOT_FOUND', { person: userId });
  const wanted = role === null ? ownGrants(person) : await keepRole(tx, role);
  for (const grants of [inTeam(wanted), ...heldIn(person, team)]) mustHold(caller, grants, [team]);
  await saveMember(tx, { team, userId, role, source: 'manual' });
}

/** What each membership of this team grants there: one may be a member for several reasons. */
function heldIn(person: PrincipalRow, team: string): readonly RoleGrants[] {
  return person.memberships
    .filter((membership) => membership.team === team)
    .map(({ role, grants }) => inTeam(role === null ? ownGrants(person) : (grantsOf(role, grants) ?? {})));
}

/** What the role in the organization grants; one that is no more: nothing. */
const ownGrants = ({ role, grants }: PrincipalRow): RoleGrants => grantsOf(role, grants) ?? {};

const counted = (count: number, what: string) => `${count} ${what}${count === 1 ? '' : 's'}`;

const leftOf = ({ project, count }: SecretsLeft) =>
  `${counted(count, 'secret')} ${project === undefined ? 'of its own' : `of project ${project}`}`;
